"""Who hears what, and in which order: balanced over listeners, the same for the same seed.

Trials stand in a row of blocks, a Latin square: block k pairs utterance i with condition (i + k) mod M. Any stretch as
long as a block holds each utterance once, and a block every condition equally often, give or take one. Listener n
takes the n-th stretch, round and round, so that all of them together hear every trial equally often, give or take one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from espnet_ext.errors import UserError
from espnet_ext.listening.key import Trial

Order = tuple[tuple[str, int], ...]


def latin_row(items: int, conditions: int) -> list[tuple[int, int]]:
    """(item, condition) of every trial, in the order described above.

    >>> latin_row(3, 2)
    [(0, 0), (1, 1), (2, 0), (0, 1), (1, 0), (2, 1)]
    """
    return [(i, (i + k) % conditions) for k in range(conditions) for i in range(items)]


def pairs_of(systems: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    """Which systems are compared: each with the baseline, or all with one another.

    Raises:
        UserError: no second system, or an unknown baseline.
    """
    if len(systems) < 2:
        raise UserError(
            f"found only the system {', '.join(systems)}, expected two or more to compare: name another --system, "
            "or compare with the recordings: --reference DIR --baseline reference"
        )
    if baseline is None:
        return list(combinations(systems, 2))
    if baseline not in systems:
        raise UserError(f"--baseline: found {baseline!r}, expected one of {', '.join(systems)}")
    return [(baseline, other) for other in systems if other != baseline]


def stretch(total: int, listener: int, length: int) -> list[tuple[int, int]]:
    """What a listener takes from a row of `total` trials: (place, how many listeners had it before).

    Args:
        total: of the row.
        listener: 0-based.
        length: trials a listener; at most total.

    >>> stretch(5, 1, 3)
    [(3, 0), (4, 0), (0, 1)]
    """
    start = listener * length
    return [(n % total, n // total) for n in range(start, start + length)]


def turned(place: int, before: int, conditions: int, sounds: int) -> int:
    """How far the stimuli of a trial are rotated for one listener.

    A pair is swapped for every second listener that hears it, and for half of one listener's trials of each
    pair; of K sounds on one page each takes each place once over K listeners.
    """
    if sounds < 2:
        return 0
    return (place // conditions + before) % sounds


def shuffled(
    trials: Sequence[tuple[str, int]], items: dict[str, str], draw: random.Random
) -> list[tuple[str, int]]:
    """In random order, the same utterance never twice in a row where that can be avoided.

    Args:
        trials: (trial, rotation).
        items: the utterance of each trial.
        draw: random numbers.
    """
    left = list(trials)
    draw.shuffle(left)
    counts = Counter(items[trial] for trial, _ in left)
    done: list[tuple[str, int]] = []
    while left:
        last = items[done[-1][0]] if done else None
        most = max(counts.values())
        # an utterance that fills half of what is left must come now, or it will meet itself at the end
        urgent = [t for t in left if counts[items[t[0]]] == most and 2 * most > len(left)]
        free = [t for t in urgent or left if items[t[0]] != last]
        taken = (free or [t for t in left if items[t[0]] != last] or left)[0]
        left.remove(taken)
        counts[items[taken[0]]] -= 1
        done.append(taken)
    return done


def spread(
    trials: Sequence[tuple[str, int]], others: Sequence[tuple[str, int]], draw: random.Random
) -> list[tuple[str, int]]:
    """`others` in random order among `trials`, one in each of as many equal parts, never at the very start."""
    others = draw.sample(list(others), len(others))
    done, at = list[tuple[str, int]](), 0
    for number, other in enumerate(others):
        start = max(1, round(number * len(trials) / len(others)))
        end = max(start, round((number + 1) * len(trials) / len(others)))
        place = draw.randint(start, end)
        done += [*trials[at:place], other]
        at = max(at, place)
    return [*done, *trials[at:]]


def orders(
    row: Sequence[Trial],
    conditions: int,
    extra: Sequence[Trial],
    training: Sequence[Trial],
    listeners: int,
    length: int | None,
    seed: int,
) -> tuple[Order, ...]:
    """The order of trials of every listener number.

    Args:
        row: what is rated, in the order of latin_row.
        conditions: M above.
        extra: checks and gold questions; everybody gets all of them.
        training: come first, in this order.
        listeners: how many orders to make.
        length: trials of `row` a listener; None: all.
        seed: another one gives other orders.

    Raises:
        UserError: more trials a listener than there are.
    """
    if length is not None and not 1 <= length <= len(row):
        raise UserError(f"--trials: found {length}, expected 1 to {len(row)}, all that there are")
    items = {trial.id: trial.item for trial in row}
    made = []
    for listener in range(listeners):
        draw = random.Random(f"{seed}/{listener}")
        taken = []
        for place, before in stretch(len(row), listener, length or len(row)):
            sounds = len(row[place].stimuli)
            taken.append((row[place].id, turned(place, before, conditions, sounds)))
        asked = [(t.id, _turn(t, listener)) for t in extra]
        order = spread(shuffled(taken, items, draw), asked, draw)
        made.append((*((t.id, 0) for t in training), *order))
    return tuple(made)


def _turn(trial: Trial, listener: int) -> int:
    """Gold pairs are swapped for every second listener; of a check the page shows what it says."""
    return listener % 2 if trial.role == "gold" and len(trial.stimuli) == 2 else 0
