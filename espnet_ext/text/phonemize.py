"""Sentences to lines of phonemes that may be read, edited and trained on (token type phn, no g2p)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.files import write_text
from espnet_ext.text.arpabet import unknown_words
from espnet_ext.text.phoneme_cache import CachedG2p
from espnet_ext.text.phonemes import ENGLISH, VITS, make_g2p
from espnet_ext.text.syllables import mark


@dataclass(frozen=True)
class PhonemizeOptions:
    """How sentences become phonemes."""

    g2p: str | None = VITS  # name of the converter; None: the text is phonemes already
    lexicon: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # the user's own, which win
    oov: str = "predict"  # g2p_en: words that CMUdict lacks: predict, espeak or error
    syllables: bool = False  # g2p_en: a dot between syllables
    stress: bool = True  # keep marks of stress
    jobs: int = 1  # processes


def phonemize(sentences: Sequence[str], options: PhonemizeOptions) -> list[str]:
    """One line for each sentence, phonemes between blanks.

    Where the converter marks spaces between words (" ") these are written as three blanks, which is
    how ESPnet reads them again (g2p: none).

    Raises:
        UserError: for an unknown converter, or syllables of any but English.
    """
    if options.syllables and options.g2p not in ENGLISH:
        raise UserError(
            f"syllables: found g2p {options.g2p!r}, expected {' or '.join(ENGLISH)}; leave --syllables out"
        )
    if options.syllables and options.g2p != "g2p_en":
        raise UserError(
            "syllables: g2p_en_no_space does not say where words end; choose --g2p g2p_en"
        )
    g2p = make_g2p(options.g2p, options.lexicon or None, options.oov)
    converted = (
        g2p.convert_all(sentences, options.jobs)
        if isinstance(g2p, CachedG2p)
        else [g2p(s) for s in sentences]
    )
    return [_line(phonemes, options) for phonemes in converted]


def _line(phonemes: Sequence[str], options: PhonemizeOptions) -> str:
    words = _words(phonemes)
    if options.syllables:
        words = [mark(word) for word in words]
    if not options.stress:
        words = [[p for p in map(unstressed, word) if p] for word in words]
    return "   ".join(" ".join(word) for word in words)


def _words(phonemes: Sequence[str]) -> list[list[str]]:
    """Phonemes cut at " "."""
    words: list[list[str]] = [[]]
    for phoneme in phonemes:
        if phoneme == " ":
            words.append([])
        else:
            words[-1].append(phoneme)
    return words


def unstressed(phoneme: str) -> str:
    """Without an ARPAbet vowel's digit or IPA's marks of stress; "" if nothing else was there."""
    if re.fullmatch("[A-Z]{2}[012]", phoneme):
        return phoneme[:-1]
    return phoneme.replace("ˈ", "").replace("ˌ", "")


def write_unknown(path: str | Path, sentences: Iterable[str], options: PhonemizeOptions) -> int:
    """Write the words that neither CMUdict nor the lexicon has, most frequent first, with their number.

    Returns:
        How many different ones there are.

    Raises:
        UserError: if the converter is not English, whose dictionary is the only one known here, or
            `path` is a directory.
    """
    if options.g2p not in ENGLISH:
        raise UserError(
            f"unknown words: found g2p {options.g2p!r}, expected {' or '.join(ENGLISH)}: "
            "espeak-ng has rules for every word; leave --oov_list out"
        )
    if Path(path).is_dir():
        raise UserError(f"{path}: is a directory, expected the name of a file for unknown words")
    own = {word.lower() for word in options.lexicon}
    counts = Counter(w for s in sentences for w in unknown_words(s) if w not in own)
    write_text(path, "".join(f"{word}\t{count}\n" for word, count in counts.most_common()))
    return len(counts)
