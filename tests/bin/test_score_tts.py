"""The command score_tts."""

import json

import numpy as np
import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.score_tts import main

pytest.importorskip("pyworld")
soundfile = pytest.importorskip("soundfile")
RUN = ["--ref", "dump/raw", "--hyp", "exp/tts/decode", "--samples", "50"]


def write(directory, sounds, rate):
    directory.mkdir(parents=True)
    for name, samples in sounds.items():
        soundfile.write(directory / f"{name}.wav", samples, rate)
    lines = (f"{name} {directory / f'{name}.wav'}\n" for name in sorted(sounds))
    (directory / "wav.scp").write_text("".join(lines))


def buzz(rate, f0):
    t = np.arange(rate // 2) / rate
    return 0.1 * sum(np.sin(2 * np.pi * k * f0 * t) / k for k in range(1, 20))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dump/raw/test", {f"u{i}": buzz(24000, 100 + 10 * i) for i in range(3)}, 24000)
    spoken = {f"u{i}": buzz(16000, 110 + 10 * i) for i in range(3)}
    write(tmp_path / "exp/tts/decode/test", spoken, 16000)
    return tmp_path


def test_scores_tables_and_utterances(recipe, capsys):
    assert call(main, RUN) == 0
    printed = capsys.readouterr().out
    assert "|decode/test|3|" in printed and "MCD" in printed
    decode = recipe / "exp/tts/decode"
    assert printed.strip() in (decode / "RESULTS.md").read_text()
    found = json.loads((decode / "scores.json").read_text())["sets"]["test"]
    assert found["sentences"] == 3 and found["missing"] == 0
    assert found["log_f0_rmse"]["mean"] == pytest.approx(0.087, abs=0.02)  # ln(110 / 100) and so on
    low, high = found["mcd"]["interval_95"]
    assert low <= found["mcd"]["mean"] <= high
    lines = (decode / "test/score_tts/utterances.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["utterance", "u0", "u1", "u2"]


def test_durations_of_tokens(recipe, capsys):
    made, real = recipe / "exp/tts/decode/test/durations", recipe / "teacher/test/durations"
    made.write_text("u0 10 10\nu1 10 30\nu2 10 10 10\n")
    real.parent.mkdir(parents=True)
    real.write_text("u0 20 20\nu1 10 10\nu2 1 1\n")
    assert call(main, [*RUN, "--durations", "teacher"]) == 0
    said = capsys.readouterr()
    assert "token dur. err. [%]" in said.out and "1 of 3 utterances have other tokens" in said.err
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())["sets"]["test"]
    assert found["token_duration_error"]["mean"] == pytest.approx((0 + 50) / 2)
    assert found["token_duration_error"]["utterances"] == 2
    assert call(main, [*RUN, "--durations", "nowhere"]) == 1


@pytest.mark.slow
def test_several_processes_give_the_same(recipe):
    results = []
    for nj in ("1", "2"):
        assert call(main, [*RUN, "--nj", nj]) == 0
        results.append((recipe / "exp/tts/decode/test/score_tts/utterances.tsv").read_text())
    assert results[0] == results[1]


def test_missing_speech_is_left_out_with_a_warning(recipe, capsys):
    scp = recipe / "exp/tts/decode/test/wav.scp"
    scp.write_text(scp.read_text().splitlines(keepends=True)[1])
    assert call(main, RUN) == 0
    assert "2 of 3 utterances were not synthesised" in capsys.readouterr().err
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())["sets"]["test"]
    assert (found["sentences"], found["missing"]) == (1, 2)


def test_bad_audio_names_the_utterance(recipe, capsys):
    soundfile.write(recipe / "exp/tts/decode/test/u1.wav", np.zeros(100), 16000)
    assert call(main, RUN) == 1
    error = capsys.readouterr().err
    assert "utterance u1" in error and "at least 0.05 s" in error
    assert not (recipe / "exp/tts/decode/scores.json").exists()
