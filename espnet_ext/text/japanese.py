"""Japanese phonemes with accent, by Open JTalk through pyopenjtalk, as stock ESPnet writes them.

Open JTalk describes every phoneme by a full-context label (HTS label format); of its fields these
are used: the phoneme itself (`-x+`), A: the place of the mora counted from the accent, from the
beginning and from the end of its accent phrase, F: the number of moras and the accent of the
phrase, and whether it is a question.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

from espnet_ext.errors import UserError

#: where Debian's package open-jtalk-mecab-naist-jdic puts the dictionary
DEBIANS = "/var/lib/mecab/dic/open-jtalk/naist-jdic"
_PHONEME = re.compile(r"-(.*?)\+")
_ACCENT = re.compile(r"-(.*?)\+.*?/A:([0-9\-]+).*?/F:.*?_([0-9]+)")
_A1 = re.compile(r"/A:([0-9\-]+)\+")
_A2 = re.compile(r"\+(\d+)\+")
_A3 = re.compile(r"\+(\d+)/")
_F1 = re.compile(r"/F:(\d+)_")
_QUESTION = re.compile(r"!(\d+)_")
_MISSING = -50


def _library() -> Any:
    try:
        import pyopenjtalk
    except ImportError as error:
        raise UserError(
            f"Japanese phonemes need the package pyopenjtalk (no module {error.name}); run "
            "`pip install pyopenjtalk`, or choose --token_type char"
        ) from error
    own = Path(os.fsdecode(getattr(pyopenjtalk, "OPEN_JTALK_DICT_DIR", "")))
    if not own.is_dir() and Path(DEBIANS).is_dir():
        pyopenjtalk.OPEN_JTALK_DICT_DIR = os.fsencode(DEBIANS)
    return pyopenjtalk


def _call(function: str, *given: Any, **options: bool) -> Any:
    """What a function of the library gives; it may download its dictionary first, and says so.

    Raises:
        UserError: if it has no dictionary and cannot download it.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the output is the phonemes' alone
            return getattr(_library(), function)(*given, **options)
    except URLError as error:
        raise UserError(
            f"Japanese phonemes need Open JTalk's dictionary, which cannot be downloaded ({error.reason}); "
            "install it (Debian: `apt-get install open-jtalk-mecab-naist-jdic`), or name its folder in "
            "OPEN_JTALK_DICT_DIR"
        ) from error


def _labels(text: str) -> list[str]:
    return list(_call("make_label", _call("run_frontend", text)))


def _number(field: re.Pattern[str], label: str) -> int:
    found = field.search(label)
    return int(found[1]) if found else _MISSING


def phonemes(text: str) -> list[str]:
    """Phonemes alone, `pau` at a comma."""
    return str(_call("g2p", text, kana=False)).split(" ")


def kana(text: str) -> list[str]:
    """Katakana as it is spoken."""
    return list(_call("g2p", text, kana=True))


def accent(text: str, pauses: bool = False) -> list[str]:
    """Each phoneme followed by its phrase's accent and its mora's distance from it."""
    found: list[str] = []
    for label in _labels(text):
        if pauses and label.split("-")[1].split("+")[0] == "pau":
            found.append("pau")
            continue
        match = _ACCENT.search(label)
        if match:
            found += [match[1], match[3], match[2]]
    return found


def accent_with_pause(text: str) -> list[str]:
    """As `accent`, with `pau` at a comma."""
    return accent(text, pauses=True)


def prosody(text: str) -> list[str]:
    """Phonemes with marks of pitch: `^` begin, `$` end, `?` question, `_` pause, `#` phrase, `[` up, `]` down.

    Source: Kurihara et al., Prosodic features control by symbols as input of sequence-to-sequence
    acoustic modeling for neural TTS, IEICE 2021, https://doi.org/10.1587/transinf.2020EDP7104.
    """
    labels = _labels(text)
    found: list[str] = []
    for place, label in enumerate(labels):
        match = _PHONEME.search(label)
        phoneme = match[1] if match else ""
        if phoneme == "sil":
            found += _silence(label, first=place == 0, last=place == len(labels) - 1)
        elif phoneme == "pau":
            found.append("_")
        else:
            voiced = phoneme.lower() if phoneme in "AEIOU" else phoneme
            found += [voiced, *_pitch(voiced, label, labels[place + 1])]
    return found


def _silence(label: str, first: bool, last: bool) -> list[str]:
    if first:
        return ["^"]
    mark = {0: "$", 1: "?"}.get(_number(_QUESTION, label)) if last else None
    return [mark] if mark else []


def _pitch(phoneme: str, label: str, following: str) -> list[str]:
    """The mark after a phoneme: a new accent phrase, pitch falling or pitch rising, or none."""
    place, from_end = _number(_A2, label), _number(_A3, label)
    place_next = _number(_A2, following)
    if from_end == 1 and place_next == 1 and phoneme in "aeiouAEIOUNcl":
        return ["#"]
    falls_here = _number(_A1, label) == 0 and place != _number(_F1, label)
    if falls_here and place_next == place + 1:
        return ["]"]
    return ["["] if place == 1 and place_next == 2 else []


CONVERTERS: dict[str, Callable[[str], list[str]]] = {
    "pyopenjtalk": phonemes,
    "pyopenjtalk_kana": kana,
    "pyopenjtalk_accent": accent,
    "pyopenjtalk_accent_with_pause": accent_with_pause,
    "pyopenjtalk_prosody": prosody,
}
