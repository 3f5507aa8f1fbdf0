"""Phonemes by espeak-ng for a training: ours beside stock ESPnet's, in one run, with the same token ids.

Stock converts every sentence each time it comes: for the token list, for the statistics and in every epoch. Ours
converts a sentence once, for the token list, and keeps it in a file beside that; the statistics and the training
read the file, and an epoch takes the ids from memory. Each side is a process of its own (stock's never imports our
package), warm before the clock starts; they work in turn, so that both meet the same neighbours. What is timed of
ours: train_tokens (with reading, counting and writing), opening its directory and converting the text for the
statistics and for the training, and taking each utterance's ids in an epoch. Of stock: the tokeniser for the
token list, CommonPreprocessor for the rest. Writes a section of RESULTS.md and prints it.

Usage: python benchmarks/g2p.py [--sentences 2000] [--epochs 20] [--text data/train/text]
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAME = "espeak_ng_english_us_vits"
#: epochs that the table shows; those beyond what was measured take the mean of the measured ones
SHOWN = (1, 10, 20, 100, 1000)
Pass = Callable[[], Iterable[Any]]


# -- the two sides, each in its own process ----------------------------------------------------------


def stock_side(text: Path, tokens: Path, cleaner: str) -> dict[str, Pass]:
    """Stock ESPnet's passes over the sentences of a Kaldi text."""
    from espnet2.text.cleaner import TextCleaner
    from espnet2.text.phoneme_tokenizer import PhonemeTokenizer
    from espnet2.train.preprocessor import CommonPreprocessor

    cleaners = None if cleaner == "none" else cleaner
    sentences = [line.split(" ", 1)[1] for line in text.read_text("utf-8").split("\n") if line]
    clean, tokenizer = TextCleaner(cleaners), PhonemeTokenizer(NAME)
    tokenizer.text2tokens(clean("once to warm up"))
    opened: list[Any] = []

    def token_list() -> Iterable[Any]:
        return [tokenizer.text2tokens(clean(sentence)) for sentence in sentences]

    def epoch() -> Iterable[Any]:
        if not opened:  # not before: the token list is made by the other side
            options = {"g2p_type": NAME, "text_cleaner": cleaners, "token_list": tokens}
            opened.append(CommonPreprocessor(train=True, token_type="phn", **options))
            opened[0]("u", {"text": "once to warm up"})
        return [opened[0]("u", {"text": sentence})["text"].tolist() for sentence in sentences]

    return {"token list": token_list, "reading": epoch, "epoch": epoch}


def our_side(text: Path, tokens: Path, cleaner: str) -> dict[str, Pass]:
    """Our passes over the same sentences."""
    sys.path.insert(0, str(ROOT))
    from espnet_ext.text.cleaners import make_cleaner
    from espnet_ext.text.phonemes import make_g2p
    from espnet_ext.text.tokens import TextPipeline
    from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens
    from espnet_ext.train.data import read_text

    make_g2p(NAME)(make_cleaner(cleaner)("once to warm up"))
    ids: list[Any] = []

    def token_list() -> Iterable[Any]:
        train_tokens([text], tokens.parent, VocabularyConfig("phn", g2p=NAME, cleaner=cleaner))
        return ()

    def reading() -> Iterable[Any]:
        ids[:] = read_text([text], TextPipeline.from_dir(tokens.parent)).tokens
        return ids

    def epoch() -> Iterable[Any]:
        return [ids[place] for place in range(len(ids))]

    return {"token list": token_list, "reading": reading, "epoch": epoch}


def serve(side: str, text: Path, tokens: Path, cleaner: str) -> None:
    """Do the passes that standard input names, a line each; answer with seconds and a digest of the ids."""
    out, sys.stdout = sys.stdout, sys.stderr  # imports talk
    passes = (stock_side if side == "stock" else our_side)(text, tokens, cleaner)
    print(json.dumps("espnet_ext" in sys.modules), file=out, flush=True)
    for line in sys.stdin:
        started = time.process_time()
        found = passes[line.strip()]()
        seconds = time.process_time() - started
        ids = json.dumps([list(map(str, sentence)) for sentence in found])
        digest = hashlib.sha256(ids.encode()).hexdigest()
        print(json.dumps([seconds, digest]), file=out, flush=True)


class Side:
    """A side's process."""

    def __init__(self, name: str, text: Path, tokens: Path, cleaner: str) -> None:
        command = [sys.executable, __file__, "--serve", name, str(text), str(tokens), cleaner]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
        if self._answer() != (name != "stock"):
            raise SystemExit(f"g2p: error: {name} has imported the other side")

    def _answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"g2p: error: ended early: {' '.join(self.process.args)}")
        return json.loads(line)

    def __call__(self, what: str) -> tuple[float, str]:
        """Seconds of processor time of a pass and a digest of what came out."""
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        seconds, digest = self._answer()
        return seconds, digest

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


# -- what is compared --------------------------------------------------------------------------------


def read_sentences(text: Path | None, number: int) -> list[str]:
    """The first different sentences of a Kaldi text, or of our grammar of everyday sentences."""
    if text is None:
        from espnet_ext.corpora.sentences import sentences

        found = (s.written for s in sentences(1, set()))
        return list(itertools.islice(dict.fromkeys(itertools.islice(found, 3 * number)), number))
    from espnet_ext.text.vocabulary import read_sentences as read

    return list(dict.fromkeys(read([text])))[:number]


def measure(sentences: Sequence[str], epochs: int, cleaner: str) -> dict[str, list[float]]:
    """Seconds of each pass, by side and kind.

    Raises:
        SystemExit: if ours and stock's ids differ in any pass.
    """
    with tempfile.TemporaryDirectory() as scratch:
        text, tokens = Path(scratch) / "text", Path(scratch) / "out/tokens.txt"
        text.write_text("".join(f"u{i:06d} {s}\n" for i, s in enumerate(sentences)), "utf-8")
        sides = {name: Side(name, text, tokens, cleaner) for name in ("ours", "stock")}
        spent: dict[str, list[float]] = {}
        for what in ["token list", "reading", "reading", *["epoch"] * epochs]:
            digests = set()
            for name, side in sides.items():
                seconds, digest = side(what)
                spent.setdefault(f"{name}, {what}", []).append(seconds)
                digests.add(digest)
            if what != "token list" and len(digests) > 1:
                raise SystemExit("g2p: error: the two do not say the same")
        for side in sides.values():
            side.close()
    return spent


def rows(spent: dict[str, list[float]], number: int) -> list[str]:
    """The table, in microseconds of processor time a sentence."""
    mean = {what: sum(times) / len(times) for what, times in spent.items()}

    def row(what: str, stock: float, ours: float) -> str:
        per = 1e6 / number
        return f"| {what} | {stock * per:,.0f} | {ours * per:,.1f} | {stock / ours:,.1f} |"

    def training(epochs: int) -> tuple[float, float]:
        stock = mean["stock, token list"] + mean["stock, reading"] + epochs * mean["stock, epoch"]
        ours = mean["ours, token list"] + 2 * mean["ours, reading"] + epochs * mean["ours, epoch"]
        return stock, ours

    enough = next((n for n in range(1, 10_000) if training(n)[0] >= 20 * training(n)[1]), None)
    return [
        row("token list (every sentence is converted)", mean["stock, token list"], mean["ours, token list"]),
        row("statistics, and beginning to train", mean["stock, reading"], mean["ours, reading"]),
        row("an epoch", mean["stock, epoch"], mean["ours, epoch"]),
        *(row(f"all of a training of {n} epoch{'s' if n > 1 else ''}", *training(n)) for n in SHOWN),
        "",
        f"20 times from {enough} epochs on." if enough else "Nowhere 20 times.",
    ]  # fmt: skip


HEAD = (
    "What a training pays for its phonemes: `{name}`, {number} different sentences of {length:.0f} characters on "
    "average, microseconds of processor time a sentence; two processes, in turn; the ids were the same in every pass. "
    "The first conversion is espeak-ng's own work on both sides (four fifths of it within its library), so nothing is "
    "gained in the token list; what is gained is that it happens once, and grows with the epochs. {epochs} epochs were "
    "measured; other numbers of epochs are computed from these passes. (ESPnet's LJSpeech configuration for "
    "VITS sets max_epoch: 5000.) "
    "g2p_en and pyopenjtalk are not in the table: without a network stock ESPnet cannot open them, as they "
    "want to download their data; ours have it from packages."
)


def section(
    tables: dict[str, list[str]], texts: Sequence[str], epochs: int, argv: Sequence[str]
) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    length = sum(map(len, texts)) / len(texts)
    lines = ["## Phonemes", ""]
    lines += [HEAD.format(name=NAME, number=len(texts), length=length, epochs=epochs), ""]
    for cleaner, table in tables.items():
        lines += [
            f"With cleaner `{cleaner}`:",
            "",
            "| what | stock ESPnet, µs a sentence | ours, µs a sentence | stock / ours |",
            "|---|---|---|---|",
            *table,
            "",
        ]
    return "\n".join([*lines, *origin("g2p", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] == "--serve":
        serve(argv[1], Path(argv[2]), Path(argv[3]), argv[4])
        return 0
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sentences", type=int, default=2000, help="how many different ones")
    parser.add_argument("--epochs", type=int, default=20, help="epochs to measure")
    parser.add_argument(
        "--text", type=Path, help="Kaldi text to take them from; else our grammar's"
    )
    args = parser.parse_args(argv)
    from benchmarks.results import write_section

    texts = read_sentences(args.text, args.sentences)
    cleaners = ("none", "tacotron")
    tables = {c: rows(measure(texts, args.epochs, c), len(texts)) for c in cleaners}
    text = section(tables, texts, args.epochs, argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "g2p", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
