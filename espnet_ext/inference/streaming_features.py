"""Features of sound that comes piece by piece: those of the whole, frame for frame.

Letters in shapes: F feature frames, M mel bins.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espnet_ext.errors import UserError


class FeatureStream:
    """The front end and the normalisation of a model, over a growing signal.

    A frame is centred on its sample and sees half a window on either side, mirrored at the ends of the signal. So a
    frame comes as soon as its half window is there. The front end itself is run on a piece that begins half a window
    early, on a multiple of the hop, and what it gives near that beginning is thrown away.

    Args:
        frontend: ESPnet's default one: `frontend.stft`, `frontend.hop_length`.
        normalize: GlobalMVN, or None.

    Raises:
        UserError: for a front end or a normalisation that has to see the whole.
    """

    def __init__(self, frontend: Any, normalize: Any) -> None:
        _check(frontend, normalize)
        self.frontend, self.normalize = frontend, normalize
        self.reach, self.hop = frontend.stft.n_fft // 2, frontend.stft.hop_length
        self.held = torch.zeros(0)
        self.begin = 0  # sample that `held` begins with, a multiple of the hop
        self.frames = 0  # given so far

    @property
    def samples(self) -> int:
        """Heard so far."""
        return self.begin + len(self.held)

    @torch.no_grad()
    def feed(self, samples: Tensor, last: bool = False) -> Tensor:
        """The next samples (T,), float -> the frames that are complete with them, (F, M).

        Args:
            samples: any number.
            last: nothing follows, so that the last frames can be mirrored.
        """
        self.held = torch.cat((self.held, samples))
        ready = self._ready(last)
        if ready <= self.frames:
            return samples.new_zeros(0, self.frontend.output_size())
        feats, lengths = self.frontend(self.held[None], torch.tensor([len(self.held)]))
        if self.normalize is not None:
            feats, lengths = self.normalize(feats, lengths)
        first = self.begin // self.hop
        found: Tensor = feats[0, self.frames - first : ready - first]
        self.frames = ready
        self._forget()
        return found

    def _ready(self, last: bool) -> int:
        """Frames that can be computed."""
        if self.samples <= self.reach:  # nothing to mirror
            return 0
        if last:
            return self.samples // self.hop + 1
        return (self.samples - self.reach) // self.hop + 1

    def _forget(self) -> None:
        """Samples that no coming frame sees, and whose mirror image none sees."""
        hops = max(0, (self.frames * self.hop - self.reach) // self.hop)
        start = min(hops, (self.samples - self.reach - 1) // self.hop) * self.hop
        if start > self.begin:
            self.held, self.begin = self.held[start - self.begin :], start


def _check(frontend: Any, normalize: Any) -> None:
    stft = getattr(frontend, "stft", None)
    if stft is None or not stft.center or getattr(frontend, "multichannel", False):
        found = "none" if frontend is None else type(frontend).__name__
        raise UserError(f"frontend: found {found}, expected `default` of one channel for a stream")
    if normalize is not None and type(normalize).__name__ != "GlobalMVN":
        raise UserError(
            f"normalize: found {type(normalize).__name__}, which needs the whole utterance, expected global_mvn or "
            "none for a stream: train with it"
        )
