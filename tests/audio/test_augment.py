"""Augmentation by lot: what is drawn, how often, and that nothing but the seed decides."""

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.augment import (
    Augmentation,
    Chance,
    Lots,
    augment,
    augmentation,
    change_tokens,
    mask_features,
    seed_of,
)
from espnet_ext.errors import UserError

RATE = 16000
EVERYTHING = {
    "speed": 1.0,
    "pitch": 1.0,
    "reverb": {"prob": 1.0, "low": 0.2, "high": 0.3},
    "noise": 1,
    "compress": 1.0,
    "codec": 1.0,
    "volume": 1.0,
    "codecs": ["mulaw", "alaw"],
}


def voice(seconds=0.5):
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(0.1 * np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 8)).astype(np.float32)


def test_nothing_happens_by_default():
    found, drawn = augment(voice(), RATE, Augmentation(), 5)
    assert (found == voice()).all() and drawn == {}


def test_the_seed_decides_and_nothing_else():
    pytest.importorskip("pyroomacoustics")
    options = augmentation(EVERYTHING)
    first, drawn = augment(voice(), RATE, options, seed_of(0, 1, "u1"))
    np.random.default_rng(0).random(100)
    np.random.seed(3)
    again, same = augment(voice(), RATE, options, seed_of(0, 1, "u1"))
    assert same == drawn and (again == first).all()
    assert set(drawn) == {"speed", "pitch", "reverb", "noise", "compress", "codec", "volume"}
    for other in (seed_of(1, 1, "u1"), seed_of(0, 2, "u1"), seed_of(0, 1, "u2")):
        assert augment(voice(), RATE, options, other)[1] != drawn


def test_an_effect_does_not_change_what_others_draw():
    options = augmentation({"volume": 1.0, "noise": 1.0})
    _, both = augment(voice(), RATE, options, 7)
    _, alone = augment(voice(), RATE, augmentation({"volume": 1.0}), 7)
    assert both["volume"] == alone["volume"] and "noise" not in alone


def test_draws_are_as_frequent_and_as_wide_as_asked():
    chance = Chance(0.3, -10.0, 10.0)
    drawn = [Lots(seed).draw("volume", chance) for seed in range(3000)]
    sizes = np.array([d for d in drawn if d is not None])
    assert len(sizes) / 3000 == pytest.approx(0.3, abs=0.03)
    assert sizes.min() < -9 and sizes.max() > 9
    assert sizes.std() == pytest.approx(20 / 12**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "chance", "check"),
    [
        ("speed", {"low": 1.2, "high": 1.2}, lambda x, y: len(y) == round(len(x) / 1.2)),
        ("volume", {"low": 6.02, "high": 6.02}, lambda x, y: np.allclose(y, 2 * x, rtol=1e-3)),
        ("pitch", {"low": 2, "high": 2}, lambda x, y: len(x) == len(y)),
    ],
)
def test_the_size_is_what_was_drawn(name, chance, check):
    found, drawn = augment(voice(), RATE, augmentation({name: chance}), 1)
    assert drawn[name] == pytest.approx(chance["low"]) and check(voice(), found)


def test_channels_move_together_and_have_noise_of_their_own():
    wave = np.stack([voice(), voice()], axis=1)
    found, _ = augment(wave, RATE, augmentation({"speed": 1.0, "volume": 1.0}), 3)
    assert found.shape[1] == 2 and (found[:, 0] == found[:, 1]).all()
    noisy, _ = augment(wave, RATE, augmentation({"noise": 1.0}), 3)
    assert not (noisy[:, 0] == noisy[:, 1]).all()


def test_noises_and_rooms_from_tables(tmp_path):
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "n.wav", 0.1 * random.standard_normal(4000), 8000)
    response = np.exp(-np.arange(4000) / 500) * random.standard_normal(4000)
    soundfile.write(tmp_path / "r.wav", 0.1 * response, RATE)
    (tmp_path / "noise.scp").write_text(f"n1 {tmp_path}/n.wav\n")
    (tmp_path / "rir.scp").write_text(f"r1 {tmp_path}/r.wav\n")
    conf = {"noise_scp": f"{tmp_path}/noise.scp", "rir_scp": f"{tmp_path}/rir.scp"}
    found, drawn = augment(voice(), RATE, augmentation({**conf, "noise": 1.0, "reverb": 1.0}), 1)
    assert found.shape == voice().shape and set(drawn) == {"noise", "reverb"}
    (tmp_path / "none.scp").write_text("")
    empty = augmentation({"noise": 1.0, "noise_scp": f"{tmp_path}/none.scp"})
    with pytest.raises(UserError, match="found no sound"):
        augment(voice(), RATE, empty, 1)


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"echo": 1}, "found 'echo', expected some of speed, "),
        ({"speed": {"prob": 2}}, "expected prob from 0 to 1"),
        ({"speed": {"low": 0.001}}, r"0.1 <= low <= high <= 10"),
        ({"speed": "fast"}, "expected {prob: 0.5, low: 0.8, high: 1.2}"),
        ({"codecs": ["amr"]}, "'amr'"),
        ({"token_drop": 1.5}, "token_drop: 1.5"),
    ],
)
def test_wrong_options_are_named(conf, words):
    with pytest.raises(UserError, match=words):
        augmentation(conf)


def test_tokens_are_dropped_and_made_unknown_but_never_all():
    tokens = np.arange(2, 1002)
    options = Augmentation(token_drop=0.2, token_unk=0.1)
    found = change_tokens(tokens, options, 1, unk=1)
    assert len(found) == pytest.approx(800, abs=50)
    assert (found == 1).mean() == pytest.approx(0.1, abs=0.03)
    assert (np.diff(found[found != 1]) > 0).all()
    assert (change_tokens(tokens, options, 1, unk=1) == found).all()
    assert len(change_tokens(tokens[:1], Augmentation(token_drop=0.99), 2, 1)) == 1


def test_masks_cover_bands_and_times():
    feats = np.random.default_rng(0).standard_normal((200, 80)).astype(np.float32)
    found = mask_features(feats, 1, bands=(5, 10), band_masks=2, share=0.1, time_masks=2)
    changed = found != feats
    assert 5 <= changed.all(axis=0).sum() <= 20
    assert changed.all(axis=1).sum() <= 40
    assert (mask_features(feats, 1, (5, 10), 2, 0.1, 2) == found).all()
    assert (found == mask_features(feats, 2, (5, 10), 2, 0.1, 2)).mean() < 1
