"""Stage 1: write the Kaldi data directories of a corpus that espnet_ext.corpora knows."""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError


def corpora() -> list[str]:
    """Names of the modules of espnet_ext.corpora that prepare something."""
    folder = Path(__file__).parent.parent / "corpora"
    names = [m.name for m in pkgutil.iter_modules([str(folder)])]
    return sorted(n for n in names if re.search(r"^def prepare\(", _source(folder, n), re.M))


def _source(folder: Path, name: str) -> str:
    return (folder / f"{name}.py").read_text(encoding="utf-8")


def corpus_module(name: str) -> ModuleType:
    """The module of a corpus.

    Raises:
        UserError: if there is none.
    """
    if name not in corpora():
        raise UserError(
            f"found corpus {name!r}, expected one of {', '.join(corpora())}: check the name"
        )
    return importlib.import_module(f"espnet_ext.corpora.{name}")


def add_options(parser: argparse.ArgumentParser, prepare: Callable[..., Any]) -> list[str]:
    """Options of a corpus: the keyword arguments of its prepare(), explained in its docstring."""
    names = []
    for name, parameter in inspect.signature(prepare).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        text = re.search(rf"^ +{name}: (.*)$", prepare.__doc__ or "", re.M)
        kind: Callable[[str], Any] = int if isinstance(parameter.default, int) else str
        explained = (text.group(1) if text else name).replace("%", "%%")
        parser.add_argument(f"--{name}", type=kind, default=parameter.default, help=explained)
        names.append(name)
    return names


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(__doc__)
    parser.add_argument(
        "corpus", help=f"one of: {', '.join(corpora())}; NAME --help shows its options"
    )
    parser.add_argument("corpus_dir", help='where the corpus lies; "" says that it was not set')
    parser.add_argument("data_dir", help="gets the data directories")
    names: list[str] = []
    if argv and not argv[0].startswith("-"):
        module = corpus_module(argv[0])
        names = add_options(parser, module.prepare)
        if hasattr(module, "download"):
            add = parser.add_argument
            add("--download", action="store_true", help="fetch the corpus if it is not there")
            add("--download_to", metavar="DIR", help="the same if corpus_dir is DIR, else not")
    args = parser.parse_args(argv)
    options = {name: getattr(args, name) for name in names}
    if getattr(args, "download", False) or getattr(args, "download_to", None) == args.corpus_dir:
        asked = inspect.signature(module.download).parameters
        module.download(args.corpus_dir, **{n: v for n, v in options.items() if n in asked})

    from espnet_ext.datadir import read_table

    for directory in module.prepare(args.corpus_dir, args.data_dir, **options):
        count = len(read_table(directory / "utt2spk"))
        print(f"{directory}: {count} utterances")
    return 0


if __name__ == "__main__":
    run(main)
