"""Arrays that are no speech, or speech in other numbers: some hung, some told nothing, some stopped others."""

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.audio.resample import as_float
from espnet_ext.errors import UserError
from espnet_ext.inference import sounds
from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.inference.transcribe import Cutting, transcribe
from tests.bin.test_stream import folder  # noqa: F401

RATE = 8000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def recogniser(folder):  # noqa: F811
    return Speech2Text.from_pretrained(folder, beam=3, maxlenratio=-5)


@pytest.mark.parametrize(
    ("given", "rate", "message"),
    [
        (NOISE, float("nan"), "rate: found nan"),
        (NOISE, float("inf"), "rate: found inf"),
        (NOISE, 0, "rate: found 0"),
        (NOISE, -8000, "rate: found -8000"),
        (NOISE, "8000", "rate: found '8000'"),
        (np.array(["a", "b"]), None, "found audio of type <U1"),
        (np.array([None, 1.0]), None, "found audio of type object"),
        (NOISE.astype(complex), None, "found audio of type complex"),
    ],
)
def test_it_is_said_what_is_wrong(recogniser, given, rate, message):
    with pytest.raises(UserError, match=message):
        recogniser(given, rate)
    found = recogniser([given, NOISE], rate)
    assert message in found[0].error and (rate is not None or found[1].error is None)


def test_what_is_no_number_or_too_long_is_told_and_harms_nothing_beside_it(recogniser, monkeypatch):
    monkeypatch.setattr(sounds, "LONGEST", 1.5)
    broken = np.where(np.arange(RATE) == 500, np.nan, NOISE)
    found = recogniser([broken, NOISE, np.tile(NOISE, 2)])
    assert "no numbers" in found[0].error and "found 2 s of sound" in found[2].error
    assert found[1] == recogniser(NOISE) and found[1].text and found[1].error is None
    assert found[0].text == found[2].text == ""


def test_a_recording_that_is_not_cut_and_too_long_has_one_transcript(
    recogniser, tmp_path, monkeypatch
):
    soundfile.write(tmp_path / "a.wav", np.tile(NOISE, 2), RATE)
    monkeypatch.setattr(sounds, "LONGEST", 1.5)
    (found,) = transcribe(recogniser, [tmp_path / "a.wav"], Cutting(vad=None))
    assert "a.wav: found 2 s of sound" in found.error
    monkeypatch.setattr(sounds, "LONGEST", 2.5)
    (found,) = transcribe(recogniser, [tmp_path / "a.wav"], Cutting(vad=None))
    assert found.error is None and found.text


def test_tensors_in_a_list_are_heard_as_arrays(recogniser):
    tensor = torch.from_numpy(NOISE).requires_grad_()
    assert recogniser([tensor]) == recogniser([NOISE]) == [recogniser(tensor)]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_unsigned_numbers_have_silence_in_the_middle(kind):
    half = (np.iinfo(kind).max + 1) // 2
    found = as_float(np.array([0, half, half + half // 2], dtype=kind))
    assert found.dtype == np.float32 and found.tolist() == [-1.0, 0.0, 0.5]
