"""What a text asks of a pronunciation lexicon and of a model: words that one lacks, phonemes that the other lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.text.arpabet import unknown_words
from espnet_ext.text.phonemes import ENGLISH, make_g2p
from espnet_ext.text.phonemize import PhonemizeOptions, unstressed
from espnet_ext.text.pronunciation import TOKEN, LexiconG2p
from espnet_ext.text.tokens import TOKENS_FILE, read_token_list

_SHOWN = 20  # words or phonemes of a report


@dataclass
class PhoneCheck:
    """What was found; counts are of occurrences."""

    sentences: int = 0
    phonemes: Counter[str] = field(default_factory=Counter)  # outside the token list
    where: dict[str, str] = field(default_factory=dict)  # phoneme -> the first sentence with it
    words: Counter[str] = field(default_factory=Counter)  # that the lexicon lacks
    dictionary: str = ""  # what the words were looked up in, "" if there was nothing

    def report(self) -> str:
        """Lines for the person who asked."""
        lines = [f"{self.sentences} sentences"]
        if self.dictionary:
            lines.append(f"{len(self.words)} different words are not in {self.dictionary}")
            lines += [f"  {word}\t{count}" for word, count in self.words.most_common(_SHOWN)]
            if len(self.words) > _SHOWN:
                lines.append(f"  and {len(self.words) - _SHOWN} more")
        lines.append(f"{len(self.phonemes)} different phonemes are not in the token list")
        for phoneme, count in self.phonemes.most_common(_SHOWN):
            lines.append(f"  {phoneme!r}\t{count}\tfirst in: {self.where[phoneme]}")
        if len(self.phonemes) > _SHOWN:
            lines.append(f"  and {len(self.phonemes) - _SHOWN} more")
        if self.phonemes:
            lines.append(
                "the model hears <unk> for each of them: convert with the g2p and cleaner that it was trained with, "
                "correct the lexicon, or train again with tokens of this text"
            )
        return "\n".join(lines) + "\n"


def model_tokens(path: str | Path) -> list[str]:
    """The tokens of a token list, of a directory that train_tokens wrote, or of a model's config.yaml.

    Raises:
        UserError: if it is none of these.
    """
    path = Path(path)
    if path.is_dir():
        return read_token_list(path / TOKENS_FILE)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return read_token_list(path)
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from error
    tokens = found.get("token_list") if isinstance(found, Mapping) else None
    if isinstance(tokens, str):
        return read_token_list(tokens)
    if not isinstance(tokens, list):
        raise UserError(
            f"{path}: has no token_list, expected a trained model's config.yaml; give tokens.txt"
        )
    return [str(token) for token in tokens]


def check(sentences: Iterable[str], options: PhonemizeOptions, tokens: Sequence[str]) -> PhoneCheck:
    """Convert sentences and see what is missing.

    Words are looked up in the user's lexicon; without one in CMUdict, for English by g2p_en; else not at all.

    Args:
        sentences: as the converter takes them (clean).
        options: converter and lexicon.
        tokens: of the model.
    """
    g2p = make_g2p(options.g2p, options.lexicon or None, options.oov)
    found = PhoneCheck(dictionary=_dictionary(options))
    known = set(tokens)
    english = options.g2p in ENGLISH
    lexicon = LexiconG2p(str.split, options.lexicon, english=english)
    for sentence in sentences:
        found.sentences += 1
        for phoneme in g2p(sentence):
            phoneme = phoneme if options.stress else unstressed(phoneme)
            if phoneme and phoneme not in known:
                found.phonemes[phoneme] += 1
                found.where.setdefault(phoneme, sentence)
        if options.lexicon:
            found.words.update(w for w in re.findall(TOKEN, sentence) if not lexicon.holds(w))
        elif english:
            found.words.update(unknown_words(sentence))
    return found


def _dictionary(options: PhonemizeOptions) -> str:
    if options.lexicon:
        return "the lexicon"
    return "CMUdict" if options.g2p in ENGLISH else ""
