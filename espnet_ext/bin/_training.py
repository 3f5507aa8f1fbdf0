"""The options that all training commands share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, call
from espnet_ext.text.lines import count
from espnet_ext.train.launch import end_at_once, is_one_of_many, launch


def parser(description: str | None, stats: bool = True) -> argparse.ArgumentParser:
    """A parser with the options of a training command; `stats` where features are normalised."""
    found = Parser(description)
    add = found.add_argument
    add("--config", type=Path, required=True, help="the experiment's YAML")
    what = "formatted data directory" if stats else "text file(s), `id sentence` lines"
    add("--train", type=Path, nargs="+", required=True, help=f"training data: {what}")
    add("--valid", type=Path, nargs="+", required=True, help=f"validation data: {what}")
    add("--tokens", type=Path, required=True, help="directory made by train_tokens")
    add("--output_dir", type=Path, required=True, help="receives the results")
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


def train_command(task: str, description: str | None) -> Callable[[Sequence[str] | None], int]:
    """The `main` of a training command."""

    def main(argv: Sequence[str] | None = None) -> int:
        options = parser(description, stats=task != "lm")
        what = "train a finished model again; what there is moves to before-N"
        options.add_argument("--anew", action="store_true", default=asked_anew(), help=what)
        what = "processes that train together on this machine, a GPU or a core each"
        options.add_argument("--nproc", type=count(1), default=1, help=what)
        given = sys.argv[1:] if argv is None else list(argv)
        args = vars(options.parse_args(given))
        device, anew, number = args.pop("device"), args.pop("anew"), args.pop("nproc")
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
