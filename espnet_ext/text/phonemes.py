"""Grapheme to phoneme conversion, under the names and with the results of ESPnet.

`config.yaml` of a model holds the name (`g2p: espeak_ng_english_us_vits`), so the names in
`G2P_CHOICES` are those of stock ESPnet (espnet2/text/phoneme_tokenizer.py) and yield what it yields.
`espeak:<code>` is ours, for every other language that espeak-ng has: a model with it does not load
in stock ESPnet; where it must, convert the text first (command phonemize) and train with no g2p.
espeak-ng and phonemizer are GPL programs: they are optional and imported at the first sentence,
not before.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.text import japanese
from espnet_ext.text.arpabet import Arpabet, check_arpabet
from espnet_ext.text.phoneme_cache import CachedG2p, G2p
from espnet_ext.text.pronunciation import LexiconG2p, converter_beside, read_lexicon

_ESPEAK_LANGUAGES = {
    "espeak_ng_arabic": "ar",
    "espeak_ng_german": "de",
    "espeak_ng_french": "fr-fr",
    "espeak_ng_spanish": "es",
    "espeak_ng_russian": "ru",
    "espeak_ng_greek": "el",
    "espeak_ng_finnish": "fi",
    "espeak_ng_hungarian": "hu",
    "espeak_ng_dutch": "nl",
    "espeak_ng_hindi": "hi",
    "espeak_ng_italian": "it",
    "espeak_ng_polish": "pl",
}
VITS = "espeak_ng_english_us_vits"
ENGLISH = ("g2p_en", "g2p_en_no_space")
G2P_CHOICES = (VITS, *_ESPEAK_LANGUAGES, *ENGLISH, *japanese.CONVERTERS)
ANY_LANGUAGE = "espeak:"
#: finds characters beyond Latin letters and common punctuation: espeak-ng changes its voice for some of them, and may
#: keep the other one. (To set the voice anew can crash it then; a new copy of the library is sound.)
_FOREIGN = re.compile("[^\\x01-\u024f\u2000-\u206f]").search
_PROBE = "hello world"


def split_by_space(text: str) -> list[str]:
    """Text that is phonemes already: `HH AH0   W` -> [HH, AH0, " ", W] (3 spaces: next word)."""
    if "   " not in text:
        return text.split(" ")
    return [p.replace("<space>", " ") for p in text.replace("   ", " <space> ").split(" ")]


class Espeak:
    """Phonemes by espeak-ng through phonemizer.

    One backend serves all sentences. They go to it one by one: a list would drop empty sentences and
    so shift the others.

    Args:
        language: espeak's code, e.g. "en-us".
        vits: single IPA characters with `<space>` between words, as VITS takes them, not phonemes.
        keep_flags: keep espeak's marks of words in another language, e.g. (en), as stock ESPnet does.

    Raises:
        UserError: at the first sentence, if phonemizer, espeak-ng or the language is missing.
    """

    def __init__(self, language: str, vits: bool = False, keep_flags: bool = True) -> None:
        self.language, self.vits, self.keep_flags = language, vits, keep_flags

    def __call__(self, text: str) -> list[str]:
        """`text` -> phonemes; an empty sentence has none."""
        flags = "keep-flags" if self.keep_flags else "remove-flags"
        backend, probe = _open_espeak(self.language, flags, threading.get_ident())
        text = text.replace("\0", " ")  # which would end the sentence: espeak-ng reads a C string
        line = _said(backend, text, self.vits)
        if _FOREIGN(text) and _said(backend, _PROBE, True) != probe:
            _open_espeak.cache_clear()
        if self.vits:
            return ["<space>" if c == " " else c for c in line]
        return line.split()


def _said(backend: Any, text: str, vits: bool) -> str:
    lines = backend.phonemize([text], separator=_separator(vits), strip=vits, njobs=1)
    return lines[0] if lines else ""


@functools.cache
def _separator(vits: bool) -> Any:
    from phonemizer.separator import Separator

    return Separator(word=" " if vits else None, syllable=None, phone="" if vits else " ")


@functools.lru_cache(maxsize=64)
def _open_espeak(language: str, flags: str, thread: int) -> tuple[Any, str]:
    """A backend with a copy of espeak-ng's library of its own, and what it makes of the probe; a thread has its own."""
    try:
        from phonemizer.backend import BACKENDS
    except ImportError as error:
        raise UserError(
            f"phonemes by espeak-ng need the package phonemizer (no module {error.name}); run "
            "`pip install phonemizer`, or choose --token_type char"
        ) from error
    logger = logging.getLogger("phonemizer")
    logger.setLevel(logging.ERROR)  # it warns about every word count that differs
    try:
        backend = BACKENDS["espeak"](
            language=language,
            with_stress=True,
            preserve_punctuation=True,
            language_switch=flags,
            logger=logger,
        )
        return backend, _said(backend, _PROBE, True)
    except RuntimeError as error:
        raise UserError(
            f"phonemes by espeak-ng: {error}; install it (`apt-get install espeak-ng`, "
            "`brew install espeak-ng`), name a language that `espeak-ng --voices` lists, "
            "or choose --token_type char"
        ) from error


class English:
    """ARPAbet under the names g2p_en and g2p_en_no_space: by g2p_en itself where NLTK's data is.

    Elsewhere by `arpabet.Arpabet`, with the same dictionary (another edition) and network. Opened at
    the first sentence because g2p_en takes seconds to import.
    """

    def __init__(self, no_space: bool, oov: str = "predict") -> None:
        self.no_space, self.oov = no_space, oov
        self._offline = Arpabet(no_space, oov)
        self._g2p: Any = None

    def __call__(self, text: str) -> list[str]:
        if self._g2p is None:
            stock = self.oov == "predict" and _has_nltk_data()
            self._g2p = _open_g2p_en() if stock else self._offline
        return [p for p in self._g2p(text) if not (self.no_space and p == " ")]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_g2p": None}


def _has_nltk_data() -> bool:
    from espnet_ext.text.tagging import NLTK_TAGGER, nltk_data

    return nltk_data(NLTK_TAGGER) and nltk_data("corpora/cmudict")


def _open_g2p_en() -> Any:
    try:
        import g2p_en

        return g2p_en.G2p()
    except (ImportError, LookupError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"g2p_en cannot be opened ({reason}); install espnet-g2p-en and NLTK's data again, "
            f"or choose --g2p {VITS}"
        ) from error


def make_g2p(
    name: str | None,
    lexicon: Mapping[str, tuple[str, ...]] | None = None,
    oov: str = "predict",
) -> G2p:
    """The converter of that name, which converts a sentence once and then remembers it.

    Args:
        name: one of `G2P_CHOICES`, `espeak:<code>`, or a lexicon file that names its converter, as
            train_tokens writes it; None means that the text is phonemes already.
        lexicon: the user's own pronunciations (`pronunciation.read_lexicon`), which win.
        oov: g2p_en: what words outside CMUdict become, see `arpabet.OOV_CHOICES`.

    Raises:
        UserError: if there is no such converter, or a lexicon for text that is phonemes already.
    """
    if name is None:
        if lexicon:
            raise UserError(
                "found a lexicon and no g2p, expected a converter beside it: give --g2p"
            )
        return split_by_space
    if lexicon is None and name not in G2P_CHOICES and Path(name).is_file():
        return make_g2p(_named_converter(name), read_lexicon(name), oov)
    g2p = _converter(name, oov)
    if lexicon:
        if name in ENGLISH:
            check_arpabet(lexicon)
        space = word_space(name)
        english = name in (VITS, *ENGLISH) or name.startswith(f"{ANY_LANGUAGE}en")
        g2p = LexiconG2p(g2p, lexicon, space, name == VITS, name == "g2p_en", english)
    return CachedG2p(g2p)


def converter_name(g2p: str | None) -> str | None:
    """The name behind a g2p of a configuration, which may be a lexicon file that names its converter."""
    if g2p is not None and g2p not in G2P_CHOICES and Path(g2p).is_file():
        return _named_converter(g2p)
    return g2p


def language_of(g2p: str | None) -> str | None:
    """The language that a converter reads, as a code of two or three letters; None if its name does not say.

    >>> language_of("espeak:pt-br"), language_of("pyopenjtalk_accent"), language_of(None)
    ('pt', 'ja', None)
    """
    name = converter_name(g2p) or ""
    if name in (VITS, *ENGLISH):
        return "en"
    if name in japanese.CONVERTERS:
        return "ja"
    code = _ESPEAK_LANGUAGES.get(name) or name.partition(ANY_LANGUAGE)[2]
    return code.partition("-")[0] or None


def word_space(g2p: str | None) -> str | None:
    """The token that a converter puts between words, None if it puts none."""
    return {VITS: "<space>", "g2p_en": " "}.get(converter_name(g2p) or "")


def _named_converter(path: str) -> str:
    found = converter_beside(path)
    if found is None:
        raise UserError(
            f"{path}: names no converter for the words it lacks, expected a first line such as "
            f"`# g2p: {VITS}`; add it, or name a converter and give this file as the lexicon"
        )
    return found


def _converter(name: str, oov: str) -> G2p:
    if name == VITS:
        return Espeak("en-us", vits=True)
    if name in _ESPEAK_LANGUAGES:
        return Espeak(_ESPEAK_LANGUAGES[name])
    if name.startswith(ANY_LANGUAGE):
        return Espeak(name.removeprefix(ANY_LANGUAGE), keep_flags=False)
    if name in ENGLISH:
        return English(no_space=name.endswith("no_space"), oov=oov)
    if name in japanese.CONVERTERS:
        return japanese.CONVERTERS[name]
    known = ", ".join((*G2P_CHOICES, f"{ANY_LANGUAGE}<code>"))
    raise UserError(f"found g2p {name!r}, expected one of {known}")
