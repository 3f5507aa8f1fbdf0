"""Remember the phonemes of a sentence: in memory, and in a file beside the token list.

A recipe converts the same sentences for its token list, its statistics and its training; the first
of these writes the file and the others read it. What is remembered is what the converter said for
the whole sentence, so that the result is the same as without.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from espnet_ext.files import atomic_open

G2p = Callable[[str], list[str]]
_HEAD = "#phonemes"


class CachedG2p:
    """A converter that converts a sentence once.

    Args:
        g2p: the converter.
        limit: number of sentences to remember; later ones are converted each time they come. (The
            oldest are not dropped: data that is larger and comes in the same order each epoch would
            then never find anything.)
    """

    def __init__(self, g2p: G2p, limit: int = 1_000_000) -> None:
        self.g2p, self.limit = g2p, limit
        self._known: dict[
            str, tuple[str, ...] | str
        ] = {}  # a line of the file until it is asked for

    def __call__(self, text: str) -> list[str]:
        """`text` -> phonemes; the list is the caller's own."""
        found = self._known.get(text)
        if found is None:
            found = tuple(self.g2p(text))
            self.add(text, found)
        elif isinstance(found, str):
            found = _shared(found.split("\t") if found else ())
            self._known[text] = found
        return list(found)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, text: str, phonemes: Sequence[str]) -> None:
        """Remember the phonemes of a sentence, unless the memory is full."""
        if len(self._known) < self.limit:
            self._known[text] = _shared(phonemes)

    def convert_all(self, texts: Iterable[str], jobs: int = 1) -> list[list[str]]:
        """The phonemes of many sentences, each different one converted once.

        Args:
            texts: sentences.
            jobs: processes to share the new sentences; each takes a second or two to start, so they pay from
                some ten thousand sentences on.
        """
        texts = list(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if jobs > 1 and len(new) > jobs:
            for text, phonemes in zip(new, _convert_in_processes(self.g2p, new, jobs), strict=True):
                self.add(text, phonemes)
        return [self(text) for text in texts]

    def save(self, path: str | Path, settings: str) -> None:
        """Write all that is remembered; `settings` says what the phonemes depend on."""
        with atomic_open(path) as stream:
            stream.write(f"{_HEAD}\t{digest(settings)}\n")
            for text in self._known:
                phonemes = self(text)
                if _fits_a_line(text, phonemes):
                    stream.write("\t".join((text, *phonemes)) + "\n")

    def load(self, path: str | Path, settings: str) -> int:
        """Remember what `save` wrote under the same settings.

        Returns:
            The number of sentences found: 0 if there is no such file, it was made otherwise or is spoilt.
        """
        if not Path(path).is_file():
            return 0
        try:
            with open(path, encoding="utf-8", newline="\n") as stream:
                if stream.readline() != f"{_HEAD}\t{digest(settings)}\n":
                    return 0
                found = (line.rstrip("\n").partition("\t") for line in stream)
                known = {text: phonemes for text, _, phonemes in found}
        except UnicodeDecodeError:
            return 0
        self._known.update(known)
        return len(known)


def _shared(phonemes: Iterable[str]) -> tuple[str, ...]:
    """The phonemes, each of them the one object that stands for it in all sentences: 8 bytes a piece."""
    return tuple(map(sys.intern, phonemes))


def _fits_a_line(text: str, phonemes: Sequence[str]) -> bool:
    """Whether a line of the file holds them: other sentences are converted again."""
    signs = set(text).union(*phonemes)
    return bool(text.strip()) and all(phonemes) and signs.isdisjoint("\t\n\r")


def digest(settings: str) -> str:
    """A short name for settings, of which any may change the phonemes."""
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


def _convert_in_processes(g2p: G2p, texts: Sequence[str], jobs: int) -> list[list[str]]:
    # spawned, not forked: espeak-ng's library is not made to be shared by a copied process
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    chunk = max(1, min(1000, len(texts) // (4 * jobs) + 1))
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return list(pool.map(g2p, texts, chunksize=chunk))
