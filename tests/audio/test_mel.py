"""Mel filters against librosa's."""

import librosa
import numpy as np
import pytest

from espnet_ext.audio.mel import hertz_to_mel, mel_filters, mel_to_hertz


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize(
    ("sr", "n_fft", "n_mels", "fmin", "fmax"),
    [(16000, 400, 80, 0, None), (22050, 1024, 80, 80, 7600), (24000, 2048, 128, 0, 12000)],
)
def test_filters_equal_librosas(sr, n_fft, n_mels, fmin, fmax, htk):
    options = {"sr": sr, "n_fft": n_fft, "n_mels": n_mels, "fmin": fmin, "fmax": fmax, "htk": htk}
    np.testing.assert_allclose(mel_filters(**options), librosa.filters.mel(**options), atol=1e-7)


@pytest.mark.parametrize("htk", [False, True])
def test_the_scale_has_an_inverse(htk):
    hertz = np.array([0.0, 20.0, 999.0, 1000.0, 4000.0, 22050.0])
    np.testing.assert_allclose(mel_to_hertz(hertz_to_mel(hertz, htk), htk), hertz, rtol=1e-9)
