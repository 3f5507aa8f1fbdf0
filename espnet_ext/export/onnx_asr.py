"""A hybrid CTC/attention recogniser as ONNX graphs: front end, encoder, CTC, and the decoder a token at a time.

Letters in shapes: U utterances, W hypotheses of each, N = U W, T encoder frames, D width, H heads, C width of a head,
Y layers, t tokens read so far, V vocabulary, S samples, M mel bins, F feature frames.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.convolution import Depthwise
from espnet_ext.asr.positions import rotary_table, rotate, sinusoids
from espnet_ext.bridge.stacks import read_decoder
from espnet_ext.errors import UserError
from espnet_ext.export.onnx_graph import Graph
from espnet_ext.search.weights import Affine, Layer, Norm, Stack


class FrontEnd(nn.Module):
    """Waveform to normalised log-mel features: ESPnet's default front end and its normalisation of one utterance.

    The Fourier transform is a convolution with cosines and sines: every runtime has that.

    Args:
        frontend: ESPnet's DefaultFrontend.
        normalize: GlobalMVN, UtteranceMVN or None.

    Raises:
        UserError: for a front end that computes something else.
    """

    transform: Tensor
    mel: Tensor

    def __init__(self, frontend: Any, normalize: Any) -> None:
        super().__init__()
        _check_frontend(frontend)
        stft, logmel = frontend.stft, frontend.logmel
        self.room, self.hop = stft.n_fft // 2, stft.hop_length
        self.register_buffer("transform", _fourier(stft))
        self.register_buffer("mel", logmel.melmat.detach().clone())
        self.scale = 1.0 if logmel.log_base is None else 1.0 / math.log(logmel.log_base)
        self.normalise = _normaliser(normalize)

    def forward(self, speech: Tensor) -> Tensor:
        """(B, S) of equal lengths -> (B, F, M)."""
        padded = F.pad(speech[:, None], (self.room, self.room), mode="reflect")
        real, imaginary = F.conv1d(padded, self.transform, stride=self.hop).chunk(2, dim=1)
        power = (real * real + imaginary * imaginary).transpose(1, 2)
        found: Tensor = self.normalise((power @ self.mel).clamp(min=1e-10).log() * self.scale)
        return found


def _check_frontend(frontend: Any) -> None:
    stft: Any = getattr(frontend, "stft", None)
    # its enhancement does nothing to one channel
    plain = type(frontend).__name__ == "DefaultFrontend" and stft is not None
    if not plain or not (stft.center and stft.onesided) or stft.normalized:
        found = "none" if frontend is None else type(frontend).__name__
        raise UserError(
            f"frontend: found {found} or options of it that are not written as ONNX, expected `default` with centred "
            "frames"
        )


def _fourier(stft: Any) -> Tensor:
    """Windowed cosines, then sines: (2 K, 1, n_fft)."""
    size, width = stft.n_fft, stft.win_length
    window = torch.ones(width, dtype=torch.float64)
    if stft.window is not None:
        window = getattr(torch, f"{stft.window}_window")(width, dtype=torch.float64)
    left = (size - width) // 2
    window = F.pad(window, (left, size - width - left))
    angles = torch.arange(size // 2 + 1)[:, None] * torch.arange(size)[None]
    turns = (angles % size).double() * (2 * math.pi / size)
    return (torch.cat((turns.cos(), -turns.sin())) * window)[:, None].float()


class _Global(nn.Module):
    """GlobalMVN."""

    mean: Tensor
    std: Tensor

    def __init__(self, of: Any) -> None:
        super().__init__()
        mean, std = of.mean.detach().float(), of.std.detach().float()
        self.register_buffer("mean", mean if of.norm_means else torch.zeros_like(mean))
        self.register_buffer("std", std if of.norm_vars else torch.ones_like(std))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class _OfUtterance(nn.Module):
    """UtteranceMVN."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.means, self.vars, self.eps = of.norm_means, of.norm_vars, of.eps

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        y = centred if self.means else x
        if not self.vars:
            return y
        return y / centred.square().mean(dim=1, keepdim=True).sqrt().clamp(min=self.eps)


def _normaliser(normalize: Any) -> nn.Module:
    kinds = {"GlobalMVN": _Global, "UtteranceMVN": _OfUtterance}
    if normalize is None:
        return nn.Identity()
    if type(normalize).__name__ not in kinds:
        raise UserError(
            f"normalize: found {type(normalize).__name__}, expected global_mvn, utterance_mvn or none"
        )
    return kinds[type(normalize).__name__](normalize)


class Encode(nn.Module):
    """The encoder, with what may stand before and behind it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.before, self.encoder, self.after = model.preencoder, model.encoder, model.postencoder
        self.ctc = model.ctc
        for part in self.encoder.modules():
            if isinstance(part, Depthwise):
                part._by_chunks = partial(_by_chunks, part)  # type: ignore[method-assign]
        wants = ("interctc_use_conditioning", "ctc_trim")
        self.wants_ctc = any(getattr(self.encoder, name, False) for name in wants)

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, M), (B,) -> (B, T, D), (B,)."""
        if self.before is not None:
            feats, lengths = self.before(feats, lengths)
        more = {"ctc": self.ctc} if self.wants_ctc else {}
        out, lengths, _ = self.encoder(feats, lengths, **more)
        out = out[0] if isinstance(out, tuple) else out
        if self.after is not None:
            out, lengths = self.after(out, lengths)
        # what stands behind an utterance's end is nobody's business, and differs between kernels
        there = torch.arange(out.shape[1], device=out.device) < lengths[:, None]
        return out.masked_fill(~there[..., None], 0.0), lengths


def _by_chunks(of: Depthwise, x: Tensor, chunk: int) -> Tensor:
    """As `Depthwise._by_chunks`, whose windows ONNX cannot cut: here each frame is asked for by its number."""
    batch, length, width = x.shape
    chunks: Any = torch.div(torch.as_tensor(length + chunk - 1), chunk, rounding_mode="floor")
    places = torch.arange(chunks)[:, None] * chunk + torch.arange(of.reach + chunk)
    # all frames that a last, short chunk may lack
    windows = F.pad(x, (0, 0, of.reach, chunk - 1))[:, places].flatten(0, 1)
    y = of._filter(F.pad(windows, (0, 0, 0, of.reach)), 0)
    return y.reshape(batch, -1, width)[:, :length]


class Ctc(nn.Module):
    """CTC's output layer."""

    def __init__(self, ctc: Any) -> None:
        super().__init__()
        self.out = ctc.ctc_lo

    def forward(self, encoded: Tensor) -> Tensor:
        """(B, T, D) -> log-probabilities (B, T, V)."""
        return F.log_softmax(self.out(encoded), dim=-1)


def _linear(of: Affine) -> nn.Linear:
    made = nn.Linear(of.weight.shape[1], of.weight.shape[0], bias=of.bias is not None)
    made.weight.data.copy_(of.weight)
    if of.bias is not None:
        made.bias.data.copy_(of.bias)
    return made


def _norm(of: Norm) -> nn.LayerNorm:
    made = nn.LayerNorm(len(of.weight), eps=of.eps)
    made.weight.data.copy_(of.weight)
    made.bias.data.copy_(of.bias)
    return made


class Remember(nn.Module):
    """Keys and values of the encoder's output, made once an utterance."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.heads = stack.heads
        crosses = [layer.cross for layer in stack.layers]
        self.layers = nn.ModuleList(_linear(cross.memory) for cross in crosses if cross is not None)

    def forward(self, encoded: Tensor) -> Tensor:
        """(U, T, D) -> (Y, 2, U, H, T, C)."""
        found = [layer(encoded).unflatten(2, (2, self.heads, -1)) for layer in self.layers]
        return torch.stack(found).permute(0, 3, 1, 4, 2, 5)


class _Layer(nn.Module):
    """A decoder layer that reads one token of each hypothesis."""

    def __init__(self, of: Layer, heads: int) -> None:
        super().__init__()
        assert of.cross is not None
        self.heads = heads
        self.norm, self.inward, self.outward = _norm(of.norm), _linear(of.inward), _linear(of.out)
        self.cross_norm, self.query = _norm(of.cross.norm), _linear(of.cross.query)
        self.cross_out, self.feed_norm = _linear(of.cross.out), _norm(of.feed_norm)
        self.widen, self.narrow = _linear(of.widen), _linear(of.narrow)

    def forward(
        self, x: Tensor, past: Tensor, memory: Tensor, mask: Tensor, table: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(U, W, D), (2, N, H, t, C), (2, U, H, T, C), (U, 1, 1, T) -> (U, W, D), (2, N, H, t + 1, C), (U, W, T)."""
        parts = self.inward(self.norm(x)).flatten(0, 1).unflatten(1, (3, self.heads, 1, -1))
        query, key, value = parts.unbind(1)
        if table is not None:
            query, key = rotate(query, table), rotate(key, table)
        past = torch.cat((past, torch.stack((key, value))), dim=3)
        mixed = (query @ past[0].transpose(2, 3)).softmax(dim=-1) @ past[1]
        x = x + self.outward(mixed.reshape(x.shape))
        query = self.query(self.cross_norm(x)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        looked = (query @ memory[0].transpose(2, 3) + mask).softmax(dim=-1)
        x = x + self.cross_out((looked @ memory[1]).transpose(1, 2).flatten(2))
        x = x + self.narrow(torch.relu(self.widen(self.feed_norm(x))))
        return x, past, looked.mean(dim=1)


class Step(nn.Module):
    """The decoder: one token of each hypothesis, with the keys and values of those before."""

    table: Tensor

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.register_buffer("table", stack.table.clone())
        self.positions, self.head = stack.positions, stack.width // stack.heads
        self.layers = nn.ModuleList(_Layer(layer, stack.heads) for layer in stack.layers)
        self.norm, self.out = _norm(stack.norm), _linear(stack.output)

    def forward(
        self, tokens: Tensor, past: Tensor, memory: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of the next token, the past with this one, and where this one looked.

        Args:
            tokens: (U, W).
            past: (Y, 2, N, H, t, C), t = 0 at first.
            memory: (Y, 2, U, H, T, C), from `Remember`.
            lengths: (U,), frames of each utterance.

        Returns:
            (U, W, V), (Y, 2, N, H, t + 1, C) and its attention to frames, the mean of layers and heads, (U, W, T).
        """
        x, turns = F.embedding(tokens, self.table), None
        time = past.shape[4]
        if self.positions == "sinusoids":
            x = x + sinusoids(torch.arange(time, time + 1), x.shape[2])
        elif self.positions == "rotary":
            cosine, sine = rotary_table(time + 1, self.head, x.device)
            turns = cosine[time:], sine[time:]
        behind = torch.arange(memory.shape[4]) >= lengths[:, None]
        mask = (behind.to(x.dtype) * -1e9)[:, None, None]
        after, looks = [], []
        for number, layer in enumerate(self.layers):
            x, kept, looked = layer(x, past[number], memory[number], mask, turns)
            after.append(kept)
            looks.append(looked)
        found = self.out(self.norm(x)).log_softmax(dim=-1)
        return found, torch.stack(after), torch.stack(looks).mean(dim=0)


# -- the graphs ------------------------------------------------------------------------------------------------------


def asr_graphs(model: Any, input_size: int | None = None) -> list[Graph]:
    """The graphs of a recogniser: frontend, encoder, ctc, memory, decoder, as far as the model has them.

    Args:
        model: an ESPnetASRModel on the CPU, in evaluation.
        input_size: M, of a model without front end.

    Raises:
        UserError: if it has a part that is not written as ONNX.
    """
    found = []
    if model.frontend is not None:
        found.append(_frontend(model))
        input_size = model.frontend.output_size()
    assert input_size is not None
    found.append(encoder_graph(model, input_size))
    width = model.encoder.output_size()
    if model.postencoder is not None:
        width = model.postencoder.output_size()
    if hasattr(model.ctc, "ctc_lo"):
        found.append(ctc_graph(model, width))
    if model.decoder is not None:
        found += decoder_graphs(model.decoder, width)
    return found


def _frontend(model: Any) -> Graph:
    drawn = torch.Generator().manual_seed(0)
    shapes = ((2, 4000), (1, 5111), (3, 2500))
    speech = [{"speech": 0.1 * torch.randn(shape, generator=drawn)} for shape in shapes]
    axes = {"speech": {0: "batch", 1: "samples"}, "feats": {0: "batch", 1: "frames"}}
    module = FrontEnd(model.frontend, model.normalize)
    return Graph("frontend", module, speech[0], ["feats"], axes, speech[1:], quantise=False)


def encoder_graph(model: Any, size: int) -> Graph:
    """Of a model's encoder and what stands before and behind it; `size` is M."""
    drawn = torch.Generator().manual_seed(0)
    given = [
        {"feats": torch.randn(len(n), n[0], size, generator=drawn), "lengths": torch.tensor(n)}
        for n in ([97, 64], [150], [121, 120, 41])
    ]
    free = {0: "batch", 1: "frames"}
    axes = {
        "feats": free,
        "lengths": {0: "batch"},
        "encoded": free,
        "encoded_lengths": {0: "batch"},
    }
    outputs = ["encoded", "encoded_lengths"]
    return Graph("encoder", Encode(model), given[0], outputs, axes, given[1:])


def ctc_graph(model: Any, width: int) -> Graph:
    """Of a model's CTC over encoder frames of `width` D."""
    given = [{"encoded": torch.randn(*size, width)} for size in ((2, 5), (1, 9))]
    axes = {name: {0: "batch", 1: "frames"} for name in ("encoded", "log_probs")}
    return Graph("ctc", Ctc(model.ctc), given[0], ["log_probs"], axes, given[1:], quantise=False)


def decoder_graphs(decoder: Any, width: int) -> list[Graph]:
    """What a decoder keeps of the encoder's output (of `width` D), and its step.

    Raises:
        UserError: for a decoder of another kind.
    """
    stack = read_decoder(decoder)
    if stack is None:
        raise UserError(
            f"decoder: found {type(decoder).__name__} with options that are not written as ONNX, expected "
            "`transformer` or espnet_ext.asr.decoder:CachedTransformerDecoder"
        )
    encoded = [{"encoded": torch.randn(*size, width)} for size in ((2, 5), (1, 9))]
    axes = {"encoded": {0: "utterances", 1: "frames"}, "memory": {2: "utterances", 4: "frames"}}
    memory = Graph("memory", Remember(stack), encoded[0], ["memory"], axes, encoded[1:])
    step = Step(stack)
    examples = [step_example(step, *sizes) for sizes in ((2, 3, 4, 6), (1, 4, 7, 9), (3, 1, 0, 5))]
    past = {2: "hypotheses", 4: "read"}
    axes = {
        "tokens": {0: "utterances", 1: "width"},
        "past": past,
        "memory": {2: "utterances", 4: "frames"},
        "lengths": {0: "utterances"},
        "log_probs": {0: "utterances", 1: "width"},
        "kept": {2: "hypotheses", 4: "read_after"},
        "looked": {0: "utterances", 1: "width", 2: "frames"},
    }
    outputs = ["log_probs", "kept", "looked"]
    return [memory, Graph("decoder", step, examples[0], outputs, axes, examples[1:])]


def step_example(
    step: Step, utterances: int, width: int, read: int, frames: int
) -> dict[str, Tensor]:
    """Its inputs: hypotheses of an utterance, tokens that they have read, frames."""
    layers, head = len(step.layers), step.head
    heads = step.table.shape[1] // head
    number = utterances * width
    return {
        "tokens": torch.randint(len(step.table), (utterances, width)),
        "past": torch.randn(layers, 2, number, heads, read, head),
        "memory": torch.randn(layers, 2, utterances, heads, frames, head),
        "lengths": torch.arange(frames, frames - utterances, -1),
    }
