"""Dynamic time warping: the exact cheapest path, an anti-diagonal of the table at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_DIAGONAL, _FIRST, _SECOND = 0, 1, 2  # which sequence the step to a cell moved on in; 0: both


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances between all rows of (N, D) and (M, D): (N, M)."""
    import numpy as np

    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2.0 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)


def dtw_path(cost: np.ndarray) -> np.ndarray:
    """The path from (0, 0) to (N - 1, M - 1) with the least sum of costs, as fastdtw's steps allow.

    A step moves on by one in the first sequence, the second, or both, all with weight 1; of equal
    sums the step in both is taken. Cells of an anti-diagonal do not depend on each other, so each
    is one numpy operation: time O(N + M) calls, memory N (N + M) bytes.

    Args:
        cost: (N, M), N and M at least 1.

    Returns:
        (L, 2) indices, from the start to the end.
    """
    import numpy as np

    n, m = cost.shape
    steps = np.zeros((n + m - 1, n), dtype=np.uint8)
    # sums of the two diagonals before this one; index i + 1 is row i, index 0 and the rest are
    # walls
    before, last, here = (np.full(n + 1, np.inf) for _ in range(3))
    rows = np.arange(n)
    last[1] = cost[0, 0]
    for k in range(1, n + m - 1):
        low, high = max(0, k - m + 1), min(k, n - 1) + 1
        i = rows[low:high]
        moves = np.stack([before[low:high], last[low:high], last[low + 1 : high + 1]])
        best = moves.argmin(0)
        steps[k, low:high] = best
        here.fill(np.inf)
        here[low + 1 : high + 1] = moves[best, np.arange(high - low)] + cost[i, k - i]
        before, last, here = last, here, before
    return _walk_back(steps, n, m)


def _walk_back(steps: np.ndarray, n: int, m: int) -> np.ndarray:
    import numpy as np

    i, j = n - 1, m - 1
    path = [(i, j)]
    while i or j:
        step = steps[i + j, i]
        i -= step != _SECOND
        j -= step != _FIRST
        path.append((i, j))
    return np.asarray(path[::-1], dtype=np.int64)
