"""Add augmented copies to a data directory; tables only, format_audio makes the sound.

Ids and speakers get the prefix `aug1-`, `aug2-`, ...; `utt2augment` numbers the draws (0: as it is) and `augment.json`
says what may happen: the fields of espnet_ext.audio.augment.Augmentation, given as YAML, e.g.

    reverb: 0.5                                       # a prob; the range is the usual one
    noise: {prob: 0.8, low: 5, high: 20}
    noise_scp: data/noise.scp
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


def add_copies(data: Path, out: Path, config: Path, copies: int, originals: bool) -> int:
    """Write the tables of `data` with `copies` augmented copies; returns the number of utterances.

    Raises:
        UserError: for options that are wrong, or a directory that has been augmented before.
    """
    from espnet_ext.audio.augment import augmentation
    from espnet_ext.datadir.edit import Tables, prefixed, read_all, write_all
    from espnet_ext.files import write_json
    from espnet_ext.train.config import load_yaml

    options = load_yaml(config)
    changed = {"feats.scp"}
    if not augmentation(options, str(config)).lasts:
        changed |= {"utt2num_samples", "utt2dur"}
    tables = read_all(data)
    if "utt2spk" not in tables or "utt2augment" in tables:
        found = "utt2augment" if "utt2augment" in tables else "no utt2spk"
        raise UserError(
            f"{data}: found {found}, expected a data directory without augmentation: choose another one"
        )
    tables = {name: table for name, table in tables.items() if name not in changed}
    whole: Tables = prefixed(tables, "", "") if originals else {}
    whole["utt2augment"] = dict.fromkeys(whole.get("utt2spk", {}), "0")
    for draw in range(1, copies + 1):
        copy = prefixed(tables, f"aug{draw}-", f"aug{draw}-")
        copy["utt2augment"] = dict.fromkeys(copy["utt2spk"], str(draw))
        for name, table in copy.items():
            whole.setdefault(name, {}).update(table)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "augment.json", options)  # first: without it the tables below are of no use
    write_all(out, whole)
    return len(whole["utt2spk"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="the data directory to write")
    parser.add_argument("--config", type=Path, required=True, help="YAML: what may happen")
    parser.add_argument("--copies", type=int, default=1, help="of every utterance (default: 1)")
    parser.add_argument(
        "--only_copies", action="store_true", help="leave the utterances themselves out"
    )
    args = parser.parse_args(argv)
    parser.keep_apart(args.out, args.data)
    if args.copies < 1:
        parser.error(f"--copies: found {args.copies}, expected 1 or more")
    count = add_copies(args.data, args.out, args.config, args.copies, not args.only_copies)
    print(f"{args.out}: {count} utterances, {args.copies} augmented copies of each among them")
    return 0


if __name__ == "__main__":
    run(main)
