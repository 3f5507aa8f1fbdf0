"""WaveGlow: noise becomes speech through invertible steps, so that the likelihood of speech is known.

Prenger et al. 2019, after Glow (Kingma and Dhariwal 2018). It learns by likelihood alone, without discriminators.
Letters in shapes: B batch, M mel bins, F frames, T samples = F * hop, G samples of a group, L = T / G groups.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder.gated import through_gate
from espnet_ext.vocoder.norm import weight_norm
from espnet_ext.vocoder.options import Deviation, Size, Weight


class Mix(nn.Module):
    """An invertible 1x1 convolution (Glow, section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        turned = torch.linalg.qr(torch.randn(channels, channels)).Q
        if torch.det(turned) < 0:
            turned[:, 0] = -turned[:, 0]
        self.weight = nn.Parameter(turned)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, G, L) -> (B, G, L), logarithm of the determinant of one group's step."""
        return F.conv1d(x, self.weight[..., None]), torch.linalg.slogdet(self.weight).logabsdet

    def inverse(self, x: Tensor) -> Tensor:
        """(B, G, L) -> (B, G, L)."""
        back = torch.linalg.inv(self.weight.double()).to(x.dtype)
        return F.conv1d(x, back[..., None])


class Coupling(nn.Module):
    """Scales and shifts half of the channels by what a dilated network makes of the other half and the spectrogram."""

    def __init__(self, channels: int, mel: int, width: int, layers: int, kernel: int) -> None:
        super().__init__()
        self.kept, self.width, rest = channels // 2, width, channels - channels // 2
        self.start = weight_norm(nn.Conv1d(self.kept, width, 1))
        self.cond = weight_norm(nn.Conv1d(mel, 2 * width * layers, 1))
        self.convs, self.outs = nn.ModuleList(), nn.ModuleList()
        for number in range(layers):
            dilation = 2**number
            padding = dilation * (kernel - 1) // 2
            conv = nn.Conv1d(width, 2 * width, kernel, padding=padding, dilation=dilation)
            self.convs.append(weight_norm(conv))
            out = width if number == layers - 1 else 2 * width
            self.outs.append(weight_norm(nn.Conv1d(width, out, 1)))
        self.end = nn.Conv1d(width, 2 * rest, 1)
        nn.init.zeros_(self.end.weight)  # begins as no change at all
        assert self.end.bias is not None
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, G, L), (B, M, L) -> (B, G, L), logarithms of the scales (B, G / 2, L)."""
        kept, changed = x[:, : self.kept], x[:, self.kept :]
        log_scale, shift = self._network(kept, mel)
        return torch.cat([kept, changed * log_scale.exp() + shift], dim=1), log_scale

    def inverse(self, x: Tensor, mel: Tensor) -> Tensor:
        """(B, G, L), (B, M, L) -> (B, G, L)."""
        kept, changed = x[:, : self.kept], x[:, self.kept :]
        log_scale, shift = self._network(kept, mel)
        return torch.cat([kept, (changed - shift) * (-log_scale).exp()], dim=1)

    def _network(self, x: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """A WaveNet that sees both ways; (B, G / 2, L) -> two of (B, G / 2, L)."""
        x, given = self.start(x), self.cond(mel).chunk(len(self.convs), dim=1)
        total = torch.zeros((), device=x.device)
        for conv, out, more in zip(self.convs, self.outs, given, strict=True):
            y = out(through_gate(conv(x) + more))
            if y.shape[1] > self.width:
                x = x + y[:, : self.width]
            total = total + y[:, -self.width :]
        shift, log_scale = self.end(total).float().chunk(2, dim=1)
        return log_scale, shift


class WaveGlow(nn.Module):
    """The generator.

    Args:
        in_channels: mel bins.
        hop_length: samples a frame.
        group: G, even.
        flows: steps.
        early_every, early_size: after so many steps so many channels are done; a number of steps, an even number.
        layers, channels, kernel: of the network in each step.
        sigma: deviation of the noise in training.
        temperature: deviation of the noise that speech is made of.

    Raises:
        UserError: for sizes that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        group: Size = 8,
        flows: Size = 12,
        early_every: Size = 4,
        early_size: Size = 2,
        layers: Size = 8,
        channels: Size = 256,
        kernel: Size = 3,
        sigma: Deviation = 1.0,
        temperature: Weight = 0.6,
    ) -> None:
        super().__init__()
        left = group - early_size * ((flows - 1) // early_every)
        if left < 2 or group % 2 or early_size % 2 or kernel % 2 == 0:
            raise UserError(
                f"generator_conf: found group {group}, early_size {early_size}, kernel {kernel} and {left} channels in "
                f"the last of {flows} flows, expected even sizes, an odd kernel, and 2 channels or more at the end"
            )
        self.hop_length, self.group, self.early_every = hop_length, group, early_every
        self.early_size, self.sigma, self.temperature = early_size, sigma, temperature
        self.upsample = nn.ConvTranspose1d(in_channels, in_channels, 4 * hop_length, hop_length)
        self.mixes, self.couplings = nn.ModuleList(), nn.ModuleList()
        size = group
        for number in range(flows):
            size -= early_size if self._is_early(number) else 0
            self.mixes.append(Mix(size))
            self.couplings.append(Coupling(size, in_channels * group, channels, layers, kernel))

    def _is_early(self, number: int) -> bool:
        """Whether some channels are done before step `number`."""
        return number > 0 and number % self.early_every == 0

    def _condition(self, mel: Tensor) -> Tensor:
        """(B, M, F) -> (B, M * G, L), L rounded up."""
        samples = mel.shape[2] * self.hop_length
        # a frame's window is centred at its sample
        x = self.upsample(mel)[..., 2 * self.hop_length :][..., :samples]
        x = F.pad(x, (0, -samples % self.group))
        return x.unflatten(2, (-1, self.group)).transpose(2, 3).flatten(1, 2)

    def encode(self, mel: Tensor, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Noise that gives a waveform: mel (B, M, F), (B, T) -> (B, G, L), logarithm of the Jacobian (B,)."""
        given = self._condition(mel)
        groups = wave.shape[1] // self.group
        given = given[..., :groups]
        x = wave[:, : groups * self.group].unflatten(1, (-1, self.group)).transpose(1, 2)
        done, jacobian = [], x.new_zeros(len(x))
        for number, (mix, coupling) in enumerate(zip(self.mixes, self.couplings, strict=True)):
            if self._is_early(number):
                done.append(x[:, : self.early_size])
                x = x[:, self.early_size :]
            with torch.autocast(x.device.type, enabled=False):
                x, turned = mix(x.float() if x.dtype != torch.float64 else x)
            x, log_scale = coupling(x, given)
            jacobian = jacobian + log_scale.sum((1, 2)) + groups * turned
        return torch.cat([*done, x], dim=1), jacobian

    def loss(self, mel: Tensor, wave: Tensor) -> Tensor:
        """Mean negative log-likelihood of a sample in nats; mel (B, M, F), wave (B, T)."""
        z, jacobian = self.encode(mel, wave)
        normal = 0.5 * (z / self.sigma).square() + math.log(self.sigma * math.sqrt(2 * math.pi))
        return (normal.sum((1, 2)) - jacobian).mean() / z[0].numel()

    def decode(self, mel: Tensor, z: Tensor) -> Tensor:
        """mel (B, M, F), noise (B, G, L) -> (B, G * L)."""
        given = self._condition(mel)[..., : z.shape[2]]
        sizes = [self.early_size] * sum(map(self._is_early, range(len(self.mixes))))
        *done, x = z.split([*sizes, z.shape[1] - sum(sizes)], dim=1)
        for number in reversed(range(len(self.mixes))):
            x = self.couplings[number].inverse(x, given)  # type: ignore[operator]
            x = self.mixes[number].inverse(x)  # type: ignore[operator]
            if self._is_early(number):
                x = torch.cat([done.pop(), x], dim=1)
        return x.transpose(1, 2).flatten(1)

    def forward(self, mel: Tensor, g: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """(B, M, F), noise (B, G, L) of deviation 1 (None = the same every time) -> (B, 1, T)."""
        samples = mel.shape[2] * self.hop_length
        if noise is None:
            shape = (-(-samples // self.group), self.group)
            drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            noise = drawn.T.to(mel).expand(len(mel), -1, -1)
        return self.decode(mel, self.temperature * noise)[:, None, :samples]
