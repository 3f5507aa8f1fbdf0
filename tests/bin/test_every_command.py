"""What holds for every command: quick help, exit statuses, one line for an error."""

import importlib
import os
import pkgutil
import subprocess
import sys
import time

import pytest

import espnet_ext.bin
from espnet_ext.bin.command import call

COMMANDS = sorted(
    m.name
    for m in pkgutil.iter_modules(espnet_ext.bin.__path__)
    if m.name != "command" and m.name[0] != "_"
)


def _run(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_takes_under_a_second(name):
    """The best of three, and three seconds where other programs keep every core busy."""
    limit = 3.0 if os.getloadavg()[0] > (os.cpu_count() or 1) else 1.0
    spent = []
    for _ in range(3):
        started = time.monotonic()
        done = _run(f"espnet_ext.bin.{name}", "--help")
        spent.append(time.monotonic() - started)
        assert done.returncode == 0 and done.stdout.startswith("usage:"), done.stderr
        if spent[-1] < limit:
            return
    raise AssertionError(f"--help took {min(spent):.2f} s")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_bad_usage(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"espnet_ext.bin.{name}").main(["--no-such-option"])
    assert stopped.value.code == 2 and "usage:" in capsys.readouterr().err


TRAIN = [
    "--config",
    "no.yaml",
    "--train",
    "no",
    "--valid",
    "no",
    "--tokens",
    "no",
    "--output_dir",
    "out",
]
MISSING = {
    "asr_train": TRAIN,
    "lm_train": TRAIN,
    "tts_train": TRAIN,
    "gan_tts_train": TRAIN,
    "collect_stats": [*TRAIN, "--task", "asr"],
    "asr_decode": ["data", "set", "--model_dir", "no", "--output_dir", "out"],
    "ngram_train": ["--tokens", "no", "--text", "no", "--output_dir", "out"],
    "calibrate": ["no", "x", "--ref", "no", "--config", "no", "--output", "out"],
    "synthesize": ["abc", "-o", "out.wav", "--model", "no"],
    "transcribe": ["no.wav", "--model", "no"],
    "rescore": ["no", "--output_dir", "out"],
    "tune_weights": ["no", "x", "--ref", "no", "--config", "no", "--output", "out"],
    "compare_asr": ["no", "none", "nowhere"],
    "compare_tts": ["no", "none"],
    "make_suite": ["no", "out"],
    "score_suites": "--ref no --hyp out --clean_ref no --clean no".split(),
    "import_durations": ["data", "set", "--teacher", "no"],
    "speaker_vectors": ["data", "set"],
    "lm_perplexity": ["--model_dir", "no", "--text", "no"],
    "vocoder_train": [*TRAIN[:6], *TRAIN[8:]],
    "vocoder_stats": [*TRAIN[:4], *TRAIN[8:]],
    "vocode": ["data", "set", "--model_dir", "no", "--output_dir", "out"],
    "vocoder_import": ["no", "--output_dir", "out"],
    "score_vocoder": ["--ref", "no", "--hyp", "no"],
    "export_onnx": ["--task", "asr", "--model_dir", "no", "--output_dir", "out"],
    "stream": ["no.wav", "--model_dir", "no"],
    "tts_synthesize": ["data", "set", "--model-dir", "no", "--output-dir", "out"],
}


@pytest.mark.parametrize("name", sorted(MISSING))
def test_a_missing_file_is_one_line(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(importlib.import_module(f"espnet_ext.bin.{name}").main, MISSING[name]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{name}: error: ") and error.count("\n") == 1 and "no" in error
    assert list(tmp_path.iterdir()) == []
