"""Phonemes by espeak-ng: ours beside stock ESPnet's, in turn, in one run, with the same output.

Stock converts every sentence each time it comes: for the token list, for the statistics and in every epoch. Ours
converts a sentence once for the token list, keeps it in a file beside that, and the later passes read it. Both sides
are warm (imported, voice loaded) before the clock starts. Writes a section of RESULTS.md and prints it.

Usage: python benchmarks/g2p.py [--sentences 2000] [--epochs 100] [--text data/train/text]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
NAME = "espeak_ng_english_us_vits"
Convert = Callable[[str], list[str]]


def read_sentences(text: Path | None, number: int) -> list[str]:
    """The first different sentences of a Kaldi text, or of our grammar of everyday sentences."""
    if text is None:
        from espnet_ext.corpora.sentences import sentences

        found = (s.written for s in sentences(1, set()))
        return list(itertools.islice(dict.fromkeys(itertools.islice(found, 3 * number)), number))
    from espnet_ext.text.vocabulary import read_sentences as read

    return list(dict.fromkeys(read([text])))[:number]


def timed(convert: Convert, texts: Sequence[str]) -> tuple[float, list[list[str]]]:
    """Seconds of processor time for one pass over the sentences, and what came out; other programs do not count."""
    started = time.process_time()
    found = [convert(text) for text in texts]
    return time.process_time() - started, found


def measure(texts: Sequence[str], epochs: int, file: Path) -> dict[str, float]:
    """Seconds (processor time) of each kind of pass.

    Raises:
        SystemExit: if a pass of ours says anything else than stock's.
    """
    from espnet2.text.phoneme_tokenizer import PhonemeTokenizer

    from espnet_ext.text.phonemes import make_g2p

    stock = PhonemeTokenizer(NAME).text2tokens
    g2p, later = make_g2p(NAME), make_g2p(NAME)
    for convert in (stock, g2p):
        convert("once to warm up")
    spent: Counter[str] = Counter()
    first, expected = timed(stock, texts)
    spent["stock, first pass"] = first
    spent["ours, first pass"], found = timed(g2p, texts)
    g2p.save(file, NAME)
    started = time.process_time()
    later.load(file, NAME)
    spent["ours, reading the file"] = time.process_time() - started
    same = found == expected
    for _ in range(
        epochs + 1
    ):  # the statistics, and the epochs; in turn, so that both meet the same neighbours
        seconds, again = timed(stock, texts)
        spent["stock, later passes"] += seconds
        seconds, ours = timed(later, texts)
        spent["ours, later passes"] += seconds
        same &= again == expected == ours
    if not same:
        raise SystemExit("g2p: error: the two do not say the same")
    return dict(spent)


def rows(spent: dict[str, float], number: int, epochs: int) -> list[str]:
    """The table; fewer epochs than were measured take the mean of the later passes."""
    passes = epochs + 1

    def row(what: str, stock: float, ours: float, count: int) -> str:
        per = 1e3 / (number * count)
        return f"| {what} | {stock * per:.4f} | {ours * per:.4f} | {stock / ours:.1f} |"

    def recipe(some: int) -> str:
        share = (some + 1) / passes
        stock = spent["stock, first pass"] + share * spent["stock, later passes"]
        begin = spent["ours, first pass"] + spent["ours, reading the file"]
        ours = begin + share * spent["ours, later passes"]
        what = f"token list, statistics and {some} epoch{'s' if some > 1 else ''}"
        return row(what, stock, ours, some + 2)

    first = spent["stock, first pass"]
    return [
        row("first pass, one process", first, spent["ours, first pass"], 1),
        row("a later pass", spent["stock, later passes"], spent["ours, later passes"], passes),
        *(recipe(some) for some in sorted({1, *(n for n in (10, 30) if n < epochs), epochs})),
    ]


def section(table: Sequence[str], texts: Sequence[str], argv: Sequence[str]) -> str:
    """The text for RESULTS.md."""
    from benchmarks.results import origin

    length = sum(map(len, texts)) / len(texts)
    head = [
        "## Phonemes",
        "",
        f"`{NAME}`, {len(texts)} different sentences of {length:.0f} characters on average; every pass gave the "
        "same phonemes on both sides. Processor time of one process. "
        "The first pass is espeak-ng's own work, on both sides; what is gained is "
        "that it happens once: the gain grows with the number of epochs, and is small for a few. "
        "It holds for converted sentences; what a cleaner does to them first is done again in each pass.",
        "",
        "| what | stock ESPnet, ms a sentence | ours, ms a sentence | stock / ours |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *table, "", *origin("g2p", argv)])


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sentences", type=int, default=2000, help="how many different ones")
    parser.add_argument("--epochs", type=int, default=100, help="passes of a training")
    parser.add_argument(
        "--text", type=Path, help="Kaldi text to take them from; else our grammar's"
    )
    args = parser.parse_args(argv)
    from benchmarks.results import write_section

    texts = read_sentences(args.text, args.sentences)
    with tempfile.TemporaryDirectory() as scratch:
        spent = measure(texts, args.epochs, Path(scratch) / "phonemes.tsv")
    text = section(rows(spent, len(texts), args.epochs), texts, argv)
    write_section(ROOT / "benchmarks/RESULTS.md", "g2p", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
