"""English text normalisation: how many sentences come out right, a class at a time, and how fast.

Ours, NeMo's grammars alone and our regular expressions alone, in one run, on two lists of our own and, where there is
a checkout of NeMo-text-processing, on that library's test cases. Writes a section of RESULTS.md and prints it.

- hard.tsv was written before the rules, which were then tuned on it; unseen.tsv after, and nothing was tuned on it.
- Case and punctuation do not count. In our lists blanks do not count either, so that "a m" equals "AM".

Usage: python benchmarks/normalization.py [--nemo_cases DIR] [--cold] [--wrong]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

CASES = (
    "tests/nemo_text_processing/en/data_text_normalization"  # in a checkout of NeMo-text-processing
)
#: their cases for other tools: readings to choose from by sound
LEFT_OUT = {"normalize_with_audio"}
READY = "from espnet_ext.text.spoken import Speaker; Speaker({engine!r})('It is 5.')"


@dataclass(frozen=True)
class Case:
    """A sentence: its class, as written, and the ways in which it may be said."""

    kind: str
    written: str
    spoken: tuple[str, ...]
    blanks_count: bool

    def right(self, said: str) -> bool:
        """Whether `said` is one of the ways, case and punctuation aside."""
        return any(self._bare(said) == self._bare(way) for way in self.spoken)

    def _bare(self, text: str) -> str:
        words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
        return (" " if self.blanks_count else "").join(words)


def own_cases(path: Path) -> list[Case]:
    """`class TAB written TAB spoken[|spoken...]`, after a header."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [Case(kind, written, tuple(said.split("|")), False) for kind, written, said in rows]


def nemo_cases(folder: Path) -> list[Case]:
    """`written~spoken` lines of every test_cases_<class>.txt."""
    folder = folder / CASES if (folder / CASES).is_dir() else folder
    cases = []
    for path in sorted(folder.glob("test_cases_*.txt")):
        kind = path.stem.removeprefix("test_cases_")
        for line in path.read_text(encoding="utf-8").split("\n"):
            written, found, said = line.partition("~")
            if found and kind not in LEFT_OUT:
                cases.append(Case(kind, written, (said,), True))
    if not cases:
        raise SystemExit(f"normalization: error: no test_cases_*.txt with cases in {folder}")
    return cases


def engines() -> dict[str, Callable[[str], str]]:
    """What is compared: a name, and a function from written to spoken."""
    from espnet_ext.text import wfst
    from espnet_ext.text.normalize import Normalizer
    from espnet_ext.text.spoken import Speaker

    def nemo(text: str) -> str:
        try:
            return wfst.spoken()(text)
        except wfst.Unreadable:
            return text

    return {"ours": Speaker("wfst"), "NeMo alone": nemo, "regex alone": Normalizer()}


def score(name: str, cases: list[Case], wrong: bool) -> list[str]:
    """A table of the sentences right, a class a row."""
    total = Counter(case.kind for case in cases)
    right: dict[str, Counter[str]] = {}
    for engine, read in engines().items():
        said = {case: read(case.written) for case in cases}
        right[engine] = Counter(case.kind for case in cases if case.right(said[case]))
        if wrong and engine == "ours":
            for case in cases:
                if not case.right(said[case]):
                    print(f"{case.kind}: {case.written}\n  {said[case]}\n  {case.spoken[0]}")
    rows = [f"| {kind} | {n} | " + " | ".join(str(c[kind]) for c in right.values()) + " |"
            for kind, n in total.items()]  # fmt: skip
    shares = " | ".join(f"**{100 * c.total() / len(cases):.1f} %**" for c in right.values())
    head = [
        "| class | sentences | " + " | ".join(right) + " |",
        "|---|" + "---|" * (len(right) + 1),
    ]
    return ["", f"### {name}", "", *head, *rows, f"| all | {len(cases)} | {shares} |"]


def speed(cases: list[Case]) -> list[str]:
    """Sentences a second, read for the first time, and with nine plain sentences to each."""
    from espnet_ext.text.spoken import Speaker

    texts = [case.written for case in cases]
    plain = [
        f"This is plain sentence {'abcdefghij'[i % 10] * (i // 10 + 2)}."
        for i in range(9 * len(texts))
    ]
    rows = []
    for name, engine in (("ours", "wfst"), ("regex rules behind the same mends", "regex")):
        fresh = Speaker(engine, british=True)  # another setting: nothing of it is remembered yet
        fresh("It is 5.")
        rates = []
        for lines in (texts, [*(f"{text} Indeed." for text in texts), *plain], texts):
            started = time.perf_counter()
            list(fresh.lines(lines))
            rates.append(f"{len(lines) / (time.perf_counter() - started):,.0f}")
        rows.append(f"| {name} | " + " | ".join(rates) + " |")
    head = "| lines a second, one process | hard list | one hard in ten | hard list again |"
    return ["", "### Speed", "", head, "|---|---|---|---|", *rows]


def starts(cold: bool) -> list[str]:
    """Seconds of a process from its start to its first sentence."""
    rows = [f"| grammars compiled before | {started('wfst', None):.1f} |"]
    if cold:
        with tempfile.TemporaryDirectory() as empty:
            rows.append(f"| grammars compiled now | {started('wfst', empty):.1f} |")
    rows.append(f"| regular expressions | {started('regex', None):.2f} |")
    return ["", "| process start to first sentence | s |", "|---|---|", *rows, ""]


def started(engine: str, cache: str | None) -> float:
    """Seconds of a process that reads one sentence."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if cache:
        environment["ESPNET_EXT_CACHE"] = cache
    begun = time.perf_counter()
    program = [sys.executable, "-c", READY.format(engine=engine)]
    subprocess.run(program, check=True, env=environment, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nemo_cases", type=Path, help="checkout, or the folder of its cases")
    parser.add_argument("--cold", action="store_true", help="time a compilation too (a minute)")
    parser.add_argument("--wrong", action="store_true", help="print what ours says wrongly")
    args = parser.parse_args(argv)
    from benchmarks.results import write_section
    from espnet_ext.metrics.provenance import provenance

    hard = own_cases(ROOT / "benchmarks/normalization/hard.tsv")
    unseen = own_cases(ROOT / "benchmarks/normalization/unseen.tsv")
    lines = ["## English text normalisation"]
    lines += score("Hard sentences (the rules were tuned on these)", hard, args.wrong)
    lines += score("Unseen sentences (nothing was tuned on these)", unseen, args.wrong)
    if args.nemo_cases:
        cases = nemo_cases(args.nemo_cases)
        lines += score("NeMo-text-processing's own test cases", cases, args.wrong)
    lines += [*speed(hard), *starts(args.cold)]
    facts = provenance("", ()).as_dict()
    facts["command"] = " ".join(["python benchmarks/normalization.py", *argv])
    facts["load average at the end"] = " ".join(f"{x:.1f}" for x in os.getloadavg())
    text = "\n".join([*lines, *(f"- {name}: `{value}`" for name, value in facts.items()), ""])
    write_section(ROOT / "benchmarks/RESULTS.md", "normalization", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
