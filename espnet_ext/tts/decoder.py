"""Frames to mel spectrograms: a Transformer with cross-attention to the text, whole utterances in one pass.

Letters in shapes: B batch, N tokens, T mel frames, M mel bins, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.tts.blocks import Source, Stack
from espnet_ext.tts.flow_matching import TimeEmbedding, flow_loss, noise_like, solve
from espnet_ext.tts.masks import masked_mean
from espnet_ext.tts.options import number, one_of
from espnet_ext.tts.ssim import ssim_loss


@dataclass(frozen=True)
class DecoderOptions:
    """The decoder.

    Attributes:
        kind: transformer (L1, the same every time) or flow (flow matching, draws).
        blocks: depth.
        width: of the blocks; 0 = the model's.
        heads: of attention to frames and to tokens.
        inner: width between a block's two convolutions.
        kernel: of the first of them, odd.
        cross: attention from the frames to the encoded text.
        dropout: of what the blocks add.
        postnet: convolutions after it that mend the spectrogram (Shen et al. 2018); 0 = none. Kind transformer;
            without effect with flow, as the next two are.
        postnet_width: of these.
        ssim_weight: of 1 - structural similarity; 0 = not computed.
        steps: of the solver. Kind flow; without effect with transformer.
    """

    kind: str = "transformer"
    blocks: int = number(4, 1)
    width: int = number(0, 0)
    heads: int = number(2, 1)
    inner: int = number(1024, 1)
    kernel: int = number(5, 1)
    cross: bool = True
    dropout: float = number(0.1, 0, 0.99)
    postnet: int = number(5, 0)
    postnet_width: int = number(256, 1)
    ssim_weight: float = number(0.0, 0)
    steps: int = number(8, 1)


@dataclass(frozen=True)
class Frames:
    """What a decoder reads.

    Attributes:
        x: (B, T, D): for each frame, the token that it speaks, with voice, pitch and energy.
        mask: (B, T).
        source: the tokens themselves.
    """

    x: Tensor
    mask: Tensor
    source: Source


class Decoder(Protocol):
    """What the model wants of a decoder."""

    def losses(self, frames: Frames, feats: Tensor) -> dict[str, Tensor]:
        """Against normalised log-mel (B, T, M); "mel" is comparable between kinds."""

    def generate(self, frames: Frames, spread: float) -> Tensor:
        """Mel (B, T, M); `spread` is the deviation of what is drawn."""


class Trunk(nn.Module):
    """Blocks over frames that see the text.

    Args:
        width: D.
        options: see there.
    """

    def __init__(self, width: int, options: DecoderOptions) -> None:
        super().__init__()
        self.width = options.width or width
        self.cross = options.cross
        other = self.width != width
        self.enter = nn.Linear(width, self.width) if other else nn.Identity()
        self.enter_text = nn.Linear(width, self.width) if other and options.cross else nn.Identity()
        self.stack = Stack(
            options.blocks,
            self.width,
            options.heads,
            options.inner,
            options.kernel,
            options.dropout,
            cross=options.cross,
        )

    def forward(self, frames: Frames, added: Tensor | None = None) -> Tensor:
        """Frames, and what is added to them (B, T or 1, D') -> (B, T, D')."""
        x = self.enter(frames.x) if added is None else self.enter(frames.x) + added
        if not self.cross:
            return self.stack(x, frames.mask)
        source = frames.source
        seen = Source(self.enter_text(source.x), source.mask, source.places)
        return self.stack(x, frames.mask, seen)


class PostNet(nn.Module):
    """Convolutions that add what is missing (Shen et al. 2018), with LayerNorm where the paper has BatchNorm.

    LayerNorm does not mix utterances, so that a batch gives what each gives alone.
    """

    def __init__(self, mels: int, width: int, layers: int, kernel: int = 5) -> None:
        super().__init__()
        sizes = [mels, *[width] * (layers - 1)]
        self.convs = nn.ModuleList(
            nn.Conv1d(a, width, kernel, padding=kernel // 2) for a in sizes[:-1]
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in sizes[:-1])
        self.last = nn.Conv1d(sizes[-1], mels, kernel, padding=kernel // 2)
        self.dropout = ByteDropout(0.2)

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        """(B, T, M), mask (B, T) -> (B, T, M)."""
        x = mel
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv((x * mask[..., None]).transpose(1, 2)).transpose(1, 2))
            x = self.dropout(F.silu(x))
        return mel + self.last((x * mask[..., None]).transpose(1, 2)).transpose(1, 2)


class TransformerDecoder(nn.Module):
    """Blocks, a projection and a post-net: L1 before and after it.

    Args:
        width: D.
        mels: M.
        options: see there.
    """

    def __init__(self, width: int, mels: int, options: DecoderOptions) -> None:
        super().__init__()
        self.ssim_weight = options.ssim_weight
        self.trunk = Trunk(width, options)
        self.out = nn.Linear(self.trunk.width, mels)
        self.postnet = (
            PostNet(mels, options.postnet_width, options.postnet) if options.postnet else None
        )

    def _both(self, frames: Frames) -> tuple[Tensor, Tensor]:
        """Mel (B, T, M) before and after the post-net."""
        mel = self.out(self.trunk(frames))
        return mel, mel if self.postnet is None else self.postnet(mel, frames.mask)

    def losses(self, frames: Frames, feats: Tensor) -> dict[str, Tensor]:
        """L1 of what is spoken, L1 before the post-net, structural dissimilarity; feats (B, T, M)."""
        before, after = self._both(frames)
        losses = {"mel": masked_mean((after - feats).abs(), frames.mask)}
        if self.postnet is not None:
            losses["mel_before"] = masked_mean((before - feats).abs(), frames.mask)
        if self.ssim_weight:
            losses["ssim"] = self.ssim_weight * ssim_loss(after, feats, frames.mask)
        return losses

    def generate(self, frames: Frames, spread: float = 0.0) -> Tensor:
        """Mel (B, T, M); `spread` has no meaning here."""
        return self._both(frames)[1]


class FlowDecoder(nn.Module):
    """A mean spectrogram, and flow matching that draws the rest (Matcha-TTS, Mehta et al. 2024).

    The field is a Transformer with cross-attention, not the paper's U-Net; noise is moved to the difference between
    the spectrogram and its mean.

    Args:
        width: D.
        mels: M.
        options: see there.
    """

    def __init__(self, width: int, mels: int, options: DecoderOptions) -> None:
        super().__init__()
        self.steps, self.mels = options.steps, mels
        self.mean = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, mels)
        )
        self.trunk = Trunk(width, options)
        self.time = TimeEmbedding(self.trunk.width)
        self.enter = nn.Linear(2 * mels, self.trunk.width)
        self.out = nn.Linear(self.trunk.width, mels)

    def _field(self, frames: Frames, mean: Tensor, place: Tensor, t: Tensor) -> Tensor:
        added = self.enter(torch.cat((mean, place), -1)) + self.time(t)[:, None]
        return self.out(self.trunk(frames, added))

    def losses(self, frames: Frames, feats: Tensor) -> dict[str, Tensor]:
        """L1 of the mean spectrogram, squared error of the field; feats (B, T, M)."""
        mean = self.mean(frames.x)
        aim = feats - mean.detach()

        def field(place: Tensor, t: Tensor) -> Tensor:
            return self._field(frames, mean.detach(), place, t)

        return {
            "mel": masked_mean((mean - feats).abs(), frames.mask),
            "flow": flow_loss(field, aim, frames.mask),
        }

    def generate(self, frames: Frames, spread: float = 0.667) -> Tensor:
        """Mel (B, T, M), drawn with `spread` as the noise's deviation; 0 gives the same every time."""
        mean = self.mean(frames.x)
        start = spread * noise_like(mean)
        return mean + solve(lambda at, t: self._field(frames, mean, at, t), start, self.steps)


def make_decoder(width: int, mels: int, options: DecoderOptions) -> Decoder:
    """The decoder of a kind."""
    one_of("decoder.kind", options.kind, ("transformer", "flow"))
    return (FlowDecoder if options.kind == "flow" else TransformerDecoder)(width, mels, options)
