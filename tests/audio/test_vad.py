"""Voice activity against silero-vad's own program, and against recordings with known pauses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.audio import silero
from espnet_ext.audio.read import load
from espnet_ext.audio.vad import Vad, cut, neural_probabilities, speech, stretches
from espnet_ext.errors import UserError

needs_silero = pytest.mark.skipif(not silero.available(), reason="silero-vad is not installed")


@pytest.fixture(scope="module")
def sentence(realdata):
    return load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav", 16000)[0]


@needs_silero
@pytest.mark.parametrize("rate", silero.RATES)
def test_the_network_says_what_the_package_says(sentence, rate):
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    silero_vad = pytest.importorskip("silero_vad")
    torch.set_num_threads(threads)  # which the package's import changes
    model = silero_vad.load_silero_vad()
    wave = sentence if rate == 16000 else sentence[::2].copy()
    frame = rate * 4 // 125
    with torch.no_grad():
        theirs = [
            model(torch.from_numpy(wave[i : i + frame]), rate).item()
            for i in range(0, len(wave) - frame + 1, frame)
        ]
        stamps = silero_vad.get_speech_timestamps(torch.from_numpy(wave), model, sampling_rate=rate)
    ours = silero.probabilities(wave, rate)
    assert np.abs(ours[: len(theirs)] - theirs).max() < 1e-4
    found = [(round(a * rate), round(b * rate)) for a, b in speech(wave, rate)]
    expected = [(s["start"], s["end"]) for s in stamps]
    assert np.abs(np.array(found) - np.array(expected)).max() <= frame // 16


@needs_silero
def test_blocks_do_not_show(monkeypatch, sentence):
    whole = silero.probabilities(sentence, 16000)
    monkeypatch.setattr(silero, "_BLOCK", 7)
    np.testing.assert_allclose(silero.probabilities(sentence, 16000), whole, atol=1e-5)


@pytest.mark.parametrize("method", ["silero", "energy"])
@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_silence_around_a_sentence_is_not_speech(sentence, method, rate):
    from espnet_ext.audio.resample import resample

    if method == "silero" and not silero.available():
        pytest.skip("silero-vad is not installed")
    pause = 1e-4 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    wave = resample(np.concatenate([pause, sentence, pause]), 16000, rate)
    found = speech(wave, rate, Vad(method))
    assert found[0][0] == pytest.approx(1.0, abs=0.2)
    assert found[-1][1] == pytest.approx(1 + len(sentence) / 16000, abs=0.25)


@needs_silero
def test_loud_noise_is_not_speech_to_the_network():
    noise = 0.3 * np.random.default_rng(0).standard_normal(48000).astype(np.float32)
    assert speech(noise, 16000) == []


@pytest.mark.parametrize("method", ["auto", "energy"])
@pytest.mark.parametrize("samples", [0, 1, 100, 8000])
def test_silence_of_any_length_has_no_speech(method, samples):
    assert speech(np.zeros(samples, np.float32), 16000, Vad(method)) == []


def test_an_unknown_method_is_named():
    with pytest.raises(UserError, match="found 'loud', expected auto, silero, energy"):
        speech(np.ones(10, np.float32), 8000, Vad("loud"))


def test_without_the_package_silero_says_what_to_install(monkeypatch):
    monkeypatch.setattr(silero, "_file", lambda: None)
    with pytest.raises(UserError, match="pip install silero-vad"):
        silero._weights.__wrapped__(16000)
    wave = np.concatenate([np.zeros(8000), 0.3 * np.sin(np.arange(8000) / 3)]).astype(np.float32)
    ((start, end),) = speech(wave, 16000)  # auto falls back to levels
    assert start == pytest.approx(0.5, abs=0.05) and end == 1.0


@given(
    st.lists(st.floats(0, 1), max_size=80), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.1)
)
def test_stretches_are_in_order_apart_and_inside(likely, least_speech, least_pause, pad):
    options = Vad(least_speech=least_speech, least_pause=least_pause, pad=pad)
    length = len(likely) * 0.032
    found = stretches(likely, 0.032, length, options)
    edges = [edge for stretch in found for edge in stretch]
    assert edges == sorted(edges)
    assert all(0 <= edge <= length for edge in edges)
    assert all(b - a > least_speech - 1e-9 for a, b in found)
    loud = [i for i, p in enumerate(likely) if p >= 0.5]
    if least_speech < 0.03:  # then every loud frame is inside
        assert all(any(a <= (i + 0.5) * 0.032 <= b for a, b in found) for i in loud)


@needs_silero
def test_neural_probabilities_take_any_rate(sentence):
    from espnet_ext.audio.resample import resample

    found = neural_probabilities(resample(sentence, 16000, 44100), 44100)
    assert (
        np.abs(found[:-1] - silero.probabilities(sentence, 16000)[: len(found) - 1]).mean() < 0.02
    )


@given(st.lists(st.floats(0.01, 3), max_size=30), st.floats(0.5, 10), st.floats(0, 2))
def test_cuts_are_no_longer_than_asked(steps, longest, shortest):
    edges = np.cumsum(steps).tolist()
    found = list(zip(edges[::2], edges[1::2], strict=False))
    parts = cut(found, longest, shortest)
    assert all(shortest <= b - a <= longest + 1e-6 for a, b in parts)
    flat = [edge for part in parts for edge in part]
    assert flat == sorted(flat)
    if shortest == 0:
        for start, end in found:
            inside = sum(max(0, min(b, end) - max(a, start)) for a, b in parts)
            assert inside == pytest.approx(end - start)


def test_short_pauses_are_bridged_first():
    found = [(0.0, 2.0), (2.4, 4.0), (4.1, 6.0), (9.0, 10.0)]
    assert cut(found, 4.0, 0.5) == [(0.0, 2.0), (2.4, 6.0), (9.0, 10.0)]
    assert cut(found, 10.0, 1.5) == [(0.0, 6.0)]
