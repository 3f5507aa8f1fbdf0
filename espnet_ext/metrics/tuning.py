"""Weights of a decoding's scores that make the fewest errors on lists of hypotheses, without decoding again.

The error rate is a step function of the weights, so it is searched, not descended: many points drawn in a box, then
line searches along each weight from the best of them. Every point is judged by a small cloud around it, so that a wide
basin wins over a lucky spot, and the whole search is repeated on parts of the data to see what it gives on the rest.

Letters in shapes: U utterances, N hypotheses of the longest list, S scores, G points.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml

from espnet_ext.errors import UserError
from espnet_ext.inference.nbest import NBest
from espnet_ext.inference.rescore import MORE, part, score_names
from espnet_ext.metrics.asr import Split
from espnet_ext.metrics.wer import align

#: Least and greatest value tried of each option of a decoding, of any other model's weight
RANGES = {
    "ctc_weight": (0.0, 1.0),
    "lm_weight": (0.0, 1.5),
    "ngram_weight": (0.0, 1.5),
    "ilm_weight": (0.0, 1.0),
    "penalty": (-2.0, 6.0),
    "coverage_weight": (0.0, 1.0),
    "boost_weight": (0.0, 4.0),
}
OTHER = (-0.5, 1.5)
_SCORE = {option: option.removesuffix("_weight") for option in RANGES} | {"penalty": "length_bonus"}
_OPTION = {score: option for option, score in _SCORE.items()}


@dataclass(frozen=True)
class Lists:
    """Hypotheses as numbers.

    Attributes:
        scores: (U, N, S); nothing behind the end of a list but -inf in `mask`.
        lengths: tokens with the end, (U, N), at least 1.
        errors: of each hypothesis against its reference, (U, N).
        words: of each reference, (U,).
        mask: 0 where there is a hypothesis, else -inf; (U, N).
        names: of the scores.
    """

    scores: np.ndarray
    lengths: np.ndarray
    errors: np.ndarray
    words: np.ndarray
    mask: np.ndarray
    names: tuple[str, ...]

    def take(self, rows: np.ndarray) -> Lists:
        """Some utterances."""
        arrays = {name: value[rows] for name, value in vars(self).items() if name != "names"}
        return replace(self, **arrays)


def as_numbers(lists: NBest, references: Mapping[str, str], split: Split) -> Lists:
    """Align every hypothesis with its reference once.

    Args:
        lists: hypotheses of each utterance.
        references: what was said.
        split: what cuts a sentence into the words or characters that are counted.

    Raises:
        UserError: if an utterance has no reference.
    """
    unknown = [utt for utt in lists if utt not in references]
    if unknown or not lists:
        name = (
            f"{len(unknown)} utterances without one, first {unknown[0]}" if unknown else "no list"
        )
        raise UserError(f"references: found {name}, expected one of each list: check --ref")
    names = tuple(score_names(lists))
    shape = (len(lists), max(map(len, lists.values())))
    scores, lengths = np.zeros((*shape, len(names))), np.ones(shape)
    errors, mask = np.zeros(shape, dtype=np.int64), np.full(shape, -np.inf)
    words = np.zeros(len(lists), dtype=np.int64)
    for row, (utt, found) in enumerate(lists.items()):
        reference = split(references[utt])
        words[row] = len(reference)
        for column, h in enumerate(found):
            scores[row, column] = [part(h, name) for name in names]
            lengths[row, column] = len(h.token_ids) + 1
            errors[row, column] = align(reference, split(h.text)).counts.errors
            mask[row, column] = 0.0
    return Lists(scores, lengths, errors, words, mask, names)


@dataclass(frozen=True)
class Space:
    """What is tuned: a point holds values of options, which make the weights of the scores.

    Attributes:
        options: all that weigh a score, e.g. "ctc_weight"; another model's weight has the model's name.
        start: their values in the decoding, (K,).
        low, high: the box, (K,); equal to `start` for an option that stays.
        per_token: hypotheses are ranked by score per token.
    """

    options: tuple[str, ...]
    start: np.ndarray
    low: np.ndarray
    high: np.ndarray
    per_token: bool = False

    @property
    def free(self) -> list[int]:
        """Places of the options that are tuned."""
        return [k for k in range(len(self.options)) if self.high[k] > self.low[k]]

    def weights(self, points: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """(G, K) -> the weight of each score, (G, S)."""
        value = dict(zip(self.options, points.T, strict=True))
        alone = np.full(len(points), 0.0 if "decoder" in names else 1.0)
        ctc = value.get("ctc_weight", alone)
        columns = {_SCORE.get(option, option): column for option, column in value.items()}
        columns |= {"decoder": 1 - ctc, "ctc": ctc, "ilm": -columns.get("ilm", alone)}
        return np.stack([columns[name] for name in names], axis=1)


def make_space(
    names: Sequence[str],
    weights: Mapping[str, float],
    tune: Sequence[str] | None = None,
    per_token: bool = False,
) -> Space:
    """The box around the weights of a decoding.

    Args:
        names: of the scores there are.
        weights: the decoding's weight of each score.
        tune: options to tune; None = all.
        per_token: see Space.

    Raises:
        UserError: for an option that weighs no score.
    """
    options = [_OPTION.get(name, name) for name in names if name != "decoder"]
    options = [o for o in options if o != "ctc_weight" or "decoder" in names]
    if unknown := sorted(set(tune or ()) - set(options)):
        raise UserError(
            f"--tune: found {', '.join(unknown)}, expected some of {', '.join(options)}"
        )
    start = np.array([weights.get(_SCORE.get(o, o), 0.0) for o in options])
    start = np.where([o == "ilm_weight" for o in options], -start, start)
    bounds = np.array([RANGES.get(o, OTHER) for o in options]).reshape(-1, 2)
    tuned = np.array([tune is None or o in tune for o in options], dtype=bool)
    low = np.where(tuned, np.minimum(bounds[:, 0], start), start)
    high = np.where(tuned, np.maximum(bounds[:, 1], start), start)
    return Space(tuple(options), start, low, high, per_token)


def choices(lists: Lists, space: Space, points: np.ndarray) -> np.ndarray:
    """The hypothesis that each point puts first: (G, K) -> (G, U)."""
    weights = space.weights(points, lists.names)
    found = np.empty((len(points), len(lists.words)), dtype=np.int64)
    block = max(1, 20_000_000 // max(lists.mask.size, 1))  # some 160 MB at a time
    for begin in range(0, len(points), block):
        part_of = slice(begin, begin + block)
        totals = np.einsum("uns,gs->gun", lists.scores, weights[part_of], optimize=True)
        totals = totals / lists.lengths if space.per_token else totals
        found[part_of] = (totals + lists.mask).argmax(-1)
    return found


def errors_at(lists: Lists, space: Space, points: np.ndarray) -> np.ndarray:
    """Errors of each point: (G, K) -> (G,)."""
    return lists.errors[np.arange(len(lists.words)), choices(lists, space, points)].sum(-1)


def _smooth(lists: Lists, space: Space, points: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    """Mean errors of each point's neighbours, itself among them: (G, K), (C, K) -> (G,)."""
    around = np.clip(points[:, None] + cloud, space.low, space.high)
    found = errors_at(lists, space, around.reshape(-1, points.shape[1]))
    return found.reshape(len(points), -1).mean(1)


def search(lists: Lists, space: Space, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """The best point found, (K,); the start where nothing is better.

    Args:
        lists: what to make few errors on.
        space: where to search.
        draws: points drawn in the box.
        seed: of the points.
    """
    random = np.random.default_rng(seed)
    width = space.high - space.low
    cloud = np.concatenate(
        [np.zeros((1, len(width))), 0.03 * width * random.standard_normal((7, len(width)))]
    )
    drawn = space.low + width * random.random((draws, len(width)))
    points = np.concatenate([space.start[None], drawn])
    best = points[np.argsort(_smooth(lists, space, points, cloud), kind="stable")[:3]]
    ends = [_descend(lists, space, point, cloud) for point in [space.start, *best]]
    return min(ends, key=lambda end: end[1])[0]


def _descend(
    lists: Lists, space: Space, point: np.ndarray, cloud: np.ndarray
) -> tuple[np.ndarray, float]:
    """Line searches along each option until none helps: a point and its mean errors."""
    best = float(_smooth(lists, space, point[None], cloud)[0])
    for _ in range(10):
        before = best
        for k in space.free:
            line = np.repeat(point[None], 41, axis=0)
            line[:, k] = np.linspace(space.low[k], space.high[k], 41)
            found = _smooth(lists, space, line, cloud)
            if found.min() < best:
                point, best = line[found.argmin()], float(found.min())
        if best == before:
            break
    return point, best


@dataclass(frozen=True)
class Tuned:
    """What tuning found; errors are counts on the same utterances.

    Attributes:
        options: option -> value, tuned.
        before: errors with the decoding's weights.
        after: with the tuned ones, which saw these utterances: too good.
        unseen: with weights tuned on other utterances each time (cross-validation): what to expect.
        oracle: of the best hypothesis of each list: no weights make fewer.
        words: of the references.
        flat: option -> least and greatest value, the others as tuned, with at most 1 % more errors.
        seconds: spent.
    """

    options: dict[str, float]
    before: int
    after: int
    unseen: int
    oracle: int
    words: int
    flat: dict[str, tuple[float, float]]
    seconds: float


def tune(lists: Lists, space: Space, folds: int = 5, draws: int = 1000, seed: int = 0) -> Tuned:
    """Tune on all utterances, and on all but a fold for what each fold gives.

    Args:
        lists: hypotheses of a set that is not reported on.
        space: what is tuned, from where.
        folds: of the cross-validation, >= 2.
        draws, seed: see `search`.

    Raises:
        UserError: if there are fewer utterances than folds.
    """
    started = time.monotonic()
    utterances = len(lists.words)
    if not 2 <= folds <= utterances:
        raise UserError(
            f"found {utterances} utterances for {folds} folds, expected 2 <= folds <= utterances"
        )
    point = np.round(search(lists, space, draws, seed), 3)
    fold = np.random.default_rng(seed).permutation(utterances) % folds
    unseen = 0
    for number in range(folds):
        found = search(lists.take(fold != number), space, draws, seed)
        unseen += int(errors_at(lists.take(fold == number), space, found[None])[0])
    best = np.where(lists.mask == 0, lists.errors, np.iinfo(np.int64).max).min(1)
    after = int(errors_at(lists, space, point[None])[0])
    return Tuned(
        options=dict(zip(space.options, point.tolist(), strict=True)),
        before=int(errors_at(lists, space, space.start[None])[0]),
        after=after,
        unseen=unseen,
        oracle=int(best.sum()),
        words=int(lists.words.sum()),
        flat={space.options[k]: _flat(lists, space, point, k, after) for k in space.free},
        seconds=time.monotonic() - started,
    )


def _flat(
    lists: Lists, space: Space, point: np.ndarray, k: int, errors: int
) -> tuple[float, float]:
    """How far one option can move to either side for at most 1 % more errors."""
    line = np.repeat(point[None], 81, axis=0)
    line[:, k] = np.linspace(space.low[k], space.high[k], 81)
    good = errors_at(lists, space, line) <= 1.01 * errors
    at = int(np.abs(line[:, k] - point[k]).argmin())
    low = high = at
    while low > 0 and good[low - 1]:
        low -= 1
    while high < 80 and good[high + 1]:
        high += 1
    return min(float(line[low, k]), float(point[k])), max(float(line[high, k]), float(point[k]))


def summary(lists: Lists, space: Space, found: Tuned, metric: str, folds: int) -> str:
    """What was done and what to expect of it, as text."""
    utterances, sizes = len(lists.words), (lists.mask == 0).sum(1)
    lines = [
        f"{utterances} utterances, {sizes.mean():.1f} hypotheses each, {found.words} reference tokens, "
        f"{found.seconds:.1f} s",
        f"{metric} with the decoding's weights      {_rate(found.before, found)}",
        f"{metric} with the tuned weights           {_rate(found.after, found)}   on the data they were tuned on",
        f"{metric} to expect ({folds}-fold crossed)     {_rate(found.unseen, found)}   each part with the others'",
        f"{metric} of the best in each list         {_rate(found.oracle, found)}   no weights can make fewer errors",
    ]
    for k, option in enumerate(space.options):
        value = f"{option:14} {space.start[k]:7.3g} -> {found.options[option]:7.3g}"
        flat = found.flat.get(option)
        lines.append(
            f"{value}   {f'as good within {flat[0]:.2f} .. {flat[1]:.2f}' if flat else 'kept'}"
        )
    if found.unseen >= found.before:
        lines.append(
            "On unseen utterances the tuned weights make no fewer errors: keep the decoding's."
        )
    return "\n".join(lines)


def _rate(errors: int, found: Tuned) -> str:
    return f"{100 * errors / max(found.words, 1):6.2f} % ({errors})"


def tuned_yaml(config: Mapping[str, Any], found: Tuned, command: Sequence[str], said: str) -> str:
    """A decoding's configuration with the tuned weights, and how they came about as comments."""
    values = {**config}
    for option, value in found.options.items():
        if option in RANGES:
            values[option] = value
        elif value:
            values[MORE] = {**(values.get(MORE) or {}), option: value}
    head = [shlex.join(command), *said.splitlines()]
    return "".join(f"# {line}\n" for line in head) + yaml.safe_dump(values, sort_keys=False)
