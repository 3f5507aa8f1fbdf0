"""The sounds of a test: anchors, noise and loudness are what the recommendations say."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.clean import loudness
from espnet_ext.audio.sources import Source
from espnet_ext.errors import UserError
from espnet_ext.listening.stimuli import (
    PEAK,
    choose,
    level,
    low_pass,
    read_all,
    sources_of,
    speak,
    spoil,
)

RATE = 24000


def gain_at(hertz, cutoff):
    """dB that the anchor's filter leaves of a tone."""
    tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype("float32")
    middle = slice(RATE // 4, 3 * RATE // 4)
    left = low_pass(tone, RATE, cutoff)[middle]
    return 10 * np.log10(np.square(left).mean() / np.square(tone[middle]).mean())


@pytest.mark.parametrize("cutoff", [3500, 7000])
def test_anchors_are_cut_off_as_the_recommendation_wants(cutoff):
    assert all(abs(gain_at(hertz, cutoff)) < 0.1 for hertz in (100, 1000, cutoff - 1))
    assert gain_at(cutoff + 500, cutoff) < -50 and gain_at(cutoff + 2000, cutoff) < -50


def test_an_anchor_is_in_time_and_as_long():
    click = np.zeros(2001, "float32")
    click[700] = 1
    assert np.argmax(np.abs(low_pass(click, RATE, 3500))) == 700
    assert len(low_pass(click[:5], RATE, 3500)) == 5


def test_no_anchor_for_telephone_speech():
    with pytest.raises(UserError, match="found 8000 Hz, expected more than 8000 Hz for an anchor"):
        low_pass(np.ones(10, "float32"), 8000, 3500)


def test_noise_follows_the_speech():
    draw = np.random.default_rng(0)
    speech = np.concatenate([np.zeros(5000), 0.1 * draw.standard_normal(50_000)]).astype("float32")
    added = spoil(speech, 1, q=10.0) - speech
    assert not added[:5000].any()
    assert 20 * np.log10(speech.std() / added.std()) == pytest.approx(10, abs=0.2)
    assert np.array_equal(spoil(speech, 1), spoil(speech, 1))


def test_everything_gets_one_loudness():
    draw = np.random.default_rng(0)
    sounds = {
        str(g): (g * draw.standard_normal(RATE)).astype("float32") for g in (0.001, 0.01, 0.2)
    }
    sounds["silence"] = np.zeros(RATE, "float32")
    levelled, reached = level(sounds, RATE, -26.0)
    assert reached == -26.0 and not levelled["silence"].any()
    for name in ("0.001", "0.01", "0.2"):
        assert loudness(levelled[name][:, None], RATE) == pytest.approx(-26, abs=0.05)
    assert level(sounds, RATE, None)[0]["0.2"] is sounds["0.2"]


def test_one_that_would_be_clipped_makes_all_quieter():
    click = np.zeros(RATE, "float32")
    click[::2000] = 0.5
    noise = np.random.default_rng(0).standard_normal(RATE).astype("float32") * 0.01
    levelled, reached = level({"click": click, "noise": noise}, RATE, -20.0)
    assert reached < -20
    assert 20 * np.log10(np.abs(levelled["click"]).max()) == pytest.approx(PEAK, abs=0.01)
    for sound in levelled.values():
        assert loudness(sound[:, None], RATE) == pytest.approx(reached, abs=0.05)


def table(*utts):
    return {utt: Source(f"{utt}.wav", 0.0, None, 1.0) for utt in utts}


def test_a_system_that_lacks_an_utterance_is_named():
    with pytest.raises(
        UserError, match=r"theirs: found 1 utterances without 'b' \(1 of 2 are missing\)"
    ):
        choose({"ours": table("a", "b"), "theirs": table("a")}, None)
    assert choose({"ours": table("a", "b"), "theirs": table("a")}, ["a"]) == ["a"]
    with pytest.raises(UserError, match=r"'c'.*expected all that --utts names"):
        choose({"ours": table("a")}, ["c"])
    with pytest.raises(UserError, match="ours: found no /nowhere/"):
        sources_of("ours", Path("/nowhere"))


def test_rates_that_differ_are_named_and_can_be_brought_together(tmp_path):
    for name, rate in (("a", 16000), ("b", 22050)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((rate // 10, 2)), rate)
    systems = {n: {"u": Source(str(tmp_path / f"{n}.wav"), 0.0, None, 1.0)} for n in "ab"}
    with pytest.raises(
        UserError, match=r"16000 Hz \(u of a\) and 22050 Hz \(u of b\).*--rate 16000"
    ):
        read_all(systems, ["u"], None)
    sounds, rate = read_all(systems, ["u"], 16000)
    assert rate == 16000 and {s.shape for s in sounds.values()} == {(1600,)}


def test_an_instruction_is_spoken():
    if not shutil.which("espeak-ng"):
        pytest.skip("no espeak-ng")
    spoken = speak("Please choose two.", 16000, "en-us")
    assert 0.5 < len(spoken) / 16000 < 4 and np.abs(spoken).max() > 0.05
    with pytest.raises(UserError, match="another --check_voice than 'klingonese'"):
        speak("Please choose two.", 16000, "klingonese")


def test_without_espeak_there_are_texts(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="--check_style text"):
        speak("Please choose two.", 16000, "en-us")
