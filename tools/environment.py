"""What tools/setup.sh asks of Python: looking at the environment and mending it. Standard library only.

Run by the Python of .venv (`check` also by another one, when there is no .venv yet).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
VENV = TOOLS.parent / ".venv"
DEBIAN_DICTIONARY = Path("/var/lib/mecab/dic/open-jtalk/naist-jdic/sys.dic")
ASIDE = ".needs-cuda"  # torchaudio finds its compiled parts as lib/*.so; this ending hides them
NETWORK_SECONDS = 10


def site_packages() -> Path | None:
    """The directory of .venv's packages, if there is one yet."""
    return next(VENV.glob("lib/python3.*/site-packages"), None)


# --- the lists ---------------------------------------------------------------------------------------


def pins(path: Path, version: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """The (name, version) pairs of a requirements file that hold for a Python version such as (3, 11)."""
    for line in path.read_text().splitlines():
        pin, _, marker = line.partition("#")[0].partition(";")
        if "==" in pin and holds(marker.strip(), version):
            name, _, wanted = pin.strip().partition("==")
            yield name, wanted


def holds(marker: str, version: tuple[int, int]) -> bool:
    """Whether `python_version >= "3.11"` (or `<`, or nothing) holds; our lists use no other markers."""
    if not marker:
        return True
    match = re.fullmatch(r'python_version\s*(>=|<)\s*"3\.(\d+)"', marker)
    if match is None:
        raise ValueError(f"found the marker {marker!r}, expected python_version >= or < a version")
    newer = version >= (3, int(match[2]))
    return newer if match[1] == ">=" else not newer


def wanted_pins(version: tuple[int, int]) -> list[tuple[str, str]]:
    """All pins of both lists."""
    lists = (TOOLS / "requirements.txt", TOOLS / "requirements-nodeps.txt")
    return [pin for path in lists for pin in pins(path, version)]


def normal(name: str) -> str:
    """A package name as indexes compare it: `ci_sdr` and `CI.SDR` are both `ci-sdr`."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- what is there -----------------------------------------------------------------------------------


def installed() -> dict[str, str]:
    """Version by normal name, for every package that a program in .venv would import."""
    site = site_packages()
    if site is None:
        return {}
    whole = [d for d in importlib.metadata.distributions(path=[str(site)]) if d.metadata["Name"]]
    own = {normal(d.name): d.version for d in whole}
    return {normal("torch"): torch, **own} if (torch := inherited_torch()) else own


def keeps_system_torch() -> bool:
    """Whether .venv was made to see the packages of the interpreter below it."""
    settings = VENV / "pyvenv.cfg"
    return settings.exists() and "include-system-site-packages = true" in settings.read_text()


def inherited_torch() -> str | None:
    """Version of the torch outside .venv that programs in it would use."""
    if not keeps_system_torch():
        return None
    outside = [p for p in sys.path if not Path(p).is_relative_to(VENV)]
    found = importlib.metadata.distributions(name="torch", path=outside)
    return next((d.version for d in found), None)


def state(name: str, wanted: str, found: str | None) -> str:
    """`ok`, or what is wrong with an installed package. A local build (+cpu, +cu130) of the release is ok."""
    if found is None:
        return "missing"
    if name == "torch" and keeps_system_torch():
        return "ok"
    return "ok" if found.partition("+")[0] == wanted else "other version"


def broken_packages() -> list[str]:
    """Pinned packages that are missing or at another version, each as `name wanted (found ...)`."""
    have, version = installed(), sys.version_info[:2]
    rows = [(name, wanted, have.get(normal(name))) for name, wanted in wanted_pins(version)]
    return [
        f"{name} {wanted} (found {found or 'none'})"
        for name, wanted, found in rows
        if state(name, wanted, found) != "ok"
    ]


# --- the commands ------------------------------------------------------------------------------------


def check(options: argparse.Namespace) -> int:
    """Print the table of --check; 1 if something needed is missing."""
    have, absent = installed(), set(options.missing.split())
    rows = [python_row(options.python)]
    for name, wanted in wanted_pins(sys.version_info[:2]):
        found = have.get(normal(name))
        rows.append((name, found or "-", wanted, state(name, wanted, found)))
    rows += system_rows(absent)
    for row in [("what", "found", "expected", "state"), *rows]:
        print("{:30} {:22} {:18} {}".format(*row).rstrip())
    bad = [row for row in rows if row[3] != "ok" and not row[3].endswith("(useful)")]
    advice = "; run tools/setup.sh" if bad else ""
    print(f"{len(rows) - len(bad)} of {len(rows)} in order{advice}")
    return 1 if bad else 0


def python_row(python: str) -> tuple[str, str, str, str]:
    """The interpreter: the one in .venv, or the one to build on."""
    if (VENV / "bin/python").exists():
        return ("python", sys.version.split()[0], "3.10 to 3.12", "ok")
    return ("python", python or "-", "3.10 to 3.12", "no .venv yet" if python else "missing")


def system_rows(absent: set[str]) -> Iterator[tuple[str, str, str, str]]:
    """One row a system package."""
    for line in (TOOLS / "system-packages.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            package, _, kind, _ = line.split(maxsplit=3)
            there = package not in absent
            word = "ok" if there else "missing" + (" (useful)" if kind == "useful" else "")
            yield (package, "system package" if there else "-", kind, word)


def mend(_: argparse.Namespace) -> int:
    """Remove what a killed pip left behind, so that the next pip installs it anew.

    pip writes RECORD last; a package without it looks installed and is not. Names that begin with `~` are
    packages that pip had set aside.
    """
    site = site_packages()
    half = [d for d in site.glob("*.dist-info") if not (d / "RECORD").exists()] if site else []
    for path in [*half, *(site.glob("~*") if site else [])]:
        print(f"setup: removing what an interrupted run left: {path.name}", file=sys.stderr)
        shutil.rmtree(path)
    return 0


def system_torch(_: argparse.Namespace) -> int:
    """Print the version of the torch that .venv inherits; 1 if it inherits none."""
    version = inherited_torch()
    print(version or "")
    return 0 if version else 1


def torchaudio(_: argparse.Namespace) -> int:
    """Hide torchaudio's compiled parts from a torch without CUDA, and show them again to one with it.

    They are linked against CUDA's libraries and `import torchaudio` raises where those are absent; without them
    it runs in pure Python. Only files inside .venv are touched.
    """
    site = site_packages()
    library = site / "torchaudio/lib" if site else None
    if library is None or not library.is_dir():
        return 0
    if torch_has_cuda():
        for path in library.glob(f"*.so{ASIDE}"):
            path.rename(path.with_suffix(""))
        return 0
    for path in library.glob("*.so"):
        path.rename(path.with_name(path.name + ASIDE))
    return 0


def torch_has_cuda() -> bool:
    """Asked of torch/version.py in a process of its own, since importing torch takes seconds."""
    code = (
        "import importlib.util as u, runpy, os;"
        "v = runpy.run_path(os.path.join(os.path.dirname(u.find_spec('torch').origin), 'version.py'));"
        "print(v.get('cuda') or v.get('hip') or '')"
    )
    return bool(python_runs(code).stdout.strip())


def python_runs(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a Python of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def language(_: argparse.Namespace) -> int:
    """Fetch what g2p_en and pyopenjtalk would fetch at their first use, if the network lets us.

    No default recipe needs it. Each fetch is tried once, for some seconds.
    """
    for title, there, code in language_data():
        if there:
            continue
        patience = f"import socket; socket.setdefaulttimeout({NETWORK_SECONDS})"
        done = python_runs(f"{patience}; {code}")
        word = "out of reach; left out" if done.returncode else "fetched"
        print(f"setup: {title}: {word} (no default recipe needs it)", file=sys.stderr)
    stand_in_for_nltk()
    return 0


def language_data() -> Iterator[tuple[str, bool, str]]:
    """(what it is, is it there, code that fetches it or raises)."""
    nltk = "import nltk, sys; sys.exit(not nltk.download('{}', '{}', quiet=True))"
    for name in ("taggers/averaged_perceptron_tagger_eng", "corpora/cmudict"):
        path = VENV / "nltk_data" / f"{name}.zip"
        there = path.exists() and path.stat().st_size > 10_000
        yield f"nltk's {path.stem}, for g2p_en", there, nltk.format(path.stem, VENV / "nltk_data")
    own = list((site_packages() or VENV).glob("pyopenjtalk/open_jtalk_dic*"))
    there = DEBIAN_DICTIONARY.exists() or bool(own)
    yield "pyopenjtalk's dictionary", there, "import pyopenjtalk; pyopenjtalk._lazy_init()"


def stand_in_for_nltk() -> None:
    """Empty archives under the names that g2p_en looks for whenever ESPnet imports it.

    They keep every process from trying the network and complaining; using g2p_en itself still fails, with
    nltk naming the archive. A later set-up that reaches the network replaces them, and ~/nltk_data comes first.
    """
    for name in ("taggers/averaged_perceptron_tagger_eng", "corpora/cmudict"):
        path = VENV / "nltk_data" / f"{name}.zip"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(f"{path.stem}/README", "a stand-in: the data was out of reach\n")


def complete(_: argparse.Namespace) -> int:
    """1, and what is wrong, unless every pinned package is there, torch once, and torchaudio imports."""
    problems = broken_packages()
    site = site_packages()
    if keeps_system_torch() and site and list(site.glob("torch-*.dist-info")):
        problems.append("a second torch inside .venv beside the interpreter's own")
    audio = python_runs("import torchaudio")
    if audio.returncode:
        problems.append("torchaudio does not import: " + audio.stderr.strip().rpartition("\n")[2])
    for problem in problems:
        print(f"setup: found {problem}", file=sys.stderr)
    return 1 if problems else 0


COMMANDS = {f.__name__: f for f in (check, mend, system_torch, torchaudio, language, complete)}


def main() -> int:
    """Run the command named first on the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--python", default="", help="the interpreter to build on, for check")
    parser.add_argument("--missing", default="", help="system packages that are absent, for check")
    options = parser.parse_args()
    return COMMANDS[options.command](options)


if __name__ == "__main__":
    os.umask(0o022)  # nltk refuses directories that others may write to
    sys.exit(main())
