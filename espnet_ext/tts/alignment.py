"""Which token is spoken when, learned with the synthesiser (Badlani et al. 2022, "One TTS alignment to rule them all").

Letters in shapes: B batch, N tokens, T mel frames, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.blocks import length_mask
from espnet_ext.tts.inputs import require_room


class Aligner(nn.Module):
    """Soft alignment from distances between encoded tokens and encoded mel frames.

    Args:
        text_size: width of the encoded tokens.
        mel_size: mel bins.
        width: D.
        temperature: of the squared distances (paper, eq. 2).

    Attributes:
        attn: the last hard alignment, (B, T, N) of 0 and 1, kept for pictures.
    """

    def __init__(
        self, text_size: int, mel_size: int, width: int = 80, temperature: float = 0.05
    ) -> None:
        super().__init__()
        self.keys = nn.Sequential(
            nn.Conv1d(text_size, 2 * width, 3, padding=1), nn.ReLU(), nn.Conv1d(2 * width, width, 1)
        )
        self.queries = nn.Sequential(
            nn.Conv1d(mel_size, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(2 * width, width, 1),
            nn.ReLU(),
            nn.Conv1d(width, width, 1),
        )
        self.temperature = temperature
        self.attn: Tensor | None = None

    def forward(
        self, text: Tensor, mel: Tensor, text_mask: Tensor, mel_mask: Tensor, prior: Tensor
    ) -> Tensor:
        """Log probabilities of the tokens at each frame.

        Args:
            text: (B, N, D'), mel: (B, T, M).
            text_mask: (B, N), true for tokens; mel_mask: (B, T), true for frames.
            prior: (B, T, N), log of the beta-binomial prior.

        Returns:
            (B, T, N), normalised over N.
        """
        # the convolutions must see zeros behind an utterance's end, as they do when it is alone
        keys = self.keys((text * text_mask[..., None]).transpose(1, 2)).transpose(1, 2)
        queries = self.queries((mel * mel_mask[..., None]).transpose(1, 2)).transpose(1, 2)
        score = -self.temperature * torch.cdist(queries, keys).square()
        score = score.masked_fill(~text_mask[:, None, :], float("-inf")).log_softmax(-1) + prior
        return score.masked_fill(~text_mask[:, None, :], float("-inf")).log_softmax(-1)


def log_prior(text_lengths: Tensor, mel_lengths: Tensor) -> Tensor:
    """Log beta-binomial prior that keeps alignments near the diagonal (paper, section 3.1).

    Args:
        text_lengths, mel_lengths: (B,).

    Returns:
        (B, T, N): at frame t (from 1) of T the pmf over 0 .. N - 1 with alpha = t and beta = T + 1 - t; 0 where padded.
    """
    lengths = list(zip(text_lengths.tolist(), mel_lengths.tolist(), strict=True))
    out = torch.zeros(len(lengths), int(mel_lengths.max()), int(text_lengths.max()))
    factorials = torch.arange(1, sum(out.shape[1:]) + 1, dtype=torch.float64).lgamma()
    for row, (tokens, frames) in zip(out, lengths, strict=True):
        row[:frames, :tokens] = _log_prior(tokens, frames, factorials)
    return out.to(text_lengths.device)


def _log_prior(tokens: int, frames: int, factorials: Tensor) -> Tensor:
    """(frames, tokens); logarithms of 0!, 1!, ... up to (frames + tokens - 1)! at least.

    All arguments of the gamma functions are whole, and those with frame and token have their sum alone.
    """
    tokens_, frames_, both = (factorials[:n] for n in (tokens, frames, frames + tokens - 1))
    choose = tokens_[-1] - tokens_ - tokens_.flip(0)
    beta = frames_ + frames_.flip(0) - factorials[frames]
    joint = (both + both.flip(0)).unfold(0, tokens, 1)  # at (t, k) the one of t + k
    return (joint - factorials[frames + tokens - 1] - beta[:, None] + choose).float()


def forward_sum_loss(log_p: Tensor, text_lengths: Tensor, mel_lengths: Tensor) -> Tensor:
    """-log of the summed probability of all monotonic alignments, a mean over tokens (paper, eq. 5), by CTC.

    Args:
        log_p: (B, T, N), normalised over N.
        text_lengths, mel_lengths: (B,), with no more tokens than frames.
    """
    batch, _, tokens = log_p.shape
    blank = F.pad(log_p, (1, 0), value=-1.0).masked_fill(
        torch.isinf(F.pad(log_p, (1, 0), value=0.0)), -1e4
    )
    within = torch.arange(tokens + 1, device=log_p.device)[None] <= text_lengths[:, None]
    blank = blank.masked_fill(~within[:, None], -1e4).log_softmax(-1)
    targets = torch.arange(1, tokens + 1, device=log_p.device).expand(batch, -1)
    return F.ctc_loss(
        blank.transpose(0, 1),
        targets,
        mel_lengths,
        text_lengths,
        blank=0,
        reduction="mean",
        zero_infinity=True,
    )


def binarise_loss(log_p: Tensor, path: Tensor) -> Tensor:
    """-log probability of the hard path, a mean over frames (paper, eq. 7); (B, T, N) both."""
    return -(log_p.clamp(min=-30.0) * path).sum() / path.sum()


def best_durations(log_p: Tensor, text_lengths: Tensor, mel_lengths: Tensor) -> Tensor:
    """Frames of each token on the most likely monotonic path that visits every token (Viterbi).

    Args:
        log_p: (B, T, N).
        text_lengths, mel_lengths: (B,), with no more tokens than frames.

    Returns:
        (B, N) int64; each row sums to its mel length.
    """
    scores = log_p.detach().float().cpu().numpy()
    batch, frames, tokens = scores.shape
    scores = np.where(np.isinf(scores), -1e9, scores)
    best = np.full((batch, tokens), -np.inf, dtype=np.float64)
    best[:, 0] = scores[:, 0, 0]
    moved = np.zeros((batch, frames, tokens), dtype=bool)
    for t in range(1, frames):
        before = np.concatenate((np.full((batch, 1), -np.inf), best[:, :-1]), axis=1)
        moved[:, t] = before > best
        best = np.where(moved[:, t], before, best) + scores[:, t]
    return _backtrack(moved, text_lengths, mel_lengths).to(log_p.device)


def _backtrack(moved: np.ndarray, text_lengths: Tensor, mel_lengths: Tensor) -> Tensor:
    """Durations from the Viterbi choices (B, T, N): true where the path came from the token before."""
    batch, _, tokens = moved.shape
    durations = np.zeros((batch, tokens), dtype=np.int64)
    for b, (n, t) in enumerate(zip(text_lengths.tolist(), mel_lengths.tolist(), strict=True)):
        place = n - 1
        for frame in range(t - 1, -1, -1):
            durations[b, place] += 1
            # as many tokens as frames are left: the path has to go back at each of them
            if place and (moved[b, frame, place] or place == frame):
                place -= 1
    return torch.from_numpy(durations)


def hard_path(durations: Tensor, frames: int) -> Tensor:
    """(B, N) durations -> (B, T, N) of 0 and 1; frames past an utterance's end are 0."""
    ends = durations.cumsum(1)
    t = torch.arange(frames, device=durations.device)[None, :, None]
    return ((t < ends[:, None]) & (t >= (ends - durations)[:, None])).float()


@dataclass(frozen=True)
class Alignment:
    """What was found of a batch.

    Attributes:
        log_p: (B, T, N), soft.
        durations: (B, N) int64, of the most likely path.
        path: (B, T, N) of 0 and 1, that path.
    """

    log_p: Tensor
    durations: Tensor
    path: Tensor

    def losses(
        self,
        text_lengths: Tensor,
        mel_lengths: Tensor,
        weight: float,
        binarise_weight: float,
        binarise: bool,
    ) -> dict[str, Tensor]:
        """What the aligner learns from; `binarise`: whether the soft alignment has formed, else that part is 0."""
        forward_sum = forward_sum_loss(self.log_p, text_lengths, mel_lengths)
        hard = binarise_loss(self.log_p, self.path) if binarise else self.log_p.new_zeros(())
        return {
            "forward_sum": weight * forward_sum,
            "binarise": binarise_weight * hard,
        }


def align(
    aligner: Aligner,
    text: Tensor,
    mel: Tensor,
    text_lengths: Tensor,
    mel_lengths: Tensor,
) -> Alignment:
    """Align encoded tokens (B, N, D') with log-mel (B, T, M), both as long as their longest.

    The aligner keeps the path for pictures.

    Raises:
        UserError: for an utterance with more tokens than frames.
    """
    require_room(text_lengths, mel_lengths)
    masks = length_mask(text_lengths), length_mask(mel_lengths)
    log_p = aligner(text, mel, *masks, log_prior(text_lengths, mel_lengths))
    durations = best_durations(log_p, text_lengths, mel_lengths)
    aligner.attn = hard_path(durations, mel.shape[1])
    return Alignment(log_p, durations, aligner.attn)


def token_means(values: Tensor, path: Tensor) -> Tensor:
    """Mean of frame values (B, T, K) over each token's frames of a hard path (B, T, N) -> (B, N, K).

    In 32 bits whatever the model computes in: half of them would round the logarithm of F0 to half a semitone.
    """
    with torch.autocast(values.device.type, enabled=False):
        return path.transpose(1, 2) @ values / path.sum(1)[..., None].clamp(min=1.0)


def frame_tokens(durations: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Which token each frame speaks, and where in it the frame is: the length regulator, without a matrix.

    Args:
        durations: (B, N) int64; not all of a row are 0.
        frames: T, no fewer than the longest row has.

    Returns:
        (B, T) int64 and (B, T): the token's number, and that number - 1/2 at the token's beginning, + 1/2 at its end.
        Frames behind an utterance's end are of its last spoken token.
    """
    ends = durations.cumsum(1)
    t = torch.arange(frames, device=durations.device).expand(len(durations), -1)
    t = torch.minimum(t, ends[:, -1:] - 1)
    number = torch.searchsorted(ends, t.contiguous(), right=True)
    lasts = durations.gather(1, number)
    within = (t - (ends.gather(1, number) - lasts) + 0.5) / lasts
    return number, number + within - 0.5


def spread(tokens: Tensor, number: Tensor) -> Tensor:
    """Values (B, N, D) of tokens to the frames that speak them; number (B, T) -> (B, T, D)."""
    return tokens.gather(1, number[..., None].expand(-1, -1, tokens.shape[2]))
