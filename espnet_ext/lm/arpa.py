"""N-gram models in ARPA's form, which KenLM, SRILM and the others read and write."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.lm.ngram import LN10, NEVER, Level, Ngram

START, END = "<s>", "</s>"


def spelled(token_list: Sequence[str]) -> list[str]:
    """The tokens and the sentence's start as ARPA files hold them: <sos/eos> is </s>, a blank is <U+0020>.

    Raises:
        UserError: if two would be the same.

    Example:
        >>> spelled(["<blank>", "<unk>", "a", "<sos/eos>"])
        ['<blank>', '<unk>', 'a', '</s>', '<s>']
    """
    names = ["".join(f"<U+{ord(c):04X}>" if c.isspace() else c for c in t) for t in token_list[:-1]]
    names += [END, START]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"token list: {twice!r} means two things in an ARPA file; rename the token")
    return names


def write_arpa(path: str | Path, model: Ngram) -> None:
    """Write a model, compressed if the name ends in .gz; <blank>, which is never predicted, is left out."""
    with atomic_open(path, "wb") as raw:
        packed = Path(path).suffix == ".gz"
        stream: Any = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if packed else raw
        for line in _lines(model):
            stream.write(line.encode())
        if packed:
            stream.close()


def _lines(model: Ngram) -> Iterator[str]:
    names = spelled(model.token_list)
    yield "\\data\\\n"
    for order, count in enumerate(model.sizes, 1):
        yield f"ngram {order}={count - (order == 1)}\n"
    histories = [""]
    for order, level in enumerate(model.levels, 1):
        yield f"\n\\{order}-grams:\n"
        spaced = [h + " " if h else "" for h in histories]
        rows = zip(level.parents.tolist(), level.tokens.tolist(), strict=True)
        histories = [spaced[parent] + names[token] for parent, token in rows]
        figures = zip(
            histories, (level.logp / LN10).tolist(), (level.backoff / LN10).tolist(), strict=True
        )
        for number, (name, logp, backoff) in enumerate(figures):
            if order == 1 and number == 0:
                continue
            end = "" if order == model.order else f"\t{backoff:.7g}"
            yield f"{logp:.7g}\t{name}{end}\n"
    yield "\n\\end\\\n"


def read_arpa(path: str | Path, token_list: Sequence[str]) -> Ngram:
    """Read a model over `token_list`.

    A token that the file lacks has the probability of <unk> there, or none if there is no <unk> either.

    Raises:
        UserError: if the file is broken or names a token that is not in the list (a model on words, mostly).
    """
    ids = {name: number for number, name in enumerate(spelled(token_list))}
    levels: list[Level] = []
    places: dict[tuple[int, ...], int] | None = None
    for found in _read(Path(path), ids):
        level, places = _level(found, places, len(ids), path)
        levels.append(level)
    return Ngram(tuple(token_list), tuple(levels))


Found = dict[
    tuple[int, ...], tuple[float, float]
]  # n-gram -> natural logarithms of p and of back-off


def _read(path: Path, ids: dict[str, int]) -> list[Found]:
    """The n-grams of each order.

    Raises:
        UserError: if the file does not hold what it says at its head.
    """
    said: list[int] = []
    found: list[Found] = []
    line = ""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                if size := re.match(r"ngram \d+=(\d+)$", line):
                    said.append(int(size[1]))
                elif re.match(rf"\\{len(found) + 1}-grams:$", line):
                    found.append({})
                elif found and not line.startswith("\\") and line.strip():
                    _row(line, found, ids)
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not readable as ARPA: {line.strip()!r} ({error})") from error
    except KeyError as error:
        raise UserError(
            f"{path}: {error} is not in the token list, expected a model on the recogniser's tokens: train it on "
            "tokens (ngram_train), not on words"
        ) from error
    if not said or [len(level) for level in found] != said:
        sizes = [len(level) for level in found]
        raise UserError(f"{path}: found {sizes} n-grams of each order, expected {said}: not whole")
    return found


def _row(line: str, found: list[Found], ids: dict[str, int]) -> None:
    """Put a line `log10 p<tab>tokens[<tab>log10 back-off]` into the last level."""
    logp, *words = line.split()
    order = len(found)
    if len(words) not in (order, order + 1):
        raise ValueError(f"found {len(words)} words, expected {order}")
    backoff = float(words[order]) if len(words) > order else 0.0
    found[-1][tuple(ids[word] for word in words[:order])] = float(logp) * LN10, backoff * LN10


def _level(
    found: Found,
    below: dict[tuple[int, ...], int] | None,
    size: int,
    path: str | Path,
) -> tuple[Level, dict[tuple[int, ...], int]]:
    """One order in our order, and where each of its n-grams stands."""
    if below is None:
        unknown = found.get((1,), (NEVER, 0.0))[0]
        missing: Found = {(i,): (unknown if 0 < i < size - 1 else NEVER, 0.0) for i in range(size)}
        found, below = {**missing, **found}, {(): 0}
    try:
        rows = sorted((below[ids[:-1]], ids[-1], ids) for ids in found)
    except KeyError as error:
        raise UserError(
            f"{path}: an n-gram's history {error} is not listed one order below"
        ) from error
    values = np.array([found[ids] for *_, ids in rows], dtype=np.float64).reshape(-1, 2)
    parents, tokens = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    level = Level(parents, tokens, values[:, 0], values[:, 1])
    return level, {ids: number for number, (*_, ids) in enumerate(rows)}
