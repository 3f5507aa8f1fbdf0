"""A training killed at any moment, in any phase, ends with the very weights of an undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

PHASES = [
    {"name": "clean", "epochs": 1, "rules": ["seconds<=1.1"], "augment": False, "lr_factor": 2.0},
    {"name": "full", "epochs": 1, "specaug_conf": {"freq_mask_width_range": [0, 5]}},
    {"name": "domain", "epochs": 1, "lr_factor": 0.1, "freeze": ["encoder"]},
]
CHANGES = {
    "max_epoch": 3,
    "phases": PHASES,
    "ema": 0.9,
    "checkpoint_minutes": 0.0001,
    "accum_grad": 2,
    "num_workers": 1,
    "batch_size": 1.5,
}
#: kills after which a training is left to itself
MOST = 20


def _start(places):
    options = ["--config", places.config, "--train", *places.train, "--valid", *places.valid]
    options += [
        "--tokens",
        places.tokens,
        "--output_dir",
        places.output_dir,
        "--stats_dir",
        places.stats_dir,
    ]
    command = [
        sys.executable,
        "-m",
        "espnet_ext.bin.asr_train",
        *map(str, options),
        "--device",
        "cpu",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _runs_on(process, seconds):
    """Wait until training begins, and `seconds` more; what it has said, and whether it still runs."""
    said = []
    for line in process.stdout:
        said.append(line)
        if "batches an epoch" in line:
            break
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return "".join(said), True
    return "".join(said), False


def _result(folder):
    names = ("valid.acc.ave.pth", "valid.acc.ema.pth", "valid.acc.best.pth", "3epoch.pth")
    weights = [torch.load(folder / name) for name in names if (folder / name).exists()]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return weights, [
        {k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines
    ]


def _same(one, other):
    (weights, lines), (others, other_lines) = one, other
    assert lines == other_lines and len(weights) == len(others) >= 3
    for a, b in zip(weights, others, strict=True):
        assert list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """What it ends in, and how many seconds it takes on this machine once training has begun."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = _start(tiny.places("asr", folder, CHANGES))
    _runs_on(process, 0)
    begun = time.monotonic()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return _result(folder), time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_moments(tiny, tmp_path, undisturbed):
    """SIGKILL; in a new folder whenever training came to its end before five kills."""
    expected, window = undisturbed
    moments, kills, within = random.Random(0), 0, 0
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        while True:
            enough = (kills >= 5 and within) or kills >= MOST
            process = _start(tiny.places("asr", folder, CHANGES))
            said, running = _runs_on(process, 300 if enough else moments.uniform(0, window))
            if running:
                os.kill(process.pid, signal.SIGKILL)
            more, errors = process.communicate()
            within += "resuming" in said + more and ", batch 0," not in said + more
            if not running:
                break
            kills += 1
        assert process.returncode == 0, said + more + errors
        _same(_result(folder), expected)
        assert not list(folder.glob("before-*"))
        if kills >= 5 and within:
            return
        window *= 0.7  # this run was too fast to be hit
    raise AssertionError(f"only {kills} kills, {within} of them after a resume within an epoch")


@pytest.mark.slow
def test_sigterm_saves_and_says_so(tiny, tmp_path, undisturbed):
    expected, span = undisturbed
    process = _start(tiny.places("asr", tmp_path, CHANGES))
    _, running = _runs_on(process, 0.2 * span)
    assert running
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    process = _start(tiny.places("asr", tmp_path, CHANGES))
    out, errors = process.communicate()
    assert process.returncode == 0 and "resuming at epoch" in out, errors
    _same(_result(tmp_path), expected)
