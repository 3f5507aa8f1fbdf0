"""The command segment_audio on sentences with silence between them."""

import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.audio.read import load
from espnet_ext.bin.command import call
from espnet_ext.bin.segment_audio import main
from espnet_ext.datadir.edit import write_all

RATE = 16000


@pytest.fixture
def data(tmp_path, realdata):
    sentences = [load(realdata / f"LJSpeech-1.1/wavs/LJ001-000{k}.wav", RATE)[0] for k in (2, 3)]
    pause = np.zeros(2 * RATE, np.float32)
    wave = np.concatenate([pause, sentences[0], pause, sentences[1], pause])
    soundfile.write(tmp_path / "long.flac", wave, RATE)
    spoken = {"wav.scp": {"rec": f"{tmp_path}/long.flac"}, "utt2spk": {"rec": "lj"}}
    write_all(tmp_path / "data", {**spoken, "text": {"rec": "A"}})
    return tmp_path / "data", [len(s) / RATE for s in sentences]


@pytest.mark.parametrize("method", ["auto", "energy"])
def test_sentences_are_cut_at_the_pauses(data, tmp_path, method):
    folder, (first, second) = data
    options = ["--longest", "30", "--vad", method]
    assert call(main, [str(folder), str(tmp_path / "out"), *options]) == 0
    datadir.validate(tmp_path / "out", text=False)
    parts = sorted(datadir.read_segments(tmp_path / "out/segments").values(), key=lambda s: s.start)
    assert all(p.start > 2 - 0.2 and p.end < first + second + 4.2 for p in parts)
    assert not any(p.start < first + 2.2 and p.end > first + 3.8 for p in parts)
    spoken = sum(p.end - p.start for p in parts)
    assert spoken == pytest.approx(first + second, rel=0.15)


def test_silence_is_named(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    tables = {"wav.scp": {"a": f"{tmp_path}/a.wav"}, "utt2spk": {"a": "s"}}
    write_all(tmp_path / "data", tables)
    assert call(main, [str(tmp_path / "data"), str(tmp_path / "out")]) == 1
    assert "found nobody speaking" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_segments_are_not_cut_again(data, tmp_path, capsys):
    call(main, [str(data[0]), str(tmp_path / "out")])
    assert call(main, [str(tmp_path / "out"), str(tmp_path / "more")]) == 1
    assert "found segments" in capsys.readouterr().err


def bursts(folder, *names):
    """Recordings of two bursts of noise, and their data directory."""
    random = np.random.default_rng(0)
    for name in names:
        wave = 1e-4 * random.standard_normal(6 * RATE)
        for start in (1, 4):
            wave[start * RATE : (start + 1) * RATE] += 0.2 * random.standard_normal(RATE)
        soundfile.write(folder / f"{name}.wav", wave, RATE, subtype="FLOAT")
    scp = {n: f"{folder}/{n}.wav" for n in names}
    write_all(folder / "data", {"wav.scp": scp, "utt2spk": {n: n for n in names}})
    return [str(folder / "data"), str(folder / "out"), "--vad", "energy"]


def test_one_broken_recording_can_be_left_out(tmp_path, capsys):
    command = bursts(tmp_path, "a", "b", "c")
    soundfile.write(tmp_path / "b.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    assert call(main, command) == 1
    assert "--skip_broken leaves it out" in capsys.readouterr().err
    assert call(main, [*command, "--skip_broken"]) == 0
    assert "left out b" in capsys.readouterr().err
    found = datadir.read_segments(tmp_path / "out/segments").values()
    assert {part.recording for part in found} == {"a", "c"} and len(found) == 4


def test_a_recording_without_a_speaker_is_named(tmp_path, capsys):
    command = bursts(tmp_path, "a", "b")
    (tmp_path / "data/utt2spk").write_text("a a\n")
    assert call(main, command) == 1
    assert "found no speaker of 'b'" in capsys.readouterr().err


def test_no_advice_to_do_what_was_done(tmp_path, capsys):
    command = bursts(tmp_path, "a")
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    assert call(main, command) == 1
    assert "try --vad energy" not in capsys.readouterr().err


@pytest.mark.parametrize("longest", ["0", "-1", "nan", "inf"])
def test_a_length_that_is_none(tmp_path, longest):
    with pytest.raises(SystemExit) as caught:
        call(main, [*bursts(tmp_path, "a"), "--longest", longest, "--shortest", "0"])
    assert caught.value.code == 2
