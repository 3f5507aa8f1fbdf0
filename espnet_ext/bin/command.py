"""What every command shares: how options look and how an error reaches the person at the terminal."""

from __future__ import annotations

import argparse
import errno
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from espnet_ext.errors import UserError

Value = TypeVar("Value")


class Parser(argparse.ArgumentParser):
    """An argument parser that takes `--some-option` for `--some_option` and shows defaults in --help.

    An option of several values may be repeated: `--set a=1 --set b=2` is `--set a=1 b=2`, not the last alone.
    """

    def __init__(self, description: str | None = None, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", argparse.ArgumentDefaultsHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(description=description, **kwargs)  # type: ignore[arg-type]

    def add_argument(self, *names, **options):  # type: ignore[no-untyped-def, override]
        several = names[0].startswith("-") and options.get("nargs") in ("*", "+")
        if several and not options.get("default"):  # what is given would be added to the default
            nothing = None if options.get("default") is None else []
            options |= {"action": "extend", "default": nothing}
        return super().add_argument(*names, **options)

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]
        args = sys.argv[1:] if args is None else args
        return super().parse_known_args([underscored(a) for a in args], namespace)

    def keep_apart(self, out: Path, *inputs: Path) -> None:
        """End with a usage error where OUT is one of the inputs: writing it would replace that one."""
        for data in inputs:
            if data.resolve() == out.resolve():
                self.error(f"DATA and OUT are both {data}, expected two directories")


def underscored(argument: str) -> str:
    """`--some-option=a-b` -> `--some_option=a-b`; anything that is not an option stays."""
    if not argument.startswith("--") or argument == "--":
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def jobs(text: str) -> tuple[int, int]:
    """Parse `JOB/N` (1-based) of an array job, e.g. `2/4` -> (2, 4).

    Raises:
        argparse.ArgumentTypeError: if it is not two whole numbers with 1 <= JOB <= N.
    """
    job, _, total = text.partition("/")
    if not (job.isdigit() and total.isdigit() and 1 <= int(job) <= int(total)):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected JOB/N such as 1/4")
    return int(job), int(total)


def number(text: str) -> float:
    """A number, perhaps infinite; not NaN, for no limit compares with it.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number")
    return value


def option(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """`parse` as the type of an option: what a UserError says of the value becomes bad usage, status 2."""

    def parsed(text: str) -> Value:
        try:
            return parse(text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space or point the output elsewhere, then run it again",
    errno.EDQUOT: "the disk quota is used up: free some space, then run it again",
    errno.EACCES: "no permission: change the rights of that path or choose another one",
    errno.EROFS: "the file system is read-only: choose another output directory",
    errno.ENOENT: "no such file or directory: check the path",
}


def explain(error: OSError) -> str:
    """One sentence for an operating system error: what happened, where, what to do."""
    where = f"{error.filename}: " if error.filename else ""
    return where + _ADVICE.get(error.errno or 0, error.strerror or str(error))


def call(
    main: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None = None
) -> int:
    """Run a command's `main`; errors that a person can mend become one line on stderr and status 1."""
    name = main.__module__.rpartition(".")[2]
    if name == "__main__":
        name = os.path.basename(sys.argv[0]).removesuffix(".py")
    try:
        return main(argv) or 0
    except UserError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{name}: error: {explain(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 1


def run(main: Callable[[Sequence[str] | None], int | None]) -> None:
    """`if __name__ == "__main__": run(main)` at the end of every command."""
    sys.exit(call(main))
