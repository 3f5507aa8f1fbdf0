"""NeMo-text-processing's English grammars: weighted finite-state transducers for both directions.

They are compiled once for a user (a minute), kept in a cache directory and read from there (a
second). Nothing is imported or read before the first sentence. The library names more packages than
these grammars use: `transformers`, `wget`, `pandas` and `cdifflib` (a compiled difflib, for aligning
with audio) are not needed, and are not in our requirements.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Grammar = Callable[[str], str]


class Unreadable(Exception):
    """The grammars have no reading of this text."""


def installed() -> bool:
    """Whether the grammars' library and the compiler behind it can be imported."""
    return all(importlib.util.find_spec(name) for name in ("pynini", "nemo_text_processing"))


def cache_directory(kind: str) -> Path:
    """Where compiled grammars lie: one directory for each kind and pair of versions.

    `ESPNET_EXT_CACHE` names another place than the user's cache directory.
    """
    from importlib.metadata import version

    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = Path(os.environ.get("ESPNET_EXT_CACHE") or f"{home}/espnet_ext").expanduser()
    versions = f"{version('nemo_text_processing')}-pynini-{version('pynini')}"
    return root / "grammars" / f"{kind}-en-{versions}"


@functools.lru_cache(maxsize=1)
def spoken() -> Grammar:
    """The grammars from written to spoken English; the first call in a process reads them."""

    def build(directory: str | None) -> Any:
        from nemo_text_processing.text_normalization.normalize import Normalizer

        return Normalizer(input_case="cased", lang="en", cache_dir=directory)

    engine = _cached("spoken", build)
    return functools.partial(_read, engine.normalize)


@functools.lru_cache(maxsize=1)
def written() -> Grammar:
    """The grammars from spoken English (lower case) to written."""

    def build(directory: str | None) -> Any:
        from nemo_text_processing.inverse_text_normalization.inverse_normalize import (
            InverseNormalizer,
        )

        return InverseNormalizer(input_case="lower_cased", lang="en", cache_dir=directory)

    engine = _cached("written", build)
    return functools.partial(_read, engine.inverse_normalize, verbose=False)


def _read(engine: Callable[..., str], text: str, **options: bool) -> str:
    """What the engine makes of a text.

    Raises:
        Unreadable: if it raises, or hands back what it was given with pynini's escapes in it.
    """
    from pynini import escape

    try:
        said = engine(text, **options)
    except Exception as error:  # a parser's, a grammar's or pynini's own: it has no common base
        raise Unreadable(text) from error
    if said != text and said == escape(text):
        raise Unreadable(text)
    return said


def _cached(kind: str, build: Callable[[str | None], Any]) -> Any:
    """The engine read from the cache; compiled into it where it is missing or spoilt."""
    directory = cache_directory(kind)
    with _quiet_imports():
        if directory.is_dir():
            try:
                return build(str(directory))
            except Exception:  # half a file, or another release's
                shutil.rmtree(directory, ignore_errors=True)
        print(f"compiling English grammars once, about a minute, for {directory}", file=sys.stderr)
        return _compile(directory, build)


def _compile(directory: Path, build: Callable[[str | None], Any]) -> Any:
    """Compile beside `directory` and rename; a second process may do so too, the first one wins."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent)
    except OSError as error:
        print(f"cannot keep the grammars: {error}; set ESPNET_EXT_CACHE", file=sys.stderr)
        return build(None)
    try:
        engine = build(beside)
        with contextlib.suppress(OSError):
            os.rename(beside, directory)
        return engine
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def _quiet_imports() -> Iterator[None]:
    """Import the library without its log lines and with difflib in the place of cdifflib; keep the
    recursion limit, which it sets.
    """
    import difflib
    import logging

    limit = sys.getrecursionlimit()
    logging.getLogger("NeMo-text-processing").disabled = True
    if "cdifflib" not in sys.modules and importlib.util.find_spec("cdifflib") is None:
        module = types.ModuleType("cdifflib")
        module.CSequenceMatcher = difflib.SequenceMatcher  # type: ignore[attr-defined]
        sys.modules["cdifflib"] = module
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        if getattr(sys.modules.get("cdifflib"), "__spec__", None) is None:
            sys.modules.pop("cdifflib", None)
