"""Pitch and energy: predicted, looked up in a table, added to what the decoder reads.

Letters in shapes: B batch, L tokens or frames, N tokens, T mel frames, D width. A value of pitch is the natural
logarithm of F0 in Hz, 0 where there is no voice; one of energy that of the spectrum's amplitude.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.errors import UserError
from espnet_ext.tts.alignment import token_means
from espnet_ext.tts.masks import masked_mean
from espnet_ext.tts.options import number, one_of
from espnet_ext.tts.statistics import Standardise

SEMITONE = 0.05776226504666211  # ln 2 / 12
#: quietest amplitude that is told from silence, some 80 dB below full scale
FLOOR = 0.05


@dataclass(frozen=True)
class ContourOptions:
    """A predictor of pitch or energy.

    Attributes:
        level: token (a mean over a token's frames), frame, or none (neither predicted nor used).
        layers: residual convolutions.
        kernel: their size, odd.
        dropout: in them.
        bins: of the table of embeddings.
        reach: the table goes from - reach to reach standard deviations.
        updates: batches from which mean and deviation are found.
    """

    level: str = "token"
    layers: int = number(4, 0)
    kernel: int = number(5, 1)
    dropout: float = number(0.2, 0, 0.99)
    bins: int = number(256, 2)
    reach: float = number(4.0, 0.1)
    updates: int = number(200, 0)


@dataclass(frozen=True)
class Track:
    """A contour.

    Attributes:
        value: (B, L), the logarithm, as is.
        present: (B, L), from 0 to 1: how much of it there is. Energy is everywhere.
    """

    value: Tensor
    present: Tensor


class ResidualConvs(nn.Module):
    """x + dropout(ReLU(convolution(LayerNorm(x)))), several times, and a projection.

    Args:
        width: D.
        outputs: numbers for each token or frame.
        layers, kernel, dropout: as in `ContourOptions`.
    """

    def __init__(self, width: int, outputs: int, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"found kernel {kernel}, expected an odd number")
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(layers)
        )
        self.dropout = ByteDropout(dropout)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), mask (B, L) -> (B, L, outputs)."""
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv((norm(x) * mask[..., None]).transpose(1, 2)).transpose(1, 2)
            x = x + self.dropout(F.relu(y))
        return self.out(x)


class Lookup(nn.Module):
    """A table of embeddings over a quantised value; between two bins, what lies between their vectors.

    It starts as a straight line through the values, so that bins which training never meets (a pitch shifted far)
    are no noise.

    Args:
        width: D.
        bins: of the table, 2 or more.
        reach: values go from - reach to reach; beyond, the last bin is taken.
    """

    def __init__(self, width: int, bins: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        steps = torch.linspace(-reach, reach, bins)[:, None]
        self.table = nn.Parameter(0.3 * steps * torch.randn(width) + 0.3 * torch.randn(width))

    def forward(self, values: Tensor) -> Tensor:
        """(B, L) -> (B, L, D)."""
        last = len(self.table) - 1
        place = (values.clamp(-self.reach, self.reach) / self.reach + 1) / 2 * last
        low = place.floor().long().clamp(0, last - 1)  # NaN has a place in the table, and stays NaN
        over = (place - low)[..., None]
        return torch.lerp(F.embedding(low, self.table), F.embedding(low + 1, self.table), over)


class Contour(nn.Module):
    """Predictor, scale and table of one contour.

    Args:
        name: pitch or energy.
        width: D.
        options: see there.
    """

    def __init__(self, name: str, width: int, options: ContourOptions) -> None:
        super().__init__()
        one_of(f"{name}.level", options.level, ("token", "frame"))
        self.name, self.by_frame, self.gaps = name, options.level == "frame", name == "pitch"
        supposed = (5.0, 0.3) if self.gaps else (1.5, 1.5)
        self.standard = Standardise(*supposed, updates=options.updates)
        outputs = 2 if self.gaps else 1
        self.predictor = ResidualConvs(
            width, outputs, options.layers, options.kernel, options.dropout
        )
        self.table = Lookup(width, options.bins, options.reach)
        self.absent = nn.Parameter(0.3 * torch.randn(width)) if self.gaps else None

    def target(self, given: Tensor, path: Tensor, mask: Tensor) -> Track:
        """The true contour by token or frame, after its statistics are taken.

        Args:
            given: (B, T, 1): log F0 with 0 where there is no voice, or the amplitude.
            path: (B, T, N), which token is spoken when; mask: (B, T).

        Raises:
            UserError: if it has been normalised already.
        """
        given = given[:, : path.shape[1], 0] * mask
        if self.standard.open:
            self._check(given)
        if self.gaps:
            present, value = (given != 0).to(given.dtype), given
        else:
            present, value = mask.to(given.dtype), (given + FLOOR).log()
        self.standard.see(value, present > 0)
        if self.by_frame:
            return Track(value, present)
        sums, share = (token_means(v[..., None], path)[..., 0] for v in (value * present, present))
        return Track(sums / share.clamp(min=1e-6), share)

    def _check(self, given: Tensor) -> None:
        low, high = float(given.min()), float(given.max())
        right = (low >= 0) if not self.gaps else (low >= 0 and high < 9)
        if not right:
            kind = "log F0" if self.gaps else "amplitudes"
            raise UserError(
                f"{self.name}: found values from {low:.2f} to {high:.2f}, expected {kind} as extracted, 0 for none: "
                f"this model normalises by itself, set {self.name}_normalize: null"
                + (" and pitch_extract_conf's use_log_f0: true" if self.gaps else "")
            )

    def predict(self, x: Tensor, mask: Tensor, shift: Tensor) -> Track:
        """What the text suggests, moved by `shift` (B, L) in logarithms; x (B, L, D), mask (B, L)."""
        found = self.predictor(x, mask)
        value = self.standard.back(found[..., 0]) + shift
        if not self.gaps:
            return Track(value, mask.to(x.dtype))
        present = found[..., 1].sigmoid()
        return Track(value, (present > 0.5).to(x.dtype) if self.by_frame else present)

    def losses(self, x: Tensor, mask: Tensor, true: Track) -> dict[str, Tensor]:
        """Absolute error in standard deviations where there is something; cross-entropy of whether there is."""
        found = self.predictor(x, mask)
        wanted = self.standard(true.value)
        error = (found[..., 0] - wanted).abs()
        there = (true.present > 0) & mask  # a token may have no frames
        if not self.gaps:
            return {self.name: masked_mean(error, there)}
        voicing = F.binary_cross_entropy_with_logits(
            found[..., 1], true.present.clamp(0, 1), reduction="none"
        )
        return {self.name: masked_mean(error, there), "voicing": masked_mean(voicing, mask)}

    def embed(self, track: Track) -> Tensor:
        """(B, L, D), to be added to tokens or frames."""
        found = self.table(self.standard(track.value))
        if self.absent is None:
            return found
        return torch.lerp(self.absent.expand_as(found), found, track.present[..., None])

    def reading(self, track: Track) -> Tensor:
        """A predicted contour (B, L) for people: log F0 with 0 where there is no voice, or the amplitude."""
        if self.gaps:
            return track.value * (track.present > 0.5)
        return track.value.exp()
