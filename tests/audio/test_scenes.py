"""Scenes of a tablet in a noisy room, and the copies of data directories that are made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyroomacoustics")

from espnet_ext import datadir
from espnet_ext.audio import scenes
from espnet_ext.audio.beamform import beamformed_copy
from espnet_ext.audio.noisy_rooms import noisy_copy
from espnet_ext.audio.scenes import BACK, TABLET, Noises, Surroundings, simulate
from espnet_ext.errors import UserError
from tests.audio.test_beamform import ratio

RATE = 8000
#: A room without much reverberation is simulated in a moment.
QUICK = Surroundings(rt60=(0.05, 0.1), sources=(1, 2))


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a long noise and a short one below it."""
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    (folder / "more").mkdir()
    rain = np.convolve(random.normal(size=4 * RATE), [1, 0.7, 0.4], "same") * 0.05
    soundfile.write(folder / "rain.wav", rain, RATE)
    soundfile.write(folder / "more/click.flac", random.normal(size=RATE // 4) * 0.1, RATE)
    return folder


def words(seed: int, seconds: float = 1.0) -> np.ndarray:
    """Bursts with pauses, as speech has them; (N,)."""
    random = np.random.default_rng(seed)
    count = int(RATE * seconds)
    loud = np.repeat(random.random(8) > [0, *[0.4] * 7], -(-count // 8))[
        :count
    ]  # the first for sure
    return (
        0.1 * np.convolve(random.normal(size=count), [1, 0.8, 0.5], "same") * loud + 1e-4
    ).astype(np.float32)


def test_the_tablet_is_chime4s():
    """Three microphones 10 cm apart along the upper edge and three 19 cm below; only the second is behind the rest."""
    places = np.array(TABLET)
    assert np.allclose(np.linalg.norm(places[[0, 3]] - places[[2, 5]], axis=1), 0.2)
    assert np.allclose(places[:3, 1] - places[3:, 1], 0.19)
    assert [c for c in range(6) if places[c, 2] < 0] == [BACK]


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_a_scene_has_the_ratio_that_was_drawn(noise: Path, seed: int):
    noises = Noises(noise, RATE)
    samples = words(seed)
    scene = simulate(samples, RATE, noises, QUICK, seed)
    assert scene.speech.shape == scene.noise.shape == (len(samples), 6)
    assert np.abs(scene.mixture()).max() <= 1 and np.isfinite(scene.mixture()).all()
    front = [c for c in range(6) if c != BACK]
    powers = [np.square(x[:, front], dtype=np.float64).mean() for x in (scene.speech, scene.noise)]
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(scene.drawn["snr"], abs=0.05)
    assert 0 <= scene.drawn["snr"] <= 10 and 0.3 <= scene.drawn["distance"] <= 0.7
    behind, before = (np.square(scene.speech[:, c]).mean() for c in (BACK, 4))
    assert behind < before  # it faces away from the speaker
    # the direct sound is on time: no later than at the nearest microphone but for the way across the tablet
    image = [np.roll(scene.speech[:, 4], -lag) for lag in range(-40, 41)]
    best = int(np.argmax([samples @ heard for heard in image])) - 40
    assert 0 <= best <= RATE * 0.35 / 343 + 1


def test_the_same_seed_is_the_same_scene(noise: Path):
    noises = Noises(noise, RATE)
    first, again, other = (simulate(words(1), RATE, noises, QUICK, s).mixture() for s in (5, 5, 6))
    assert np.array_equal(first, again) and not np.allclose(first, other, atol=1e-3)


def test_silence_is_a_scene_too(noise: Path):
    scene = simulate(np.zeros(RATE, np.float32), RATE, Noises(noise, RATE), QUICK, 0)
    assert np.isfinite(scene.mixture()).all()


def test_noise_from_everywhere_has_a_spherical_fields_coherence(noise: Path):
    """sin(kd)/kd between two microphones 20 cm apart (Habets et al. 2008)."""
    from scipy.signal import coherence, csd, welch

    white = Noises(noise, RATE)
    white.sounds, white.shares = [np.random.default_rng(1).normal(size=RATE * 8)], np.array([1.0])
    found = scenes.diffuse_noise(white, RATE * 30, RATE, np.random.default_rng(2))
    frequencies, cross = csd(found[0], found[2], RATE, nperseg=256)
    powers = [welch(found[c], RATE, nperseg=256)[1] for c in (0, 2)]
    measured = cross.real / np.sqrt(powers[0] * powers[1])
    expected = np.sinc(2 * frequencies * 0.2 / scenes.SOUND)
    assert np.abs(measured - expected)[1:-1].max() < 0.17
    assert coherence(found[0], found[2], RATE, nperseg=256)[1][2] > 0.8


def test_parts_of_noises_do_not_overlap(noise: Path):
    first, last = Noises(noise, RATE, (0, 0.6)), Noises(noise, RATE, (0.6, 1))
    for a, b, path in zip(first.sounds, last.sounds, first.paths, strict=True):
        assert len(a) + len(b) == soundfile.info(path).frames
    assert last.shares[1] > 0.4 and first.shares.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"snr": (10.0, 0.0)}, "snr: found 10 to 0"),
        ({"distance": (0.0, 0.5)}, "distance: found 0 to 0.5"),
        ({"stretch": (0.5, 0.5)}, "stretch: found 0.5 to 0.5"),
        ({"sources": (0, 2)}, "sources: found 0 to 2"),
    ],
)
def test_ranges_that_are_none(changes: dict, said: str):
    with pytest.raises(UserError, match=said):
        Surroundings(**changes)


def test_a_folder_without_noise(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere", ""):
        with pytest.raises(UserError, match="expected a folder of noise recordings"):
            Noises(folder, RATE)


# -- copies of data directories -------------------------------------------------------------------------------------


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three utterances of two speakers."""
    lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
    for number in range(3):
        utt = f"s{number % 2}-{number}"
        path = tmp_path / f"{utt}.wav"
        soundfile.write(path, words(number, 0.6), RATE)
        for name, value in (("wav.scp", path), ("text", "ONE TWO"), ("utt2spk", utt[:2])):
            lines[name].append(f"{utt} {value}\n")
    folder = tmp_path / "clean"
    folder.mkdir()
    for name, rows in lines.items():
        (folder / name).write_text("".join(sorted(rows)))
    return folder


def sounds(data: Path) -> dict[str, np.ndarray]:
    return {u: soundfile.read(p)[0] for u, p in datadir.read_table(data / "wav.scp").items()}


def test_a_noisy_copy_in_two_shares_is_the_one_in_one(clean: Path, noise: Path, tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert noisy_copy(clean, whole, noise, QUICK)
    assert not noisy_copy(clean, parts, noise, QUICK, 2, 2)
    assert not (parts / "wav.scp").exists()
    assert noisy_copy(clean, parts, noise, QUICK, 1, 2)
    first, other = sounds(whole), sounds(parts)
    assert all(np.array_equal(first[u], other[u]) for u in first) and first["s0-0"].shape[1] == 6
    datadir.validate(whole)
    assert all(0 <= float(x) <= 10 for x in datadir.read_table(whole / "utt2snr").values())
    assert datadir.read_table(whole / "text") == datadir.read_table(clean / "text")
    for path in datadir.read_table(whole / "wav.scp").values():
        assert Path(path).suffix == ".flac" and soundfile.info(path).subtype == "PCM_16"


def test_what_is_there_is_not_made_again_and_other_options_are(
    clean: Path, noise: Path, tmp_path: Path
):
    out = tmp_path / "out"
    noisy_copy(clean, out, noise, QUICK)
    before = datadir.read_table(out / "wav.scp")
    times = {p: Path(p).stat().st_mtime_ns for p in before.values()}
    with open(out / "shares/1of1.log", "a") as log:
        log.write('["half a li')  # what a kill leaves
    Path(before["s0-2"]).unlink()
    noisy_copy(clean, out, noise, QUICK)
    after = datadir.read_table(out / "wav.scp")
    assert after == before and set(sounds(out)) == {"s0-0", "s0-2", "s1-1"}
    kept = [p for u, p in after.items() if u != "s0-2"]
    assert all(Path(p).stat().st_mtime_ns == times[p] for p in kept)
    noisy_copy(clean, out, noise, Surroundings(rt60=(0.05, 0.1), sources=(1, 2), seed=1))
    assert not set(datadir.read_table(out / "wav.scp").values()) & set(before.values())
    assert not any(Path(path).exists() for path in before.values())  # nothing needs them any more


def test_a_beamformed_copy_has_one_channel_and_is_clearer(clean: Path, noise: Path, tmp_path: Path):
    noisy_copy(clean, tmp_path / "noisy", noise, QUICK)
    assert beamformed_copy(tmp_path / "noisy", tmp_path / "made")
    made, noisy = sounds(tmp_path / "made"), sounds(tmp_path / "noisy")
    assert {x.ndim for x in made.values()} == {1}
    assert all(len(made[u]) == len(noisy[u]) for u in made)


def test_not_a_data_directory_of_sounds(clean: Path, noise: Path, tmp_path: Path):
    (clean / "segments").write_text("s0-0 r 0 1\n")
    with pytest.raises(UserError, match="found segments, expected a data directory with a sound"):
        noisy_copy(clean, tmp_path / "out", noise, QUICK)


@pytest.mark.slow
def test_six_microphones_make_real_speech_in_real_noise_clearer(realdata: Path):
    """The blind beamformer, on scenes of AN4: 2 dB and more against the fifth microphone, in the mean."""
    from espnet_ext.audio.beamform import beamform
    from espnet_ext.audio.read import read_raw

    noises = Noises(realdata / "noise", 16000)
    gains = []
    for number, path in enumerate(sorted((realdata / "an4/wav").rglob("*.raw"))[::137]):
        samples = read_raw(path, 16000, "big")[0] / np.float32(32768)
        scene = simulate(samples, 16000, noises, Surroundings(), number)
        made, mixture = beamform(scene.mixture().T), scene.mixture()
        best = max(ratio(made, scene.speech[:, c]) for c in range(6))
        gains.append(best - ratio(mixture[:, 4], scene.speech[:, 4]))
    assert np.mean(gains) > 2
