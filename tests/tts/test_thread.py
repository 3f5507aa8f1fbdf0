"""From recordings to speech: statistics, training, synthesis with controls, SSML, through the engine."""

import numpy as np
import pytest

from espnet_ext.errors import UserError
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from tests.tts.conftest import SMALL

PITCH = {"fs": 8000, "n_fft": 256, "hop_length": 80, "f0min": 80, "f0max": 400}
ACOUSTIC = {
    "tts": "espnet_ext.tts.acoustic:AcousticModel",
    "tts_conf": SMALL,
    "pitch_extract_conf": {**PITCH, "use_token_averaged_f0": False, "use_continuous_f0": False},
    "pitch_normalize": None,
    "energy_normalize": None,
}


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """A model trained for two epochs on tones over a voice of 110 Hz."""
    from espnet_ext.train.run import train_model

    output = tmp_path_factory.mktemp("acoustic")
    train_model("tts", tiny.places("tts", output, ACOUSTIC), "cpu")
    return output


@pytest.fixture(scope="module")
def speaker(folder):
    return Text2Speech.from_dir(folder, options=SynthesisOptions(griffin_lim_iters=2))


def test_it_trains_and_speaks(speaker):
    speech = speaker("abca")
    assert speech.mel is not None and speech.durations is not None
    assert speech.mel.shape == (speech.durations.sum(), 20) and np.isfinite(speech.wave).all()
    assert len(speech.wave) == (len(speech.mel) - 1) * 80


def test_it_knows_the_pitch_of_its_voice(speaker):
    """The statistics of the 110 Hz that were extracted are part of the weights."""
    mean, deviation = speaker.model.tts.adaptor.contours["pitch"].standard.scale()
    assert float(mean.exp()) == pytest.approx(110, rel=0.1) and 0 < float(deviation) < 1


def test_options_move_the_voice(folder, speaker):
    changed = Text2Speech.from_dir(
        folder, options=SynthesisOptions(2.0, pitch_shift=3.0, griffin_lim_iters=2)
    )
    plain, slow = speaker("abcabc"), changed("abcabc")
    assert len(slow.mel) / len(plain.mel) == pytest.approx(2, rel=0.03)
    assert speaker.has_words and changed.identity != speaker.identity


def test_marks_reach_single_words(speaker):
    """Half as fast in the middle: the tokens there last twice as long, the others as long as before."""
    plain = speaker("<speak>ab cd ab</speak>").durations
    slow = speaker('<speak>ab <prosody rate="50%" pitch="+4st">cd</prosody> ab</speak>').durations
    assert plain is not None and slow is not None and len(slow) == len(plain) == 9
    assert abs(slow[:2] - plain[:2]).max() <= 1 and abs(slow[6:] - plain[6:]).max() <= 1
    assert slow[3:5].sum() / plain[3:5].sum() == pytest.approx(2, rel=0.1)


def test_pitch_and_emphasis_are_heard(speaker, capsys):
    plain = speaker("<speak>ab cd</speak>")
    high = speaker('<speak>ab <prosody pitch="x-high">cd</prosody></speak>')
    strong = speaker('<speak>ab <emphasis level="strong">cd</emphasis></speak>')
    assert capsys.readouterr().err == ""
    assert plain.mel.shape == high.mel.shape and abs(plain.mel - high.mel).max() > 1e-3
    assert len(strong.mel) > len(plain.mel)


@pytest.mark.parametrize(
    "text", [",", "...?!", "😀", "ab 漢字 😀 cd", "<speak>ab<break/>,</speak>", "q"]
)
def test_odd_texts_are_spoken(speaker, text):
    """Letters that the model does not know are <unk>; nothing is NaN, nothing goes on for ever."""
    speech = speaker(text)
    assert np.isfinite(speech.wave).all() and len(speech.wave) < 10 * speech.rate


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found nothing to speak"),
        ("ab " * 3334, "tokens, expected at most 4096"),
    ],
)
def test_what_cannot_be_spoken_is_said(speaker, text, words):
    with pytest.raises(UserError, match=words):
        speaker(text)


def test_a_control_that_is_not_there_is_said(tiny):
    with pytest.raises(
        UserError, match=r"pitch_shift: found 2.0, but this model .AlignedFastSpeech"
    ):
        Text2Speech.from_dir(tiny.model("tts"), options=SynthesisOptions(pitch_shift=2.0))
