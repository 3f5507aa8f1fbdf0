"""Confidences made honest on a decoded set."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from espnet_ext.bin.calibrate import main
from espnet_ext.bin.command import call
from espnet_ext.inference.confidence import Platt, logit
from espnet_ext.metrics.asr import ScoreConfig, score_set


@pytest.fixture
def decoded(tmp_path):
    """Words that are right as often as their raw confidence under a scale of 0.3 and a shift of 0.5 says."""
    random = np.random.default_rng(3)
    ref, hyp = tmp_path / "ref/dev", tmp_path / "hyp/dev"
    ref.mkdir(parents=True), hyp.mkdir(parents=True)
    lines: dict[str, list[str]] = {"ref": [], "text": [], "confidence": []}
    for number in range(300):
        raw = random.uniform(0.05, 0.95, 6)
        right = random.random(6) < Platt(0.3, 0.5)(raw)
        said = [f"w{k}" for k in range(6)]
        words = [w if good else "x" for w, good in zip(said, right, strict=True)]
        lines["ref"].append(f"u{number:03d} {' '.join(said)}\n")
        lines["text"].append(f"u{number:03d} {' '.join(words)}\n")
        shown = Platt(0.8, 0.1)(raw)  # as the decoding's own scale and shift show them
        lines["confidence"].append(f"u{number:03d} {' '.join(f'{c:.4f}' for c in shown)}\n")
    (ref / "text").write_text("".join(lines["ref"]))
    for name in ("text", "confidence"):
        (hyp / name).write_text("".join(lines[name]))
    config = {"beam_size": 4, "confidence_scale": 0.8, "confidence_shift": 0.1}
    (tmp_path / "decode.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def arguments(root):
    options = {"--ref": "ref", "--config": "decode.yaml", "--output": "tuned.yaml"}
    return [str(root / "hyp"), *(x for k, v in options.items() for x in (k, str(root / v)))]


def test_the_scale_and_shift_come_back(decoded, capsys):
    assert call(main, arguments(decoded)) == 0
    found = yaml.safe_load((decoded / "tuned.yaml").read_text())
    assert found["beam_size"] == 4
    assert found["confidence_scale"] == pytest.approx(0.3, abs=0.05)
    assert found["confidence_shift"] == pytest.approx(0.5, abs=0.08)
    assert "1800 words of dev" in capsys.readouterr().out


def test_scoring_takes_confidences_of_words_that_a_cleaner_changed(decoded):
    """Where the words are others than those recognised, an utterance's mean stands for each of them."""
    config = ScoreConfig(nlsyms=("x",), sclite=False, samples=10)
    found = score_set(decoded / "ref/dev", decoded / "hyp/dev", config).calibration
    assert found is not None and found["source"] == "confidence" and found["words"] < 1800


def test_no_word(tmp_path, capsys):
    for name in ("ref/dev/text", "hyp/dev/text", "hyp/dev/confidence"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("u1 a\n" if name.startswith("ref") else "u1\n")
    (tmp_path / "decode.yaml").write_text("beam_size: 4\n")
    assert call(main, arguments(tmp_path)) == 1
    assert "found no recognised word" in capsys.readouterr().err


def test_logits_are_finite():
    assert np.isfinite(logit([0.0, 1.0])).all()
