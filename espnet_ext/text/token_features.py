"""What is known of each token besides its name (part of speech, boundary, emphasis, stress), in the token's number.

ESPnet's models and trainers hand on one whole number a token, so one number says all: with V tokens and features of
n1, n2, ... values it is id + V * (f1 + n1 * (f2 + n2 * ...)). Value 0 of a feature means that it is not known; a plain
id, as stock ESPnet makes it, says so of all.

A word's features are its tokens', those of the blank and the punctuation behind it, too. Which word a token is of is
found by converting each word alone and comparing: a converter may join words, or say them otherwise in a sentence.
Boundaries are by rules for English (`prosody`), parts of speech by a tagger for English (`tagging`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.text import linguistics, prosody, syllables, tagging
from espnet_ext.text.tokens import TextPipeline

#: Features and their values; the first means "not known".
FEATURES: dict[str, tuple[str, ...]] = {
    "pos": (
        *("", "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON"),
        *("PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
    ),
    "boundary": ("", "1", "3", "4"),  # after the word: none, intermediate, intonation phrase
    "emphasis": ("", "yes"),  # written *so*
    "stress": ("", "0", "1", "2"),  # of the syllable: none, primary, secondary
}
_MARKS = {"ˈ": 2, "ˌ": 3}  # places in FEATURES["stress"]
_VOWELS = frozenset("aeiouyæɑɐɒɔəɚɛɜɝɪʊʌᵻøœɨʉɵɤɯɶɘɞ")


@dataclass(frozen=True)
class Folding:
    """How ids and features become one number.

    Attributes:
        vocabulary: number of tokens, V.
        names: of features, in the order of folding.
    """

    vocabulary: int
    names: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each feature has."""
        return tuple(len(FEATURES[name]) for name in self.names)

    @property
    def numbers(self) -> int:
        """How many numbers there are."""
        return self.vocabulary * math.prod(self.sizes)

    def fold(self, token: int, features: Sequence[int]) -> int:
        """The number of a token with these features.

        >>> Folding(10, ("boundary", "emphasis")).fold(7, (3, 1))
        77
        """
        number = 0
        for value, size in reversed(list(zip(features, self.sizes, strict=True))):
            number = number * size + value
        return number * self.vocabulary + token

    def unfold(self, numbers: Any) -> tuple[Any, list[Any]]:
        """Ids and the values of each feature; numbers may be an int, an array or a tensor of any shape.

        >>> Folding(10, ("boundary", "emphasis")).unfold(77)
        (7, [3, 1])
        """
        ids, rest = numbers % self.vocabulary, numbers // self.vocabulary
        found = []
        for size in self.sizes:
            found.append(rest % size)
            rest = rest // size
        return ids, found


def read_names(given: str) -> tuple[str, ...]:
    """Names of features as a YAML writes them, between blanks.

    Raises:
        ValueError: for one that is not known, or is there twice.
    """
    names = tuple(given.replace(",", " ").split())
    wrong = [name for name in names if name not in FEATURES]
    if wrong or len(set(names)) != len(names):
        raise ValueError(
            f"prosody: found {given!r}, expected some of {', '.join(FEATURES)}, each once"
        )
    return names


def wanted_features(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The features that a synthesiser's configuration asks for.

    They stand in tts_conf's `encoder: {prosody: ...}`, or there within `acoustic`.

    Raises:
        UserError: for one that is not known.
    """
    conf = config.get("tts_conf") or {}
    acoustic = conf.get("acoustic") or conf
    encoder = acoustic.get("encoder") if isinstance(acoustic, Mapping) else None
    given = encoder.get("prosody") if isinstance(encoder, Mapping) else None
    try:
        return read_names(given) if isinstance(given, str) else ()
    except ValueError as error:
        raise UserError(f"tts_conf, encoder.{error}") from None


def with_features(pipeline: TextPipeline, config: Mapping[str, Any]) -> TextPipeline:
    """The pipeline as a synthesiser's configuration wants it."""
    names = wanted_features(config)
    return FeaturePipeline(pipeline, names) if names else pipeline


class FeaturePipeline(TextPipeline):
    """A pipeline whose ids say what is known of the tokens.

    Args:
        pipeline: whose tokens they are.
        names: of the features.

    Raises:
        UserError: for stress of tokens that are no phonemes, or parts of speech without a tagger.
    """

    def __init__(self, pipeline: TextPipeline, names: tuple[str, ...]) -> None:
        self.__dict__.update(pipeline.__dict__)
        self.folding = Folding(len(pipeline), names)
        if "stress" in names and self.token_type != "phn":
            raise UserError(
                f"prosody: found stress with tokens of type {self.token_type}, expected phn: leave stress out"
            )
        if "pos" in names:
            tagging.require()

    def _read(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """The text without marks of emphasis where that is a feature, and where they stood."""
        return prosody.strip_emphasis(text) if "emphasis" in self.folding.names else (text, [])

    def tokens(self, text: str) -> list[str]:
        """A sentence as written, emphasis as *so* -> its tokens, no `<sos/eos>`."""
        return super().tokens(self._read(text)[0])

    def ids(self, text: str) -> list[int]:
        """A sentence as written, emphasis as *so* -> numbers, no `<sos/eos>`."""
        text, emphasised = self._read(text)
        tokens = super().tokens(text)
        rows = self._rows(tokens, prosody.words(text, emphasised))
        return [
            self.folding.fold(token, row)
            for token, row in zip(self.token_ids(tokens), rows, strict=True)
        ]

    def text(self, ids: Any) -> str:
        """Numbers -> the sentence."""
        return super().text(self.folding.unfold(number)[0] for number in ids)

    def _rows(self, tokens: Sequence[str], words: list[prosody.Word]) -> list[tuple[int, ...]]:
        """The values of the features of each token."""
        if not words:
            return [(0,) * len(self.folding.names)] * len(tokens)
        alone = super().tokens
        places = word_of_tokens(tokens, [alone(word.text) for word in words])
        made = {
            "boundary": lambda: [_place("boundary", str(word.boundary)) for word in words],
            "emphasis": lambda: [_place("emphasis", "yes" * word.emphasis) for word in words],
            "pos": lambda: [_place("pos", found.pos) for found in linguistics.tag_words(words)],
        }
        columns = [
            token_stress(tokens, places) if name == "stress" else _spread(made[name](), places)
            for name in self.folding.names
        ]
        return list(zip(*columns, strict=True))


def _place(name: str, value: str) -> int:
    values = FEATURES[name]
    return values.index(value) if value in values else 0


def _spread(values: Sequence[int], places: Sequence[int]) -> list[int]:
    return [values[place] for place in places]


def word_of_tokens(tokens: Sequence[str], words: Sequence[Sequence[str]]) -> list[int]:
    """Which word each token of a sentence is of.

    Args:
        tokens: of the sentence.
        words: the tokens that each word has alone; one or more words.

    Example:
        >>> word_of_tokens("ð ə _ k æ t .".split(), ["ð ə".split(), "k æ t".split()])
        [0, 0, 0, 1, 1, 1, 1]
    """
    pairs = [(token, number) for number, word in enumerate(words) for token in word if _said(token)]
    owners = [number for _, number in pairs]
    heard = [place for place, token in enumerate(tokens) if _said(token)]
    said, alone = [tokens[place] for place in heard], [token for token, _ in pairs]
    found: dict[int, int] = {}
    for kind, a, b, c, d in SequenceMatcher(None, said, alone, autojunk=False).get_opcodes():
        if kind in ("equal", "replace"):
            for place in range(a, b):
                found[heard[place]] = owners[c + (place - a) * (d - c) // (b - a)]
    last = next(iter(found.values()), 0)
    filled = []
    for place in range(
        len(tokens)
    ):  # what is not said, or by no word alone, is of the word before it
        last = found.get(place, last)
        filled.append(last)
    return filled


def _said(token: str) -> bool:
    return not token.startswith("<") and any(c.isalnum() for c in token)


def token_stress(tokens: Sequence[str], places: Sequence[int]) -> list[int]:
    """The stress of each token's syllable, as a place in FEATURES["stress"]; 0 for what is no phoneme.

    ARPAbet says it by the digit of a syllable's vowel, IPA by a mark before the syllable; where one of IPA ends is
    not written, so that its last consonants count as unstressed.

    Args:
        tokens: of the sentence.
        places: the word of each.
    """
    found: list[int] = []
    for word in sorted(set(places)):
        mine = [token for token, place in zip(tokens, places, strict=True) if place == word]
        arpabet = any(token[-1:].isdigit() for token in mine)
        found += _arpabet_stress(mine) if arpabet else _ipa_stress(mine)
    return found


def _arpabet_stress(word: Sequence[str]) -> list[int]:
    phonemes = [token for token in word if token.isalnum()]
    each = iter([s.stress + 1 for s in syllables.syllabify(phonemes) for _ in s.phonemes])
    return [next(each, 0) if token.isalnum() else 0 for token in word]


def _ipa_stress(word: Sequence[str]) -> list[int]:
    found, level, within = [], 1, False
    for token in word:
        marks = [_MARKS[c] for c in token if c in _MARKS]
        if token.startswith("<") or not any(c.isalpha() for c in token):
            found.append(0)
            continue
        vowel = not _VOWELS.isdisjoint(token)
        if marks:
            level, within = marks[-1], vowel
        elif vowel:
            within = True
        elif within and any(c.isalpha() and c not in "ːˑ" for c in token):
            level, within = 1, False
        found.append(level)
    return found
