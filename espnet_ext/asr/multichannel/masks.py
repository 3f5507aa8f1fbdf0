"""How much of each time-frequency bin is speech and how much is noise, by a small network that hears one microphone.

Letters in shapes: B batch, C microphones, F frequencies, T frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskEstimator(nn.Module):
    """A bidirectional LSTM over the log spectrum of each microphone by itself (Heymann et al. 2016).

    Every microphone goes through the same network, so that any number of them, in any order, will do; the mean over
    them is used for all. The level of every frequency is taken out per microphone first: what a microphone or a
    place does to the sound does not matter.

    Args:
        frequencies: F.
        width: of the projection and of each direction of the LSTM.
        layers: of the LSTM.
    """

    def __init__(self, frequencies: int, width: int = 128, layers: int = 1) -> None:
        super().__init__()
        self.narrow = nn.Linear(frequencies, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, bidirectional=True)
        self.widen = nn.Linear(2 * width, 2 * frequencies)

    def forward(self, spectra: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Masks of speech and noise, (B, F, T) each from 0 to 1; 0 past each length.

        Args:
            spectra: (B, C, F, T) complex.
            lengths: frames of each, (B,).
        """
        batch, channels, _, _ = spectra.shape
        logits = self.per_channel(spectra, lengths)
        speech, noise = logits.sigmoid().unflatten(0, (batch, channels)).mean(1).chunk(2, dim=1)
        inside = torch.arange(spectra.shape[-1], device=lengths.device) < lengths[:, None]
        return speech * inside[:, None], noise * inside[:, None]

    def per_channel(self, spectra: Tensor, lengths: Tensor) -> Tensor:
        """Logits of both masks for every microphone, (B * C, 2 F, T)."""
        channels, longest = spectra.shape[1], spectra.shape[-1]
        seen = log_level(spectra, lengths).flatten(0, 1).transpose(1, 2)  # (B * C, T, F)
        x = torch.tanh(self.narrow(seen))
        repeated = lengths.repeat_interleave(channels).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            x, repeated, batch_first=True, enforce_sorted=False
        )
        out, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=longest
        )
        return self.widen(out).transpose(1, 2)


def log_level(spectra: Tensor, lengths: Tensor) -> Tensor:
    """Log magnitudes of (B, C, F, T) with mean 0 over the frames of each microphone and frequency; 0 past the end."""
    level = (spectra.abs().square() + 1e-10).log()
    inside = (
        torch.arange(level.shape[-1], device=lengths.device) < lengths[:, None, None, None]
    ).to(level.dtype)
    mean = (level * inside).sum(-1, keepdim=True) / lengths[:, None, None, None]
    return 0.5 * (level - mean) * inside


def ideal_masks(speech: Tensor, noise: Tensor) -> Tensor:
    """What the masks should be where speech and noise are known: shares of the power, (B * C, 2 F, T).

    Args:
        speech, noise: spectra (B, C, F, T).
    """
    powers = [x.abs().square().flatten(0, 1) for x in (speech, noise)]
    share = powers[0] / (powers[0] + powers[1] + 1e-12)
    return torch.cat([share, 1 - share], dim=1)
