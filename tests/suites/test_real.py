"""A suite of real speech with real noises."""

import numpy as np
import pytest

from espnet_ext.audio.effects import power
from espnet_ext.audio.read import load, seconds_of
from espnet_ext.datadir import read_table, validate, write_table
from espnet_ext.suites.make import Suite, make_suite, noise_files


@pytest.fixture(scope="module")
def data(realdata, tmp_path_factory):
    """Three sentences of LJSpeech as a data directory, with what was said."""
    folder = tmp_path_factory.mktemp("real") / "test"
    lines = (realdata / "LJSpeech-1.1/metadata.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|") for line in lines]
    there = [r for r in rows if (realdata / f"LJSpeech-1.1/wavs/{r[0]}.wav").is_file()][:3]
    write_table(
        folder / "wav.scp", {r[0]: str(realdata / f"LJSpeech-1.1/wavs/{r[0]}.wav") for r in there}
    )
    write_table(folder / "text", {r[0]: r[-1].upper() for r in there})
    write_table(folder / "utt2spk", {r[0]: "LJ001" for r in there})
    write_table(folder / "spk2utt", {"LJ001": " ".join(sorted(r[0] for r in there))})
    return folder


def test_a_suite_of_real_speech(data, realdata, tmp_path):
    names = (
        "noise_5db",
        "telephone",
        "reverb_0.6s",
        "babble_10db",
        "packet_loss_20pc",
        "joined_10s",
    )
    suite = Suite(names, noise=realdata / "noise", nj=2)
    made = make_suite(data, tmp_path, suite)
    assert made["test-noise_5db"] == 3 and 1 <= made["test-joined_10s"] < 3
    for name in names:
        validate(tmp_path / f"test-{name}")
    for utt, entry in read_table(data / "wav.scp").items():
        clean, rate = load(entry)
        noisy, _ = load(read_table(tmp_path / "test-noise_5db/wav.scp")[utt])
        gain = float(clean @ noisy / (clean @ clean))  # it may have been lowered, so as not to clip
        snr = 10 * np.log10(power(gain * clean) / power(noisy - gain * clean))
        assert snr == pytest.approx(5, abs=0.5)
        called, _ = load(read_table(tmp_path / "test-telephone/wav.scp")[utt])
        spectrum = np.abs(np.fft.rfft(called)) ** 2
        hertz = np.fft.rfftfreq(len(called), 1 / rate)
        assert spectrum[hertz > 4500].sum() < 1e-3 * spectrum.sum()
        assert len(called) == len(clean)
    whole = sum(seconds_of(e) for e in read_table(data / "wav.scp").values())
    joined = sum(map(float, read_table(tmp_path / "test-joined_10s/utt2dur").values()))
    assert joined == pytest.approx(whole + 0.3 * (3 - made["test-joined_10s"]), abs=0.01)


def test_noises_of_a_folder_or_a_table(realdata, tmp_path):
    found = noise_files(realdata / "noise")
    assert len(found) >= 5 and found == sorted(found)
    write_table(tmp_path / "noise.scp", {f"n{k}": path for k, path in enumerate(found)})
    assert noise_files(tmp_path / "noise.scp") == found
