"""Lines through a function in several processes: order kept, and no line lost if a process dies."""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from espnet_ext.errors import UserError

Convert = Callable[[str], str]
_CHUNK = 200  # lines that a process takes at once
_GIVE_UP = 4  # processes dead in a row
_REMEMBERED = 65536  # lines
_convert: Convert | None = None  # of a worker process


def _begin(convert: Convert) -> None:
    global _convert
    _convert = functools.lru_cache(maxsize=_REMEMBERED)(convert)


def _work(lines: Sequence[str]) -> list[str]:
    assert _convert is not None
    return list(map(_convert, lines))


class LineWorkers:
    """Processes that convert lines.

    Args:
        convert: the function, which must be picklable.
        rescue: what converts a line on which a process died, in this one.
        jobs: number of processes; 1 is this one, which nothing rescues.
    """

    def __init__(self, convert: Convert, rescue: Convert, jobs: int = 1) -> None:
        self.convert, self.rescue, self.jobs = convert, rescue, jobs

    def __call__(self, lines: Iterable[str]) -> Iterator[str]:
        """One line for each, in their order; a few chunks are read ahead.

        Raises:
            UserError: if processes die with every line.
        """
        if self.jobs == 1:
            yield from map(functools.lru_cache(maxsize=_REMEMBERED)(self.convert), lines)
            return
        source = iter(lines)
        chunks = iter(lambda: list(islice(source, _CHUNK)), [])
        pool, done = self._pool(self.jobs), 0
        waiting: deque[tuple[list[str], Future[list[str]]]] = deque()
        try:
            while True:
                for chunk in islice(chunks, 4 * self.jobs - len(waiting)):
                    waiting.append((chunk, _submit(pool, chunk)))
                if not waiting:
                    return
                chunk, future = waiting.popleft()
                try:
                    yield from future.result()
                except BrokenProcessPool:
                    pool.shutdown(wait=False, cancel_futures=True)
                    yield from self._one_by_one(chunk, done)
                    pool = self._pool(self.jobs)
                    again = [(c, f if _good(f) else _submit(pool, c)) for c, f in waiting]
                    waiting = deque(again)
                done += len(chunk)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _pool(self, jobs: int) -> ProcessPoolExecutor:
        # spawned, not forked: the grammars' library is not made to be shared by a copied process
        from multiprocessing import get_context

        return ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (self.convert,))

    def _one_by_one(self, lines: Sequence[str], before: int) -> Iterator[str]:
        """The lines of a chunk that a process died with, each alone; `before` lines went ahead of them."""
        pool, deaths = self._pool(1), 0
        for number, line in enumerate(lines, before + 1):
            try:
                yield _submit(pool, [line]).result()[0]
                deaths = 0
            except BrokenProcessPool:
                print(
                    f"line {number}: a process died with it; read the simple way", file=sys.stderr
                )
                pool.shutdown(wait=False)
                deaths += 1
                if deaths == _GIVE_UP:
                    raise UserError(
                        f"{_GIVE_UP} processes died one after another, at line {number} the last: is there memory "
                        "enough? Try --jobs 1"
                    ) from None
                yield self.rescue(line)
                pool = self._pool(1)
        pool.shutdown(wait=False)


def _submit(pool: ProcessPoolExecutor, lines: list[str]) -> Future[list[str]]:
    try:
        return pool.submit(_work, lines)
    except BrokenProcessPool as error:
        failed: Future[list[str]] = Future()
        failed.set_exception(error)
        return failed


def _good(future: Future[list[str]]) -> bool:
    """Whether a future has its result already."""
    return future.done() and not future.cancelled() and future.exception() is None
