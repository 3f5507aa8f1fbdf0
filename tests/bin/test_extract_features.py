"""The command extract_features: arks and HDF5 as others read them, shares, statistics."""

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.audio.features import Features, extract
from espnet_ext.bin.command import call
from espnet_ext.bin.extract_features import main
from espnet_ext.datadir.edit import write_all

RATE = 16000


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    utts = [f"s{k}-u" for k in range(5)]
    for k, utt in enumerate(utts):
        wave = 0.1 * random.standard_normal(4000 + 700 * (k * 3 % 5))
        soundfile.write(tmp_path / f"{utt}.wav", wave, RATE)
    tables = {
        "wav.scp": {u: f"{tmp_path}/{u}.wav" for u in utts},
        "text": dict.fromkeys(utts, "A"),
        "utt2spk": {u: u[:2] for u in utts},
    }
    write_all(tmp_path / "data", tables)
    return tmp_path


def run(folder, *options, out="feats"):
    return call(main, [str(folder / "data"), str(folder / out), *options])


def expected(folder, options=Features()):
    table = datadir.read_table(folder / "data/wav.scp")
    waves = {u: soundfile.read(p, dtype="float32")[0] for u, p in table.items()}
    return {u: extract([wave], options)[0] for u, wave in waves.items()}


@pytest.mark.parametrize("jobs", [1, 3, 7])
def test_arks_are_read_by_kaldiio(folder, jobs):
    for job in range(jobs, 0, -1):
        assert not (folder / "feats/feats.scp").exists()
        assert run(folder, "--job", f"{job}/{jobs}") == 0
    found = kaldiio.load_scp(str(folder / "feats/feats.scp"))
    for utt, feats in expected(folder).items():
        np.testing.assert_allclose(found[utt], feats, atol=1e-5)
    frames = datadir.read_table(folder / "feats/utt2num_frames")
    assert {u: str(len(f)) for u, f in expected(folder).items()} == frames


@pytest.mark.parametrize("jobs", [1, 2])
def test_hdf5_is_one_file_to_its_reader(folder, jobs):
    h5py = pytest.importorskip("h5py")
    for job in range(1, jobs + 1):
        assert run(folder, "--format", "hdf5", "--job", f"{job}/{jobs}") == 0
    (folder / "feats").rename(folder / "moved")
    with h5py.File(folder / "moved/feats.h5") as file:
        for utt, feats in expected(folder).items():
            np.testing.assert_allclose(file[utt][()], feats, atol=1e-5)


def test_statistics_are_those_of_all_frames_and_normalise(folder):
    run(folder, "--job", "1/2")
    run(folder, "--job", "2/2")
    whole = np.concatenate(list(expected(folder).values())).astype(float)
    with np.load(folder / "feats/feats_stats.npz") as stats:
        assert stats["count"] == len(whole)
        np.testing.assert_allclose(stats["sum"] / len(whole), whole.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(stats["sum_square"], (whole**2).sum(axis=0), rtol=1e-6)
    run(folder, "--normalize", str(folder / "feats/feats_stats.npz"), out="normal")
    found = np.concatenate(list(kaldiio.load_scp(str(folder / "normal/feats.scp")).values()))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-3)


def test_a_finished_share_is_not_done_again_unless_something_changed(folder, capsys):
    run(folder)
    run(folder)
    assert "is there already" in capsys.readouterr().out
    run(folder, "--set", "n_mels=40")
    assert "is there already" not in capsys.readouterr().out
    assert kaldiio.load_scp(str(folder / "feats/feats.scp"))["s0-u"].shape[1] == 40


def test_shares_of_other_settings_do_not_count(folder, capsys):
    run(folder, "--job", "1/2")
    run(folder, "--job", "2/2")
    before = dict(kaldiio.load_scp(str(folder / "feats/feats.scp")).items())
    capsys.readouterr()
    run(folder, "--job", "1/2", "--kind", "mfcc")
    assert "other shares are not done yet" in capsys.readouterr().out
    still = kaldiio.load_scp(str(folder / "feats/feats.scp"))
    assert all((still[u] == before[u]).all() for u in before)  # valid until the next is whole
    run(folder, "--job", "2/2", "--kind", "mfcc")
    assert "complete" in capsys.readouterr().out
    after = kaldiio.load_scp(str(folder / "feats/feats.scp"))
    assert {after[u].shape[1] for u in before} == {20}
    assert len(list((folder / "feats/shares").glob("*.ark"))) == 2


def test_changed_audio_is_done_anew(folder, capsys):
    run(folder)
    soundfile.write(folder / "s0-u.wav", np.full(6400, 0.1), RATE)
    run(folder)
    assert "is there already" not in capsys.readouterr().out
    feats = kaldiio.load_scp(str(folder / "feats/feats.scp"))["s0-u"]
    np.testing.assert_allclose(feats, expected(folder)["s0-u"], atol=1e-5)


def test_settings_of_a_model_are_followed(folder):
    (folder / "config.yaml").write_text(
        "frontend: default\nfrontend_conf: {n_fft: 400, hop_length: 160, n_mels: 24}\n"
    )
    assert run(folder, "--like", str(folder / "config.yaml"), "--set", "fmin=60") == 0
    options = Features(n_fft=400, hop_length=160, n_mels=24, fmin=60)
    found = kaldiio.load_scp(str(folder / "feats/feats.scp"))
    np.testing.assert_allclose(found["s1-u"], expected(folder, options)["s1-u"], atol=1e-5)


def test_segments_are_followed(folder):
    write_all(
        folder / "data",
        {
            "wav.scp": {"rec": f"{folder}/s0-u.wav"},
            "segments": {"s0-x": "rec 0.05 0.2"},
            "text": {"s0-x": "A"},
            "utt2spk": {"s0-x": "s0"},
        },
    )
    assert run(folder) == 0
    wave = soundfile.read(folder / "s0-u.wav", dtype="float32")[0][800:3200]
    found = kaldiio.load_scp(str(folder / "feats/feats.scp"))["s0-x"]
    np.testing.assert_allclose(found, extract([wave])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fs", "8000"], "found 16000 Hz, expected audio at 8000 Hz"),
        (["--kind", "plp"], "found 'plp'"),
        (["--set", "mels=3"], "found 'mels'"),
        (["--like", "no.yaml"], "no.yaml: no such"),
        (["--set", "n_mels=abc"], "found n_mels='abc', expected a whole number"),
        (["--set", "n_mels=-3"], "n_mels=-3"),
        (["--set", "n_mels=0"], "n_mels=0"),
        (["--set", "n_fft=5.5"], "found n_fft=5.5"),
        (["--set", "n_fft=none"], "found n_fft=None"),
        (["--set", "hop_length=1.5"], "found hop_length=1.5"),
        (["--set", "htk=3"], "found htk=3, expected true or false"),
        (["--set", "fmin=9000"], "found fmin=9000"),
        (["--set", "window=square"], "found window='square'"),
        (["--kind", "mfcc", "--set", "n_mfcc=200"], "n_mfcc <= n_mels"),
        (["--kind", "lpc", "--set", "order=0"], "order=0"),
        (["--device", "foo"], "found 'foo', expected cpu"),
        (["--device", "cuda:99"], "found 'cuda:99', expected cpu"),
        (["--normalize", "{folder}/data/text"], "found no statistics"),
        (["--normalize", "{folder}/small.npz"], "statistics of 3 dimensions, expected 80"),
        (["--normalize", "uterance"], "found no file uterance"),
        (["--set", "n_fft=32768"], "expected more than n_fft / 2"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(folder, capsys, options, words):
    np.savez(folder / "small.npz", count=3, sum=np.ones(3), sum_square=np.ones(3))
    assert run(folder, *(option.format(folder=folder) for option in options)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("extract_features: error: ") or "error" in error
    assert words in error
    assert not (folder / "feats/feats.scp").exists()
    assert not list((folder / "feats").rglob("*.ark"))
