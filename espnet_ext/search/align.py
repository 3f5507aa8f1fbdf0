"""When each token is said: the most likely way to say a sentence, by CTC (forced alignment).

Viterbi over blank, first token, blank, second token, ... (Graves et al. 2006, section 4.1, with the maximum for the
sum). CTC is sure of a token in the frame or two where it has heard enough of it, so stretches are short and may lie
late.

Letters in shapes: U utterances, T frames, S states (2 L + 1), L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espnet_ext.search.ctc import BLANK

NEG = -np.inf


@dataclass(frozen=True)
class Path:
    """The best way to say a sentence.

    Attributes:
        spans: first frame of each token and the one behind its last, (L, 2).
        peaks: greatest probability of each token in its frames, (L,).
        score: log-probability of the way.
    """

    spans: np.ndarray
    peaks: np.ndarray
    score: float


def states_of(tokens: Sequence[int]) -> np.ndarray:
    """Tokens with blank around and between them, (S,).

    >>> states_of([5, 7]).tolist()
    [0, 5, 0, 7, 0]
    """
    states = np.full(2 * len(tokens) + 1, BLANK, dtype=np.int64)
    states[1::2] = tokens
    return states


def align(log_probs: Sequence[Tensor], sentences: Sequence[Sequence[int]]) -> list[Path | None]:
    """The best way to say each sentence; None where it has too few frames.

    Args:
        log_probs: of CTC, (T, V) each, T >= 1.
        sentences: token numbers, of each utterance L.
    """
    if not sentences:
        return []
    states = [states_of(tokens) for tokens in sentences]
    lengths = [len(x) for x in log_probs]
    shape = len(states), max(lengths), max(map(len, states))
    heard = np.full(shape, NEG, dtype=np.float64)
    for row, (x, wanted) in enumerate(zip(log_probs, states, strict=True)):
        asked = torch.as_tensor(wanted, device=x.device)
        heard[row, : len(x), : len(wanted)] = x.index_select(1, asked).float().cpu().numpy()
    score, back = _viterbi(heard, _may_skip(states, shape[2]))
    return [
        _path(score[length - 1, row], back[:length, row], heard[row], len(wanted))
        for row, (length, wanted) in enumerate(zip(lengths, states, strict=True))
    ]


def _may_skip(states: Sequence[np.ndarray], most: int) -> np.ndarray:
    """0 where a state may follow the one before the last: a token behind another one; else -inf. (U, S)."""
    found = np.full((len(states), most), NEG)
    for row, wanted in enumerate(states):
        found[row, 3 : len(wanted) : 2][wanted[3::2] != wanted[1:-2:2]] = 0.0
    return found


def _viterbi(heard: np.ndarray, skip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best score of each state in each frame (T, U, S), and how many states back it came from."""
    number, frames, size = heard.shape
    score = np.full((frames, number, size), NEG)
    back = np.zeros((frames, number, size), dtype=np.int8)
    score[0, :, :2] = heard[:, 0, :2]
    ways = np.full((3, number, size), NEG)
    for t in range(1, frames):
        before = score[t - 1]
        ways[0], ways[1, :, 1:], ways[2, :, 2:] = before, before[:, :-1], before[:, :-2]
        ways[2] += skip
        back[t] = ways.argmax(axis=0)
        score[t] = ways.max(axis=0) + heard[:, t]
    return score, back


def _path(score: np.ndarray, back: np.ndarray, heard: np.ndarray, size: int) -> Path | None:
    """The way that ends in the last blank or the last token: scores (S,), steps back (T, S), heard (T, S)."""
    last = size - 1
    if size > 1 and score[last - 1] > score[last]:
        last -= 1
    if not score[last] > NEG:
        return None
    way = np.empty(len(back), dtype=np.int64)
    for t in range(len(back) - 1, -1, -1):
        way[t] = last
        last -= int(back[t, last])
    spans = np.stack(
        [np.searchsorted(way, np.arange(1, size, 2), side) for side in ("left", "right")], axis=1
    )
    said = np.exp(heard[np.arange(len(way)), way])
    peaks = np.array([said[first:end].max() for first, end in spans])
    return Path(spans, peaks, float(score[way[-1]]))
