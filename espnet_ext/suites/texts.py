"""Parts of a test set that are hard for what was said in them: rare words, technical terms, disfluencies, ...

Nothing is made: a part is a selection of utterances, with the words that they were selected for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

RARE = 3  # a word (or character) that occurs less often in the training text is rare
SHORT, LONG = 1.5, 15.0  # seconds
#: Hesitations of English as transcribers spell them, and marks such as [um] or <hes> around them.
FILLERS = frozenset("UH UM ER ERM AH EH HM HMM MM MHM UHM UHHUH UH-HUH MM-HMM HUH OH-UH".split())
_MARKS = re.compile(r"^[\[<({%]+|[\])>}.,?!;:-]+$")
#: Said twice for a good reason.
_REPEATABLE = frozenset("HAD THAT VERY NO YES BYE HA NOW THERE SO".split())
_NUMBERS = frozenset(
    "ZERO OH O ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN ELEVEN TWELVE TWENTY THIRTY FORTY FIFTY "
    "SIXTY SEVENTY EIGHTY NINETY HUNDRED THOUSAND MILLION DOUBLE".split()
)

Selected = dict[str, list[str]]  # utterance -> the words that it was selected for


@dataclass(frozen=True)
class Texts:
    """What selections are made from.

    Attributes:
        said: utterance -> its text.
        seconds: utterance -> its length, as far as known.
        trained: sentences of the training text; none: what is rare is not known.
        terms: technical terms, of one word or several.
    """

    said: Mapping[str, str]
    seconds: Mapping[str, float]
    trained: Sequence[str] = ()
    terms: Sequence[str] = ()


def rare_words(texts: Texts) -> Selected:
    """Utterances with words that the training text has fewer than 3 times."""
    if not texts.trained:
        return {}
    known = Counter(word for line in texts.trained for word in line.upper().split())
    return _kept(
        {u: [w for w in t.split() if known[w.upper()] < RARE] for u, t in texts.said.items()}
    )


def rare_characters(texts: Texts) -> Selected:
    """Utterances with characters that the training text has fewer than 3 times: foreign letters, odd punctuation."""
    if not texts.trained:
        return {}
    known = Counter(c for line in texts.trained for c in line.upper())
    return _kept(
        {
            u: [w for w in t.split() if any(known[c] < RARE for c in w.upper())]
            for u, t in texts.said.items()
        }
    )


def technical(texts: Texts) -> Selected:
    """Utterances with one of the terms."""
    terms = [term.upper().split() for term in texts.terms]
    return _kept({u: _terms_in(t.split(), terms) for u, t in texts.said.items()})


def _terms_in(words: list[str], terms: Iterable[list[str]]) -> list[str]:
    upper, found = [word.upper() for word in words], dict[int, str]()
    for term in terms:
        for at in range(len(upper) - len(term) + 1):
            if term and upper[at : at + len(term)] == term:
                found.update({k: words[k] for k in range(at, at + len(term))})
    return [found[k] for k in sorted(found)]


def disfluent(texts: Texts) -> Selected:
    """Utterances with hesitations, broken words (`th-`) or words said again at once."""
    return _kept({u: _slips(t.split()) for u, t in texts.said.items()})


def _slips(words: list[str]) -> list[str]:
    upper = [word.upper() for word in words]
    found = []
    for at, word in enumerate(upper):
        plain = _MARKS.sub("", word)
        again = at > 0 and word == upper[at - 1] and _tells(word)
        if plain in FILLERS or again or (word.endswith("-") and len(word) > 1):
            found.append(words[at])
    return found


def _tells(word: str) -> bool:
    """Whether saying a word twice is a slip: not so with letters that are spelled, numbers and some others."""
    spelled = len(word) == 1 and word not in ("I", "A")
    return not (spelled or word in _REPEATABLE or word in _NUMBERS or word.isdigit())


def short(texts: Texts) -> Selected:
    """Utterances of up to 1.5 seconds."""
    return {u: [] for u in texts.said if texts.seconds.get(u, SHORT + 1) <= SHORT}


def long(texts: Texts) -> Selected:
    """Utterances of 15 seconds and more."""
    return {u: [] for u in texts.said if texts.seconds.get(u, 0.0) >= LONG}


def _kept(found: Selected) -> Selected:
    return {utt: words for utt, words in found.items() if words}


#: Name -> (how it is selected, what it is in words).
SELECTIONS = {
    "rare_words": (
        rare_words,
        f"with words that occur less than {RARE} times in the training text",
    ),
    "rare_characters": (rare_characters, "with characters that the training text hardly has"),
    "terms": (technical, "with technical terms"),
    "disfluent": (disfluent, "with hesitations, broken or repeated words"),
    "short": (short, f"up to {SHORT:g} s long"),
    "long": (long, f"{LONG:g} s long and more"),
}
