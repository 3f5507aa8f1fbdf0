"""The front door's list of recipes, and the choice of one; read from the recipes themselves.

`recipes.py ROOT NAME ARG...` prints code for `eval`: `recipe=an4/asr1; set -- --nj 4`, or a text.

A recipe's run.sh says what it is in its first comment and, on a line `#: task=ASR hours=1 needs=..`,
what it does, with how many hours of speech, and what must be there. Its score is the line that
starts with `Score:` in its README.md, or else what its last scoring here has found.
"""

from __future__ import annotations

import glob
import os
import shlex
import sys

import options

DEFAULT = "mini"


def recipes(root: str) -> list[str]:
    """Names such as an4/asr1 (and mini, which runs several), sorted."""
    egs2 = os.path.join(root, "egs2")
    found = glob.glob(f"{egs2}/*/run.sh") + glob.glob(f"{egs2}/*/*/run.sh")
    names = [os.path.relpath(os.path.dirname(path), egs2) for path in found]
    return sorted(name for name in names if not name.startswith("TEMPLATE"))


def facts(root: str, name: str) -> dict[str, str]:
    """What a recipe says of itself: its `#:` line and its score."""
    directory = os.path.join(root, "egs2", name)
    found: dict[str, str] = {}
    for line in options.read(os.path.join(directory, "run.sh")):
        if line.startswith("#:"):
            found.update(word.partition("=")[::2] for word in shlex.split(line[2:]))
    found["score"] = published(os.path.join(directory, "README.md")) or measured(directory)
    return found


def published(readme: str) -> str:
    """The rest of the line `Score: ...` of a README; "" without one."""
    lines = options.read(readme) if os.path.exists(readme) else []
    said = [line.partition(":")[2].strip() for line in lines if line.startswith("Score:")]
    return said[0] if said else ""


def measured(directory: str) -> str:
    """Word error rates in the newest exp/MODEL/DECODING/scores.json of a recipe; "" without one.

    Scores of sets that are not the recipe's own lie elsewhere, such as in exp/more.
    """
    import json

    paths = glob.glob(f"{directory}/exp/*/*/scores.json")
    if not paths:
        return ""
    with open(max(paths, key=os.path.getmtime), encoding="utf-8") as stream:
        sets = json.load(stream).get("sets", {})
    rates = [
        f"{name} {kinds['wer']['error_rate']:.1f} %"
        for name, kinds in sets.items()
        if "error_rate"
        in kinds.get("wer", {})  # speech has a mean of what a recogniser misheard there
    ]
    return f"WER {', '.join(rates)} (run here)" if rates else ""


def table(root: str) -> str:
    """All recipes, one a line, under a heading."""
    rows: list[tuple[str, ...]] = [("recipe", "task", "hours", "needs", "score")]
    for name in recipes(root):
        known = facts(root, name)
        rows.append((name, *(known.get(key) or "-" for key in rows[0][1:])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def choose(root: str, asked: str) -> str:
    """The recipe meant by an4/asr1, egs2/an4/asr1, egs2/an4/asr1/run.sh or, if there is one, an4.

    Raises:
        options.BadUsage: if there is none, or more than one.
    """
    name = asked.removeprefix("./").removeprefix("egs2/").removesuffix("run.sh").strip("/")
    known = recipes(root)
    below = [recipe for recipe in known if recipe.startswith(name + "/")]
    if name in known:
        return name
    if len(below) == 1:
        return below[0]
    if below:
        raise options.BadUsage(f"--recipe {asked}: which one, {' or '.join(below)}?")
    raise options.BadUsage(f"no recipe {asked}{options.close_to(name, known)} (see --list)")


def split(arguments: list[str]) -> tuple[str, list[str]]:
    """The value of --recipe and the other arguments."""
    asked, rest = "", list(arguments)
    for at, word in enumerate(arguments):
        if word == "--recipe":
            if at + 1 == len(arguments):
                raise options.BadUsage("--recipe: its value is missing, for example an4/asr1")
            asked, rest = arguments[at + 1], arguments[:at] + arguments[at + 2 :]
        elif word.startswith("--recipe="):
            asked, rest = word.partition("=")[2], arguments[:at] + arguments[at + 1 :]
    return asked, rest


def say(text: str) -> str:
    """Shell code that prints a text and ends."""
    return f"printf '%s\\n' {shlex.quote(text)}; exit 0"


def answer(root: str, name: str, arguments: list[str]) -> str:
    """Shell code for the front door."""
    asked, rest = split(arguments)
    if "--list" in rest:
        return say(table(root))
    if not asked and {"--help", "-h"} & set(rest):
        return say(options.description(os.path.join(root, "run.sh")))
    recipe = choose(root, asked) if asked else DEFAULT
    run_as = f"export RUN_AS={shlex.quote(f'{name} --recipe {recipe}')}; " if asked else ""
    return f"{run_as}recipe={shlex.quote(recipe)}; set -- {shlex.join(rest)}"


def main(root: str, name: str, *arguments: str) -> int:
    """Print the answer, or what is wrong."""
    try:
        print(answer(root, name, list(arguments)))
    except options.BadUsage as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
