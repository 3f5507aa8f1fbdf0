"""Whether a recogniser's confidence means what it says: calibration, and how well it tells right from wrong.

Expected calibration error and reliability diagram: C. Guo et al., "On calibration of modern neural networks", ICML
2017. Normalised cross entropy: NIST's (SCTK, sclite), M.-H. Siu, H. Gish and F. Richardson 1997.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.metrics.timing import numbers
from espnet_ext.metrics.wer import Alignment

if TYPE_CHECKING:
    import numpy as np

_LEAST = 1e-6  # a confidence of exactly 0 or 1 that is wrong would cost infinitely many bits


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram: words whose confidence lies in (low, high]."""

    low: float
    high: float
    words: int
    confidence: float  # mean
    correct: float  # share


@dataclass(frozen=True)
class Calibration:
    """How good confidences are.

    Attributes:
        source: where they come from.
        words: recognised words, N.
        correct: share of them that are right.
        confidence: mean.
        ece: expected calibration error: mean distance of confidence and share of right words over bins, 0 to 1.
        nce: normalised cross entropy, at most 1; 0: no better than a constant, below: worse. None where all words are
            right, or all wrong.
        auroc: probability that a right word has a higher confidence than a wrong one; None likewise.
        bins: the reliability diagram.
    """

    source: str
    words: int
    correct: float
    confidence: float
    ece: float
    nce: float | None
    auroc: float | None
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def calibration(
    confidence: Sequence[float], right: Sequence[bool], source: str = "", bins: int = 10
) -> Calibration | None:
    """Judge confidences.

    Args:
        confidence: (N,), 0 to 1, of each recognised word.
        right: (N,), whether it is the word that was said.
        source: where they come from.
        bins: number of bins of equal width.

    Returns:
        None if there is no word.
    """
    import numpy as np

    if not len(confidence):
        return None
    sure, good = np.asarray(confidence, float), np.asarray(right, bool)
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for k in np.unique(place).tolist():
        inside = place == k
        mean, share = float(sure[inside].mean()), float(good[inside].mean())
        found.append(Bin(k / bins, (k + 1) / bins, int(inside.sum()), mean, share))
    ece = sum(b.words * abs(b.confidence - b.correct) for b in found) / len(sure)
    return Calibration(
        source,
        len(sure),
        float(good.mean()),
        float(sure.mean()),
        ece,
        normalised_cross_entropy(sure, good),
        auroc(sure, good),
        tuple(found),
    )


def normalised_cross_entropy(sure: np.ndarray, good: np.ndarray) -> float | None:
    """Share of the uncertainty of what is right that confidences take away; (N,) and (N,) of bool.

    None if all are right or all are wrong: nothing was uncertain.
    """
    import numpy as np

    share = float(good.mean())
    if share in (0.0, 1.0):
        return None
    most = -len(good) * (share * math.log2(share) + (1 - share) * math.log2(1 - share))
    sure = np.clip(sure, _LEAST, 1 - _LEAST)
    return float((most + np.log2(np.where(good, sure, 1 - sure)).sum()) / most)


def auroc(sure: np.ndarray, good: np.ndarray) -> float | None:
    """Area under the receiver operating characteristic, by ranks (Mann and Whitney 1947); ties count half."""
    import numpy as np

    right, wrong = int(good.sum()), int((~good).sum())
    if not right or not wrong:
        return None
    _, place, number = np.unique(sure, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(number) - (number - 1) / 2)[place]
    return float((ranks[good].sum() - right * (right + 1) / 2) / (right * wrong))


def calibration_of(hyp_dir: Path, aligned: Mapping[str, Alignment]) -> Calibration | None:
    """Confidences that a decoder wrote for its words, judged.

    `confidence` holds, for each utterance, a number a word, or one for all of its words (also where there are as
    many as tokens, or words before a cleaner changed them: their geometric mean). Without that table,
    exp(score / (tokens + 1)): the search's mean probability of a token.

    Args:
        hyp_dir: with `confidence`, else `score` and `token`; `text` tells how many words there were.
        aligned: utterance -> its alignment, in words.

    Returns:
        None where neither is there, or nothing was recognised.

    Raises:
        UserError: for values that are no probabilities, or of a wrong number.
    """
    found = judged(hyp_dir, aligned)
    return calibration(*found)


def judged(hyp_dir: Path, aligned: Mapping[str, Alignment]) -> tuple[list[float], list[bool], str]:
    """Confidence of each recognised word, whether it is right, and where confidences come from; see calibration_of."""
    path = hyp_dir / "confidence"
    token, text = (_written(hyp_dir / name) for name in ("token", "text"))
    if path.is_file():
        table, source = _read(path), "confidence"
    else:
        scores = numbers(hyp_dir / "score")
        table = {u: [_of_score(s, token[u])] for u, s in scores.items() if u in token}
        source = "exp(score / tokens)"
    sure, right = list[float](), list[bool]()
    for utt, values in table.items():
        good = [op == "C" for op in aligned[utt].ops if op != "D"] if utt in aligned else []
        others = [len(written.get(utt, "").split()) for written in (token, text)]
        sure += _per_word(values, len(good), others, path, utt)
        right += good
    return sure, right, source


def _written(path: Path) -> dict[str, str]:
    return read_table(path, empty=True) if path.is_file() else {}


def _of_score(score: float, tokens: str) -> float:
    """Of log probabilities added over the tokens and the end of the sentence."""
    return math.exp(min(0.0, score / (len(tokens.split()) + 1)))


def _read(path: Path) -> dict[str, list[float]]:
    found = {}
    for utt, value in read_table(path, empty=True).items():
        try:
            found[utt] = [float(field) for field in value.split()]
        except ValueError:
            found[utt] = [math.nan]
        if not all(0 <= number <= 1 for number in found[utt]):
            raise UserError(
                f"{path}: found {value!r} for {utt!r}, expected numbers from 0 to 1: decode again"
            )
    return found


def _per_word(
    values: Sequence[float], words: int, others: Sequence[int], path: Path, utt: str
) -> list[float]:
    """One a word, of as many or of one, or of `others`: tokens, or words as they were recognised."""
    if len(values) == words:
        return list(values)
    if values and len(values) in (1, *others):
        logs = [math.log(max(value, _LEAST)) for value in values]
        return [math.exp(sum(logs) / len(logs))] * words
    if not words:
        return []
    raise UserError(
        f"{path}: found {len(values)} numbers for {utt!r}, expected {words}, one a word (or {others[0]}, one "
        "a token, or one): decode again"
    )
