"""Cleaners: what happens to a sentence before it is cut into tokens.

`tacotron` is the one of ESPnet's TTS recipes (package espnet_tts_frontend, used as it is so that
the result cannot differ). Two are ours: `normalize` (regular expressions, nothing to install) and
`spoken` (NeMo's grammars and what mends them, see `espnet_ext.text.spoken`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

from espnet_ext.errors import UserError

Cleaner = Callable[[str], str]


def _none() -> Cleaner:
    return str


def _tacotron() -> Cleaner:
    try:
        with warnings.catch_warnings():  # its regular expressions are not raw strings
            warnings.simplefilter("ignore")
            from tacotron_cleaner.cleaners import custom_english_cleaners
    except ImportError as error:
        raise UserError(
            f"cleaner tacotron: cannot import {error.name}; install it with "
            "`pip install espnet_tts_frontend` or choose --cleaner normalize"
        ) from error
    return custom_english_cleaners


def _normalize() -> Cleaner:
    from espnet_ext.text.normalize import normalize

    return normalize


def _spoken() -> Cleaner:
    from espnet_ext.text.spoken import Speaker

    return Speaker("wfst")  # never another engine than the one that the model was trained with


_MAKERS: dict[str, Callable[[], Cleaner]] = {
    "none": _none,
    "tacotron": _tacotron,
    "normalize": _normalize,
    "spoken": _spoken,
}
#: those that stock ESPnet has to be taught
OURS = ("normalize", "spoken")
CLEANERS = tuple(_MAKERS)


def make_cleaner(name: str | None) -> Cleaner:
    """The cleaner of that name, a function from a sentence to a sentence; None means "none".

    Raises:
        UserError: if there is no such cleaner or the package behind it is not installed.
    """
    if (name or "none") not in _MAKERS:
        raise UserError(f"found cleaner {name!r}, expected one of {', '.join(CLEANERS)}")
    return _MAKERS[name or "none"]()
