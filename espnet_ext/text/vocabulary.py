"""Making a token list (and a sentencepiece model) from text, as stage 5 of ESPnet's recipes."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, write_json, write_text
from espnet_ext.text.cleaners import make_cleaner
from espnet_ext.text.tokens import (
    BLANK,
    BPE_FILE,
    SETTINGS_FILE,
    SOS_EOS,
    TOKENS_FILE,
    UNK,
    make_tokenizer,
)


@dataclass(frozen=True)
class VocabularyConfig:
    """What kind of tokens to make."""

    token_type: str = "bpe"  # bpe, char, word or phn
    nbpe: int = (
        500  # pieces of the sentencepiece model, its <unk> <s> </s> included, as ESPnet counts
    )
    bpe_mode: str = "unigram"  # unigram or bpe
    character_coverage: float = 1.0  # share of characters kept; below 1 for large character sets
    cutoff: int = 0  # char, word, phn: tokens seen at most this often become <unk>
    g2p: str | None = None  # phn: name of the converter
    cleaner: str | None = None  # none, tacotron or normalize
    nlsyms: tuple[str, ...] = ()  # symbols never split, e.g. <noise>


def read_sentences(paths: Iterable[str | Path]) -> list[str]:
    """The sentences of Kaldi `text` files, without utterance ids, white space made single.

    Raises:
        UserError: if a file is missing or not UTF-8, or there is no sentence at all.
    """
    sentences: list[str] = []
    for path in paths:
        if not Path(path).is_file():
            raise UserError(
                f"{path}: no such file, expected a text of `utterance-id sentence` lines"
            )
        try:
            lines = Path(path).read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: byte {error.start} is not UTF-8; convert the file first"
            ) from error
        sentences += [" ".join(line.split()[1:]) for line in lines]
    sentences = [s for s in sentences if s]
    if not sentences:
        names = " ".join(map(str, paths))
        raise UserError(f"{names}: no sentence found, expected lines of `utterance-id sentence`")
    return sentences


def read_symbols(path: str | Path) -> tuple[str, ...]:
    """Non-linguistic symbols: the first field of every line that is not empty.

    Raises:
        UserError: if the file is missing.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file, expected one non-linguistic symbol a line")
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return tuple(dict.fromkeys(line.split()[0] for line in lines if line.strip()))


def train_sentencepiece(
    sentences: Sequence[str], config: VocabularyConfig
) -> tuple[bytes, list[str]]:
    """A sentencepiece model and its pieces (without `<unk> <s> </s>`).

    The same sentences give the same bytes: no path goes into the model and nothing is sampled.

    Raises:
        UserError: if `nbpe` is too large or too small for the sentences, with the limit.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=config.nbpe,
            model_type=config.bpe_mode,
            character_coverage=config.character_coverage,
            input_sentence_size=100_000_000,
            user_defined_symbols=list(config.nlsyms),
            minloglevel=2,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(_explain(str(error), config, len(sentences))) from error
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    return model.getvalue(), pieces


def _explain(message: str, config: VocabularyConfig, number: int) -> str:
    """Sentencepiece's message in words that say what to do."""
    found = f"--nbpe {config.nbpe} is too"
    most = re.search(r"value <= (\d+)", message)
    if most:
        return (
            f"{found} large for these {number} sentences: they give at most {most[1]} pieces; "
            f"choose --nbpe {most[1]} or less, or give more text"
        )
    least = re.search(r"required_chars\D*\d+ vs (\d+)", message)
    if least:
        return (
            f"{found} small: the text has more different characters than that, expected at least "
            f"{least[1]}; choose a larger --nbpe or a --character_coverage below 1"
        )
    return f"sentencepiece cannot train {config.nbpe} pieces on {number} sentences: {message}"


def count_tokens(sentences: Sequence[str], config: VocabularyConfig) -> list[str]:
    """Tokens by falling frequency, those that come first in the text first among equals."""
    tokenizer = make_tokenizer(config.token_type, g2p=config.g2p, nlsyms=config.nlsyms)
    counts: Counter[str] = Counter()
    for sentence in sentences:
        counts.update(tokenizer.split(sentence))
    for special in (BLANK, UNK, SOS_EOS):
        counts.pop(special, None)
    return [token for token, count in counts.most_common() if count > config.cutoff]


def train_tokens(
    texts: Sequence[str | Path], out: str | Path, config: VocabularyConfig
) -> list[str]:
    """Write `tokens.txt`, `text.json` and, for bpe, `bpe.model` to the directory `out`.

    Returns:
        The token list, specials included.

    Raises:
        UserError: if the texts are missing or empty, or `nbpe` does not fit them.
    """
    clean = make_cleaner(config.cleaner)
    sentences = [clean(sentence) for sentence in read_sentences(texts)]
    out = Path(out)
    if config.token_type == "bpe":
        model, tokens = train_sentencepiece(sentences, config)
        with atomic_open(out / BPE_FILE, "wb") as stream:
            stream.write(model)
    else:
        tokens = count_tokens(sentences, config)
        (out / BPE_FILE).unlink(missing_ok=True)  # of an earlier run with another type
    tokens = [BLANK, UNK, *tokens, SOS_EOS]
    write_text(out / TOKENS_FILE, "\n".join(tokens) + "\n")
    write_json(
        out / SETTINGS_FILE,
        {
            "token_type": config.token_type,
            "g2p": config.g2p,
            "cleaner": config.cleaner,
            "non_linguistic_symbols": list(config.nlsyms),
        },
    )
    return tokens
