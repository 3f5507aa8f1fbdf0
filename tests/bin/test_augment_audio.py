"""The command augment_audio, and format_audio after it."""

import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.bin.augment_audio import main
from espnet_ext.bin.command import call
from espnet_ext.bin.format_audio import main as format_audio
from espnet_ext.bin.speed_perturb import main as speed_perturb
from espnet_ext.datadir.edit import write_all

RATE = 16000


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for utt in ("s1-a", "s2-b"):
        soundfile.write(tmp_path / f"{utt}.wav", 0.9 * random.uniform(-1, 1, 8000), RATE)
    write_all(
        tmp_path / "data/train",
        {
            "wav.scp": {u: f"{tmp_path}/{u}.wav" for u in ("s1-a", "s2-b")},
            "text": {"s1-a": "A", "s2-b": "B"},
            "utt2spk": {"s1-a": "s1", "s2-b": "s2"},
            "utt2dur": {"s1-a": "0.5", "s2-b": "0.5"},
        },
    )
    (tmp_path / "aug.yaml").write_text("speed: 1\nvolume: {prob: 1, low: 3, high: 9}\n")
    return tmp_path


def run(folder, *options):
    config = ["--config", str(folder / "aug.yaml")]
    return call(main, [str(folder / "data/train"), str(folder / "data/aug"), *config, *options])


def formatted(folder, jobs=1, out="raw"):
    for job in range(1, jobs + 1):
        assert not call(
            format_audio,
            [str(folder / "data"), str(folder / out), "aug", "--job", f"{job}/{jobs}"],
        )
    table = datadir.read_table(folder / out / "aug/wav.scp")
    return {utt: soundfile.read(entry, dtype="int16")[0] for utt, entry in table.items()}


def test_copies_are_added_and_sound_as_drawn(folder):
    assert run(folder, "--copies", "2") == 0
    datadir.validate(folder / "data/aug")
    found = formatted(folder)
    datadir.validate(folder / "raw/aug")
    assert sorted(found) == ["aug1-s1-a", "aug1-s2-b", "aug2-s1-a", "aug2-s2-b", "s1-a", "s2-b"]
    assert not (folder / "raw/aug/utt2augment").exists()
    original, _ = soundfile.read(folder / "s1-a.wav", dtype="int16")
    assert (found["s1-a"] == original).all()
    lengths = {utt: len(found[utt]) for utt in found if utt.startswith("aug")}
    assert len(set(lengths.values())) == 4 and all(6600 < n < 10100 for n in lengths.values())
    assert np.abs(found["aug1-s1-a"].astype(int)).max() >= 32767  # lowered until it fits
    clipped = np.abs(found["aug1-s1-a"].astype(int)) >= 32767
    assert clipped.sum() <= 2
    seconds = datadir.read_table(folder / "raw/aug/utt2dur")
    assert float(seconds["aug1-s1-a"]) == pytest.approx(lengths["aug1-s1-a"] / RATE, abs=1e-5)


def test_shares_do_not_matter_and_a_changed_config_does(folder, capsys):
    run(folder, "--only_copies")
    one, three = formatted(folder), formatted(folder, 3, "raw3")
    assert one.keys() == three.keys() == {"aug1-s1-a", "aug1-s2-b"}
    assert all((one[utt] == three[utt]).all() for utt in one)
    (folder / "aug.yaml").write_text("seed: 1\nspeed: 1\n")
    run(folder, "--only_copies")
    again = formatted(folder)
    assert all(len(one[u]) != len(again[u]) or (one[u] != again[u]).any() for u in one)


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("echo: 1", "found 'echo'"),
        ("speed: {prob: 3}", "expected prob"),
        ("noise: {prob: abc}", "found noise: {'prob': 'abc'}"),
        ("noise: {prob: .nan}", "expected prob"),
        ("noise: yes", "found noise: True"),
        ("codecs: 5", "found codecs: 5"),
        ("codecs: []", "found codecs: []"),
        ("codecs: [mulaw, vinyl]", "vinyl"),
        ("token_drop: abc", "found token_drop: 'abc'"),
        ("noise_scp: 5", "found noise_scp: 5"),
        ("rooms: x", "found rooms: 'x'"),
        ("rooms: 0", "found rooms: 0"),
        ("seed: 1.5", "found seed: 1.5"),
    ],
)
def test_a_wrong_config_is_one_line(folder, capsys, yaml, words):
    (folder / "aug.yaml").write_text(yaml)
    assert run(folder) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (folder / "data/aug").exists()


def test_twice_is_refused(folder, capsys):
    run(folder)
    args = [
        str(folder / "data/aug"),
        str(folder / "data/more"),
        "--config",
        str(folder / "aug.yaml"),
    ]
    assert call(main, args) == 1
    assert "found utt2augment" in capsys.readouterr().err


def test_tables_without_their_config(folder, capsys):
    run(folder)
    (folder / "data/aug/augment.json").unlink()
    assert call(format_audio, [str(folder / "data"), str(folder / "raw"), "aug"]) == 1
    assert "augment.json: not found" in capsys.readouterr().err


def test_augmented_copies_at_every_speed(folder):
    args = [str(folder / "data/train"), str(folder / "data/both"), "--factors", "1.0 1.1"]
    assert call(speed_perturb, [*args, "--augment", str(folder / "aug.yaml")]) == 0
    datadir.validate(folder / "data/both")
    draws = datadir.read_table(folder / "data/both/utt2augment")
    speeds = datadir.read_table(folder / "data/both/utt2speed")
    assert len(draws) == 8
    assert (draws["sp1.1-aug1-s1-a"], speeds["sp1.1-aug1-s1-a"]) == ("1", "1.1")
    assert (draws["sp1.1-s1-a"], speeds["aug1-s1-a"]) == ("0", "1.0")
    assert (folder / "data/both/augment.json").is_file()
