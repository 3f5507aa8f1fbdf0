"""Vocoders' generators as ONNX graphs: log-mel spectrogram in, waveform out, weight normalisation folded.

Convolutions over time are written as those over images of height 1, for which ONNX Runtime has direct kernels.
Letters in shapes: B batch, M mel bins, F frames, K bins of a transform, T samples = F * hop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.export.onnx_graph import Graph
from espnet_ext.vocoder.harmonic import HarmonicVocos
from espnet_ext.vocoder.hifigan import HiFiGAN, ISTFTNet
from espnet_ext.vocoder.istft import _LOUDEST, InverseSTFT
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.parallel_wavegan import ParallelWaveGAN
from espnet_ext.vocoder.pieces import reach
from espnet_ext.vocoder.vocos import Vocos


class InverseTransform(nn.Module):
    """What `InverseSTFT` computes, as a matrix product and sums of shifted frames."""

    basis: Tensor
    squares: Tensor

    def __init__(self, of: InverseSTFT) -> None:
        super().__init__()
        self.n_fft, self.hop = of.n_fft, of.hop
        self.parts = -(-of.n_fft // of.hop)
        unit = torch.eye(of.n_fft // 2 + 1, dtype=torch.float64)
        both = torch.cat((torch.complex(unit, 0 * unit), torch.complex(0 * unit, unit)))
        frames = torch.fft.irfft(both, of.n_fft) * of.window.double()
        room = (0, self.parts * of.hop - of.n_fft)
        self.register_buffer("basis", F.pad(frames, room).float())
        self.register_buffer("squares", F.pad(of.window.detach() ** 2, room)[None, None])

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """A spectrum (B, K, F) -> (B, T)."""
        spectrum = torch.cat((real, imaginary), dim=1).transpose(1, 2)
        frames = spectrum @ self.basis
        begin, length = self.n_fft // 2, frames.shape[1] * self.hop
        weight = self._overlap(self.squares.expand(1, frames.shape[1], -1))
        wave = self._overlap(frames)[:, begin : begin + length]
        return wave / weight[:, begin : begin + length].clamp(min=1e-8)

    def _overlap(self, frames: Tensor) -> Tensor:
        """(B, F, parts * hop) -> (B, (F + parts - 1) * hop): the frames added where they overlap."""
        rows = frames.unflatten(2, (self.parts, self.hop)).unbind(2)
        last = self.parts - 1
        shifted = [F.pad(row, (0, 0, place, last - place)) for place, row in enumerate(rows)]
        total = shifted[0]
        for row in shifted[1:]:
            total = total + row
        return total.flatten(1)


def polar(log_amplitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """As `vocoder.istft.polar`, real and imaginary part apart."""
    amplitude = log_amplitude.clamp(max=_LOUDEST).exp()
    return amplitude * torch.cos(phase), amplitude * torch.sin(phase)


class _Flat(nn.Module):
    """A convolution over (B, C, 1, L)."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        assert isinstance(conv, (nn.Conv1d, nn.ConvTranspose1d))
        self.conv, self.stride = conv, (1, conv.stride[0])
        self.padding = (0, int(conv.padding[0]))

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        weight = conv.weight.unsqueeze(2)  # type: ignore[operator, union-attr]
        if isinstance(conv, nn.ConvTranspose1d):
            after = (0, conv.output_padding[0])
            return F.conv_transpose2d(x, weight, conv.bias, self.stride, self.padding, after)
        assert isinstance(conv, nn.Conv1d)
        dilation = (1, conv.dilation[0])
        return F.conv2d(x, weight, conv.bias, self.stride, self.padding, dilation, conv.groups)


def images(module: nn.Module) -> None:
    """Put `_Flat` in place of every convolution over time below."""
    for name, child in list(module.named_children()):
        if isinstance(child, (nn.Conv1d, nn.ConvTranspose1d)):
            setattr(module, name, _Flat(child))
        else:
            images(child)


class Upsampled(nn.Module):
    """HiFi-GAN or iSTFTNet; weights of the given generator are changed."""

    def __init__(self, generator: HiFiGAN) -> None:
        super().__init__()
        self.generator = generator
        self.transform: InverseTransform | None = None
        if isinstance(generator, ISTFTNet):
            self.transform = InverseTransform(generator.istft)
        images(generator)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) -> (B, T)."""
        x = self.generator.output_conv[:2](self.generator.features(mel.unsqueeze(2))).squeeze(2)
        if self.transform is None:
            return torch.tanh(x).squeeze(1)
        log_amplitude, phase = x.chunk(2, dim=1)
        found: Tensor = self.transform(*polar(log_amplitude, torch.pi * torch.sin(phase)))
        return found


class FromFrames(nn.Module):
    """Vocos."""

    def __init__(self, generator: Vocos) -> None:
        super().__init__()
        self.backbone, self.out = generator.backbone, generator.head.out
        self.transform = InverseTransform(generator.head.istft)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) -> (B, T)."""
        x = self.out(self.backbone(mel)).transpose(1, 2)
        found: Tensor = self.transform(*polar(*x.chunk(2, dim=1)))
        return found


class Harmonic(nn.Module):
    """The Vocos whose phases follow the pitch; the phases of its noise come from outside."""

    def __init__(self, generator: HarmonicVocos) -> None:
        super().__init__()
        self.generator, self.transform = generator, InverseTransform(generator.istft)
        self.turn = math.pi * generator.hop_length / generator.rate

    def forward(self, mel: Tensor, noise: Tensor) -> Tensor:
        """(B, M, F), phases (B, K, F) -> (B, T)."""
        log_f0, voiced = self.generator.pitch(mel)
        f0 = torch.where(voiced > 0, log_f0.exp(), torch.zeros_like(log_f0))[:, None]
        x = self.generator.out(self.generator.backbone(mel)).transpose(1, 2)
        harmonic, shift, loud = x.chunk(3, dim=1)
        phase = torch.where(f0 > 0, self._phases(f0), noise) + shift
        pairs = zip(polar(harmonic, phase), polar(loud, noise), strict=True)
        found: Tensor = self.transform(*(a + b for a, b in pairs))
        return found

    def _phases(self, f0: Tensor) -> Tensor:
        """(B, 1, F) in Hz -> (B, K, F), as `HarmonicVocos.phases`."""
        steps = (f0[:, :, 1:] + f0[:, :, :-1]).double() * self.turn
        turned = torch.remainder(F.pad(steps, (1, 0)).cumsum(2), 2 * math.pi).float()
        size = self.generator.n_fft
        bins = torch.arange(size // 2 + 1, device=f0.device, dtype=torch.float32)[None, :, None]
        number = torch.round(bins * (self.generator.rate / size) / f0.clamp(min=20.0))
        odd = bins - 2 * torch.floor(bins / 2)
        return number.clamp(min=1.0) * turned + math.pi * odd


class FromNoise(nn.Module):
    """Parallel WaveGAN."""

    def __init__(self, generator: ParallelWaveGAN) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mel: Tensor, noise: Tensor) -> Tensor:
        """(B, M, F), (B, 1, T) -> (B, T)."""
        found: Tensor = self.generator(mel, None, noise)
        return found[:, 0]


class Speak(nn.Module):
    """A generator behind the normalisation of its spectrograms."""

    mean: Tensor
    std: Tensor

    def __init__(self, generator: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("std", std.detach().clone())

    def forward(self, mel: Tensor, *noise: Tensor) -> Tensor:
        """Log-mel spectrogram (B, F, M) -> (B, T)."""
        found: Tensor = self.generator(((mel - self.mean) / self.std).transpose(1, 2), *noise)
        return found


def vocoder_graph(model: Any) -> tuple[Graph, Mapping[str, Any]]:
    """The graph of a vocoder, and what the engine has to know of it.

    Args:
        model: a `VocoderModel` on the CPU; its generator's weight normalisation is removed and its convolutions
            are changed, so give one that is used for nothing else.

    Raises:
        UserError: for a generator of another kind.
    """
    generator = model.generator
    remove_weight_norm(generator)
    seen = reach(generator) if type(generator) is HiFiGAN else 0
    made, noise = _wrapped(generator)
    speak, bins = Speak(made, model.mean, model.std), model.features.n_mels
    inputs = _example(2, 23, bins, generator, noise)
    free = {0: "batch", 1: "frames"}
    axes = {"mel": free, "wave": {0: "batch", 1: "samples"}}
    if noise is not None:
        axes["noise"] = {0: "batch", 2: "frames" if noise == "phase" else "samples"}
    others = [_example(*size, bins, generator, noise) for size in ((1, 40), (3, 9))]
    hop = generator.hop_length
    facts = {"noise": noise, "bins": _bins(generator), "hop": hop, "reach": seen}
    return Graph("vocoder", speak, inputs, ["wave"], axes, others), facts


def _wrapped(generator: nn.Module) -> tuple[nn.Module, str | None]:
    """What is written, and which noise it wants from outside."""
    if isinstance(generator, HiFiGAN):
        return Upsampled(generator), None
    if isinstance(generator, Vocos):
        return FromFrames(generator), None
    if isinstance(generator, HarmonicVocos):
        return Harmonic(generator), "phase"
    if isinstance(generator, ParallelWaveGAN):
        return FromNoise(generator), "normal"
    raise UserError(
        f"generator: found {type(generator).__name__}, which is not written as ONNX; expected hifigan, istftnet, "
        "vocos, harmonic or parallel_wavegan"
    )


def _bins(generator: Any) -> int:
    """Rows of the noise."""
    return generator.n_fft // 2 + 1 if isinstance(generator, HarmonicVocos) else 1


def _example(
    batch: int, frames: int, mels: int, generator: Any, noise: str | None
) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(frames)
    given = {"mel": torch.randn(batch, frames, mels, generator=drawn)}
    if noise is not None:
        length = frames if noise == "phase" else frames * generator.hop_length
        given["noise"] = torch.randn(batch, _bins(generator), length, generator=drawn)
    return given
