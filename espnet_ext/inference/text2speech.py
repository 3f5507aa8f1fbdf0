"""Synthesis with a trained model, ours or stock ESPnet's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from espnet_ext.asr.packed import pack
from espnet_ext.audio.features import features_of_model
from espnet_ext.bridge.load import load_model, text_pipeline
from espnet_ext.errors import UserError
from espnet_ext.inference.griffin_lim import GriffinLim, made_for
from espnet_ext.inference.phrases import Phrase, halves, phrases
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.prosody import Manner, as_asked, limited
from espnet_ext.inference.shares import run_key
from espnet_ext.inference.speaking import Job, can_batch, speak_batch, speakable
from espnet_ext.inference.speech import (
    PerToken,
    Speech,
    SynthesisOptions,
    array,
    each,
    joined,
    paused,
)
from espnet_ext.inference.ssml_speech import read_plans, speak_plan
from espnet_ext.inference.vocoder import Vocoder
from espnet_ext.inference.voices import (
    Voice,
    conditions_of_voice,
    find_vocoder,
    length_of,
    task_of,
)
from espnet_ext.text.ssml import is_ssml
from espnet_ext.train.config import check_keys
from espnet_ext.tts.inputs import TooLong

__all__ = ["Speech", "SynthesisOptions", "Text2Speech"]


class Text2Speech:
    """Speaks a text of any length, many texts together, or a text phrase by phrase as a stream.

    Args:
        config, weights: config.yaml and .pth of the synthesiser.
        task: "tts" (mel, then Griffin-Lim) or "gan_tts" (straight to the waveform).
        options: how to speak.
        device: "cpu", "cuda", ...
        vocoder: makes the waveform of a mel spectrogram; None = Griffin-Lim, where the model has no own.

    Raises:
        UserError: if the vocoder reads other spectrograms than the model writes.
    """

    voice: Mapping[str, Any] = MappingProxyType(
        {}
    )  # conditions that hold unless a call gives others

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
        pack(self.model.tts)
        self.pipeline = text_pipeline(self.config)
        extract = self.model.feats_extract
        own_rate = getattr(self.model.tts, "fs", None)
        self.rate = int(own_rate or (extract.get_parameters()["fs"] if extract is not None else 0))
        self.vocoder: Vocoder | GriffinLim | None = None
        if self.model.tts.require_vocoder:
            self.vocoder = (
                made_for(extract, self.options.griffin_lim_iters) if vocoder is None else vocoder
            )
        if self.vocoder is vocoder and vocoder is not None:
            vocoder.check(features_of_model(self.config))

    @classmethod
    def from_dir(
        cls, model_dir: str | Path, weights: str = "valid.loss.ave.pth", **more: Any
    ) -> Text2Speech:
        """Use what the training stage left in `exp/...`."""
        return cls(Path(model_dir) / "config.yaml", Path(model_dir) / weights, **more)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str = "cpu",
        vocoder: str | Path | None = None,
        voice: Voice | None = None,
        speed: float | None = None,
        pitch: float | None = None,
        cache: str | Path | None = None,
        options: SynthesisOptions | None = None,
        **changes: Any,
    ) -> Text2Speech:
        """Use a model by its name.

        Args:
            name: see pretrained.find_model: a folder, a zip, a name of the model zoo or of Hugging Face.
            device: see the class.
            vocoder: the same for a vocoder, or a file of weights; None = the one that comes with the model, its own
                waveform, or Griffin-Lim.
            voice: who speaks unless a call says otherwise: a speaker's number, an embedding's numbers or .npy file.
            speed: 2 is twice as fast.
            pitch: semitones above the model's own.
            cache: where archives are unpacked to.
            options: how to speak.
            changes: options by name, e.g. energy_factor=1.5.

        Raises:
            UserError: if there is no such model, voice or option.
        """
        files = find_model(name, "tts", cache)
        vocoder = vocoder or files.get("vocoder")
        check_keys(changes, vars(SynthesisOptions()), "from_pretrained")
        changes |= {} if speed is None else {"speed_control_alpha": length_of(speed)}
        changes |= {} if pitch is None else {"pitch_shift": pitch}
        speaker = cls(
            files["train_config"],
            files["model_file"],
            task=task_of(files["train_config"]),
            options=replace(options or SynthesisOptions(), **changes),
            device=device,
            vocoder=None if vocoder is None else find_vocoder(vocoder, device, cache),
        )
        speaker.voice = conditions_of_voice(speaker.model.tts, voice)
        return speaker

    @cached_property
    def identity(self) -> str:
        """What its speech depends on besides the text: a hash of the model and the options."""
        own = (self.vocoder.identity,) if isinstance(self.vocoder, Vocoder) else ()
        return run_key(self.files, vars(self.options), *own)

    @property
    def has_speed(self) -> bool:
        """Whether this model's speed can be chosen."""
        return "alpha" in self._known

    @property
    def has_words(self) -> bool:
        """Whether single words can be spoken higher or louder: this model tells when it speaks which token."""
        inner = getattr(self.model.tts, "generator", self.model.tts)
        return self.has_speed or hasattr(inner, "duration_predictor")

    @property
    def has_word_rates(self) -> bool:
        """Whether this model can be told how fast each word is spoken."""
        return self._known >= {"alpha", "pitch_shift", "energy_factor"}

    @cached_property
    def _known(self) -> set[str]:
        """The options of this model's `inference`."""
        return set(inspect.signature(self.model.tts.inference).parameters)

    def _inference_options(
        self, rate: PerToken = 1.0, semitones: PerToken = 0.0, loudness: PerToken = 1.0
    ) -> dict[str, Any]:
        """Those of our options that this model's `inference` knows."""
        own = self.options
        offered = {
            "alpha": each(lambda r: own.speed_control_alpha / r, rate),
            "pitch_shift": each(lambda s: own.pitch_shift + s, semitones),
            "energy_factor": each(lambda f: own.energy_factor * f, loudness),
            "noise_scale": own.noise_scale,
            "noise_scale_dur": own.noise_scale_dur,
        }
        known = {k: v for k, v in offered.items() if k in self._known}
        return {"use_teacher_forcing": False, **known}

    # -- what one calls ----------------------------------------------------------------------------------------

    def __call__(self, text: str, **conditions: Any) -> Speech:
        """Speak `text`; `conditions` are sids, lids, spembs for models with several voices.

        A text that begins with `<speak>` is SSML. One that is too long for the model is spoken sentence by sentence.

        Raises:
            UserError: if nothing of the text can be spoken, or its markup is malformed.
        """
        conditions = {**self.voice, **conditions}
        if is_ssml(text):
            plans = read_plans([("SSML", text)], words=self.has_words, rates=self.has_word_rates)
            return speak_plan(self, plans["SSML"], conditions)
        return joined(self._spoken(self._phrases(text), text, conditions))

    def stream(self, text: str, **conditions: Any) -> Iterator[Speech]:
        """The same phrase by phrase, the first as soon as it is spoken; one after the other they are the speech.

        Phrases are sentences, or parts of them where they are long; the first one is short. An SSML document comes
        whole.

        Raises:
            UserError: see `__call__`.
        """
        conditions = {**self.voice, **conditions}
        if is_ssml(text):
            yield self(text, **conditions)
        else:
            yield from self._spoken(self._phrases(text, True, True), text, conditions)

    def many(
        self,
        texts: Sequence[str],
        conditions: Sequence[dict[str, Any]] | None = None,
        batch_size: int | None = None,
    ) -> list[Speech]:
        """Speak texts together, each as it would be alone, to rounding.

        Models of ours that draw nothing compute the spectrograms of a batch at once; others, and SSML, go one by one.

        Args:
            texts: any number.
            conditions: of each.
            batch_size: phrases that are spoken at once; None = that of the options.

        Raises:
            UserError: see `__call__`.
        """
        given = [{**self.voice, **who} for who in conditions or [{} for _ in texts]]
        if not can_batch(self.model.tts):
            return [self(text, **who) for text, who in zip(texts, given, strict=True)]
        jobs = [
            Job(number, phrase, ids, given[number])
            for number, text in enumerate(texts)
            if not is_ssml(text)
            for phrase, ids in self._read_all(self._phrases(text), text)
        ]
        spoken: dict[int, list[tuple[Phrase, Speech]]] = {job.text: [] for job in jobs}
        for job, speech in zip(jobs, self._batches(jobs, batch_size), strict=True):
            spoken[job.text].append((job.phrase, speech))
        pause = self.options.pause
        found = {number: joined(paused(pause, pieces)) for number, pieces in spoken.items()}
        return [found[n] if n in found else self(t, **given[n]) for n, t in enumerate(texts)]

    # -- how it is done ----------------------------------------------------------------------------------------

    @property
    def longest(self) -> int:
        """Tokens that are spoken in one go."""
        return max(1, min(self.options.longest, getattr(self.model.tts, "longest", 10**9)))

    def _phrases(self, text: str, apart: bool = False, soon: bool = False) -> Iterator[Phrase]:
        return phrases(text, lambda t: len(self.pipeline.ids(t)), self.longest, apart, soon)

    def _read_all(self, found: Iterable[Phrase], text: str) -> Iterator[tuple[Phrase, list[int]]]:
        """The phrases in which there is something to speak, and their token ids.

        Raises:
            UserError: if there is none.
        """
        read = False
        for phrase in found:
            ids = speakable(self.pipeline, phrase.text)
            if ids:
                read = True
                yield phrase, ids
        if not read:
            raise UserError(
                f"found nothing to speak in {text[:60]!r}: give at least one word that the model's tokens can write"
            )

    def _spoken(
        self, found: Iterable[Phrase], text: str, conditions: dict[str, Any]
    ) -> Iterator[Speech]:
        """Each phrase's speech, the pause before it included."""
        read = self._read_all(found, text)
        spoken = (one for few in read for one in self._in_context(*few, conditions))
        yield from paused(self.options.pause, spoken)

    def _in_context(
        self, phrase: Phrase, ids: list[int], conditions: dict[str, Any]
    ) -> Iterator[tuple[Phrase, Speech]]:
        """A phrase, or its halves where its speech is longer than the model's context."""
        try:
            yield phrase, self.speak(ids, phrase.text, 1.0, conditions)
        except TooLong:
            both = halves(phrase)
            if both is None:
                raise
            for half in both:
                inside = speakable(self.pipeline, half.text)
                if inside:
                    yield from self._in_context(half, inside, conditions)

    def _batches(self, jobs: Sequence[Job], size: int | None) -> list[Speech]:
        """The speech of each job; those of like length are spoken together."""
        size, found = max(1, size or self.options.batch_size), dict[int, Speech]()
        order = sorted(range(len(jobs)), key=lambda n: len(jobs[n].ids))
        for begin in range(0, len(order), size):
            some = order[begin : begin + size]
            found |= dict(zip(some, self._together([jobs[n] for n in some]), strict=True))
        return [found[number] for number in range(len(jobs))]

    @torch.no_grad()
    def _together(self, jobs: Sequence[Job]) -> list[Speech]:
        """The speech of a batch."""

        def say(options: dict[str, Any]) -> list[Speech]:
            return list(map(self._speech, speak_batch(self.model, jobs, options, self.device)))

        try:
            return self._as_asked(say, self._inference_options())
        except TooLong:
            return [
                joined(paused(self.options.pause, self._in_context(j.phrase, j.ids, j.conditions)))
                for j in jobs
            ]

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
        """Speak token ids in one go.

        Args:
            ids: without <sos/eos>.
            text: for messages.
            rate: a factor of the speed where the model has one; for each token where it `has_word_rates`.
            conditions: sids, lids, spembs.
            semitones, loudness: of pitch, and a factor of the amplitude; for each token where it `has_words`.

        Raises:
            UserError: if there is no token, or the model gives no numbers.
        """
        if not ids:
            raise UserError(f"found nothing to speak in {text!r}: give at least one word")
        tokens = torch.tensor(ids, device=self.device)
        conditions = {name: value.to(self.device) for name, value in conditions.items()}

        def say(options: dict[str, Any]) -> list[Speech]:
            torch.manual_seed(self.options.seed)
            return [self._speech(self.model.inference(text=tokens, **conditions, **options))]

        options = self._inference_options(rate, semitones, loudness)
        return self._as_asked(say, options, semitones, loudness)[0]

    def _as_asked(
        self,
        say: Callable[[dict[str, Any]], list[Speech]],
        options: dict[str, Any],
        semitones: PerToken = 0.0,
        loudness: PerToken = 1.0,
    ) -> list[Speech]:
        """What `say` says at the pitch and the loudness asked for, also by our options."""
        own = self.options
        manner = Manner(
            each(lambda s: own.pitch_shift + s, semitones),
            each(lambda f: own.energy_factor * f, loudness),
        )
        return as_asked(say, options, manner, own.controls)

    def _speech(self, found: dict[str, Any]) -> Speech:
        """What a model's `inference` gave, with its waveform.

        Raises:
            UserError: if it is no number.
        """
        mel = found.get("feat_gen_denorm", found.get("feat_gen"))
        if self.vocoder is not None:
            assert mel is not None
            wave = self.vocoder(mel.cpu())
        else:
            wave = found["wav"].reshape(-1).cpu()
        if not bool(wave.isfinite().all()):
            raise UserError(
                "found NaN or infinity in the speech, expected numbers: the weights of the model or of the vocoder are "
                "damaged; take another checkpoint"
            )
        return Speech(
            limited(wave.numpy().astype(np.float32), self.rate),
            self.rate,
            array(mel),
            array(found.get("duration")),
        )
