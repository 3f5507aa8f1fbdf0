"""Losses of a vocoder: how far it is from the recording, and what the discriminators say.

Letters in shapes: B batch, T samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError

Layers = Sequence[Tensor]
ADVERSARIAL = ("mse", "hinge")
#: Parallel WaveGAN's: (n_fft, hop, win_length) in samples.
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))


def check_kind(kind: str) -> str:
    """The name of an adversarial loss.

    Raises:
        UserError: for another one.
    """
    if kind not in ADVERSARIAL:
        raise UserError(f"adversarial: found {kind!r}, expected {' or '.join(ADVERSARIAL)}")
    return kind


def generator_loss(judged: Sequence[Layers], kind: str = "mse") -> Tensor:
    """What the generator pays for being found out, added up over discriminators.

    mse: (1 - D)^2 (least squares, Mao et al. 2017); hinge: -D (Lim and Ye 2017).
    """
    verdicts = [layers[-1].float() for layers in judged]
    losses = [(1 - v).square().mean() if kind == "mse" else -v.mean() for v in verdicts]
    return torch.stack(losses).sum()


def discriminator_loss(
    recorded: Sequence[Layers], generated: Sequence[Layers], kind: str = "mse"
) -> tuple[Tensor, Tensor]:
    """What the discriminators pay for recordings and for generated speech, added up."""
    pairs = [(r[-1].float(), g[-1].float()) for r, g in zip(recorded, generated, strict=True)]
    if kind == "mse":
        real = [(1 - r).square().mean() for r, _ in pairs]
        fake = [g.square().mean() for _, g in pairs]
    else:
        real = [F.relu(1 - r).mean() for r, _ in pairs]
        fake = [F.relu(1 + g).mean() for _, g in pairs]
    return torch.stack(real).sum(), torch.stack(fake).sum()


def feature_loss(recorded: Sequence[Layers], generated: Sequence[Layers]) -> Tensor:
    """L1 between what the layers see in both (feature matching, Larsen et al. 2016), added up as in HiFi-GAN."""
    losses = [
        (r.detach().float() - g.float()).abs().mean()
        for real, fake in zip(recorded, generated, strict=True)
        for r, g in zip(real[:-1], fake[:-1], strict=True)
    ]
    return torch.stack(losses).sum()


class SpectrumLoss(nn.Module):
    """Spectral convergence and L1 of log amplitudes at several resolutions (Yamamoto et al. 2020, equations 3 to 6).

    Args:
        resolutions: (n_fft, hop, win_length) each.
    """

    def __init__(self, resolutions: Sequence[Sequence[int]] = RESOLUTIONS) -> None:
        super().__init__()
        self.resolutions = [tuple(sizes) for sizes in resolutions]
        for place, (_, _, width) in enumerate(self.resolutions):
            self.register_buffer(f"window{place}", torch.hann_window(width), persistent=False)

    def forward(self, generated: Tensor, recorded: Tensor) -> Tensor:
        """Two waveforms (B, T), float32 -> a number, the mean over the resolutions."""
        losses = []
        for place in range(len(self.resolutions)):
            fake, real = (self._amplitudes(wave, place) for wave in (generated, recorded))
            distance = torch.linalg.vector_norm(real - fake)
            losses.append(distance / torch.linalg.vector_norm(real).clamp(min=1e-5))
            losses.append((real.log() - fake.log()).abs().mean())
        return torch.stack(losses).sum() / len(self.resolutions)

    def _amplitudes(self, wave: Tensor, place: int) -> Tensor:
        n_fft, hop, width = self.resolutions[place]
        window = getattr(self, f"window{place}")
        found = torch.stft(wave, n_fft, hop, width, window, return_complex=True)
        return (found.real**2 + found.imag**2).clamp(min=1e-7).sqrt()
