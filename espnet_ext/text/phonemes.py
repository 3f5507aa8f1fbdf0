"""Grapheme to phoneme conversion, under the names and with the results of ESPnet.

`config.yaml` of a model holds the name (`g2p: espeak_ng_english_us_vits`), so every name here is
one that stock ESPnet understands (espnet2/text/phoneme_tokenizer.py) and yields what it yields.
espeak-ng and phonemizer are GPL programs: they are optional and imported at the first sentence,
not before.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from espnet_ext.errors import UserError

G2p = Callable[[str], list[str]]

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
G2P_CHOICES = (VITS, *_ESPEAK_LANGUAGES, "g2p_en", "g2p_en_no_space")


def split_by_space(text: str) -> list[str]:
    """Text that is phonemes already: `HH AH0   W` -> [HH, AH0, " ", W] (3 spaces: next word)."""
    if "   " not in text:
        return text.split(" ")
    return [p.replace("<space>", " ") for p in text.replace("   ", " <space> ").split(" ")]


class Espeak:
    """Phonemes by espeak-ng through phonemizer.

    One backend serves all sentences and a sentence is converted once. Sentences go to the backend
    one by one: that costs 0.1 ms, while a list would drop empty sentences and so shift the others.

    Args:
        language: espeak's code, e.g. "en-us".
        vits: single IPA characters with `<space>` between words, as VITS takes them, not phonemes.
        cache_size: number of sentences to remember.

    Raises:
        UserError: at the first sentence, if phonemizer or espeak-ng is missing.
    """

    def __init__(self, language: str, vits: bool = False, cache_size: int = 65536) -> None:
        self.language, self.vits, self.cache_size = language, vits, cache_size
        self._backend: Any = None
        self._phonemize: Callable[[str], tuple[str, ...]] | None = None

    def __call__(self, text: str) -> list[str]:
        """`text` -> phonemes; an empty sentence has none."""
        if self._phonemize is None:
            self._backend, self._separator = _espeak_backend(self.language, self.vits)
            self._phonemize = functools.lru_cache(self.cache_size)(self._convert)
        return list(self._phonemize(text))

    def __getstate__(self) -> dict[str, Any]:
        # the backend holds a C library: a process that receives this object opens its own
        return {**self.__dict__, "_backend": None, "_separator": None, "_phonemize": None}

    def _convert(self, text: str) -> tuple[str, ...]:
        lines = self._backend.phonemize([text], separator=self._separator, strip=self.vits, njobs=1)
        line = lines[0] if lines else ""
        if self.vits:
            return tuple(c.replace(" ", "<space>") for c in line)
        return tuple(line.split())


def _espeak_backend(language: str, vits: bool) -> tuple[Any, Any]:
    try:
        from phonemizer.backend import BACKENDS
        from phonemizer.separator import Separator
    except ImportError as error:
        raise UserError(
            f"phonemes by espeak-ng need the package phonemizer (no module {error.name}); run "
            "`pip install phonemizer`, or choose --token_type char"
        ) from error
    logger = logging.getLogger("phonemizer")
    logger.setLevel(logging.ERROR)  # it warns about every word count that differs
    try:
        backend = BACKENDS["espeak"](
            language=language, with_stress=True, preserve_punctuation=True, logger=logger
        )
    except RuntimeError as error:
        raise UserError(
            f"phonemes by espeak-ng: {error}; install it (`apt-get install espeak-ng`, "
            "`brew install espeak-ng`), or choose --token_type char"
        ) from error
    return backend, Separator(word=" " if vits else None, syllable=None, phone="" if vits else " ")


class _G2pEn:
    """g2p_en, ARPAbet phonemes; opened at the first sentence because it loads NLTK data."""

    def __init__(self, no_space: bool) -> None:
        self.no_space = no_space
        self._g2p: Any = None

    def __call__(self, text: str) -> list[str]:
        if self._g2p is None:
            self._g2p = _open_g2p_en()
        return [p for p in self._g2p(text) if not (self.no_space and p == " ")]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_g2p": None}


def _open_g2p_en() -> Any:
    try:
        import g2p_en

        return g2p_en.G2p()
    except (ImportError, LookupError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"g2p_en cannot be opened ({reason}); it needs the package and NLTK's cmudict and "
            f"tagger data, or choose --g2p {VITS}"
        ) from error


def make_g2p(name: str | None) -> G2p:
    """The converter of that name (`G2P_CHOICES`); None means that the text is phonemes already.

    Raises:
        UserError: if there is no such converter.
    """
    if name is None:
        return split_by_space
    if name == VITS:
        return Espeak("en-us", vits=True)
    if name in _ESPEAK_LANGUAGES:
        return Espeak(_ESPEAK_LANGUAGES[name])
    if name in ("g2p_en", "g2p_en_no_space"):
        return _G2pEn(no_space=name.endswith("no_space"))
    raise UserError(f"found g2p {name!r}, expected one of {', '.join(G2P_CHOICES)}")
