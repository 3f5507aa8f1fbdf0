"""What a stage's result depends on, and how two such states differ.

A stage depends on its command, on the content of the files that the command names, on the code of the
classes that its YAML files name (`encoder: my_module:MyEncoder`), and on the runs of the stages it comes
after. Who does the work (--nj, JOB/N, --device) does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys

import jobs

LARGE = 1 << 20  # bytes; larger files are told apart by size and time, not by content
NAMES = re.compile(r"(?<![\w./:])[A-Za-z_][\w.]*:[A-Za-z_]\w*(?![\w:/])")  # module:Class


class State:
    """What a stage depends on, at one moment.

    Attributes:
        words: the command, without its launcher.
        files: path that the command names -> digest of its content.
        upstream: stage it comes after -> id of that stage's last run.
        made: those of `files` that the stage itself writes.
        code: `module:Class` that a YAML names -> digest of its source files; None in a record that
            is older than this entry.
    """

    def __init__(
        self,
        words: list[str],
        files: dict[str, str],
        upstream: dict[str, str],
        made: list[str] | None = None,
        code: dict[str, str] | None = None,
    ) -> None:
        self.words, self.files, self.upstream = words, files, upstream
        self.made, self.code = made or [], code

    def fingerprint(self) -> str:
        """One SHA-256 for all of it."""
        parts = json.dumps([self.words, self.files, self.upstream, self.code], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    def inputs(self) -> str:
        """The fingerprint without what the stage itself writes: the same before a first and a second attempt."""
        mine = outputs(self.words)
        files = {p: d for p, d in self.files.items() if d != "directory" and p not in mine}
        return State(self.words, files, self.upstream, code=self.code).fingerprint()

    def after_run(self, previous: State | None) -> State:
        """The state to record when the stage has run, `self` being from before.

        Inputs stay as they were at the start (an edit made meanwhile makes the stage stale); what
        the stage has made, now or in its previous run, is taken as it is now.
        """
        now = digests(self.words)
        made = set(now) - set(self.files) | outputs(self.words)
        made |= set(previous.made if previous else [])
        files = {path: what for path, what in self.files.items() if path not in made}
        files |= {path: now[path] for path in sorted(made) if path in now}
        return State(self.words, files, self.upstream, sorted(made & set(now)), self.code)

    def difference(self, new: State) -> str:
        """Why the stage has to run again in state `new`; "" when it is up to date."""
        if self.words != new.words:
            return "command changed: " + first_change(self.words, new.words)
        for path, before in self.files.items():
            now = new.files.get(path, "")
            if before != now:
                return f"{path} {'changed' if now else 'is missing'}"
        for path, now in new.files.items():
            if path not in self.files and now != "directory":
                return f"{path} is new"
        for name, code in (new.code or {}).items():
            if self.code is not None and self.code.get(name) != code:
                return f"the code of {name} changed"
        for name, run in new.upstream.items():
            if self.upstream.get(name) != run:
                return f"stage {name} ran again"
        return ""


def normal(words: list[str]) -> list[str]:
    """Words without who does the work: JOB/4 -> JOB/N, --nj 4 -> --nj N, --device cuda -> ... N."""
    found: list[str] = []
    for word in words:
        word = re.sub(r"\bJOB/\d+\b", "JOB/N", word)
        word = re.sub(r"^(--nj|--device)=.*", r"\1=N", word)
        found.append("N" if found and found[-1] in ("--nj", "--device") else word)
    return found


def digest(path: str) -> str:
    """What tells a file's content apart; "directory" for one, "" for what is not there."""
    if os.path.isdir(path):
        return "directory"
    if not os.path.isfile(path):
        return ""
    status = os.stat(path)
    if status.st_size > LARGE:
        return f"{status.st_size} bytes of {status.st_mtime_ns}"
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def listing(folder: str) -> str:
    """What tells a directory's content apart without reading it: names, sizes and times of its files."""
    found = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for path in (os.path.join(place, name) for name in sorted(names)):
            status = os.lstat(path)
            said = f"{os.path.relpath(path, folder)} {status.st_size} {status.st_mtime_ns}\n"
            found.update(said.encode(errors="surrogateescape"))
    return found.hexdigest()


def digests(words: list[str], reads: list[str] | None = None) -> dict[str, str]:
    """Digest of each existing path among the words, after `=` in --option=path, and in `reads`.

    Of directories only those in `reads` are looked into: others are also written to, or large.
    """
    found = {path: listing(path) for path in reads or [] if os.path.isdir(path)}
    for word in [*(reads or []), *words]:
        for path in (word, word.partition("=")[2]):
            if path and path not in found and (content := digest(path)):
                found[path] = content
    return found


def codes(words: list[str]) -> dict[str, str]:
    """Digest of the source files of each `module:Class` among the words and in the YAML files they name."""
    texts = [" ".join(words)]
    for word in words:
        path = word.rpartition("=")[2]
        if path.endswith((".yaml", ".yml")) and os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                texts += [line.partition(" #")[0] for line in stream if line[:1] != "#"]
    names = sorted({name for text in texts for name in NAMES.findall(text)})
    return {name: code for name in names if (code := code_of(name))}


def code_of(name: str) -> str:
    """Digest of the source files of a `module:Class`, found as its stage's command finds it; "" without any."""
    from espnet_ext.train.sources import code_digest, source_files

    places = [os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep), jobs.ROOT]
    files = source_files(name, [place for place in places if place] + sys.path)
    return hashlib.sha256("".join(map(code_digest, files)).encode()).hexdigest() if files else ""


def outputs(words: list[str]) -> set[str]:
    """Paths that the command writes: the values of options named --out..."""
    follow = {words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--out")}
    return follow | {word.partition("=")[2] for word in words if word.startswith("--out")}


def first_change(old: list[str], new: list[str]) -> str:
    """The first place where two commands differ, with the option before it."""
    same = [a == b for a, b in zip(old, new, strict=False)] + [False]
    at = same.index(False)
    option = old[at - 1] + " " if at and old[at - 1].startswith("--") else ""
    before, now = (" ".join(words[at : at + 1]) or "nothing" for words in (old, new))
    return f"{option}{before} -> {now}"
