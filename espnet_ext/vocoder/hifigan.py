"""HiFi-GAN's generator, and iSTFTNet, which leaves the last upsampling to a Fourier transform.

Names of weights are those of ParallelWaveGAN and espnet2.gan_tts.hifigan, so that their checkpoints load here.
Letters in shapes: B batch, M mel bins, F frames, C channels, T samples = F * hop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.errors import UserError
from espnet_ext.train.values import SWITCH, check_values, optional, whole
from espnet_ext.vocoder.istft import InverseSTFT
from espnet_ext.vocoder.norm import weight_norm
from espnet_ext.vocoder.options import INTEGERS, LISTS, Size

#: Kong et al. 2020, appendix A.1: V1 sounds best, V2 is small, V3 is fast.
VERSIONS: dict[str, dict[str, Any]] = {
    "v1": {},
    "v2": {"channels": 128},
    "v3": {
        "channels": 256,
        "upsample_scales": (8, 8, 4),
        "upsample_kernel_sizes": (16, 16, 8),
        "resblock_kernel_sizes": (3, 5, 7),
        "resblock_dilations": ((1, 2), (2, 6), (3, 12)),
        "use_additional_convs": False,
    },
}
SLOPE = 0.1


class ResidualBlock(nn.Module):
    """Dilated convolutions of one kernel size, each followed by a plain one (V1, V2) or not (V3)."""

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilations: Sequence[int],
        additional: bool,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            _activated_conv(channels, kernel_size, d, bias) for d in dilations
        )
        if additional:
            self.convs2 = nn.ModuleList(
                _activated_conv(channels, kernel_size, 1, bias) for _ in dilations
            )
        self.additional = additional

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) -> (B, C, L)."""
        for index, conv in enumerate(self.convs1):
            y = conv(x)
            x = (self.convs2[index](y) if self.additional else y) + x
        return x


def _activated_conv(channels: int, kernel: int, dilation: int, bias: bool) -> nn.Sequential:
    padding = (kernel - 1) // 2 * dilation
    conv = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding, bias=bias)
    return nn.Sequential(nn.LeakyReLU(SLOPE), conv)


class HiFiGAN(nn.Module):
    """The generator of HiFi-GAN (Kong et al. 2020, section 2.2).

    Args:
        in_channels: mel bins.
        hop_length: samples a frame; the scales multiply to it.
        version: "v1", "v2" or "v3", whose sizes hold where no other is given.
        out_channels: 1; more where another layer makes the waveform of them.
        channels: after the first convolution; halved by every upsampling.
        global_channels: of a speaker's vector that is added after the first convolution; -1 = none.
        kernel_size: of the first and the last convolution, odd.
        upsample_scales: factors, their product is hop_length.
        upsample_kernel_sizes: twice the factors.
        resblock_kernel_sizes, resblock_dilations: of the blocks that are averaged after each upsampling.
        use_additional_convs: a plain convolution after each dilated one.
        bias: of the blocks' convolutions.
        use_weight_norm: train directions and lengths of the weights.

    Raises:
        UserError: for sizes that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        version: str = "v1",
        out_channels: Size = 1,
        global_channels: int = -1,
        kernel_size: Size = 7,
        bias: bool = True,
        use_weight_norm: bool = True,
        **sizes: Any,
    ) -> None:
        super().__init__()
        made = _sizes(version, sizes)
        scales, kernels = made["upsample_scales"], made["upsample_kernel_sizes"]
        _check(scales, kernels, hop_length, made)
        self.hop_length, self.num_blocks = hop_length, len(made["resblock_kernel_sizes"])
        self.factor = math.prod(scales)
        width: int = made["channels"]
        self.input_conv = nn.Conv1d(in_channels, width, kernel_size, padding=kernel_size // 2)
        self.upsamples, self.blocks = nn.ModuleList(), nn.ModuleList()
        for scale, kernel in zip(scales, kernels, strict=True):
            self.upsamples.append(_upsampling(width, scale, kernel))
            width //= 2
            self.blocks += [
                ResidualBlock(width, size, dilations, made["use_additional_convs"], bias)
                for size, dilations in zip(
                    made["resblock_kernel_sizes"], made["resblock_dilations"], strict=True
                )
            ]
        last = nn.Conv1d(width, out_channels, kernel_size, padding=kernel_size // 2)
        self.output_conv = nn.Sequential(nn.LeakyReLU(), last, nn.Tanh())
        if global_channels > 0:
            self.global_conv = nn.Conv1d(global_channels, made["channels"], 1)
        self._initialise(use_weight_norm)
        #: the same in less time, see espnet_ext/inference/graph_hifigan.py
        self.fast: Callable[..., Tensor] | None = None

    def _initialise(self, use_weight_norm: bool) -> None:
        """As the authors' code: a small normal distribution for all but the first convolution."""
        for name, layer in self.named_modules():
            if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
                if name not in ("input_conv", "global_conv"):
                    nn.init.normal_(layer.weight, 0.0, 0.01)
                if use_weight_norm:
                    weight_norm(layer)

    def features(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F) -> (B, C, F * product of the scales), before the last layers."""
        x = self.input_conv(mel)
        if g is not None:
            x = x + self.global_conv(g)
        for stage, upsample in enumerate(self.upsamples):
            x = upsample(x)
            first = stage * self.num_blocks
            total = self.blocks[first](x)
            for block in self.blocks[first + 1 : first + self.num_blocks]:
                total = total + block(x)
            x = total / self.num_blocks
        return x

    def forward(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F), a speaker's vector (B, G, 1) -> (B, 1, T) in (-1, 1)."""
        return torch.tanh(self._last(mel, g))

    def _last(self, mel: Tensor, g: Tensor | None) -> Tensor:
        """(B, M, F) -> (B, out_channels, F * product of the scales), before the last function."""
        if self.fast is not None:
            return self.fast(mel, g)
        return self.output_conv[:2](self.features(mel, g))


class ISTFTNet(HiFiGAN):
    """iSTFTNet (Kaneko et al. 2022): few upsamplings, then amplitude and phase of a short Fourier transform.

    Args:
        in_channels, hop_length, version, sizes: as of `HiFiGAN`, but for upsample_scales, (8, 8) by default.
        istft_n_fft: length of the transform, four times its hop.
    """

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        version: str = "v1",
        istft_n_fft: Size = 16,
        use_weight_norm: bool = True,
        **sizes: Any,
    ) -> None:
        given = {"upsample_scales": (8, 8), **sizes}
        check_values(given, _KINDS, "generator_conf")
        inner = math.prod(given["upsample_scales"])
        if hop_length % inner or istft_n_fft < 2 * (hop_length // inner):
            raise UserError(
                f"generator_conf: found upsample_scales {given['upsample_scales']} and istft_n_fft {istft_n_fft}, "
                f"expected scales whose product divides hop_length = {hop_length}, and at least twice the quotient"
            )
        super().__init__(
            in_channels,
            inner,
            version,
            out_channels=istft_n_fft + 2,
            use_weight_norm=use_weight_norm,
            **given,
        )
        self.hop_length = hop_length
        self.istft = InverseSTFT(istft_n_fft, hop_length // inner)

    def forward(self, mel: Tensor, g: Tensor | None = None) -> Tensor:
        """(B, M, F) -> (B, 1, T)."""
        x = self._last(mel, g)
        with torch.autocast(x.device.type, enabled=False):
            log_amplitude, phase = x.float().chunk(2, dim=1)
            return self.istft(log_amplitude, torch.pi * torch.sin(phase))[:, None]


_KINDS = {
    "channels": whole(1),
    "upsample_scales": INTEGERS,
    "upsample_kernel_sizes": optional(INTEGERS),
    "resblock_kernel_sizes": INTEGERS,
    "resblock_dilations": LISTS,
    "use_additional_convs": SWITCH,
}


def _sizes(version: str, given: dict[str, Any]) -> dict[str, Any]:
    if version not in VERSIONS:
        raise UserError(f"generator_conf: found version {version!r}, expected v1, v2 or v3")
    defaults: dict[str, Any] = {
        "channels": 512,
        "upsample_scales": (8, 8, 2, 2),
        "upsample_kernel_sizes": None,
        "resblock_kernel_sizes": (3, 7, 11),
        "resblock_dilations": ((1, 3, 5),) * 3,
        "use_additional_convs": True,
    }
    unknown = set(given) - set(defaults)
    if unknown:
        raise UserError(
            f"generator_conf: found {sorted(unknown)}, expected some of {sorted(defaults)}"
        )
    check_values(given, _KINDS, "generator_conf")
    preset = dict(VERSIONS[version])
    if "upsample_scales" in given:
        preset.pop("upsample_kernel_sizes", None)
    made = {**defaults, **preset, **given}
    made["upsample_kernel_sizes"] = made["upsample_kernel_sizes"] or [
        2 * scale for scale in made["upsample_scales"]
    ]
    return made


def _check(scales: Sequence[int], kernels: Sequence[int], hop: int, made: dict[str, Any]) -> None:
    if math.prod(scales) != hop:
        raise UserError(
            f"generator_conf: found upsample_scales {list(scales)} with the product {math.prod(scales)}, expected "
            f"hop_length = {hop}"
        )
    if list(kernels) != [2 * scale for scale in scales]:
        raise UserError(
            f"generator_conf: found upsample_kernel_sizes {list(kernels)}, expected twice upsample_scales: "
            f"{[2 * scale for scale in scales]}"
        )
    if made["channels"] % 2 ** len(scales):
        raise UserError(
            f"generator_conf: found channels {made['channels']}, expected a multiple of {2 ** len(scales)} (halved by "
            "every upsampling)"
        )


def _upsampling(channels: int, scale: int, kernel: int) -> nn.Sequential:
    conv = nn.ConvTranspose1d(
        channels,
        channels // 2,
        kernel,
        scale,
        padding=scale // 2 + scale % 2,
        output_padding=scale % 2,
    )
    return nn.Sequential(nn.LeakyReLU(SLOPE), conv)
