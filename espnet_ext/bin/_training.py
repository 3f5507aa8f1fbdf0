"""The options that all training commands share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.bin.command import Parser, call
from espnet_ext.text.lines import count
from espnet_ext.train.launch import end_at_once, is_one_of_many, launch


def parser(
    description: str | None, stats: bool = True, needed: bool = True
) -> argparse.ArgumentParser:
    """A parser with the options of a training command; `stats` where features are normalised.

    Not `needed`: data, tokens and output may lack, and `require` looks after them.
    """
    found = Parser(description)
    add = found.add_argument
    add("--config", type=Path, required=True, help="the experiment's YAML")
    what = "formatted data directory" if stats else "text file(s), `id sentence` lines"
    add("--train", type=Path, nargs="+", required=needed, help=f"training data: {what}")
    add("--valid", type=Path, nargs="+", required=needed, help=f"validation data: {what}")
    add("--tokens", type=Path, required=needed, help="directory made by train_tokens")
    add("--output_dir", type=Path, required=needed, help="receives the results")
    if stats:
        add("--stats_dir", type=Path, help="directory made by collect_stats")
    add(
        "--set",
        dest="overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="changes to the YAML",
    )
    add("--device", help="cpu, cuda, cuda:1 ...; default: cuda where there is one")
    return found


def asked_anew() -> bool:
    """Whether the stage was asked for by name or number (tools/stage.py says so by ESPNET_EXT_ANEW=1)."""
    return os.environ.get("ESPNET_EXT_ANEW") == "1"


def require(parser: argparse.ArgumentParser, args: dict[str, Any], names: Sequence[str]) -> None:
    """End with a usage error if an option was not given."""
    lacking = [f"--{name}" for name in names if not args[name]]
    if lacking:
        parser.error(f"the following arguments are required: {', '.join(lacking)}")


def _training_parser(task: str, description: str | None) -> argparse.ArgumentParser:
    found = parser(description, stats=task != "lm", needed=False)
    add = found.add_argument
    what = "train a finished model again; what there is moves to before-N"
    add("--anew", action="store_true", default=asked_anew(), help=what)
    what = "processes that train together on this machine, a GPU or a core each"
    add("--nproc", type=count(1), default=1, help=what)
    what = "only try: so many updates at full size, what they cost, nothing written; without --train on made-up data"
    add("--dry_steps", type=count(1), help=what)
    add("--find_batch", action="store_true", help="only find the largest batch_size that fits")
    add("--dry_seconds", type=float, help="audio in a batch of --dry_steps, where all is too much")
    what = "tokens of --dry_steps and --find_batch without --tokens"
    add("--vocabulary", type=count(4), default=500, help=what)
    add("--channels", type=count(1), default=1, help="microphones of made-up data")
    return found


def train_command(task: str, description: str | None) -> Callable[[Sequence[str] | None], int]:
    """The `main` of a training command."""

    def main(argv: Sequence[str] | None = None) -> int:
        options = _training_parser(task, description)
        given = sys.argv[1:] if argv is None else list(argv)
        args = vars(options.parse_args(given))
        device, anew, number = args.pop("device"), args.pop("anew"), args.pop("nproc")
        tried = {n: args.pop(n) for n in _DRY}
        if tried["dry_steps"] or tried["find_batch"]:
            return _try(task, args, device, tried)
        require(options, args, ("train", "valid", "tokens", "output_dir"))
        if number > 1 and not is_one_of_many():
            command = [sys.executable, "-m", f"espnet_ext.bin.{task}_train", *given]
            return launch(command, number)

        def work(_: Sequence[str] | None = None) -> int:
            from espnet_ext.train.run import Places, train_model

            for path in train_model(task, Places(**args), device, anew):
                print(f"final model: {path}")
            return 0

        work.__module__ = main.__module__
        return end_at_once(lambda: call(work)) if is_one_of_many() else work()

    main.__module__ = f"espnet_ext.bin.{task}_train"
    return main


_DRY = ("dry_steps", "find_batch", "dry_seconds", "vocabulary", "channels")


def _try(task: str, args: dict[str, Any], device: str | None, tried: dict[str, Any]) -> int:
    """What --dry_steps and --find_batch do."""
    from espnet_ext.train.dry import Dry, dry_run, find_batch
    from espnet_ext.train.run import Places

    nowhere = Path("no-such-directory")
    given = {"train": (), "valid": (), "tokens": nowhere, "output_dir": nowhere}
    places = Places(**{**given, **{name: value for name, value in args.items() if value}})
    dry = Dry(tried["dry_steps"] or 1, tried["dry_seconds"], tried["vocabulary"], tried["channels"])
    for line in (find_batch if tried["find_batch"] else dry_run)(task, places, device, dry):
        print(line, flush=True)
    return 0
