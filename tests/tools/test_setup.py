"""tools/setup.sh, tools/environment.py and path.sh, in a small repository with a stub for Python and pip."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from espnet_ext.machine import cores

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).with_name("stub_python.sh")
COMMANDS = (
    "bash cat cksum compgen cp dirname env flock grep id mkdir mv rm sed sleep tail touch true"
)


class World:
    """A repository with two pinned packages, on a machine that has only what `COMMANDS` names."""

    def __init__(self, path: Path) -> None:
        self.path, self.repo, self.bin = path, path / "repo", path / "bin"
        os.makedirs(self.repo / "tools")
        os.makedirs(self.repo / "espnet_ext")
        for name in ("tools/setup.sh", "tools/environment.py", "path.sh", "espnet_ext/machine.py"):
            shutil.copy2(ROOT / name, self.repo / name)
        self.write("tools/requirements.txt", "torch==2.13.0\nsmall==1.0\n")
        self.write("tools/requirements-nodeps.txt", "torchaudio==2.11.0\n")
        self.write("tools/system-packages.txt", "# package\ncoreutils cat needed why\n")
        self.bin.mkdir()
        for name in COMMANDS.split():
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)
        self.command("python3", STUB.read_text())

    def write(self, name: str, text: str) -> None:
        (self.repo / name).write_text(text)

    def command(self, name: str, text: str) -> None:
        """Put a program on the PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text if text.startswith("#!") else f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)

    def environment(self, **extra: str) -> dict[str, str]:
        real = getattr(sys, "_base_executable", sys.executable)
        return {"PATH": str(self.bin), "WORLD": str(self.path), "REAL": real, **extra}

    def start(self, *argv: str, **extra: str) -> subprocess.Popen[str]:
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        env = self.environment(**extra)
        return subprocess.Popen(argv, env=env, cwd="/", text=True, start_new_session=True, **pipes)

    def run(self, *argv: str, **extra: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a command."""
        process = self.start(*argv, **extra)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def setup(self, *options: str, **extra: str) -> tuple[int, str]:
        """Exit status and what tools/setup.sh said."""
        status, out, err = self.run(str(self.repo / "tools/setup.sh"), *options, **extra)
        return status, out + err

    def pip_calls(self) -> list[str]:
        """The pip commands since the last time this was asked."""
        calls = self.path / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return lines

    @property
    def site(self) -> Path:
        return self.repo / ".venv/lib/python3.11/site-packages"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    """tools/environment.py as a module."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools/environment.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- building ----------------------------------------------------------------------------------------


def test_builds_once_and_then_has_nothing_to_do(world: World) -> None:
    status, said = world.setup()
    assert status == 0, said
    assert "[1/6]" in said and "[6/6]" in said
    pinned, loose = world.pip_calls()
    assert "requirements.txt" in pinned and "--no-deps" not in pinned
    assert "requirements-nodeps.txt" in loose and "--no-deps" in loose
    status, said = world.setup()
    assert (status, said) == (0, "setup: everything is in place\n")
    assert world.pip_calls() == []


@pytest.mark.slow
def test_killed_in_the_middle_goes_on(world: World) -> None:
    (world.path / "pip-hangs").touch()
    process = world.start(str(world.repo / "tools/setup.sh"))
    deadline = time.monotonic() + 30
    while not (world.path / "hanging").exists():
        assert time.monotonic() < deadline, "the stub pip never ran"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert world.setup("--ready")[0] == 1
    assert not (world.site / "torch-2.13.0.dist-info/RECORD").exists()
    (world.path / "pip-hangs").unlink()
    status, said = world.setup()
    assert status == 0, said
    assert "removing what an interrupted run left: torch-2.13.0.dist-info" in said
    assert world.setup("--ready")[0] == 0


@pytest.mark.slow
def test_killed_while_making_the_virtual_environment(world: World) -> None:
    (world.repo / ".venv/bin").mkdir(parents=True)
    (world.repo / ".venv/bin/python").symlink_to(world.bin / "python3")
    status, said = world.setup()
    assert status == 0, said
    assert "-m venv --clear" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["requirements.txt", "requirements-nodeps.txt"])
def test_a_changed_list_rebuilds(world: World, name: str) -> None:
    world.setup()
    world.pip_calls()
    with open(world.repo / "tools" / name, "a") as stream:
        stream.write("another==3.0\n")
    assert world.setup("--ready")[0] == 1
    assert world.setup()[0] == 0
    assert len(world.pip_calls()) == 2
    assert (world.site / "another-3.0.dist-info").is_dir()


@pytest.mark.slow
def test_a_linked_environment_is_used_and_never_built_through_the_link(world: World) -> None:
    assert world.setup()[0] == 0
    other = world.path / "other"
    shutil.copytree(world.repo, other, ignore=shutil.ignore_patterns(".venv*"))
    (other / ".venv").symlink_to(world.repo / ".venv")
    ready = [str(other / "tools/setup.sh"), "--ready"]
    assert world.run(*ready)[0] == 0
    (other / "tools/requirements.txt").write_text("torch==2.14.0\n")
    world.pip_calls()
    assert world.run(*ready)[0] == 1
    status, _, said = world.run(str(other / "tools/setup.sh"))
    assert status == 1 and "remove the link" in said
    assert world.pip_calls() == [] and (world.repo / ".venv/.built-from").exists()


@pytest.mark.slow
def test_a_moved_repository_gets_a_new_environment(world: World) -> None:
    world.setup()
    world.repo = world.repo.rename(world.path / "elsewhere")
    assert world.setup("--ready")[0] == 1
    status, said = world.setup()
    assert status == 0, said
    assert f"-m venv --clear {world.repo}/.venv" in said


def test_a_package_that_did_not_arrive_is_named(world: World) -> None:
    world.command(
        "python3",
        STUB.read_text().replace('  touch "$info/RECORD"', '  [ "$1" != small ] || rm -r "$info"'),
    )
    status, said = world.setup()
    assert status == 1
    assert "found small 1.0 (found none)" in said
    assert "stopped in step 6 of 6; run tools/setup.sh again to go on" in said


@pytest.mark.slow
def test_two_at_once_are_refused(world: World) -> None:
    with open(world.repo / ".venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        status, said = world.setup()
    assert status == 1
    assert "another set-up is at work here (process 4711)" in said
    assert world.setup()[0] == 0


@pytest.mark.slow
def test_torchaudio_fits_the_torch(world: World) -> None:
    world.setup()
    library = world.site / "torchaudio/lib"
    assert [p.name for p in library.iterdir()] == ["part.so.needs-cuda"]
    world.write("tools/requirements.txt", "torch==2.13.0\n")
    (library / "part.so.needs-cuda").unlink()
    assert world.setup(CUDA="'13.0'")[0] == 0
    assert [p.name for p in library.iterdir()] == ["part.so"]


@pytest.mark.slow
def test_the_interpreters_own_torch_is_kept(world: World) -> None:
    info = world.path / "system-site/torch-2.11.0+cu130.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.11.0+cu130\n")
    status, said = world.setup(ESPNET_EXT_SYSTEM_TORCH="1")
    assert status == 0, said
    assert "keeping the torch 2.11.0+cu130" in said
    assert not list(world.site.glob("torch-*.dist-info"))
    assert (world.repo / ".venv/constraints.txt").read_text() == "torch==2.11.0+cu130\n"
    assert "-c " in world.pip_calls()[0]


def test_no_torch_to_keep(world: World) -> None:
    status, said = world.setup(ESPNET_EXT_SYSTEM_TORCH="1")
    assert status == 1
    assert "has no torch: leave the variable out" in said


# --- what may be missing -----------------------------------------------------------------------------


def test_no_python(world: World) -> None:
    (world.bin / "python3").unlink()
    status, said = world.setup()
    assert status == 1
    assert "found no Python from 3.10 to 3.12" in said and "apt-get install -y python3-venv" in said


@pytest.mark.slow
def test_python_too_old_is_passed_over(world: World) -> None:
    world.command("python3.11", STUB.read_text())
    world.command("python3", "exit 1")
    status, said = world.setup()
    assert status == 0, said
    assert f"{world.bin}/python3.11 -m venv" in said


def test_python_without_venv(world: World) -> None:
    world.command("python3", f'[[ $2 == *ensurepip* ]] && exit 1; exec "{STUB}" "$@"')
    status, said = world.setup()
    assert status == 1
    assert "has no venv module" in said and "apt-get install -y python3-venv" in said


SYSTEM = "# package\ncoreutils cat needed why\nespeak-ng espeak-ng needed why\nsox sox useful why\n"
APT_GET = '[ "$2" = update ] || echo "$*" >>"$WORLD/apt"'


def test_without_root_says_what_to_type_and_goes_on(world: World) -> None:
    world.write("tools/system-packages.txt", SYSTEM)
    world.command("id", "echo 1000")
    world.command("apt-get", APT_GET)
    world.command("sudo", "exit 1")
    status, said = world.setup()
    assert status == 0
    assert (
        said.count("sudo apt-get update && sudo apt-get install -y espeak-ng sox\n") == 2
    )  # first and last
    assert not (world.path / "apt").exists()
    status, said = world.setup()
    assert status == 0 and "apt-get install -y espeak-ng sox" in said and "[1/6]" not in said


@pytest.mark.slow
@pytest.mark.parametrize("user", ["0", "1000"])
def test_root_or_sudo_installs_only_what_is_missing(world: World, user: str) -> None:
    world.write("tools/system-packages.txt", SYSTEM)
    world.command("id", f"echo {user}")
    world.command("apt-get", APT_GET)
    world.command("sudo", 'shift; exec "$@"')
    assert world.setup()[0] == 0
    installed = (world.path / "apt").read_text()
    assert installed == "-qq install -y --no-install-recommends espeak-ng sox\n"


@pytest.mark.slow
def test_another_kind_of_system(world: World) -> None:
    world.write("tools/system-packages.txt", SYSTEM)
    status, said = world.setup()
    assert status == 0
    assert "install what your system calls: espeak-ng sox" in said


# --- options -----------------------------------------------------------------------------------------


def test_check_says_what_is_missing(world: World) -> None:
    world.write("tools/system-packages.txt", SYSTEM)
    status, said = world.setup("--check")
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert status == 1
    assert rows["small"].endswith("missing") and rows["coreutils"].endswith("ok")
    assert rows["sox"].endswith("missing (useful)") and rows["espeak-ng"].endswith("missing")
    assert not (world.repo / ".venv").exists()


def test_check_is_content_without_what_is_only_useful(world: World) -> None:
    world.setup()
    world.write("tools/system-packages.txt", "cat cat needed why\nsox sox useful why\n")
    status, said = world.setup("--check")
    assert status == 0, said
    other = world.site / "small-1.0.dist-info"
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 2.0\n")
    status, said = world.setup("--check")
    assert status == 1 and "other version" in said


def test_help_and_bad_usage(world: World) -> None:
    status, said = world.setup("--help")
    assert status == 0 and "--check" in said and "set -euo" not in said
    status, said = world.setup("--no-such-option")
    assert status == 2 and "--help" in said


# --- path.sh -----------------------------------------------------------------------------------------


def source(world: World, before: str, after: str, **extra: str) -> tuple[int, str, str]:
    """Source path.sh from another directory with something before and after it."""
    return world.run("bash", "-c", f"{before}\n. {world.repo}/path.sh\n{after}", **extra)


def test_path_builds_when_it_must_and_keeps_standard_output(world: World) -> None:
    after = 'echo "$ROOT $LC_ALL $OMP_NUM_THREADS"; command -v python'
    status, out, err = source(world, "set -euo pipefail", after, OMP_NUM_THREADS="3")
    assert status == 0, err
    assert out == f"{world.repo} C 3\n{world.repo}/.venv/bin/python\n"
    assert "[1/6]" in err
    assert source(world, "set -euo pipefail", "echo $OMP_NUM_THREADS")[1:] == (f"{cores()}\n", "")
    world.write("espnet_ext/machine.py", "print(7)")  # as a container's quota allows
    assert source(world, "", "echo $OMP_NUM_THREADS")[1] == "7\n"


def test_path_twice_adds_nothing_twice_and_sets_no_options(world: World) -> None:
    world.setup()
    again = f'a="$PATH $PYTHONPATH"; . {world.repo}/path.sh; [ "$a" = "$PATH $PYTHONPATH" ] && echo "$- $SHELLOPTS"'
    _, plain, _ = world.run("bash", "-c", 'echo "$- $SHELLOPTS"')
    status, out, err = source(world, "", again)
    assert (status, out, err) == (0, plain, "")


def test_path_fails_when_the_environment_cannot_be_built(world: World) -> None:
    (world.bin / "python3").unlink()
    status, out, err = source(world, "set -e", "echo went on")
    assert status != 0 and out == ""
    assert "found no Python" in err and "could not be built" in err


# --- the real lists ----------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [10, 11, 12])
def test_every_package_has_one_version(environment: ModuleType, minor: int) -> None:
    names = [environment.normal(name) for name, _ in environment.wanted_pins((3, minor))]
    assert len(names) == len(set(names)) > 100
    assert {"torch", "espnet", "numpy", "pytest"} <= set(names)


def test_every_line_of_the_lists_is_a_pin() -> None:
    for name in ("requirements.txt", "requirements-nodeps.txt"):
        for line in (ROOT / "tools" / name).read_text().splitlines():
            code = line.partition("#")[0].strip()
            assert not code or code.count("==") == 1, line


def test_an_unknown_marker_is_refused(environment: ModuleType) -> None:
    with pytest.raises(ValueError, match="expected python_version"):
        environment.holds('sys_platform == "linux"', (3, 11))


def test_the_environment_in_use_is_complete(environment: ModuleType) -> None:
    assert environment.broken_packages() == []


def test_japanese_dictionary_works_offline() -> None:
    script = f". {ROOT}/path.sh; python -c \"import pyopenjtalk; print(pyopenjtalk.g2p('天気'))\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    if "urlopen" in done.stderr:
        pytest.skip(
            "open-jtalk-mecab-naist-jdic is not installed and the dictionary is not fetched"
        )
    assert done.stdout == "t e N k i\n", done.stderr
