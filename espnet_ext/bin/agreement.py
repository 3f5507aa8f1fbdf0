"""How far transcribers agree: error rates between versions of the same transcripts, and
Krippendorff's alpha (1 = all agree, 0 = chance; 0.8 is usually asked for).

With --level the tables hold labels or ratings (`id value`), not texts, and alpha is of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.bin.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    parser.add_argument(
        "versions", nargs="+", type=Path, help="tables of two or more people, such as anna/text"
    )
    parser.add_argument(
        "--level",
        choices=("nominal", "ordinal", "interval", "ratio"),
        help="the tables hold labels (nominal), ranks (ordinal) or numbers; unset: texts",
    )
    parser.add_argument("--shown", type=int, default=10, help="how many of the worst to name")
    parser.add_argument("--output", type=Path, help="a JSON file that receives the figures")
    args = parser.parse_args(argv)
    if len(args.versions) < 2:
        parser.error(f"found one table, {args.versions[0]}, expected two or more to compare")

    from espnet_ext.datadir import read_table
    from espnet_ext.files import write_json

    versions = {str(path): read_table(path, empty=True) for path in args.versions}
    figures = labels(versions, args.level) if args.level else texts(versions, args.shown)
    if args.output:
        write_json(args.output, figures)
    return 0


def labels(versions: Mapping[str, Mapping[str, str]], level: str) -> dict[str, Any]:
    """Print and return alpha of labels."""
    from espnet_ext.quality.agreement import label_agreement

    found, ids = label_agreement(versions, level)
    print(f"Krippendorff's alpha ({level}): {_figure(found)} on {ids} ids")
    return {"level": level, "alpha": found, "ids": ids}


def texts(versions: Mapping[str, Mapping[str, str]], shown: int) -> dict[str, Any]:
    """Print and return the agreement of texts."""
    from espnet_ext.quality.agreement import agreement

    found = agreement(versions, shown)
    pairs = []
    for (one, two), counts in found.pairs.items():
        pairs.append({"reference": one, "other": two, "wer": counts.error_rate})
        print(f"WER of {two} against {one}: {_figure(counts.error_rate, 2)} %")
    print(f"alike to the word: {100 * found.same:.1f} % of {found.utterances} utterances")
    print(f"Krippendorff's alpha of the words: {_figure(found.alpha)}")
    for utt, rate in found.least:
        print(f"  {utt}: {rate:.2f} errors a word")
    return {
        "utterances": found.utterances,
        "same": found.same,
        "alpha": found.alpha,
        "pairs": pairs,
        "least": [{"utt": utt, "errors_per_word": rate} for utt, rate in found.least],
    }


def _figure(value: float | None, digits: int = 3) -> str:
    return "not defined (nothing could disagree)" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    run(main)
