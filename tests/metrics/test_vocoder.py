"""Scores of copy-synthesis: figures that can be worked out, and the same as independent ones."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from espnet_ext.errors import UserError
from espnet_ext.metrics.perceptual import pesq, stoi
from espnet_ext.metrics.provenance import provenance
from espnet_ext.metrics.vocoder import compare
from espnet_ext.metrics.vocoder_report import score_sets, write_results

RATE = 16000


def voice(seconds=1.2, seed=0):
    """A buzz whose loudness and colour change."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30))
    return 0.1 * buzz * (1.1 + np.sin(7 * time)) + 0.001 * random.standard_normal(len(time))


def test_a_recording_is_its_own_best_copy():
    pytest.importorskip("pyworld")
    wave = voice()
    score = compare(wave, np.concatenate([wave, np.zeros(100)]), RATE)
    assert (score.mcd, score.lsd, score.voicing_error) == pytest.approx((0, 0, 0), abs=1e-9)
    assert score.mel_correlation == pytest.approx(1) and score.log_f0_rmse == pytest.approx(0)
    assert score.pesq is None or score.pesq > 4
    assert score.stoi is None or score.stoi > 0.99


def test_noise_makes_everything_worse():
    pytest.importorskip("pyworld")
    wave, random = voice(), np.random.default_rng(2)
    little, much = (
        compare(wave + level * random.standard_normal(len(wave)), wave, RATE)
        for level in (0.002, 0.02)
    )
    assert 0 < little.lsd < much.lsd and 0 < little.mcd < much.mcd
    assert much.mel_correlation < little.mel_correlation < 1


def test_too_short_or_silent_speech_is_no_crash():
    assert pesq(np.zeros(4000), np.zeros(4000), RATE) is None
    assert stoi(np.zeros(400), np.zeros(400), RATE) is None
    with pytest.raises(UserError, match="found 100 samples in common"):
        compare(np.zeros(100), np.zeros(200), RATE)


def test_tables(tmp_path):
    pytest.importorskip("pyworld")
    for place, level in (("ref/dev", 0.0), ("hyp/dev", 0.002), ("hyp/griffin_lim/dev", 0.02)):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        table = ""
        for utt, seed in (("a", 0), ("b", 1)):
            wave = voice(seed=seed)
            noise = np.random.default_rng(seed).standard_normal(len(wave))
            soundfile.write(folder / f"{utt}.wav", 0.3 * (wave + level * noise), RATE)
            table += f"{utt} {folder}/{utt}.wav\n"
        (folder / "wav.scp").write_text(table)
    scores = score_sets(tmp_path / "ref", tmp_path / "hyp", ["dev"])
    table = write_results(tmp_path / "hyp", scores, provenance("score_vocoder", []), samples=20)
    assert [score.name for score in scores] == ["dev", "griffin_lim/dev", "recording/dev"]
    assert "|recording/dev|2|0.00 " in table
    assert "|griffin_lim/dev|2|" in table and (tmp_path / "hyp/scores.json").is_file()
    better, worse = (score.summary(20, 0)["lsd"]["mean"] for score in scores[:2])
    assert better < worse
    (tmp_path / "hyp/dev/wav.scp").write_text(f"a {tmp_path}/ref/dev/a.wav\n")
    with pytest.raises(UserError, match="the first missing is b"):
        score_sets(tmp_path / "ref", tmp_path / "hyp", ["dev"])
