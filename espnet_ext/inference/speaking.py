"""What a synthesiser is given: tokens that it can speak, and batches of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.asr.blocks import length_mask
from espnet_ext.inference.phrases import Phrase
from espnet_ext.tts.controls import read_controls
from espnet_ext.tts.decoder import FlowDecoder
from espnet_ext.tts.duration import DurationFlow
from espnet_ext.tts.voices import Who

if TYPE_CHECKING:
    from espnet_ext.text.tokens import TextPipeline

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
        conditions: sids (1,), lids (1,), spembs (E,) of the voice.
    """

    text: int
    phrase: Phrase
    ids: list[int]
    conditions: dict[str, Any]


def speakable(pipeline: TextPipeline, text: str) -> list[int]:
    """Ids of the tokens of a text that the model knows; none if there is not one letter or phoneme among them.

    What it does not know was never heard in training and would be spoken as noise: it is left out, as a warning says.
    """
    tokens = pipeline.tokens(text)
    ids = pipeline.token_ids(tokens)
    if not any(_is_sound(pipeline.token_list[i]) for i in ids):
        return []
    unknown = [t for t, i in zip(tokens, ids, strict=True) if i == pipeline.unk_id]
    if unknown:
        said = " ".join(map(repr, dict.fromkeys(unknown)))
        logging.warning("%r: left out %s, which the model has no tokens for", text[:40], said)
    return [i for i in ids if i != pipeline.unk_id]


def _is_sound(token: str) -> bool:
    """Whether a token is more than a pause, a mark of punctuation or a special one such as <space>."""
    special = token.startswith("<") and token.endswith(">")
    return not special and token not in _SILENT and any(c.isalnum() for c in token)


def can_batch(tts: Any) -> bool:
    """Whether a synthesiser speaks several texts at once, each as it would alone: one that draws nothing."""
    return hasattr(tts, "speak") and not any(
        isinstance(part, (FlowDecoder, DurationFlow)) for part in tts.modules()
    )


def speak_batch(
    model: Any, jobs: Sequence[Job], options: dict[str, Any], device: str
) -> list[dict[str, Any]]:
    """What the model's `inference` would give for each of several phrases.

    Args:
        model: ESPnet's around a synthesiser that `can_batch`.
        jobs: one or more.
        options: of `inference`: alpha, pitch_shift, energy_factor where it has them.
        device: where the model is.

    Raises:
        UserError: see the synthesiser's `speak`; TooLong if one does not fit into its context.
    """
    text = pad_sequence([torch.tensor(job.ids) for job in jobs], batch_first=True).to(device)
    lengths = torch.tensor([len(job.ids) for job in jobs], device=device)
    mask = length_mask(lengths + 1)
    wanted = (("alpha", 1.0), ("pitch_shift", 0.0), ("energy_factor", 1.0))
    controls = read_controls(mask, *(options.get(name, none) for name, none in wanted))
    spoken = model.tts.speak(text, lengths, _voices(jobs, device), controls)
    found = []
    for mel, frames, durations, job in zip(
        spoken.mel, spoken.frames.tolist(), spoken.durations, jobs, strict=True
    ):
        one = {"feat_gen": mel[:frames], "duration": durations[: len(job.ids) + 1]}
        if model.normalize is not None:  # it works in place
            one["feat_gen_denorm"] = model.normalize.inverse(mel[None, :frames].clone())[0][0]
        found.append(one)
    return found


def _voices(jobs: Sequence[Job], device: str) -> Who:
    """Who speaks each of a batch."""
    given = _VOICES.intersection(*(job.conditions for job in jobs))
    stacked: dict[str, Tensor] = {
        name: torch.stack([job.conditions[name].reshape(-1) for job in jobs]).to(device)
        for name in given
    }
    return Who(**stacked)
