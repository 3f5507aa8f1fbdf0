"""Synthesis with a trained model, ours or stock ESPnet's."""

from __future__ import annotations

import logging
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
from espnet_ext.datadir.languages import read_languages
from espnet_ext.errors import UserError
from espnet_ext.inference.abilities import options_of, tells_durations
from espnet_ext.inference.griffin_lim import GriffinLim, made_for
from espnet_ext.inference.phrases import Phrase, phrases
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.prosody import Manner, as_asked, lasting, limited, require
from espnet_ext.inference.shares import run_key
from espnet_ext.inference.speaking import (
    Job,
    Say,
    can_batch,
    in_batches,
    in_context,
    some,
    speak_batch,
    speakable,
)
from espnet_ext.inference.speech import (
    LENGTHS,
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
    as_conditions,
    conditions_of_voice,
    length_of,
    task_of,
    vocoder_of,
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

    #: conditions that hold unless a call gives others
    voice: Mapping[str, Any] = MappingProxyType({})
    languages: Mapping[str, int] = MappingProxyType({})  # number (`lids`) of each name

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
        self.languages = read_languages(Path(config).parent)
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
        voice: Voice | Sequence[Voice] | None = None,
        language: str | int | None = None,
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
            voice: who speaks unless a call says otherwise: see Voice; several if the model wants several kinds.
            language: which is spoken unless a call says otherwise (`lids`): a name of `languages`, or a number.
            speed: 2 is twice as fast.
            pitch: semitones above the model's own.
            cache: where archives are unpacked to.
            options: how to speak.
            changes: options by name, e.g. energy_factor=1.5.

        Raises:
            UserError: if there is no such model, voice, language or option.
        """
        files = find_model(name, "tts", cache)
        check_keys(changes, vars(SynthesisOptions()), "from_pretrained")
        changes |= {} if speed is None else {"speed_control_alpha": length_of(speed)}
        changes |= {} if pitch is None else {"pitch_shift": pitch}
        speaker = cls(
            files["train_config"],
            files["model_file"],
            task=task_of(files["train_config"]),
            options=replace(options or SynthesisOptions(), **changes),
            device=device,
            vocoder=vocoder_of(files, vocoder, device, cache),
        )
        if isinstance(speaker.vocoder, GriffinLim):
            logging.warning(
                "%s comes without a vocoder: Griffin-Lim makes the waveform; a trained one (vocoder=...) sounds better",
                name,
            )
        tts, names = speaker.model.tts, speaker.languages
        speaker.voice = conditions_of_voice(tts, voice, speaker.rate, language, names)
        return speaker

    @property
    def identity(self) -> str:
        """What its speech depends on besides the text: a hash of the model, the options and the voice."""
        own = (self.vocoder.identity,) if isinstance(self.vocoder, Vocoder) else ()
        voice = {name: torch.as_tensor(value).tolist() for name, value in self.voice.items()}
        return run_key([], self._model_key, vars(self.options), voice, *own)

    @cached_property
    def _model_key(self) -> str:
        return run_key(self.files)

    @property
    def has_speed(self) -> bool:
        """Whether this model speaks at another speed by itself; else its speech is made longer or shorter."""
        return "alpha" in self._known

    @property
    def has_words(self) -> bool:
        """Whether single words can be spoken higher or louder: this model tells when it speaks which token."""
        return self.has_speed or tells_durations(self.model.tts)

    @property
    def has_word_rates(self) -> bool:
        """Whether this model can be told how fast each word is spoken."""
        return self._known >= {"alpha", "pitch_shift", "energy_factor"}

    @cached_property
    def _known(self) -> set[str]:
        return options_of(self.model.tts)

    # -- what one calls ----------------------------------------------------------------------------------------

    def __call__(self, text: str, **conditions: Any) -> Speech:
        """Speak `text`; `conditions` say who speaks: sids, lids, spembs, speech (see `as_conditions`).

        A text that begins with `<speak>` is SSML. What is too long for the model is spoken sentence by sentence.

        Raises:
            UserError: if nothing of the text can be spoken, its markup is malformed, or the model has no such voice.
        """
        return joined(self._speak(text, conditions, False, False))

    def stream(self, text: str, soon: bool = True, **conditions: Any) -> Iterator[Speech]:
        """The same sentence by sentence, or in parts of long ones, each as soon as it is spoken; together the speech.

        Args:
            text, conditions: see `__call__`.
            soon: the first phrase is a short one.

        Raises:
            UserError: see `__call__`.
        """
        yield from self._speak(text, conditions, True, soon)

    def many(
        self,
        texts: Sequence[str],
        conditions: Sequence[dict[str, Any]] | None = None,
        batch_size: int | None = None,
    ) -> list[Speech]:
        """Speak texts together, each as it would be alone, to rounding.

        Models of ours compute the spectrograms of a batch at once; others, and SSML, go one by one.

        Args:
            texts: any number.
            conditions: of each.
            batch_size: phrases that are spoken at once; None = that of the options.

        Raises:
            UserError: see `__call__`.
        """
        given = list(conditions or [{} for _ in texts])
        if not can_batch(self.model.tts):
            return [self(text, **who) for text, who in zip(texts, given, strict=True)]
        jobs = [
            Job(number, phrase, ids, self._voiced(who))
            for number, (text, who) in enumerate(zip(texts, given, strict=True))
            if not is_ssml(text)
            for phrase, ids in some(self._read(self.phrases(text)), text)
        ]
        spoken: dict[int, list[tuple[Phrase, Speech]]] = {job.text: [] for job in jobs}
        size = max(1, batch_size or self.options.batch_size)
        for job, speech in zip(jobs, in_batches(jobs, size, self._together), strict=True):
            spoken[job.text].append((job.phrase, speech))
        pause = self.options.pause
        found = {number: joined(paused(pause, pieces)) for number, pieces in spoken.items()}
        return [found[n] if n in found else self(t, **given[n]) for n, t in enumerate(texts)]

    # -- how it is done ----------------------------------------------------------------------------------------

    def _voiced(self, conditions: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Who speaks: our voice, where a call does not say otherwise."""
        return as_conditions(self.model.tts, {**self.voice, **conditions}, self.languages)

    @property
    def longest(self) -> int:
        """How many tokens are spoken in one go."""
        return max(1, min(self.options.longest, getattr(self.model.tts, "longest", 10**9)))

    def phrases(self, text: str, apart: bool = False, soon: bool = False) -> Iterator[Phrase]:
        """A text in phrases that this model can speak; see there."""
        return phrases(text, lambda t: len(self.pipeline.ids(t)), self.longest, apart, soon)

    def _read(self, found: Iterable[Phrase]) -> Iterator[tuple[Phrase, list[int]]]:
        """The phrases in which there is something to speak, and their token ids."""
        read = ((phrase, speakable(self.pipeline, phrase.text)) for phrase in found)
        return ((phrase, ids) for phrase, ids in read if ids)

    def _speak(
        self, text: str, conditions: dict[str, Any], apart: bool, soon: bool
    ) -> Iterator[Speech]:
        """A text in pieces, the pauses between them included."""
        if is_ssml(text):
            plans = read_plans([("SSML", text)], words=self.has_words, rates=self.has_word_rates)
            return speak_plan(self, plans["SSML"], conditions, apart, soon)
        say = self._sayer(conditions)
        return some(self.spoken(self.phrases(text, apart, soon), say), text)

    def _sayer(self, conditions: dict[str, Any]) -> Say:
        """What speaks a phrase of plain text."""

        def say(phrase: Phrase, _: int) -> Speech | None:
            ids = speakable(self.pipeline, phrase.text)
            return self.speak(ids, phrase.text, 1.0, conditions) if ids else None

        return say

    def spoken(self, found: Iterable[Phrase], say: Say) -> Iterator[Speech]:
        """Each phrase's speech, the pause before it included; `say` is that of `in_context`."""

        def every() -> Iterator[tuple[Phrase, Speech]]:
            begin = 0
            for phrase in found:
                yield from in_context(phrase, say, begin)
                begin += len(phrase.text)

        return paused(self.options.pause, every())

    @torch.no_grad()
    def _together(self, jobs: Sequence[Job]) -> list[Speech]:
        """The speech of a batch."""

        def say(options: dict[str, Any]) -> list[Speech]:
            torch.manual_seed(self.options.seed)
            return list(map(self._speech, speak_batch(self.model, jobs, options, self.device)))

        try:
            return self._as_asked(say)
        except TooLong:
            return [joined(self.spoken([j.phrase], self._sayer(j.conditions))) for j in jobs]

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
            rate: a factor of the speed; for each token where it `has_word_rates`.
            conditions: see `__call__`.
            semitones, loudness: of pitch, and a factor of the amplitude; for each token where it `has_words`.

        Raises:
            UserError: if there is no token, a value is out of range, or the model gives no numbers.
        """
        if not ids:
            raise UserError(f"found nothing to speak in {text!r}: give at least one word")
        tokens = torch.tensor(ids, device=self.device)
        who = {name: value.to(self.device) for name, value in self._voiced(conditions).items()}

        def say(options: dict[str, Any]) -> list[Speech]:
            torch.manual_seed(self.options.seed)
            return [self._speech(self.model.inference(text=tokens, **who, **options))]

        return self._as_asked(say, rate, semitones, loudness)[0]

    def _as_asked(
        self,
        say: Callable[[dict[str, Any]], list[Speech]],
        rate: PerToken = 1.0,
        semitones: PerToken = 0.0,
        loudness: PerToken = 1.0,
    ) -> list[Speech]:
        """What `say` says at the speed, the pitch and the loudness asked for, also by our options."""
        own = self.options
        length = each(lambda r: own.speed_control_alpha / r, rate)
        pitch = each(lambda s: own.pitch_shift + s, semitones)
        energy = each(lambda f: own.energy_factor * f, loudness)
        require("speed_control_alpha", length, *LENGTHS)
        offered = {
            "alpha": length,
            "pitch_shift": pitch,
            "energy_factor": energy,
            "noise_scale": own.noise_scale,
            "noise_scale_dur": own.noise_scale_dur,
        }
        options = {name: value for name, value in offered.items() if name in self._known}
        options["use_teacher_forcing"] = False
        found = as_asked(say, options, Manner(pitch, energy), own.controls)
        if self.has_speed:
            return found
        assert isinstance(length, float)  # words have rates only where the model knows of them
        return [lasting(speech, length) for speech in found]

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
