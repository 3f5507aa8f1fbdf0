"""A synthesiser as ONNX graphs; `AlignedFastSpeech` as two: tokens to what is spoken how long, from there to the mel.

Between the two somebody rounds durations and says which token each frame speaks, so that they can be changed, and
neither graph has a size that depends on numbers. Letters in shapes: B batch, N tokens (with the final <sos/eos>), T mel
frames, M mel bins, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.export.onnx_acoustic import acoustic_graphs, there
from espnet_ext.export.onnx_graph import Graph
from espnet_ext.export.onnx_stock_tts import STOCK, stock_graphs
from espnet_ext.tts.acoustic import AcousticModel
from espnet_ext.tts.aligned_fastspeech import LONGEST, AlignedFastSpeech
from espnet_ext.tts.joint import JointModel

#: Inputs that choose a voice: of the model's part, whether they are numbers of one.
VOICES = {"sids": ("speaker", True), "lids": ("language", True), "spembs": ("voice", False)}


class ReadText(nn.Module):
    """Tokens to encoded tokens with pitch and energy, and their durations."""

    def __init__(self, tts: AlignedFastSpeech, voices: list[str]) -> None:
        super().__init__()
        self.tts, self.voices = tts, voices

    def forward(self, tokens: Tensor, lengths: Tensor, *voices: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) with <sos/eos>, (B,) and voices (B,) or (B, E) -> (B, N, D), frames of each token (B, N), real."""
        tts, mask = self.tts, there(lengths, tokens)
        x = tts.encoder(tts.embed(tokens), mask)
        for name, given in zip(self.voices, voices, strict=True):
            part = getattr(tts, VOICES[name][0])
            x = x + part(given if VOICES[name][1] else F.normalize(given))[:, None]
        # ONNX has no expm1
        frames = (tts.duration(x, mask).clamp(max=LONGEST).exp() - 1).clamp(min=1.0) * mask
        pitch = None if tts.pitch is None else tts.pitch(x, mask)
        energy = None if tts.energy is None else tts.energy(x, mask)
        return tts._adapt(x, pitch, energy), frames


class SpeakMel(nn.Module):
    """Encoded tokens, each for as long as it is spoken, to the log-mel spectrogram as a vocoder reads it."""

    mean: Tensor
    std: Tensor

    def __init__(self, tts: AlignedFastSpeech, normalize: Any) -> None:
        super().__init__()
        self.decoder, self.out = tts.decoder, tts.out
        mean, std = torch.zeros(tts.odim), torch.ones(tts.odim)
        if normalize is not None:
            mean = normalize.mean.float() if normalize.norm_means else mean
            std = normalize.std.float() if normalize.norm_vars else std
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("std", std.detach().clone())

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """(B, N, D), number of the token that each frame speaks (B, T), -1 behind the end -> (B, T, M), 0 there."""
        mask = places >= 0
        index = places.clamp(min=0)[..., None].expand(-1, -1, x.shape[2])
        spoken = x.gather(1, index) * mask[..., None]
        return (self.out(self.decoder(spoken, mask)) * self.std + self.mean) * mask[..., None]


def tts_graphs(model: Any) -> tuple[list[Graph], Mapping[str, Any]]:
    """The graphs of a synthesiser, and what an engine has to know.

    Args:
        model: an ESPnetTTSModel on the CPU, in evaluation; used for nothing else.

    Raises:
        UserError: for a synthesiser of another kind, or one with an option that is not written as ONNX.
    """
    tts = model.tts
    if type(tts) is AlignedFastSpeech:
        return _aligned(model)
    if isinstance(tts, (AcousticModel, JointModel)):
        return acoustic_graphs(model)
    if type(tts).__name__ in STOCK:
        return stock_graphs(tts)
    raise UserError(
        f"tts: found {type(tts).__name__}, which is not written as ONNX, expected "
        "espnet_ext.tts.acoustic:AcousticModel, espnet_ext.tts.joint:JointModel, "
        f"espnet_ext.tts.aligned_fastspeech:AlignedFastSpeech or ESPnet's {' or '.join(STOCK).lower()}; "
        "keep this one in torch"
    )


def _aligned(model: Any) -> tuple[list[Graph], Mapping[str, Any]]:
    tts = model.tts
    voices = [name for name, (part, _) in VOICES.items() if getattr(tts, part) is not None]
    facts = {"kind": "aligned", "eos": tts.eos, "voices": voices}
    return [_text(tts, voices), _mel(tts, model.normalize)], facts


def _text(tts: AlignedFastSpeech, voices: list[str]) -> Graph:
    given = [_text_example(tts, voices, *size) for size in ((2, 7), (1, 12), (3, 4))]
    free = {0: "batch", 1: "tokens"}
    axes: dict[str, dict[int, str]] = dict.fromkeys(("tokens", "encoded", "frames"), free)
    axes |= {name: {0: "batch"} for name in ("lengths", *voices)}
    module = ReadText(tts, voices)
    return Graph("text", module, given[0], ["encoded", "frames"], axes, given[1:])


def _text_example(
    tts: AlignedFastSpeech, voices: list[str], batch: int, tokens: int
) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(tokens)
    given = {
        "tokens": torch.randint(1, tts.eos + 1, (batch, tokens), generator=drawn),
        "lengths": torch.arange(tokens, tokens - batch, -1),
    }
    for name in voices:
        part, number = getattr(tts, VOICES[name][0]), VOICES[name][1]
        if number:
            given[name] = torch.randint(part.num_embeddings, (batch,), generator=drawn)
        else:
            given[name] = torch.randn(batch, part.in_features, generator=drawn)
    return given


def _mel(tts: AlignedFastSpeech, normalize: Any) -> Graph:
    width, given = tts.out.in_features, []
    for batch, tokens, frames in ((2, 5, 19), (1, 9, 40), (3, 4, 8)):
        drawn = torch.Generator().manual_seed(frames)
        places = torch.arange(frames)[None] * tokens // frames
        places = places.repeat(batch, 1)
        places[-1, frames - 3 :] = -1
        x = torch.randn(batch, tokens, width, generator=drawn)
        given.append({"encoded": x, "places": places})
    frames_axes = {0: "batch", 1: "frames"}
    axes = {"encoded": {0: "batch", 1: "tokens"}, "places": frames_axes, "mel": frames_axes}
    return Graph("mel", SpeakMel(tts, normalize), given[0], ["mel"], axes, given[1:])
