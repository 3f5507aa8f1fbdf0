"""What tells generated speech from recorded: by period, by scale, by spectrogram.

Every discriminator gives the outputs of all its layers, the last one being its verdict. Names of the weights of the
first two are those of espnet2.gan_tts.hifigan. Letters in shapes: B batch, T samples, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder.norm import estimate_spectra, normalised
from espnet_ext.vocoder.options import Size, Sizes, Windows, made, mapping

Layers = list[Tensor]
SLOPE = 0.1


class Period(nn.Module):
    """Looks at every P-th sample (Kong et al. 2020, section 2.3, MPD)."""

    def __init__(
        self,
        period: int,
        channels: int,
        largest: int,
        spectral: bool = False,
        strides: Sequence[int] = (3, 3, 3, 3, 1),
    ) -> None:
        super().__init__()
        self.period, self.convs = period, nn.ModuleList()
        norm = normalised(spectral)
        before, width = 1, channels
        for stride in strides:
            conv = nn.Conv2d(before, width, (5, 1), (stride, 1), padding=(2, 0))
            self.convs.append(nn.Sequential(norm(conv), nn.LeakyReLU(SLOPE)))
            before, width = width, min(4 * width, largest)
        # two samples as in ParallelWaveGAN and ESPnet; the authors' own code has three
        self.output_conv = norm(nn.Conv2d(before, 1, (2, 1), padding=(1, 0)))

    def forward(self, wave: Tensor) -> Layers:
        """(B, 1, T) -> layers (B, C, L, P)."""
        lacking = -wave.shape[2] % self.period
        x = F.pad(wave, (0, lacking), "reflect") if lacking else wave
        x = x.unflatten(2, (-1, self.period))
        found = []
        for conv in self.convs:
            x = conv(x)
            found.append(x)
        return [*found, self.output_conv(x)]


class Scale(nn.Module):
    """Grouped convolutions over the samples (MelGAN's, Kumar et al. 2019, with HiFi-GAN's sizes)."""

    def __init__(self, channels: int, largest: int, spectral: bool) -> None:
        super().__init__()
        norm = normalised(spectral)
        convs = [nn.Conv1d(1, channels, 15, padding=7)]
        width, groups = channels, 4
        for stride in (2, 2, 4, 4, 1):
            after = channels if len(convs) == 1 else min(2 * width, largest)
            convs.append(nn.Conv1d(width, after, 41, stride, padding=20, groups=groups))
            width, groups = after, min(4 * groups, 16)
        after = min(2 * width, largest)
        convs.append(nn.Conv1d(width, after, 5, padding=2))
        self.layers = nn.ModuleList(
            nn.Sequential(norm(conv), nn.LeakyReLU(SLOPE)) for conv in convs
        )
        self.layers.append(norm(nn.Conv1d(after, 1, 3, padding=1)))

    def forward(self, wave: Tensor) -> Layers:
        """(B, 1, T) -> layers (B, C, L)."""
        found = [wave]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found[1:]


class Resolution(nn.Module):
    """Looks at the amplitudes of a short-time Fourier transform (UnivNet, Jang et al. 2021, MRD)."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int, channels: int, spectral: bool = False) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        norm = normalised(spectral)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        shapes = [((3, 9), (1, 1)), ((3, 9), (1, 2)), ((3, 9), (1, 2)), ((3, 9), (1, 2))]
        self.convs, before = nn.ModuleList(), 1
        for kernel, stride in [*shapes, ((3, 3), (1, 1))]:
            padding = (kernel[0] // 2, kernel[1] // 2)
            conv = nn.Conv2d(before, channels, kernel, stride, padding)
            self.convs.append(nn.Sequential(norm(conv), nn.LeakyReLU(SLOPE)))
            before = channels
        self.output_conv = norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, wave: Tensor) -> Layers:
        """(B, 1, T) -> layers (B, C, frames, bins)."""
        with torch.autocast(wave.device.type, enabled=False):
            samples = wave[:, 0].float()
            found = torch.stft(
                samples, self.n_fft, self.hop, window=self.window, return_complex=True
            )
            x = (found.real**2 + found.imag**2 + 1e-9).sqrt().transpose(1, 2)[:, None]
        layers = []
        for conv in self.convs:
            x = conv(x)
            layers.append(x)
        return [*layers, self.output_conv(x)]


class MultiPeriod(nn.Module):
    """One discriminator for each of the periods, which share no factor."""

    def __init__(
        self,
        periods: Sizes = (2, 3, 5, 7, 11),
        channels: Size = 32,
        largest: Size = 1024,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(Period(p, channels, largest, spectral) for p in periods)

    def forward(self, wave: Tensor) -> list[Layers]:
        """(B, 1, T) -> layers of each."""
        return [found(wave) for found in self.discriminators]


class MultiScale(nn.Module):
    """One for the waveform, with spectral normalisation, and one for each halving of its rate, with weight's."""

    def __init__(
        self, scales: Size = 3, channels: Size = 128, largest: Size = 1024, spectral: bool = False
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            Scale(channels, largest, spectral or scale == 0) for scale in range(scales)
        )
        self.pooling = nn.AvgPool1d(4, 2, padding=2)

    def forward(self, wave: Tensor) -> list[Layers]:
        """(B, 1, T) -> layers of each."""
        found = []
        for place, discriminator in enumerate(self.discriminators):
            wave = self.pooling(wave) if place else wave
            found.append(discriminator(wave))
        return found


class MultiResolution(nn.Module):
    """One for each (n_fft, hop)."""

    def __init__(
        self,
        resolutions: Windows = ((1024, 256), (2048, 512), (512, 128)),
        channels: Size = 32,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            Resolution(n_fft, hop, channels, spectral) for n_fft, hop in resolutions
        )

    def forward(self, wave: Tensor) -> list[Layers]:
        """(B, 1, T) -> layers of each."""
        return [found(wave) for found in self.discriminators]


KINDS = {"mpd": MultiPeriod, "msd": MultiScale, "mrd": MultiResolution}


class Discriminators(nn.Module):
    """Several kinds together.

    Args:
        wanted: kind -> its options, for example {"mpd": {"channels": 8}, "mrd": {"spectral": True}}; spectral: all
            weights with spectral normalisation, in place of weight normalisation.

    Raises:
        UserError: for an unknown kind or option, or an option of another kind.
    """

    def __init__(self, wanted: Mapping[str, Mapping[str, Any] | None]) -> None:
        super().__init__()
        for kind, options in mapping("discriminators", wanted).items():
            if kind not in KINDS:
                raise UserError(
                    f"discriminators: found {kind!r}, expected some of {', '.join(KINDS)}"
                )
            self.add_module(kind, made(f"discriminators: {kind}", KINDS[kind], options))

    def begin_update(self, number: int) -> None:
        """The training loop says that `number` updates are done."""
        if self.training:
            estimate_spectra(self)

    def forward(self, wave: Tensor) -> list[Layers]:
        """(B, 1, T) -> layers of every discriminator."""
        return [layers for kind in self.children() for layers in kind(wave)]
