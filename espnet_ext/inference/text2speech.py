"""Synthesis with a trained model, ours or stock ESPnet's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.features import features_of_model
from espnet_ext.bridge.load import load_model, text_pipeline
from espnet_ext.errors import UserError
from espnet_ext.inference.griffin_lim import GriffinLim
from espnet_ext.inference.shares import run_key
from espnet_ext.inference.ssml_speech import read_plans, speak_plan
from espnet_ext.inference.vocoder import Vocoder
from espnet_ext.text.ssml import is_ssml

#: one value for all tokens, or one for each
PerToken = float | Sequence[float]


@dataclass(frozen=True)
class SynthesisOptions:
    """How to speak; names are those of stock ESPnet's tts_inference where it has them.

    Attributes:
        speed_control_alpha: length of the speech against the model's own, > 1 is slower.
        pitch_shift: semitones above the model's own pitch, where the model has control of it.
        energy_factor: of the amplitude that the voice has, where the model has control of it.
        griffin_lim_iters: iterations where no vocoder is part of the model.
        seed: of models that draw (VITS).
        noise_scale, noise_scale_dur: spread of what VITS draws.
    """

    speed_control_alpha: float = 1.0
    pitch_shift: float = 0.0
    energy_factor: float = 1.0
    griffin_lim_iters: int = 32
    seed: int = 777
    noise_scale: float = 0.667
    noise_scale_dur: float = 0.8


@dataclass(frozen=True)
class Speech:
    """One synthesised utterance.

    Attributes:
        wave: samples (T,), float32, within [-1, 1].
        rate: Hz.
        mel: log-mel spectrogram (frames, bins), before normalisation, or None.
        durations: frames of each token with the final <sos/eos>, or None.
    """

    wave: np.ndarray
    rate: int
    mel: np.ndarray | None
    durations: np.ndarray | None


class Text2Speech:
    """Speaks one text a call.

    Args:
        config, weights: config.yaml and .pth of the synthesiser.
        task: "tts" (mel, then Griffin-Lim) or "gan_tts" (straight to the waveform).
        options: how to speak.
        device: "cpu", "cuda", ...
        vocoder: makes the waveform of a mel spectrogram; None = Griffin-Lim, where the model has no own.

    Raises:
        UserError: if the vocoder reads other spectrograms than the model writes, or the options ask for a control that
            the model does not have.
    """

    def __init__(
        self,
        config: str | Path,
        weights: str | Path,
        task: str = "tts",
        options: SynthesisOptions | None = None,
        device: str = "cpu",
        vocoder: Vocoder | None = None,
    ) -> None:
        self.options, self.device = options or SynthesisOptions(), device
        self.files = (config, weights)
        self.model, self.config = load_model(task, config, weights, device)
        self.pipeline = text_pipeline(self.config)
        extract = self.model.feats_extract
        self._check_controls()
        own_rate = getattr(self.model.tts, "fs", None)
        self.rate = int(own_rate or (extract.get_parameters()["fs"] if extract is not None else 0))
        self.vocoder: Vocoder | GriffinLim | None = None
        if self.model.tts.require_vocoder:
            self.vocoder = self._griffin_lim() if vocoder is None else vocoder
        if self.vocoder is vocoder and vocoder is not None:
            vocoder.check(features_of_model(self.config))

    @classmethod
    def from_dir(
        cls, model_dir: str | Path, weights: str = "valid.loss.ave.pth", **more: Any
    ) -> Text2Speech:
        """Use what the training stage left in `exp/...`."""
        return cls(Path(model_dir) / "config.yaml", Path(model_dir) / weights, **more)

    @cached_property
    def identity(self) -> str:
        """What its speech depends on besides the text: a hash of the model and the options."""
        own = (self.vocoder.identity,) if isinstance(self.vocoder, Vocoder) else ()
        return run_key(self.files, vars(self.options), *own)

    def _griffin_lim(self) -> GriffinLim:
        extract = self.model.feats_extract
        if extract is None or not hasattr(extract, "logmel"):
            raise UserError(
                "found no log-mel front end in the model, expected feats_extract: fbank for Griffin-Lim"
            )
        settings = extract.get_parameters()
        return GriffinLim(
            extract.logmel.melmat.cpu(),
            settings["n_fft"],
            settings["n_shift"],
            settings["win_length"],
            log_base=extract.logmel.log_base,
            window=settings["window"],
            iterations=self.options.griffin_lim_iters,
        )

    @property
    def has_speed(self) -> bool:
        """Whether this model's speed can be chosen."""
        return "alpha" in self._known

    @property
    def has_words(self) -> bool:
        """Whether this model can be told how fast, how high and how loud each word is spoken."""
        return self._known >= {"alpha", "pitch_shift", "energy_factor"}

    @cached_property
    def _known(self) -> set[str]:
        """The options of this model's `inference`."""
        return set(inspect.signature(self.model.tts.inference).parameters)

    def _check_controls(self) -> None:
        for name in ("pitch_shift", "energy_factor"):
            value, none = getattr(self.options, name), getattr(SynthesisOptions, name)
            if value != none and name not in self._known:
                raise UserError(
                    f"{name}: found {value}, but this model ({type(self.model.tts).__name__}) has no such control; "
                    f"expected {none}, or a model that has it, such as espnet_ext.tts.acoustic:AcousticModel"
                )

    def _inference_options(
        self, rate: PerToken = 1.0, semitones: PerToken = 0.0, loudness: PerToken = 1.0
    ) -> dict[str, Any]:
        """Those of our options that this model's `inference` knows."""
        own = self.options
        offered = {
            "alpha": _each(lambda r: own.speed_control_alpha / r, rate),
            "pitch_shift": _each(lambda s: own.pitch_shift + s, semitones),
            "energy_factor": _each(lambda f: own.energy_factor * f, loudness),
            "noise_scale": own.noise_scale,
            "noise_scale_dur": own.noise_scale_dur,
        }
        known = {k: v for k, v in offered.items() if k in self._known}
        return {"use_teacher_forcing": False, **known}

    def __call__(self, text: str, **conditions: Any) -> Speech:
        """Speak `text`; `conditions` are sids, lids, spembs for models with several voices.

        A text that begins with `<speak>` is SSML.

        Raises:
            UserError: if nothing of the text can be spoken, or its markup is malformed.
        """
        if is_ssml(text):
            plans = read_plans([("SSML", text)], words=self.has_words)
            return speak_plan(self, plans["SSML"], conditions)
        return self.speak(self.pipeline.ids(text), text, 1.0, conditions)

    @torch.no_grad()
    def speak(
        self,
        ids: list[int],
        text: str,
        rate: PerToken,
        conditions: dict[str, Any],
        semitones: PerToken = 0.0,
        loudness: PerToken = 1.0,
    ) -> Speech:
        """Speak token ids.

        Args:
            ids: without <sos/eos>.
            text: for messages.
            rate: a factor of the speed where the model has one; for each token where it `has_words`.
            conditions: sids, lids, spembs.
            semitones, loudness: of pitch, and a factor of the amplitude, where it `has_words`.

        Raises:
            UserError: if there is no token.
        """
        if not ids:
            raise UserError(f"found nothing to speak in {text!r}: give at least one word")
        torch.manual_seed(self.options.seed)
        tokens = torch.tensor(ids, device=self.device)
        conditions = {name: value.to(self.device) for name, value in conditions.items()}
        options = self._inference_options(rate, semitones, loudness)
        found = self.model.inference(text=tokens, **conditions, **options)
        mel = found.get("feat_gen_denorm", found.get("feat_gen"))
        if self.vocoder is not None:
            wave = self.vocoder(mel.cpu())
        else:
            wave = found["wav"].reshape(-1).cpu()
        return Speech(
            np.clip(wave.numpy().astype(np.float32), -1.0, 1.0),
            self.rate,
            _array(mel),
            _array(found.get("duration")),
        )


def _array(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.cpu().numpy()


def _each(change: Callable[[float], float], values: PerToken) -> float | list[float]:
    return [change(v) for v in values] if isinstance(values, Sequence) else change(values)
