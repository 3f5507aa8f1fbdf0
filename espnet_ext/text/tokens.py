"""Sentences to token ids and back, with the tokens of stock ESPnet (espnet2/text/*_tokenizer.py).

A token list has ESPnet's order: `<blank>`, `<unk>`, the tokens by falling frequency, `<sos/eos>`.
Type wordpiece and byte tokens (`espnet_ext.text.subwords`) are ours: stock ESPnet has no wordpiece, and
shows byte tokens of char and word as they are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from espnet_ext.datadir.tables import decode
from espnet_ext.errors import UserError
from espnet_ext.text.cleaners import make_cleaner
from espnet_ext.text.phoneme_cache import CachedG2p
from espnet_ext.text.phonemes import make_g2p
from espnet_ext.text.pronunciation import read_lexicon
from espnet_ext.text.subwords import SpellingWords, WordPiece, join_spelled, spell, spells

BLANK, UNK, SOS_EOS, SPACE = "<blank>", "<unk>", "<sos/eos>", "<space>"
TOKEN_TYPES = ("bpe", "char", "word", "phn", "wordpiece")
TOKENS_FILE, BPE_FILE, SETTINGS_FILE = "tokens.txt", "bpe.model", "text.json"
LEXICON_FILE, PHONEMES_FILE = "lexicon.txt", "phonemes.tsv"


class Tokenizer(Protocol):
    """Cuts a clean sentence into tokens and joins tokens again."""

    def split(self, text: str) -> list[str]: ...

    def join(self, tokens: Sequence[str]) -> str: ...


class CharTokenizer:
    """Characters, `<space>` for a blank, and whole non-linguistic symbols such as `<noise>`.

    Where one symbol begins with another the longer one wins.

    Args:
        nlsyms: the symbols.
        space: the token for a blank.
        known: the token list, if it has byte tokens: what it lacks is spelled.
    """

    def __init__(
        self,
        nlsyms: Iterable[str] = (),
        space: str = SPACE,
        known: Collection[str] | None = None,
    ) -> None:
        symbols = sorted(filter(None, nlsyms), key=lambda s: (-len(s), s))
        self.pattern = re.compile("|".join([*map(re.escape, symbols), "."]), re.DOTALL)
        self.space, self.known = space, known

    def split(self, text: str) -> list[str]:
        tokens = [self.space if t == " " else t for t in self.pattern.findall(text)]
        if self.known is None:
            return tokens
        spelled = ([t] if t in self.known else spell(self._write(t)) for t in tokens)
        return [token for parts in spelled for token in parts]

    def join(self, tokens: Sequence[str]) -> str:
        if self.known is not None:
            return join_spelled(tokens, self._write)
        return "".join(map(self._write, tokens))

    def _write(self, token: str) -> str:
        return " " if token == self.space else token


class WordTokenizer:
    """Words between white space."""

    def split(self, text: str) -> list[str]:
        return text.split()

    def join(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)


class PhonemeTokenizer:
    """Phonemes; joining them does not give the sentence back."""

    def __init__(
        self, g2p: str | None, lexicon: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.split = make_g2p(g2p, lexicon)

    def join(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)


class BpeTokenizer:
    """Sub-words by a sentencepiece model, opened at first use so that the object can be pickled."""

    def __init__(self, model: str | Path) -> None:
        self.model = Path(model)
        self._processor: Any = None
        if not self.model.is_file():
            raise UserError(
                f"{model}: no such sentencepiece model; run train_tokens --token_type bpe, "
                "or correct bpemodel"
            )

    @property
    def processor(self) -> Any:
        if self._processor is None:
            import sentencepiece

            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(self.model))
        return self._processor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_processor": None}

    def split(self, text: str) -> list[str]:
        return list(self.processor.encode(text, out_type=str))

    def join(self, tokens: Sequence[str]) -> str:
        return str(self.processor.decode_pieces(list(tokens)))


def make_tokenizer(
    token_type: str,
    bpemodel: str | Path | None = None,
    g2p: str | None = None,
    nlsyms: Iterable[str] = (),
    known: Collection[str] = (),
    lexicon: Mapping[str, tuple[str, ...]] | None = None,
) -> Tokenizer:
    """The tokenizer of a type, one of `TOKEN_TYPES`.

    Args:
        token_type: the type.
        bpemodel: bpe: the sentencepiece model.
        g2p: phn: name of the converter.
        nlsyms: char: symbols that stay whole.
        known: the token list; wordpiece cannot do without, char and word spell what it lacks if it
            has byte tokens.
        lexicon: phn: the user's own pronunciations.

    Raises:
        UserError: for an unknown type, or type bpe without a model.
    """
    visible = set(known) - {BLANK, SOS_EOS}
    spelling = bool(visible) and spells(visible)
    if token_type == "char":
        return CharTokenizer(nlsyms, known=visible if spelling else None)
    if token_type == "word":
        return SpellingWords(visible) if spelling else WordTokenizer()
    if token_type == "wordpiece":
        return WordPiece(visible, None if spelling else UNK)
    if token_type == "phn":
        return PhonemeTokenizer(g2p, lexicon)
    if token_type != "bpe":
        raise UserError(
            f"found token type {token_type!r}, expected one of {', '.join(TOKEN_TYPES)}"
        )
    if bpemodel is None:
        raise UserError("token type bpe needs a sentencepiece model (bpemodel), found none")
    return BpeTokenizer(bpemodel)


def read_token_list(path: str | Path) -> list[str]:
    """The tokens of a file, one a line, line number = id.

    Only trailing white space is dropped, and never the first character: a token may be a blank.

    Raises:
        UserError: if the file is missing, not UTF-8 or has an empty line.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such token list; run train_tokens, or correct the path")
    lines = decode(Path(path).read_bytes(), Path(path)).split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not line:
            raise UserError(f"{path}: line {number} is empty, expected one token a line")
    return [line[0] + line[1:].rstrip() for line in lines]


def _index(token_list: Sequence[str]) -> dict[str, int]:
    """Token -> id, after checking that the list is one that a model can use."""
    index: dict[str, int] = {}
    for number, token in enumerate(token_list):
        if token in index:
            raise UserError(
                f"token list: {token!r} stands at {index[token]} and at {number}, "
                "expected each token once"
            )
        index[token] = number
    if UNK not in index:
        raise UserError(
            f"token list: no {UNK} among {len(token_list)} tokens, expected it as the second"
        )
    return index


def _read_settings(written: str, path: Path) -> dict[str, Any]:
    """What train_tokens said of its token list.

    Raises:
        UserError: if it is no such JSON.
    """
    try:
        settings = json.loads(written)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: line {error.lineno}: {error.msg}, expected JSON; run train_tokens again"
        ) from error
    if not isinstance(settings, dict) or "token_type" not in settings:
        raise UserError(f"{path}: names no token_type; run train_tokens again")
    return settings


class TextPipeline:
    """Everything between a sentence and the ids that a model sees: cleaner, tokenizer, token list.

    Args:
        token_type: bpe, char, word, phn or wordpiece.
        tokens: the tokens in the order of their ids, or the path of a token list.
        bpemodel: path of the sentencepiece model, for bpe.
        g2p: name of the phoneme converter, for phn; None if the text is phonemes already.
        cleaner: none, tacotron, normalize or spoken.
        nlsyms: symbols that stay whole in char, e.g. `<noise>`.
        lexicon: the user's own pronunciations for phn: a file, or word -> phonemes.

    Raises:
        UserError: if files are missing, names unknown or the token list is broken.
    """

    def __init__(
        self,
        token_type: str,
        tokens: Sequence[str] | str | Path,
        bpemodel: str | Path | None = None,
        g2p: str | None = None,
        cleaner: str | None = None,
        nlsyms: Iterable[str] = (),
        lexicon: Mapping[str, tuple[str, ...]] | str | Path | None = None,
    ) -> None:
        if isinstance(tokens, (str, Path)):
            tokens = read_token_list(tokens)
        self.token_list = list(tokens)
        self.token_type, self.g2p, self.cleaner = token_type, g2p, cleaner
        self.bpemodel = None if bpemodel is None else Path(bpemodel)
        self.nlsyms = tuple(nlsyms)
        self.clean = make_cleaner(cleaner)
        if isinstance(lexicon, (str, Path)):
            lexicon = read_lexicon(lexicon)
        self.tokenizer = make_tokenizer(
            token_type, bpemodel, g2p, self.nlsyms, self.token_list, lexicon
        )
        self._index = _index(self.token_list)
        self.unk_id = self._index[UNK]
        self._silent = {BLANK, SOS_EOS}

    @classmethod
    def from_dir(cls, directory: str | Path) -> TextPipeline:
        """The pipeline that `train_tokens --out directory` left there.

        Raises:
            UserError: if it is not such a directory.
        """
        directory = Path(directory)
        settings_file = directory / SETTINGS_FILE
        if not settings_file.is_file():
            raise UserError(
                f"{settings_file}: not found, expected a directory written by "
                f"train_tokens --out {directory}"
            )
        written = decode(settings_file.read_bytes(), settings_file)
        settings = _read_settings(written, settings_file)
        pipeline = cls(
            settings["token_type"],
            directory / TOKENS_FILE,
            bpemodel=directory / BPE_FILE if settings["token_type"] == "bpe" else None,
            g2p=str(directory / LEXICON_FILE) if settings.get("lexicon") else settings.get("g2p"),
            cleaner=settings.get("cleaner"),
            nlsyms=settings.get("non_linguistic_symbols", ()),
        )
        g2p = getattr(pipeline.tokenizer, "split", None)
        if isinstance(g2p, CachedG2p):
            g2p.load(directory / PHONEMES_FILE, written)
        return pipeline

    def __len__(self) -> int:
        """Size of the token list, the specials included."""
        return len(self.token_list)

    def tokens(self, text: str) -> list[str]:
        """A sentence as written -> its tokens."""
        return self.tokenizer.split(self.clean(text))

    def ids(self, text: str) -> list[int]:
        """A sentence as written -> ids (0 .. len - 1), `<unk>` for unknown ones, no `<sos/eos>`."""
        return self.token_ids(self.tokens(text))

    def token_ids(self, tokens: Iterable[str]) -> list[int]:
        """Tokens -> ids, `<unk>` for unknown ones."""
        return [self._index.get(token, self.unk_id) for token in tokens]

    def text(self, ids: Iterable[int]) -> str:
        """Ids -> the sentence; `<blank>` and `<sos/eos>` are silent."""
        tokens = (self.token_list[i] for i in ids)
        return self.tokenizer.join([t for t in tokens if t not in self._silent])
