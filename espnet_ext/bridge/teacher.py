"""The spectrogram that an acoustic model makes of a text with a recording's own timing, pitch and energy.

ESPnet's models take them by `use_teacher_forcing`; its ESPnetTTSModel.inference does so only where durations are given,
which models that align by themselves do not need.
Letters in shapes: N tokens, T samples, F frames, M mel bins.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from espnet_ext.errors import UserError


@torch.no_grad()
def teacher_forced(
    model: Any, text: Tensor, speech: Tensor, durations: Tensor | None = None, **conditions: Tensor
) -> Tensor:
    """The spectrogram of a recording's text, frame for frame with it.

    Args:
        model: an ESPnetTTSModel, ours or stock.
        text: (N,) token ids, without the final <sos/eos>.
        speech: (T,) at the model's rate.
        durations: (N + 1,) frames of each token and <sos/eos>, for a model that does not align by itself.
        conditions: sids, lids (1,), spembs.

    Returns:
        (F, M) log-mel, before normalisation.

    Raises:
        UserError: if the model makes no spectrograms, lacks durations, or another number of frames comes out.
    """
    found = followed(model, text, speech, durations, **conditions)
    mel, feats = found.get("feat_gen"), found["feats"]
    if mel is None or mel.shape != feats.shape:
        shape = None if mel is None else tuple(mel.shape)
        raise UserError(
            f"teacher forcing: found a spectrogram of shape {shape}, expected that of the recording, "
            f"{tuple(feats.shape)}: the vocoder has to hear what it is to speak"
        )
    return mel if model.normalize is None else model.normalize.inverse(mel.clone()[None])[0][0]


@torch.no_grad()
def followed(
    model: Any, text: Tensor, speech: Tensor, durations: Tensor | None = None, **conditions: Tensor
) -> dict[str, Tensor]:
    """What a model's `inference` gives for a recording and its text; see `teacher_forced`.

    Returns:
        feat_gen (F, M) normalised, duration (N + 1,) of a model that aligns by itself; feats (F, M), the recording's.
    """
    if model.feats_extract is None:
        raise UserError(
            "teacher forcing: found no front end in the model, expected feats_extract: fbank"
        )
    feats = _normalised(model.normalize, model.feats_extract(speech[None])[0][0])
    _check(model.tts, durations, text, len(feats))
    given = {"feats": feats, "durations": durations, **conditions}
    for name in ("pitch", "energy"):
        given[name] = _track(model, name, speech, len(feats), durations)
    known = inspect.signature(model.tts.inference).parameters
    wanted = {name: value for name, value in given.items() if value is not None}
    wanted = {name: value for name, value in wanted.items() if name in known or name in conditions}
    return {**model.tts.inference(text=text, **wanted, use_teacher_forcing=True), "feats": feats}


def _check(tts: Any, durations: Tensor | None, text: Tensor, frames: int) -> None:
    """Raise a UserError for durations that lack or are not those of the recording."""
    if durations is None and type(tts).__module__.startswith("espnet2.tts.fastspeech"):
        raise UserError(
            "teacher forcing: this model does not align by itself; expected a table `durations` beside wav.scp, with "
            "the frames of each token"
        )
    frames //= getattr(tts, "reduction_factor", 1)
    if durations is not None and (len(durations), int(durations.sum())) != (len(text) + 1, frames):
        raise UserError(
            f"teacher forcing: found durations of {len(durations)} tokens and {int(durations.sum())} frames, expected "
            f"{len(text) + 1} (with <sos/eos>) and {frames}"
        )


def _normalised(normalize: Any, values: Tensor) -> Tensor:
    return values if normalize is None else normalize(values[None])[0][0]


def _track(
    model: Any, name: str, speech: Tensor, frames: int, durations: Tensor | None
) -> Tensor | None:
    """Pitch or energy of the recording as the model is trained on it, by frame or by token."""
    extract = getattr(model, f"{name}_extract", None)
    if extract is None:
        return None
    if durations is None and getattr(extract, f"use_token_averaged_{_SHORT[name]}", False):
        return None  # its model asks for durations and says so
    given = {} if durations is None else {"durations": durations[None]}
    lengths = torch.tensor([frames], dtype=torch.long)
    values = extract(speech[None], feats_lengths=lengths, **given)[0][0]
    return _normalised(getattr(model, f"{name}_normalize", None), values)


_SHORT = {"pitch": "f0", "energy": "energy"}
