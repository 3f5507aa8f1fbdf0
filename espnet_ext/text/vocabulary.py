"""Making a token list (and a sentencepiece model) from text, as stage 5 of ESPnet's recipes."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from espnet_ext.datadir.tables import decode
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, write_text
from espnet_ext.text.cleaners import make_cleaner
from espnet_ext.text.phoneme_cache import CachedG2p, digest
from espnet_ext.text.pronunciation import read_lexicon, write_lexicon
from espnet_ext.text.subwords import BYTE_TOKENS, CONTINUED
from espnet_ext.text.tokens import (
    BLANK,
    BPE_FILE,
    LEXICON_FILE,
    PHONEMES_FILE,
    SETTINGS_FILE,
    SOS_EOS,
    TOKENS_FILE,
    UNK,
    Tokenizer,
    make_tokenizer,
)


@dataclass(frozen=True)
class VocabularyConfig:
    """What kind of tokens to make."""

    token_type: str = "bpe"  # bpe, char, word, phn or wordpiece
    nbpe: int = (
        500  # pieces of the sentencepiece model, its <unk> <s> </s> included, as ESPnet counts
    )
    bpe_mode: str = "unigram"  # unigram or bpe
    character_coverage: float = 1.0  # share of characters kept; below 1 for large character sets
    cutoff: int = 0  # char, word, phn: tokens seen at most this often become <unk>
    g2p: str | None = None  # phn: name of the converter
    cleaner: str | None = None  # none, tacotron, normalize or spoken
    nlsyms: tuple[str, ...] = ()  # symbols never split, e.g. <noise>
    specials: tuple[
        str, ...
    ] = ()  # always in the list, right after <unk>, and never split, e.g. <pad>
    byte_fallback: bool = False  # not phn: 256 byte tokens, so that no character becomes <unk>
    normalization: str = (
        "nmt_nfkc"  # bpe: sentencepiece's rule; identity keeps every character as it is
    )
    lexicon: str | None = None  # phn: file of the user's own pronunciations
    jobs: int = 1  # phn: processes that convert


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
        lines = decode(Path(path).read_bytes(), Path(path)).split("\n")
        sentences += [" ".join(line.split()[1:]) for line in lines]
    sentences = [s for s in sentences if s]
    if not sentences:
        names = " ".join(map(str, paths))
        raise UserError(f"{names}: no sentence found, expected lines of `utterance-id sentence`")
    return sentences


def read_symbols(path: str | Path) -> tuple[str, ...]:
    """Non-linguistic symbols: the first field of every line that is not empty.

    Raises:
        UserError: if the file is missing or not UTF-8.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file, expected one non-linguistic symbol a line")
    lines = decode(Path(path).read_bytes(), Path(path)).split("\n")
    return tuple(dict.fromkeys(line.split()[0] for line in lines if line.strip()))


def train_sentencepiece(
    sentences: Sequence[str], config: VocabularyConfig, exact: bool = True
) -> tuple[bytes, list[str]]:
    """A sentencepiece model and its pieces (without `<unk> <s> </s>`).

    The same sentences give the same bytes: no path goes into the model and nothing is sampled.
    With `exact` false there may be fewer pieces than `nbpe`, if the sentences give no more.

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
            user_defined_symbols=list(dict.fromkeys((*config.specials, *config.nlsyms))),
            byte_fallback=config.byte_fallback,
            normalization_rule_name=config.normalization,
            remove_extra_whitespaces=config.normalization != "identity",
            hard_vocab_limit=exact,
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


def train_wordpiece(sentences: Sequence[str], config: VocabularyConfig) -> list[str]:
    """The pieces of a WordPiece vocabulary of at most `nbpe`: all characters, then merged pieces.

    Merged by frequency, as byte pair encoding is (sentencepiece does it) and as the common WordPiece
    trainers do, not by likelihood as in the first description.

    Raises:
        UserError: if `nbpe` is too large or too small for the sentences.
    """
    merging = replace(config, bpe_mode="bpe", normalization="identity", byte_fallback=False)
    merging = replace(merging, nlsyms=(), specials=())
    pieces = train_sentencepiece(sentences, merging, exact=False)[1]
    characters = dict.fromkeys(
        (CONTINUED if place else "") + c
        for sentence in sentences
        for word in sentence.split()
        for place, c in enumerate(word)
    )
    merged = dict.fromkeys(
        piece[1:] if piece[0] == "▁" else CONTINUED + piece for piece in pieces if piece != "▁"
    )
    rest = [p for p in merged if p not in characters and p.count("▁") == 0]
    room = config.nbpe - len(characters) - (256 if config.byte_fallback else 0)
    if room < 0:
        raise UserError(
            f"--nbpe {config.nbpe} is too small: characters and bytes alone are "
            f"{config.nbpe - room}; choose a larger --nbpe"
        )
    return [*characters, *rest[:room]]


def count_tokens(
    sentences: Sequence[str], config: VocabularyConfig, tokenizer: Tokenizer | None = None
) -> list[str]:
    """Tokens by falling frequency, those that come first in the text first among equals."""
    if tokenizer is None:
        tokenizer = _tokenizer(config)
    counts: Counter[str] = Counter()
    for sentence in sentences:
        counts.update(tokenizer.split(sentence))
    for special in (BLANK, UNK, SOS_EOS):
        counts.pop(special, None)
    return [token for token, count in counts.most_common() if count > config.cutoff]


def _tokenizer(config: VocabularyConfig) -> Tokenizer:
    lexicon = read_lexicon(config.lexicon) if config.lexicon else None
    symbols = (*config.specials, *config.nlsyms)
    return make_tokenizer(config.token_type, g2p=config.g2p, nlsyms=symbols, lexicon=lexicon)


def train_tokens(
    texts: Sequence[str | Path], out: str | Path, config: VocabularyConfig
) -> list[str]:
    """Write `tokens.txt`, `text.json` and what the type needs to the directory `out`.

    That is `bpe.model` for bpe; for phn with a converter `phonemes.tsv`, the phonemes of all these
    sentences, and `lexicon.txt` if the user has one.

    Returns:
        The token list, specials included.

    Raises:
        UserError: if the texts are missing or empty, or `nbpe` does not fit them.
    """
    _check(config)
    clean = make_cleaner(config.cleaner)
    sentences = [clean(sentence) for sentence in read_sentences(texts)]
    out = Path(out)
    settings = _settings(config)
    files: dict[str, bytes] = {}
    tokenizer = None
    if config.token_type == "bpe":
        files[BPE_FILE], tokens = train_sentencepiece(sentences, config)
    elif config.token_type == "wordpiece":
        tokens = train_wordpiece(sentences, config)
    else:
        tokenizer = _tokenizer(config)
        g2p = tokenizer.split
        if isinstance(g2p, CachedG2p):
            g2p.convert_all(sentences, config.jobs)
        tokens = count_tokens(sentences, config, tokenizer)
    if config.lexicon:
        files[LEXICON_FILE] = write_lexicon(read_lexicon(config.lexicon), config.g2p).encode()
    tokens = _with_specials(tokens, config)
    _replace_files(out, files)
    write_text(out / TOKENS_FILE, "\n".join(tokens) + "\n")
    write_text(out / SETTINGS_FILE, settings)
    if tokenizer is not None and isinstance(tokenizer.split, CachedG2p):
        tokenizer.split.save(out / PHONEMES_FILE, settings)
    return tokens


def _check(config: VocabularyConfig) -> None:
    """Refuse values that mean nothing, and options that the token type would leave unused without a word."""
    if config.nbpe < 1 and config.token_type in ("bpe", "wordpiece"):
        raise UserError(f"found --nbpe {config.nbpe}, expected a number of sub-words above 0")
    if not 0 < config.character_coverage <= 1:
        raise UserError(
            f"found --character_coverage {config.character_coverage}, expected a share of "
            "characters above 0 and at most 1"
        )
    _check_specials(config)
    if config.lexicon and config.token_type != "phn":
        raise UserError(
            f"found a lexicon with token type {config.token_type}, expected phn; leave it out"
        )
    if config.byte_fallback and config.token_type == "phn":
        raise UserError(
            "byte_fallback: phonemes are not characters; leave it out, or take bpe or char"
        )


def _check_specials(config: VocabularyConfig) -> None:
    taken = {BLANK, UNK, SOS_EOS, *(("<s>", "</s>") if config.token_type == "bpe" else ())}
    for special in config.specials:
        if special in taken:
            raise UserError(f"--specials: {special} is in every such list; leave it out")
        if special.split() != [special]:
            raise UserError(f"found --specials {special!r}, expected tokens without white space")


def _settings(config: VocabularyConfig) -> str:
    """What `TextPipeline.from_dir` has to know, as JSON."""
    values: dict[str, object] = {
        "token_type": config.token_type,
        "g2p": config.g2p,
        "cleaner": config.cleaner,
        "non_linguistic_symbols": list(dict.fromkeys((*config.specials, *config.nlsyms))),
    }
    if config.lexicon:
        written = write_lexicon(read_lexicon(config.lexicon))
        values["lexicon"] = digest(written)  # so that an edited lexicon makes old phonemes invalid
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _with_specials(tokens: Sequence[str], config: VocabularyConfig) -> list[str]:
    """The whole list: ESPnet's specials, the user's, bytes, symbols and tokens, each once."""
    spelled = BYTE_TOKENS if config.byte_fallback and config.token_type != "bpe" else ()
    symbols = config.nlsyms if config.token_type == "wordpiece" else ()
    inner = dict.fromkeys((*config.specials, *spelled, *symbols, *tokens))
    return [BLANK, UNK, *(t for t in inner if t not in (BLANK, UNK, SOS_EOS)), SOS_EOS]


def _replace_files(out: Path, files: dict[str, bytes]) -> None:
    """Write the files that this type needs; remove those of an earlier run with another type."""
    for name in (BPE_FILE, LEXICON_FILE, PHONEMES_FILE):
        if name in files:
            with atomic_open(out / name, "wb") as stream:
                stream.write(files[name])
        else:
            (out / name).unlink(missing_ok=True)
