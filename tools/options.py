"""Options of a recipe: reads its option lines and the command line, answers with assignments.

`options.py RECIPE TEMPLATE NAME ARG...` prints code for `eval`: `nj=4` and so on, or the --help.
An option line is `nj=4  # parallel jobs`: name, default, what it is for. A line `## Audio` starts a
group of them, and they end at `parse_options`. A recipe's lines only change defaults.
"""

from __future__ import annotations

import os
import re
import shlex
import sys

from jobs import BadUsage

OPTION = re.compile(r"([a-z][a-z0-9_]*)=(\"[^\"]*\"|'[^']*'|\S*)[^#]*(?:\s#\s*(.*))?$")
STAGE = re.compile(r'\s*run_(?:stage|recipe) (\d+) (\w+) "([^"]*)"(?: after "?([\w,]*)"?)?')
PART = re.compile(r'\. "\$ROOT/egs2/TEMPLATE/\w+/(\w+\.sh)"')
RANGE = ("stage", "stop_stage")
# The least that can be meant by an option that counts something: `--nj 0` would be no job at all.
LEAST = {"nj": 1, "nproc": 1, "fs": 1, "nbpe": 1, "ngram_order": 1, "gpu": 0, "griffin_lim": 0}
COMMON = os.path.join(os.path.dirname(os.path.realpath(__file__)), "recipe.sh")


class Option:
    """One option line: `name=default  # comment`, under the heading `group`."""

    def __init__(self, name: str, default: str, comment: str, group: str) -> None:
        self.name, self.comment, self.group = name, comment, group
        self.default = default.strip("\"'")

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false, so that `--name` alone means true."""
        return self.default in ("true", "false")

    def check(self, value: str) -> None:
        """Raise BadUsage if `value` cannot be meant: not true or false, not a number, not that many."""
        if self.is_flag and value not in ("true", "false"):
            raise BadUsage(f"--{self.name} {value}: expected true or false")
        if is_number(self.default) and value and not is_number(value):
            raise BadUsage(f"--{self.name} {value}: expected a number such as {self.default}")
        least = LEAST.get(self.name)
        if least is None or not (value or is_number(self.default)):
            return
        if not re.fullmatch("[0-9]+", value) or int(value) < least:
            raise BadUsage(f"--{self.name} {value}: expected a whole number, {least} or more")


def is_number(text: str) -> bool:
    """Whether a shell value is a plain decimal number."""
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def read(path: str) -> list[str]:
    """Lines of a script, without their ends."""
    with open(path, encoding="utf-8") as stream:
        return stream.read().split("\n")


def option_lines(path: str) -> dict[str, Option]:
    """Options that a script declares, in order."""
    found: dict[str, Option] = {}
    group = ""
    for line in read(path):
        if line.startswith("parse_options "):
            break
        if line.startswith("## "):
            group = line[3:].strip()
        match = OPTION.match(line)
        if match:
            found[match[1]] = Option(match[1], match[2], match[3] or "", group)
    return found


def whole(script: str) -> list[str]:
    """Lines of a script; those of a part that lies beside it stand where it is sourced."""
    lines: list[str] = []
    for line in read(script):
        part = PART.match(line)
        beside = os.path.join(os.path.dirname(script), part[1]) if part else ""
        lines += whole(beside) if os.path.isfile(beside) else [line]
    return lines


def stages(recipe: str, template: str) -> dict[int, tuple[str, str]]:
    """Stage number -> (name, title) of a template and of a recipe that adds some, in the order in which they run.

    Numbers do not tell that order: an optional stage has a high one wherever it stands.

    Raises:
        BadUsage: if two stages share a number or a name, or one comes after an unknown one.
    """
    found: dict[int, tuple[str, str]] = {}
    names: list[str] = []
    lines = [line for script in dict.fromkeys((template, recipe)) for line in whole(script)]
    for match in filter(None, map(STAGE.match, lines)):
        number, name = int(match[1]), match[2]
        if number in found or name in names:
            raise BadUsage(f"{recipe}: stage {number} {name} is there twice")
        unknown = set(filter(None, (match[4] or "").split(","))) - set(names)
        if unknown:
            raise BadUsage(f"{recipe}: stage {name} comes after {unknown}, not an earlier stage")
        found[number] = (name, match[3])
        names.append(name)
    return found


def close_to(word: str, known: list[str], dashes: str = "") -> str:
    """`; did you mean --x or --y?`, or nothing."""
    import difflib

    close = [dashes + name for name in difflib.get_close_matches(word, known, 3, 0.6)]
    return f"; did you mean {' or '.join(close)}?" if close else ""


def declared(recipe: str, template: str) -> dict[str, Option]:
    """All options with the recipe's defaults and comments where it has them.

    Raises:
        BadUsage: if the recipe sets what the template does not know: a misspelt name.
    """
    options = option_lines(template) | option_lines(COMMON)
    for name, own in option_lines(recipe).items():
        if name not in options:
            hint = close_to(name, list(options)) or "; known ones are listed by --help"
            raise BadUsage(f"{recipe} sets {name}, which {template} does not have{hint}")
        known = options[name]
        options[name] = Option(name, own.default, own.comment or known.comment, known.group)
    return options


def parse(arguments: list[str], options: dict[str, Option]) -> dict[str, str]:
    """`--some-option v`, `--some_option=v`, `--flag` -> {name: value}; the last one wins."""
    values: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        name = name.lstrip("-").replace("-", "_")
        if not word.startswith("--") or name not in options:
            raise BadUsage(unknown(word, name, options))
        if not equals:
            value = take_value(options[name], rest, options)
        options[name].check(value)
        values[name] = value
    return values


def unknown(word: str, name: str, options: dict[str, Option]) -> str:
    """What to say of a word that is no option."""
    if not word.startswith("-"):
        return f"found {word!r}, expected --option value (quote a value that holds spaces)"
    return f"no option {word.partition('=')[0]}{close_to(name, list(options), '--')} (see --help)"


def take_value(option: Option, rest: list[str], options: dict[str, Option]) -> str:
    """Take the value of `option` off the front of `rest`."""
    if option.is_flag:
        return rest.pop(0) if rest and rest[0] in ("true", "false") else "true"
    following = rest[0].partition("=")[0] if rest else "--"
    if not rest or (following[:2] == "--" and following[2:].replace("-", "_") in options):
        raise BadUsage(f"--{option.name}: its value is missing ({option.comment})")
    return rest.pop(0)


def stage_number(word: str, known: dict[int, tuple[str, str]]) -> int:
    """Number of a stage given by number or name."""
    names = {name: number for number, (name, _) in known.items()}
    name = word.replace("-", "_")
    if name in names:
        return names[name]
    if word.isdigit() and int(word) in known:
        return int(word)
    listed = ", ".join(f"{number} {name}" for number, (name, _) in known.items())
    raise BadUsage(f"no stage {word}{close_to(name, list(names))} (there are {listed})")


def resolve_stages(values: dict[str, str], known: dict[int, tuple[str, str]]) -> None:
    """Turn names of stages in `values` into numbers, in place."""
    asked, places = dict(values), list(known)
    for name in (*RANGE, "skip_stages"):
        words = values.get(name, "").replace(",", " ").split()
        if len(words) > 1 and name in RANGE:
            raise BadUsage(f"--{name} {values[name]}: expected one stage")
        if words:
            values[name] = " ".join(str(stage_number(word, known)) for word in words)
    first, last = (values.get(name) for name in RANGE)
    if first and last and places.index(int(first)) > places.index(int(last)):
        given = " comes after ".join(f"--{name} {asked[name]}" for name in RANGE)
        raise BadUsage(f"{given}: nothing to run")


def own_stages(options: dict[str, Option]) -> dict[str, str]:
    """What the recipe itself says of the stages that run, where that is no code of the shell's."""
    said = {name: options[name].default for name in (*RANGE, "skip_stages")}
    return {name: value for name, value in said.items() if re.fullmatch(r"[\w, -]+", value)}


def order(known: dict[int, tuple[str, str]]) -> list[str]:
    """Shell code that tells the place of each stage, by number and by name, and their names in order."""
    places = [
        f"[{key}]={at}"
        for at, (number, (name, _)) in enumerate(known.items())
        for key in (number, name)
    ]
    names = " ".join(name for name, _ in known.values())
    return [f"declare -gA _place=({' '.join(places)})", f"_order={shlex.quote(names)}"]


def description(recipe: str) -> str:
    """The first comment of a script: what the recipe is."""
    comments: list[str] = []
    for line in read(recipe):
        if line == "#" or line.startswith("# "):
            comments.append(line[2:])
        elif comments:
            break
    return "\n".join(comments)


def help_text(recipe: str, name: str, options: dict[str, Option], template: str) -> str:
    """The whole --help, out of option lines and stages."""
    lines = [description(recipe), "", f"usage: {name} [--option value]..."]
    group = None
    for option in options.values():
        if option.group != group:
            group = option.group
            lines += ["", (group or "Options") + ":"]
        left = f"  --{option.name} {shown(option.default)}"
        lines.append(f"{left:<34}  {option.comment}".rstrip())
    lines += ["", "Stages:"]
    for number, (stage, title) in stages(recipe, template).items():
        lines.append(f"  {number:>2} {stage:<15} {title}")
    return "\n".join(lines)


def shown(value: str) -> str:
    """A default as one would type it: quoted if it is empty or holds spaces."""
    return value if re.fullmatch(r"\S+", value) else f'"{value}"'


def again(name: str, values: dict[str, str]) -> str:
    """The command line once more, without the first stage, which the caller adds."""
    words = [[f"--{option}", value] for option, value in values.items() if option != "stage"]
    return " ".join([name] + [shlex.join(pair) for pair in words])


def main(recipe: str, template: str, name: str, *arguments: str) -> int:
    """Print shell code: the values given, `_again` and the stages' order, or the help and `exit 0`."""
    try:
        options = declared(recipe, template)
        if {"--help", "-h"} & set(arguments):
            text = help_text(recipe, name, options, template)
            print(f"printf '%s\\n' {shlex.quote(text)}; exit 0")
            return 0
        given = parse(list(arguments), options)
        command = again(name, given)
        values = own_stages(options) | given
        known = stages(recipe, template)
        resolve_stages(values, known)
    except BadUsage as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    for option, value in values.items():
        print(f"{option}={shlex.quote(value)}")
    print(f"_again={shlex.quote(command)}", *order(known), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
