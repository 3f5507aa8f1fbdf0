"""What a synthesiser is given: tokens that it can speak, and batches of them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.asr.blocks import length_mask
from espnet_ext.errors import UserError
from espnet_ext.inference.phrases import Phrase, halves
from espnet_ext.inference.speech import Speech
from espnet_ext.tts.controls import read_controls
from espnet_ext.tts.inputs import TooLong
from espnet_ext.tts.voices import Who

if TYPE_CHECKING:
    from espnet_ext.text.tokens import TextPipeline

Item = TypeVar("Item")
#: speaks a phrase, given where it begins in its text; None where nothing of it can be spoken
Say = Callable[[Phrase, int], Speech | None]
#: phonemes that are pauses
_SILENT = {"sil", "sp", "spn", "pau", "cl"}
#: what a batch can have one of for each text
_VOICES = {"sids", "lids", "spembs"}


@dataclass(frozen=True)
class Job:
    """A phrase that is to be spoken.

    Attributes:
        text: number of the text that it is part of.
        phrase: as written.
        ids: its tokens, without <sos/eos>.
        conditions: of the voice, see `as_conditions`.
    """

    text: int
    phrase: Phrase
    ids: list[int]
    conditions: dict[str, Any]


def speakable(pipeline: TextPipeline, text: str) -> list[int]:
    """Numbers of the tokens of a text that are spoken, see `spoken_places`; blanks at its ends are none of it."""
    numbers = pipeline.ids(text.strip())
    return [numbers[at] for at in spoken_places(pipeline, numbers, text)]


def spoken_places(pipeline: TextPipeline, numbers: Sequence[int], text: str) -> list[int]:
    """Which tokens of a text the model knows; none if there is not one letter or phoneme among them.

    What it does not know was never heard in training and would be spoken as noise: it is left out, as a warning says.

    Args:
        pipeline: that made them.
        numbers: the tokens' ids, with what else is known of them (`token_features`).
        text: for the warning.
    """
    ids = [number % len(pipeline) for number in numbers]
    if not any(_is_sound(pipeline.token_list[i]) for i in ids):
        return []
    if pipeline.unk_id in ids:
        tokens = dict.fromkeys(pipeline.tokens(text))
        said = " ".join(repr(t) for t in tokens if pipeline.token_ids([t]) == [pipeline.unk_id])
        logging.warning("%r: left out %s, which the model has no tokens for", text[:40], said)
    return [at for at, i in enumerate(ids) if i != pipeline.unk_id]


def in_context(phrase: Phrase, say: Say, begin: int = 0) -> Iterator[tuple[Phrase, Speech]]:
    """A phrase and its speech, or its halves where that is longer than the model's context.

    Args:
        phrase: to be spoken.
        say: speaks it.
        begin: where it begins.

    Raises:
        TooLong: if one letter is too long.
    """
    try:
        speech = say(phrase, begin)
    except TooLong:
        both = halves(phrase)
        if both is None:
            raise
        for half in both:
            yield from in_context(half, say, begin)
            begin += len(half.text)
    else:
        if speech is not None:
            yield phrase, speech


def _is_sound(token: str) -> bool:
    """Whether a token is more than a pause, a mark of punctuation or a special one such as <space>."""
    special = token.startswith("<") and token.endswith(">")
    return not special and token not in _SILENT and any(c.isalnum() for c in token)


def some(found: Iterator[Item], text: str) -> Iterator[Item]:
    """What there is to speak of a text.

    Raises:
        UserError: if there is nothing.
    """
    first = next(found, None)
    if first is None:
        raise UserError(
            f"found nothing to speak in {text[:60]!r}: give at least one word that the model's tokens can write"
        )
    yield first
    yield from found


def in_batches(
    jobs: Sequence[Job], size: int, speak: Callable[[Sequence[Job]], list[Speech]]
) -> list[Speech]:
    """The speech of each job; `size` at a time, those of like length, are spoken together.

    Only those that name the same conditions: a batch has a voice for each of its texts or for none.
    """
    kinds: dict[frozenset[str], list[int]] = {}
    for number, job in enumerate(jobs):
        kinds.setdefault(frozenset(job.conditions), []).append(number)
    found = dict[int, Speech]()
    for kind in kinds.values():
        order = sorted(kind, key=lambda n: len(jobs[n].ids))
        for begin in range(0, len(order), size):
            few = order[begin : begin + size]
            found |= dict(zip(few, speak([jobs[n] for n in few]), strict=True))
    return [found[number] for number in range(len(jobs))]


def can_batch(tts: Any) -> bool:
    """Whether a synthesiser speaks several texts at once, each as it would alone."""
    return hasattr(tts, "speak")


def speak_batch(
    model: Any, jobs: Sequence[Job], options: dict[str, Any], device: str
) -> list[dict[str, Any]]:
    """What the model's `inference` would give for each of several phrases.

    Args:
        model: ESPnet's around a synthesiser that `can_batch`.
        jobs: one or more, which name the same conditions.
        options: of `inference`: alpha, pitch_shift, energy_factor, noise_scale, noise_scale_dur where it has them.
        device: where the model is.

    Raises:
        UserError: see the synthesiser's `speak`; TooLong if one does not fit into its context.
    """
    text = pad_sequence([torch.tensor(job.ids) for job in jobs], batch_first=True).to(device)
    lengths = torch.tensor([len(job.ids) for job in jobs], device=device)
    mask = length_mask(lengths + 1)
    wanted = (("alpha", 1.0), ("pitch_shift", 0.0), ("energy_factor", 1.0))
    controls = read_controls(mask, *(options.get(name, none) for name, none in wanted))
    known = inspect.signature(model.tts.speak).parameters
    more = {name: value for name, value in options.items() if name in known}
    spoken = model.tts.speak(text, lengths, _voices(model, jobs, device), controls, **more)
    found = []
    for mel, frames, durations, job in zip(
        spoken.mel, spoken.frames.tolist(), spoken.durations, jobs, strict=True
    ):
        one = {"feat_gen": mel[:frames], "duration": durations[: len(job.ids) + 1]}
        if model.normalize is not None:  # it works in place
            one["feat_gen_denorm"] = model.normalize.inverse(mel[None, :frames].clone())[0][0]
        found.append(one)
    return found


def _voices(model: Any, jobs: Sequence[Job], device: str) -> Who:
    """Who speaks each of a batch."""
    given = _VOICES.intersection(jobs[0].conditions)
    stacked: dict[str, Tensor] = {
        name: torch.stack([job.conditions[name].reshape(-1) for job in jobs]).to(device)
        for name in given
    }
    if not getattr(model.tts, "use_gst", False):
        return Who(**stacked)
    feats = [_style(model, job.conditions["speech"].to(device)) for job in jobs]
    heard = length_mask(torch.tensor([len(one) for one in feats], device=device))
    return Who(**stacked, feats=pad_sequence(feats, batch_first=True), heard=heard)


def _style(model: Any, speech: Tensor) -> Tensor:
    """(T, M) of a recording (S,), as the model's `inference` reads it."""
    feats = speech[None] if model.feats_extract is None else model.feats_extract(speech[None])[0]
    return (feats if model.normalize is None else model.normalize(feats)[0])[0]
