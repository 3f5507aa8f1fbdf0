"""A checkout of its own that runs the real recipes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
#: What recipes make: never copied, so that a test starts from nothing and touches nobody's results.
MADE = ("data", "dump", "exp", "downloads", "__pycache__")


class Checkout:
    """A copy of the working tree that uses the environment it was started from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("egs2", "tools", "local", "conf"):
            shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns(*MADE))
        for name in ("run.sh", "path.sh", "README.md"):
            shutil.copy2(REPO / name, root / name)
        (root / "espnet_ext").symlink_to(REPO / "espnet_ext")
        if (REPO / ".venv").is_dir():
            (root / ".venv").symlink_to((REPO / ".venv").resolve())
        else:  # the tests run in somebody's own environment
            path = f'ROOT={root}; export ROOT PYTHONPATH="$ROOT" LC_ALL=C PYTHONUTF8=1\n'
            (root / "path.sh").write_text(
                path + f'export PATH="{Path(sys.executable).parent}:$PATH"\n'
            )

    def recipe(self, name: str) -> Path:
        """A recipe's directory."""
        return self.root / "egs2" / name

    def start(
        self, *arguments: str, out: object = subprocess.PIPE, **env: str
    ) -> subprocess.Popen[str]:
        """./run.sh ARGUMENTS in a process group of its own, with its two streams in one."""
        return subprocess.Popen(
            [str(self.root / "run.sh"), *arguments],
            cwd=self.root,
            env=environment(**env),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=out,  # type: ignore[arg-type]
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, status: int | None = 0, timeout: int = 300, **env: str) -> str:
        """What ./run.sh ARGUMENTS said; fails unless it exits with `status` (None: any but 0)."""
        process = self.start(*arguments, **env)
        try:
            said = process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wrong = process.returncode == 0 if status is None else process.returncode != status
        assert not wrong, f"exit status {process.returncode}\n{said}"
        return said

    def records(self, name: str) -> dict[str, dict[str, object]]:
        """Records of a recipe's finished stages."""
        found = sorted(self.recipe(name).glob("exp/.stages/*.json"))
        return {path.stem: json.loads(path.read_text()) for path in found}


def environment(**more: str) -> dict[str, str]:
    """Ours, without what a person's shell may say about recipes, and with two quiet threads."""
    unwanted = (
        "ROOT",
        "RUN_AS",
        "AN4",
        "AN4_TEST",
        "NOISE",
        "train_cmd",
        "decode_cmd",
        "PYTHONPATH",
    )
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return {**kept, "OMP_NUM_THREADS": "1", **more}


def debug(*more: str) -> list[str]:
    """an4/asr1 with its debug configurations."""
    return [
        *("--recipe", "an4/asr1", "--speed_perturb_factors", "", "--nbpe", "30"),
        *("--asr_config", "conf/debug_asr.yaml", "--lm_config", "conf/debug_lm.yaml"),
        *("--inference_config", "conf/debug_decode.yaml", *more),
    ]
