"""A small job's results, fabricated: recogniser, language model, synthesiser, round trip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.bin.score_asr import main as score_asr
from espnet_ext.report.sources import find_experiment
from espnet_ext.report.summary import Sources

WILD = "<script>alert('x')</script>"
RATE = 16000


def tone(path: Path, hertz: float = 300.0, seconds: float = 0.4) -> str:
    """Write a tone; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * times), RATE)
    return str(path)


def table(path: Path, rows: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} {value}\n".replace(" \n", "\n") for key, value in rows.items()))


def history(model: Path, epochs: int = 3) -> None:
    lines = []
    for epoch in range(1, epochs + 1):
        for split in ("train", "valid"):
            lines.append(
                {"epoch": epoch, "split": split, "loss": 10 / epoch, "lr": 1e-3, "acc": 0.3 * epoch}
            )
    model.mkdir(parents=True, exist_ok=True)
    (model / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (model / "config.yaml").write_text("{}\n")


def stage(recipe: Path, number: int, name: str, seconds: float, **more: object) -> None:
    record = {
        "number": number,
        "name": name,
        "title": name,
        "seconds": seconds,
        "command": f"python -m {name} <x>",
        **more,
    }
    (recipe / "exp/.stages").mkdir(parents=True, exist_ok=True)
    (recipe / f"exp/.stages/{name}.json").write_text(json.dumps(record))


def attention(path: Path, utt: str, shape: tuple[int, int, int], tokens: list[str]) -> None:
    weights = np.random.default_rng(0).random(shape).astype(np.float32)
    np.savez(path, **{utt: weights, f"{utt}.tokens": np.array(tokens)})


def make_asr(recipe: Path) -> None:
    ref, model = recipe / "dump/raw/test", recipe / "exp/asr_small"
    texts = {"s1-u1": f"THE {WILD} SAT", "s1-u2": "ONE TWO", "s2-u3": "HELLO WORLD AGAIN"}
    table(ref / "text", texts)
    table(ref / "utt2spk", {"s1-u1": "s1", "s1-u2": "s1", "s2-u3": "s2"})
    for utt in texts:
        tone(recipe / f"dump/raw/org/{utt}.flac")
    table(ref / "wav.scp", {utt: f"dump/raw/org/{utt}.flac" for utt in texts})
    heard = {"s1-u1": "THE CAT SAT DOWN", "s1-u2": "ONE TWO", "s2-u3": "HELLO"}
    table(model / "decode/test/text", heard)
    history(model)
    attention(model / "attention.npz", "s1-u1", (4, 4, 30), ["▁THE", "<b>", "SAT"])
    history(recipe / "exp/lm_small")
    (recipe / "exp/lm_small/perplexity.json").write_text('{"perplexity": 12.5}')
    stage(recipe, 11, "asr_train", 61.5)
    score_asr(["--ref", str(recipe / "dump/raw"), "--hyp", str(model / "decode"), "--no_sclite"])


def make_tts(recipe: Path) -> None:
    ref, model = recipe / "dump/raw/eval1", recipe / "exp/tts_small"
    made = model / "decode/eval1"
    table(ref / "text", {"L1": "Twenty-one dogs, isn't it?", "L2": f"A {WILD} here."})
    for utt in ("L1", "L2"):
        tone(recipe / f"dump/raw/org/{utt}.flac", 400)
        tone(recipe / f"exp/tts_small/decode/eval1/wav/{utt}.wav", 300, 0.3)
    table(ref / "wav.scp", {utt: f"dump/raw/org/{utt}.flac" for utt in ("L1", "L2")})
    table(
        made / "wav.scp", {utt: f"exp/tts_small/decode/eval1/wav/{utt}.wav" for utt in ("L1", "L2")}
    )
    history(model)
    attention(model / "attention.npz", "L1", (1, 25, 4), ["a", "b", "c", "."])
    metric = {"mean": 4.25, "interval_95": [4.0, 4.5], "utterances": 2}
    scores = {
        "task": "tts",
        "sets": {"eval1": {"sentences": 2, "missing": 0, "mcd": metric, "log_f0_rmse": metric}},
    }
    (model / "decode/scores.json").write_text(json.dumps(scores))
    stage(recipe, 7, "tts_train", 30.0)


def make_round_trip(trip: Path) -> None:
    table(trip / "dump/eval1/text", {"L1": "TWENTY ONE DOGS ISN'T IT", "L2": "A SCRIPT HERE"})
    table(trip / "dump/eval1/utt2spk", {"L1": "s", "L2": "s"})
    table(trip / "decode/eval1/text", {"L1": "TWENTY ONE DOGS ISN'T IT", "L2": "A SCRIP HERE"})
    score_asr(["--ref", str(trip / "dump"), "--hyp", str(trip / "decode"), "--no_sclite"])
    recorded = trip / "recordings/decode"
    table(recorded / "eval1/text", {"L1": "TWENTY ONE DOGS ISN'T", "L2": "A SCRIPT HERE"})
    score_asr(["--ref", str(trip / "dump"), "--hyp", str(recorded), "--no_sclite"])
    (trip / "round_trip.json").write_text('{"seconds": 9.5}')


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Directory with asr1, tts1 and round_trip."""
    make_asr(tmp_path / "asr1")
    make_tts(tmp_path / "tts1")
    make_round_trip(tmp_path / "round_trip")
    return tmp_path


@pytest.fixture
def sources(job: Path) -> Sources:
    asr, tts = find_experiment(str(job / "asr1"), "asr"), find_experiment(str(job / "tts1"), "tts")
    return Sources(asr, tts, job / "round_trip")
