"""Can speech be understood? A recogniser writes down what it hears, and its errors are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.datadir.tables import read_table, write_table
from espnet_ext.files import write_text
from espnet_ext.metrics.asr import split_chars
from espnet_ext.metrics.spelling import Spelling
from espnet_ext.metrics.wer import align
from espnet_ext.progress import progress

if TYPE_CHECKING:
    from espnet_ext.inference.speech2text import Speech2Text

_KEY = "heard.key"
# both sides, so that a recogniser's way of writing is no error: numbers in words, lower case, apostrophes alone
SPELLING = Spelling("lower", frozenset("'"))


def hear(recogniser: Speech2Text, entries: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What a recogniser hears in each utterance; kept in `folder`/heard and read there the next time.

    Args:
        recogniser: any.
        entries: utterance -> entry of wav.scp.
        folder: of the set.
    """
    from espnet_ext.audio.read import load
    from espnet_ext.inference.shares import run_key

    table, key_file = folder / "heard", folder / _KEY
    key = run_key([], recogniser.identity, [(u, e, _changed(e)) for u, e in entries.items()])
    if table.is_file() and key_file.is_file() and key_file.read_text(encoding="utf-8") == key:
        return read_table(table, empty=True)
    sounds = (load(entry, recogniser.rate or 16000)[0] for entry in entries.values())
    answers = recogniser.stream(sounds, recogniser.rate or 16000)
    shown = progress(answers, len(entries), f"hear {folder.name}")
    found = {utt: answer.text for utt, answer in zip(entries, shown, strict=True)}
    write_table(table, found)
    write_text(key_file, key)
    return found


def _changed(entry: str) -> float:
    """When a file, or the archive of `archive:offset`, was written; 0 for what is neither."""
    paths = (Path(name) for name in (entry, entry.rpartition(":")[0]) if name)
    return next((path.stat().st_mtime for path in paths if path.is_file()), 0.0)


def errors(said: str, heard: str, language: str = "en") -> dict[str, Any]:
    """Error rates in percent of one utterance, and what they are of, both texts spelled alike.

    Args:
        said: as written, or SSML.
        heard: by a recogniser.
        language: in whose words numbers are compared.

    Returns:
        cer, characters, wer, words; the rates are None where nothing was to be said.

    >>> errors("It's 2 o'clock!", "its to o'clock")["words"]
    3.0
    """
    spell = replace(SPELLING, language=language)
    ref, hyp = spell(said), spell(heard)
    letters = align(split_chars(ref), split_chars(hyp)).counts
    words = align(ref.split(), hyp.split()).counts
    return {
        "cer": letters.error_rate,
        "characters": float(letters.words),
        "wer": words.error_rate,
        "words": float(words.words),
    }
