"""The options that all training commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser


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
        args = vars(options.parse_args(argv))
        device, anew = args.pop("device"), args.pop("anew")
        from espnet_ext.train.run import Places, train_model

        for path in train_model(task, Places(**args), device, anew):
            print(f"final model: {path}")
        return 0

    main.__module__ = f"espnet_ext.bin.{task}_train"
    return main
