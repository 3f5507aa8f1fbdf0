"""From predicted amplitude and phase to the waveform, as the last layer of a generator.

Letters in shapes: B batch, K = n_fft / 2 + 1 bins, F frames, T samples = F * hop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: exp of this is a hundred: amplitudes of speech in [-1, 1] stay far below, and a young generator cannot explode.
_LOUDEST = math.log(100.0)


def polar(log_amplitude: Tensor, phase: Tensor) -> Tensor:
    """A complex spectrum, no louder than speech can be."""
    amplitude = log_amplitude.clamp(max=_LOUDEST).exp()
    return torch.complex(amplitude * torch.cos(phase), amplitude * torch.sin(phase))


class InverseSTFT(nn.Module):
    """Frame k is centred at sample k * hop, as the mel spectrogram's is; F frames give F * hop samples.

    Args:
        n_fft: length of the transform and of the Hann window.
        hop: samples from frame to frame, at most n_fft / 2.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, log_amplitude: Tensor, phase: Tensor) -> Tensor:
        """Two tensors (B, K, F), float32, the phase in radians -> (B, T)."""
        return self.wave(polar(log_amplitude, phase))

    def wave(self, spectrum: Tensor) -> Tensor:
        """Complex (B, K, F) -> (B, T)."""
        frames = torch.fft.irfft(spectrum, self.n_fft, dim=1) * self.window[:, None]
        number = frames.shape[2]
        wave = self._overlap(frames)
        weight = self._overlap((self.window**2)[None, :, None].expand(1, -1, number))
        begin = self.n_fft // 2
        wave = wave[:, begin : begin + number * self.hop]
        return wave / weight[:, begin : begin + number * self.hop].clamp(min=1e-8)

    def _overlap(self, frames: Tensor) -> Tensor:
        """(B, n_fft, F) -> (B, (F - 1) * hop + n_fft): the frames added where they overlap."""
        length = (frames.shape[2] - 1) * self.hop + self.n_fft
        folded = nn.functional.fold(
            frames, (1, length), kernel_size=(1, self.n_fft), stride=(1, self.hop)
        )
        return folded[:, 0, 0]
