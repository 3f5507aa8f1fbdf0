"""Features against ESPnet's training front ends, librosa and scipy."""

import numpy as np
import pytest

from espnet_ext.audio.features import (
    KINDS,
    Features,
    extract,
    features_of_model,
    hertz,
    levinson,
    normalised,
)
from espnet_ext.audio.read import load
from espnet_ext.errors import UserError

RATE = 16000


@pytest.fixture(scope="module")
def speech(realdata):
    return load(realdata / "LJSpeech-1.1/wavs/LJ001-0002.wav", RATE)[0]


@pytest.fixture(scope="module")
def noise():
    random = np.random.default_rng(0)
    return np.convolve(random.standard_normal(20001), [0.02, 0.05, 0.01], "same").astype(np.float32)


def stock(module, wave, conf):
    """(F, D) of one of ESPnet's own modules."""
    import torch

    from espnet_ext.bridge.choices import find_class

    kind, name = module
    room = {"frontend": "asr", "feats_extractor": "tts", "energy_extractor": "tts"}[kind]
    network = find_class(room, kind, name)(**conf).eval()
    with torch.no_grad():
        feats, lengths = network(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    assert int(lengths[0]) == len(feats[0])
    return feats[0].numpy()


ASR_CONFS = [
    {"n_fft": 512, "win_length": 400, "hop_length": 160},  # LibriSpeech, CHiME-4
    {"n_fft": 400, "win_length": 400, "hop_length": 160, "n_mels": 128},
    {"fs": "16k", "n_fft": 512, "hop_length": 128, "fmin": 20, "fmax": 7600, "htk": True},
]
TTS_CONFS = [
    {"fs": 22050, "n_fft": 1024, "hop_length": 256, "win_length": None, "fmin": 80, "fmax": 7600},
    {"fs": 16000, "n_fft": 1024, "hop_length": 200, "win_length": 800, "fmin": 60, "fmax": 7000},
]


@pytest.mark.parametrize("conf", ASR_CONFS)
def test_the_front_end_of_asr_computes_the_same(speech, noise, conf):
    options = features_of_model({"frontend": "default", "frontend_conf": conf})
    for wave in (speech, noise):
        (ours,) = extract([wave], options)
        theirs = stock(("frontend", "default"), wave, conf)
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("conf", TTS_CONFS)
def test_the_front_end_of_tts_computes_the_same(speech, noise, conf):
    options = features_of_model({"feats_extract": "fbank", "feats_extract_conf": conf})
    for wave in (speech, noise):
        (ours,) = extract([wave], options)
        theirs = stock(("feats_extractor", "fbank"), wave, conf)
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-4


def test_a_front_end_we_cannot_follow_is_named():
    with pytest.raises(UserError, match="found the front end 's3prl'"):
        features_of_model({"frontend": "s3prl"})
    with pytest.raises(UserError, match="center=False"):
        features_of_model({"frontend": "default", "frontend_conf": {"center": False}})


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_changes_nothing(speech, noise, kind):
    options = Features(kind, win_length=400, hop_length=160)
    waves = [speech, noise, speech[:3000]]
    together = extract(waves, options)
    for wave, found in zip(waves, together, strict=True):
        (alone,) = extract([wave], options)
        assert found.dtype == np.float32 and len(found) == options.frames(len(wave))
        np.testing.assert_allclose(found, alone, atol=2e-5, rtol=1e-4)


def test_mfcc_is_the_dct_of_logmel(speech):
    from scipy.fft import dct

    (mel,), (mfcc,) = extract([speech], Features()), extract([speech], Features("mfcc", n_mfcc=13))
    np.testing.assert_allclose(mfcc, dct(mel, norm="ortho")[:, :13], atol=2e-4)


def windows(wave, mode):
    """(F, 512) float64: every 160 samples those around, beyond the edges as `mode` has it."""
    padded = np.pad(wave.astype(np.float64), 256, mode=mode)
    return np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]


def test_spectrogram_energy_and_rms_from_their_definitions(speech):
    options = {"n_fft": 512, "hop_length": 160, "win_length": 400}
    hann = np.zeros(512)
    hann[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    spectrum = np.abs(np.fft.rfft(windows(speech, "reflect") * hann))
    (ours,) = extract([speech], Features("spectrogram", **options))
    np.testing.assert_allclose(ours, spectrum, atol=1e-4)
    (energy,) = extract([speech], Features("energy", **options))
    np.testing.assert_allclose(energy[:, 0], np.linalg.norm(spectrum, axis=1), rtol=1e-4, atol=1e-4)
    (rms,) = extract([speech], Features("rms", **options))
    expected = np.sqrt(np.square(windows(speech, "constant")[:, 56:456]).mean(axis=1))
    np.testing.assert_allclose(rms[:, 0], expected, atol=1e-6)


def test_energy_is_fastspeechs(speech):
    conf = {"fs": RATE, "n_fft": 1024, "hop_length": 256, "use_token_averaged_energy": False}
    theirs = stock(("energy_extractor", "energy"), speech, conf)
    (ours,) = extract([speech], Features("energy", n_fft=1024, hop_length=256))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_levinson_solves_the_normal_equations():
    import torch
    from scipy.linalg import solve_toeplitz

    wave = np.random.default_rng(1).standard_normal(400)
    lags = np.correlate(wave, wave, "full")[399 : 399 + 13]
    gain, found = levinson(torch.from_numpy(lags)[None])
    expected = solve_toeplitz(lags[:12], -lags[1:])
    np.testing.assert_allclose(found[0, 1:], expected, atol=1e-5)
    assert float(gain[0]) ** 2 == pytest.approx(lags[0] + expected @ lags[1:], rel=1e-4)


def test_linear_prediction_finds_the_filter_and_its_envelope():
    from scipy.signal import freqz, lfilter

    poles = np.array([0.95 * np.exp(0.4j), 0.9 * np.exp(1.3j)])
    filter_ = np.real(np.poly(np.concatenate([poles, poles.conj()])))
    wave = lfilter([0.01], filter_, np.random.default_rng(0).standard_normal(30000))
    wave = wave.astype(np.float32)
    options = {"n_fft": 2048, "hop_length": 512, "order": 4}
    (lpc,) = extract([wave], Features("lpc", **options))
    assert lpc.shape == (59, 5)
    np.testing.assert_allclose(lpc[2:-2, 1:].mean(axis=0), filter_[1:], atol=0.05)
    (envelope,) = extract([wave], Features("envelope", **options))
    _, response = freqz([1], filter_, 1025, include_nyquist=True)
    shape, expected = envelope[2:-2].mean(axis=0), np.log(np.abs(response))
    assert np.abs((shape - shape.mean()) - (expected - expected.mean())).max() < 0.3


def test_f0_has_the_frames_of_the_others(speech):
    (f0,) = extract([speech], Features("f0", hop_length=160))
    assert f0.shape == (len(speech) // 160 + 1, 1)
    assert 150 < np.median(f0[f0 > 0]) < 300  # Linda Johnson's voice


def test_silence_has_finite_features():
    wave = np.zeros(4000, np.float32)
    for kind in KINDS:
        assert np.isfinite(extract([wave], Features(kind))[0]).all()


def test_mean_and_variance_of_every_dimension(noise):
    (feats,) = extract([noise], Features())
    own = normalised(feats)
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(own.std(axis=0), 1, atol=1e-4)
    given = normalised(feats, np.full(80, 2.0), np.full(80, 4.0))
    np.testing.assert_allclose(given, (feats - 2) / 4, rtol=1e-6)
    assert (normalised(np.ones((5, 3), np.float32)) == 0).all()


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"kind": "plp"}, "found 'plp', expected logmel"),
        ({"win_length": 600}, "expected 1 <= win_length <= n_fft"),
        ({"power": 3}, "expected power 1 or 2"),
    ],
)
def test_wrong_options_are_named(conf, words):
    with pytest.raises(UserError, match=words):
        Features(**conf)


def test_an_utterance_too_short_to_mirror_is_named():
    with pytest.raises(UserError, match="found 256 samples, expected more than n_fft / 2 = 256"):
        extract([np.zeros(256, np.float32)], Features())


def test_on_a_gpu_in_a_batch(speech, noise):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for kind in ("logmel", "mfcc", "lpc"):
        options = Features(kind)
        for here, there in zip(
            extract([speech, noise], options),
            extract([speech, noise], options, "cuda"),
            strict=True,
        ):
            np.testing.assert_allclose(here, there, atol=1e-3, rtol=1e-3)


def test_rates_are_read_as_espnet_reads_them():
    assert [hertz(fs) for fs in (16000, "16000", "16k", "16 kHz")] == 4 * [16000]
    assert hertz("22.05K") == 22050
    for fs in ("fast", None, "", float("inf")):
        with pytest.raises(UserError, match="expected Hz such as 16000 or 16k"):
            hertz(fs)
