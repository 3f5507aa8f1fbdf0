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


@pytest.mark.parametrize("text", ["ab 漢字 😀 cd", "<speak>ab<break/>,</speak>"])
def test_odd_texts_are_spoken(speaker, text):
    """Letters that the model does not know are left out; nothing is NaN, nothing goes on for ever."""
    speech = speaker(text)
    assert np.isfinite(speech.wave).all() and len(speech.wave) < 10 * speech.rate


@pytest.mark.parametrize("text", ["", ",", "...?!", "😀", "q"])
def test_what_cannot_be_spoken_is_said(speaker, text):
    with pytest.raises(UserError, match="found nothing to speak"):
        speaker(text)


@pytest.mark.parametrize("controls", ["both", "model", "wave"])
def test_loudness_is_as_asked(folder, speaker, controls):
    """The model has heard one loudness only and keeps it; what it leaves is made up for."""
    options = SynthesisOptions(energy_factor=0.5, controls=controls, griffin_lim_iters=2)
    plain, soft = speaker("abcabc"), Text2Speech.from_dir(folder, options=options)("abcabc")
    ratio = soft.wave.std() / plain.wave.std()
    assert len(soft.wave) == len(plain.wave)
    assert (abs(ratio - 0.5) < 0.02) == (controls != "model")
    with pytest.raises(UserError, match="controls: found 'neither', expected both, model or wave"):
        wrong = SynthesisOptions(energy_factor=0.5, controls="neither")
        Text2Speech.from_dir(folder, options=wrong)("ab")


def test_many_at_once_are_as_loud_as_one(folder):
    options = SynthesisOptions(energy_factor=0.5, pitch_shift=1.0, griffin_lim_iters=2)
    speaker = Text2Speech.from_dir(folder, options=options)
    for text, one in zip(("ab", "abcabc"), speaker.many(["ab", "abcabc"]), strict=True):
        assert np.allclose(speaker(text).wave, one.wave, atol=1e-4)


def test_a_model_without_controls_has_them_all_the_same(tiny):
    plain, soft = (
        Text2Speech.from_dir(
            tiny.model("tts"), options=SynthesisOptions(energy_factor=factor, griffin_lim_iters=2)
        )("abca")
        for factor in (1.0, 0.5)
    )
    assert np.allclose(soft.wave, 0.5 * plain.wave, atol=1e-6)
