"""ESPnet's own text-to-waveform models, VITS and JETS, as three ONNX graphs each.

`text` reads tokens and says how long each is spoken, `mel` makes frames of them, `vocoder` the waveform; what is drawn
comes in as noise. Their classes are known by name and parts: nothing of ESPnet is imported here.
Letters in shapes: B batch, N tokens, T frames, D width, H channels of a flow, G size of a voice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.export.onnx_acoustic import make_graph, there, voice_examples
from espnet_ext.export.onnx_graph import Graph
from espnet_ext.export.onnx_vocoder import images
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.pieces import reach

Facts = Mapping[str, Any]
#: names of the classes
STOCK = ("VITS", "JETS")
#: least width, height and slope of a spline's bin, as in ESPnet
_LEAST = 1e-3


def voices_of(generator: Any) -> dict[str, int]:
    """Inputs that choose a voice, with the number of those that there are, or the size of an embedding."""
    sizes = {"sids": generator.spks, "lids": generator.langs, "spembs": generator.spk_embed_dim}
    return {name: int(size) for name, size in sizes.items() if size}


def spline(x: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float) -> Tensor:
    """Inverse of a monotonic rational-quadratic spline (Durkan et al. 2019, eq. 4 to 8); outside it stays as it is.

    Args:
        x: any shape.
        widths, heights: with K more numbers at the end, of the bins, before softmax.
        slopes: with K - 1, between them, before softplus.
        bound: the spline goes from - bound to bound.
    """
    number = widths.shape[-1]
    ends = [_ends(part, number, bound) for part in (widths, heights)]
    left, low = (part[..., :-1] for part in ends)
    wide, high = (part[..., 1:] - part[..., :-1] for part in ends)
    outer = math.log(math.expm1(1 - _LEAST))
    slopes = _LEAST + F.softplus(F.pad(slopes, (1, 1), value=outer))
    inside = x.clamp(-bound, bound)
    place = (inside[..., None] >= ends[1][..., 1:-1]).sum(-1, keepdim=True)

    def here(values: Tensor) -> Tensor:
        return values.gather(-1, place)[..., 0]

    slope, before, after = here(high / wide), here(slopes[..., :-1]), here(slopes[..., 1:])
    above, bend = inside - here(low), before + after - 2 * slope
    a = above * bend + here(high) * (slope - before)
    b = here(high) * before - above * bend
    root = 2 * slope * above / (b + (b.square() + 4 * a * slope * above).clamp(min=0).sqrt())
    return torch.where((x >= -bound) & (x <= bound), root * here(wide) + here(left), x)


def _ends(sizes: Tensor, number: int, bound: float) -> Tensor:
    """Of bins: (..., K) before softmax -> (..., K + 1) from - bound to bound."""
    shares = _LEAST + (1 - _LEAST * number) * sizes.softmax(-1)
    inner = 2 * bound * shares.cumsum(-1)[..., :-1] - bound
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


class ReadVits(nn.Module):
    """VITS' text side."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator, self.voices = generator, list(voices_of(generator))

    def forward(self, tokens: Tensor, lengths: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """(B, N), (B,), voices (B,) or (B, E), noise (B, 2, N) -> (B, N, 2 H), frames (B, N), voice (B, G, 1)."""
        generator, noise = self.generator, more[-1]
        encoder, mask = generator.text_encoder, there(lengths, tokens)[:, None].float()
        x = encoder.emb(tokens) * math.sqrt(encoder.attention_dim)
        x = encoder.encoder(x, mask)[0].transpose(1, 2)
        stats = encoder.proj(x) * mask
        voice = self._voice(dict(zip(self.voices, more[:-1], strict=True)))
        frames = self._logs(x, mask, voice, noise).exp() * mask
        return stats.transpose(1, 2), frames[:, 0], *([] if voice is None else [voice])

    def _voice(self, given: dict[str, Tensor]) -> Tensor | None:
        of, found = self.generator, []
        if "sids" in given:
            found.append(of.global_emb(given["sids"]))
        if "spembs" in given:
            found.append(of.spemb_proj(F.normalize(given["spembs"])))
        if "lids" in given:
            found.append(of.lang_emb(given["lids"]))
        return torch.stack(found).sum(0)[..., None] if found else None

    def _logs(self, x: Tensor, mask: Tensor, voice: Tensor | None, noise: Tensor) -> Tensor:
        """Log durations (B, 1, N), drawn by the flow backwards."""
        of = self.generator.duration_predictor
        x = of.pre(x)
        x = x if voice is None else x + of.global_conv(voice)
        x = of.proj(of.dds(x, mask)) * mask
        flows = list(reversed(of.flows))
        for flow in (*flows[:-2], flows[-1]):  # the last but one does nothing to what is kept
            if type(flow).__name__ == "ConvFlow":
                noise = _conv_flow(flow, noise, mask, x)
            else:
                noise = flow(noise, mask, g=x, inverse=True)
        return noise[:, :1]


def _conv_flow(flow: Any, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
    """ESPnet's ConvFlow backwards: (B, 2, N) -> (B, 2, N)."""
    kept, moved = x.chunk(2, dim=1)
    h = flow.proj(flow.dds_conv(flow.input_conv(kept), mask, g=g)) * mask
    h = h.transpose(1, 2)[:, None]  # one channel of each kind
    widths, heights, slopes = h.split((flow.bins, flow.bins, flow.bins - 1), dim=-1)
    scale = math.sqrt(flow.hidden_channels)
    moved = spline(moved, widths / scale, heights / scale, slopes, flow.tail_bound)
    return torch.cat((kept, moved), 1) * mask


class FlowVits(nn.Module):
    """VITS' frames: drawn round what the text says, then sent backwards through the flow."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.flow = generator.flow

    def forward(self, encoded: Tensor, number: Tensor, noise: Tensor, *voice: Tensor) -> Tensor:
        """(B, N, 2 H), token of each frame (B, T) or -1, noise (B, T, H), voice (B, G, 1) -> (B, T, H)."""
        mask = number >= 0
        index = number.clamp(min=0)[..., None].expand(-1, -1, encoded.shape[2])
        mean, logs = encoded.gather(1, index).chunk(2, dim=2)
        x, there_ = (mean + noise * logs.exp()).transpose(1, 2), mask[:, None].float()
        g = voice[0] if voice else None
        return (self.flow(x, there_, g=g, inverse=True) * there_).transpose(1, 2)


class ReadJets(nn.Module):
    """JETS' text side."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator, self.voices = generator, list(voices_of(generator))

    def forward(self, tokens: Tensor, lengths: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N), (B,), voices (B,) or (B, E) -> (B, N, D), frames of each token (B, N), real."""
        of, mask = self.generator, there(lengths, tokens)
        x, given = of.encoder(tokens, mask[:, None])[0], dict(zip(self.voices, more, strict=True))
        if "sids" in given:
            x = x + of.sid_emb(given["sids"])[:, None]
        if "lids" in given:
            x = x + of.lid_emb(given["lids"])[:, None]
        if "spembs" in given:
            x = of._integrate_with_spk_embed(x, given["spembs"])
        predictors = (of.pitch_predictor, of.pitch_embed), (of.energy_predictor, of.energy_embed)
        added = [embed(p(x, ~mask[..., None]).transpose(1, 2)) for p, embed in predictors]
        frames = of.duration_predictor(x, ~mask).exp() - of.duration_predictor.offset
        return x + (added[0] + added[1]).transpose(1, 2), frames * mask


class DecodeJets(nn.Module):
    """JETS' Gaussian upsampling and decoder."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.decoder, self.delta = generator.decoder, generator.length_regulator.delta

    def forward(self, encoded: Tensor, durations: Tensor, number: Tensor) -> Tensor:
        """(B, N, D), (B, N), numbers of the frames (B, T) -> (B, T, D)."""
        middles = durations.cumsum(1) - durations / 2
        away = number.float()[..., None] - middles[:, None]
        spread = (-self.delta * away.square()).softmax(-1) @ encoded
        found: Tensor = self.decoder(spread, None)[0]
        return found


class StockVocoder(nn.Module):
    """ESPnet's HiFi-GAN, its convolutions over images of height 1; weights of the given one are changed."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        remove_weight_norm(generator)
        self.generator = generator
        images(generator)

    def forward(self, mel: Tensor, *voice: Tensor) -> Tensor:
        """(B, T, D), voice (B, G, 1) -> (B, T * hop)."""
        x = mel.transpose(1, 2).unsqueeze(2)
        found: Tensor = self.generator(x, *(g.unsqueeze(2) for g in voice))
        return found[:, 0, 0]


def stock_graphs(tts: Any) -> tuple[list[Graph], Facts]:
    """The graphs `text`, `mel` and `vocoder` of ESPnet's VITS or JETS, and their facts.

    Args:
        tts: on the CPU, in evaluation; used for nothing else.

    Raises:
        UserError: for a JETS that takes its style from a recording.
    """
    of, kind = tts.generator, type(tts).__name__.lower()
    if getattr(of, "use_gst", False):
        raise UserError(
            "tts_conf: found use_gst, which is not written as ONNX, expected a model that takes its voice from sids, "
            "lids or spembs; keep this one in torch"
        )
    remove_weight_norm(of)
    vits = kind == "vits"
    inside = of.decoder if vits else of.generator
    width = int(inside.input_conv.in_channels)
    size = int(inside.global_conv.in_channels) if hasattr(inside, "global_conv") else 0
    waves = {
        "noise": None,
        "bins": 1,
        "hop": math.prod(_strides(inside)),
        "reach": 0 if size else reach(inside),
    }
    graphs = [_text(of, kind), _frames(of, kind, width, size), _waves(inside, width, size)]
    facts = {"kind": kind, "eos": None, "voices": voices_of(of), "width": width, "vocoder": waves}
    return graphs, facts


def _strides(generator: Any) -> list[int]:
    return [
        int(m.stride[0]) for m in generator.upsamples.modules() if isinstance(m, nn.ConvTranspose1d)
    ]


def _text(of: Any, kind: str) -> Graph:
    """Of a batch of one: ESPnet's encoders look at padding with their convolutions."""
    drawn, voices, given = torch.Generator().manual_seed(0), voices_of(of), []
    known = of.text_encoder.emb.num_embeddings if kind == "vits" else _embeddings(of.encoder)
    for tokens in (7, 12, 4):
        one = {"tokens": torch.randint(1, known, (1, tokens), generator=drawn)}
        one |= {"lengths": torch.tensor([tokens]), **voice_examples(voices, 1, tokens)}
        if kind == "vits":
            one["noise"] = torch.randn(1, 2, tokens, generator=drawn)
        given.append(one)
    axes = {name: {1: "tokens"} for name in ("tokens", "encoded", "frames")}
    axes |= {name: {} for name in ("lengths", "voice", *voices)} | {"noise": {2: "tokens"}}
    outputs = ["encoded", "frames", *(["voice"] if kind == "vits" and voices else [])]
    module = ReadVits(of) if kind == "vits" else ReadJets(of)
    return make_graph("text", module, given, outputs, axes)


def _embeddings(encoder: Any) -> int:
    return next(m.num_embeddings for m in encoder.modules() if isinstance(m, nn.Embedding))


def _frames(of: Any, kind: str, width: int, size: int) -> Graph:
    drawn, given = torch.Generator().manual_seed(1), []
    for tokens, frames in ((5, 19), (9, 40), (4, 8)):
        if kind == "jets":
            one = {
                "encoded": torch.randn(1, tokens, width, generator=drawn),
                "durations": torch.randint(1, 5, (1, tokens), generator=drawn),
                "number": torch.arange(frames)[None],
            }
        else:
            one = {
                "encoded": torch.randn(1, tokens, 2 * width, generator=drawn),
                "number": (torch.arange(frames) * tokens // frames)[None],
                "noise": torch.randn(1, frames, width, generator=drawn),
                **_voice(size, drawn),
            }
        given.append(one)
    axes = {name: {1: "tokens"} for name in ("encoded", "durations")}
    axes |= {name: {1: "frames"} for name in ("number", "noise", "mel")} | {"voice": {}}
    module = FlowVits(of) if kind == "vits" else DecodeJets(of)
    return make_graph("mel", module, given, ["mel"], axes)


def _waves(generator: Any, width: int, size: int) -> Graph:
    drawn, free = torch.Generator().manual_seed(2), {0: "batch", 1: "frames"}
    shapes = [(1, n) if size else (b, n) for b, n in ((2, 23), (1, 40), (3, 9))]
    given = [
        {"mel": torch.randn(*s, width, generator=drawn), **_voice(size, drawn)} for s in shapes
    ]
    axes = {"mel": free, "wave": {0: "batch", 1: "samples"}, "voice": {}}
    return make_graph("vocoder", StockVocoder(generator), given, ["wave"], axes)


def _voice(size: int, drawn: torch.Generator) -> dict[str, Tensor]:
    return {"voice": torch.randn(1, size, 1, generator=drawn)} if size else {}
