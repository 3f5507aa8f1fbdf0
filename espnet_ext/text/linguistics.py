"""All that is known of a line of English beside its phonemes: words, parts of speech, phrases, syllables.

Parts of speech and dependencies need a model (`espnet_ext.text.tagging`), the rest needs no more than
CMUdict. Semantic roles are not given: no maintained labeller has a model among its packages (those
of AllenNLP, SENNA and the like are downloads, and no longer maintained), so there is none offline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from espnet_ext.text import prosody, ssml, syllables, tagging


@dataclass(frozen=True)
class WordFeatures:
    """One word."""

    text: str
    marks: str  # punctuation after it
    tag: str  # Penn part of speech; "" without a tagger
    pos: str  # universal part of speech; "" without a tagger
    head: int | None  # index of the word it depends on, its own for the root; None if not parsed
    relation: str  # kind of dependency; "" if not parsed
    boundary: int  # after it: 1 none, 3 intermediate phrase, 4 intonation phrase
    pause_s: float  # silence that the boundary suggests, seconds
    emphasis: bool  # written *so*, or in <emphasis>
    syllables: list[
        str
    ]  # ARPAbet phonemes of each, between blanks; [""] where only their number is known
    stress: list[int]  # of each syllable: 0 none, 1 primary, 2 secondary


@dataclass(frozen=True)
class LineFeatures:
    """One line; for SSML its spans, and the words of their texts."""

    text: str  # what is spoken, without marks of emphasis and without markup
    tagger: str  # what gave the parts of speech; "" for nothing
    words: list[WordFeatures]
    spans: list[ssml.Span]  # of SSML; [] for plain text

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def analyse(line: str, tags: bool = True) -> LineFeatures:
    """The features of one line, plain text (emphasis as `*word*`) or SSML.

    Args:
        line: the text.
        tags: parts of speech too, where there is a tagger.

    Raises:
        UserError: if it is malformed SSML.
    """
    if ssml.is_ssml(line):
        spans = ssml.parse(line)
        plain, emphasised = _text_of(spans)
    else:
        spans = []
        plain, emphasised = prosody.strip_emphasis(line)
    found = prosody.words(plain, emphasised)
    tagged = tag_words(found) if tags else []
    words = [_word(word, tagged[place] if tagged else None) for place, word in enumerate(found)]
    return LineFeatures(plain, tagging.tagger_name() if tagged else "", words, spans)


def _text_of(spans: Iterable[ssml.Span]) -> tuple[str, list[tuple[int, int]]]:
    """The texts of spans, a comma for a pause where no mark stands; and where emphasis is."""
    text = ""
    emphasised: list[tuple[int, int]] = []
    for span in spans:
        if span.break_s:
            text += ", " if text[-1:].isalnum() else " " if text else ""
            continue
        if span.emphasis in ("strong", "moderate"):
            emphasised.append((len(text), len(text) + len(span.text)))
        text += span.text
    return text, emphasised


def tag_words(words: list[prosody.Word]) -> list[tagging.Tagged]:
    """Parts of speech of words, `head` counted in words; the tagger sees the punctuation too."""
    tokens: list[str] = []
    places: list[int] = []
    for word in words:
        places.append(len(tokens))
        tokens += [word.text, *word.marks]
    tagged = tagging.tag(tokens)
    if not tagged:
        return []
    index = {place: number for number, place in enumerate(places)}
    return [
        tagging.Tagged(
            t.text, t.tag, t.pos, index.get(t.head) if t.head is not None else None, t.relation
        )
        for t in (tagged[place] for place in places)
    ]


def _word(word: prosody.Word, tagged: tagging.Tagged | None) -> WordFeatures:
    parts = syllables.of_word(word.text)
    return WordFeatures(
        text=word.text,
        marks=word.marks,
        tag=tagged.tag if tagged else "",
        pos=tagged.pos if tagged else "",
        head=tagged.head if tagged else None,
        relation=tagged.relation if tagged else "",
        boundary=word.boundary,
        pause_s=word.pause_s,
        emphasis=word.emphasis,
        syllables=[" ".join(part.phonemes) for part in parts],
        stress=[part.stress for part in parts],
    )
