"""Training an n-gram model by interpolated modified Kneser-Ney smoothing.

Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling", section 3. Sentence starts,
pruning and the uniform distribution below the unigrams are treated as in Heafield et al. 2013, "Scalable Modified
Kneser-Ney Language Model Estimation", so that probabilities are those of KenLM's lmplz over a closed vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.errors import UserError
from espnet_ext.lm.ngram import NEVER, Level, Ngram
from espnet_ext.text.tokens import TextPipeline

FALLBACK = (
    0.5,
    1.0,
    1.5,
)  # discounts where the counts of counts give none, as KenLM's --discount_fallback


@dataclass(frozen=True)
class Counted:
    """The n-grams of one order in a text.

    Attributes:
        parents: position of the n-gram without its last token on the level below, (K,).
        tokens: last token, (K,).
        suffixes: position of the n-gram without its first token on the level below, (K,).
        counts: how often it stands in the text, (K,).
        begins: whether it starts a sentence, (K,).
    """

    parents: np.ndarray
    tokens: np.ndarray
    suffixes: np.ndarray
    counts: np.ndarray
    begins: np.ndarray


def count(tokens: np.ndarray, ends: np.ndarray, size: int, order: int) -> list[Counted]:
    """Count the n-grams of every order up to `order`.

    Args:
        tokens: ids of all sentences one after the other, in [0, size - 1).
        ends: where each sentence ends in `tokens`, not decreasing.
        size: V; V - 1 is added as the end of each sentence and V as its start.
        order: longest n-gram.
    """
    sentences = len(ends)
    starts = np.concatenate(([0], ends[:-1])) + 2 * np.arange(sentences)
    text = np.full(len(tokens) + 2 * sentences, -1, dtype=np.int64)
    text[starts], text[ends + 2 * np.arange(sentences) + 1] = size, size - 1
    text[text < 0] = tokens
    place = np.arange(len(text)) - np.repeat(starts, np.diff(np.append(starts, len(text))))
    here = text  # position of the n-gram that ends at each place, on its level
    unigrams = np.arange(size + 1)
    zeros, begins = np.zeros(size + 1, dtype=np.int64), unigrams == size
    levels = [Counted(zeros, unigrams, zeros, np.bincount(text, minlength=size + 1), begins)]
    for length in range(2, order + 1):
        (at,) = np.nonzero(place >= length - 1)
        keys, longer, counts = np.unique(
            here[at - 1] * (size + 1) + text[at], return_inverse=True, return_counts=True
        )
        parents, last = np.divmod(keys, size + 1)
        suffixes = np.empty(len(keys), dtype=np.int64)
        suffixes[longer] = here[at]
        levels.append(Counted(parents, last, suffixes, counts, levels[-1].begins[parents]))
        here = np.full(len(text), -1)
        here[at] = longer
    return levels


def adjusted(levels: Sequence[Counted]) -> list[np.ndarray]:
    """Kneser-Ney's counts: how many different tokens precede an n-gram; the plain count for the highest order and for
    n-grams at a sentence's start, which nothing precedes."""
    found = []
    for level, above in pairwise(levels):
        preceded = np.bincount(above.suffixes, minlength=len(level.tokens))
        found.append(np.where(level.begins, level.counts, preceded))
    return [*found, levels[-1].counts]


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """What is taken from counts of 1, 2, and 3 or more (Chen and Goodman 1998, eq. 26).

    FALLBACK where the counts of counts do not allow it: in a tiny text, or for the unigrams of a small vocabulary.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == c)) for c in (1, 2, 3, 4))
    if 0 in (n1, n2, n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 < d <= c for c, d in enumerate(found, 1)) else FALLBACK


def train(
    tokens: np.ndarray,
    ends: np.ndarray,
    token_list: Sequence[str],
    order: int = 4,
    cutoffs: Sequence[int] = (),
) -> Ngram:
    """Estimate a model.

    Args:
        tokens: ids of all sentences one after the other.
        ends: where each sentence ends in `tokens`.
        token_list: V tokens; the first, <blank>, is never predicted; the last, <sos/eos>, ends a sentence.
        order: longest n-gram, >= 1.
        cutoffs: n-grams of order 2, 3, ... that stand in the text at most so many times are left out; the last value
            holds for higher orders. Not decreasing, or the parts of an n-gram could be missing.

    Raises:
        UserError: for no text, an order below 1 or decreasing cutoffs.
    """
    if len(ends) == 0:
        raise UserError("found no sentence to count n-grams in; check the text")
    if order < 1:
        raise UserError(f"found order {order}, expected 1 or more, for example 4")
    if any(b < a for a, b in zip((0, *cutoffs), cutoffs, strict=False)):
        raise UserError(f"found cutoffs {list(cutoffs)}, expected none smaller than the one before")
    size = len(token_list)
    levels = count(np.asarray(tokens), np.asarray(ends), size, order)
    limits = [0, *[cutoffs[min(n, len(cutoffs) - 1)] if cutoffs else 0 for n in range(order - 1)]]
    keep = [level.counts > limit for level, limit in zip(levels, limits, strict=True)]
    keep[0][:] = True
    return Ngram(tuple(token_list), tuple(_pruned(_estimate(levels, keep), keep)))


def train_on_text(
    files: Sequence[str | Path], pipeline: TextPipeline, order: int = 4, cutoffs: Sequence[int] = ()
) -> Ngram:
    """Estimate a model from Kaldi text files (`id sentence`).

    Raises:
        UserError: a file is missing or not such a table, a sentence has no token; else as `train`.
    """
    from espnet_ext.train.data import read_text

    read: Any = read_text(files, pipeline).tokens
    return train(read.values, read.ends, pipeline.token_list, order, cutoffs)


def _estimate(levels: Sequence[Counted], keep: Sequence[np.ndarray]) -> list[Level]:
    """Probabilities and back-off weights of all n-grams; those left out give their mass to the back-off."""
    found: list[Level] = []
    for n, (level, counts) in enumerate(zip(levels, adjusted(levels), strict=True)):
        parents = level.parents
        seen = counts * (level.tokens != len(levels[0].tokens) - 1)  # the start is never predicted
        fewer = np.array([0.0, *discounts(seen)])[np.minimum(seen, 3)]
        histories = len(found[-1]) if found else 1
        taken = np.bincount(parents, np.where(keep[n], fewer, seen), histories)
        total = np.bincount(parents, seen, histories)
        weight = np.divide(taken, total, out=np.ones(histories), where=total > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.where(total[parents] > 0, (seen - fewer) / total[parents], 0.0)
        p = high + weight[parents] * _lower(found, level)
        with np.errstate(divide="ignore"):
            logp = np.where(p > 0, np.log(p), NEVER)
        if found:
            below = found[-1]
            found[-1] = Level(below.parents, below.tokens, below.logp, np.log(weight))
        found.append(Level(parents, level.tokens, logp, np.zeros(len(p))))
    return found


def _lower(found: Sequence[Level], level: Counted) -> np.ndarray:
    """Probability of each n-gram's last token after one token less; uniform below the unigrams."""
    if found:
        return np.exp(found[-1].logp)[level.suffixes]
    size = len(level.tokens) - 1
    uniform = np.full(size + 1, 1.0 / (size - 1))  # without <blank>
    uniform[[0, size]] = 0.0
    return uniform


def _pruned(levels: Sequence[Level], keep: Sequence[np.ndarray]) -> list[Level]:
    """The levels without what is left out."""
    found = [levels[0]]
    for level, kept, below in zip(levels[1:], keep[1:], keep, strict=False):
        place = np.cumsum(below) - 1
        arrays = (place[level.parents], level.tokens, level.logp, level.backoff)
        found.append(Level(*(array[kept] for array in arrays)))
    return found
