"""Audio at another rate than the model's, or of two channels, was recognised as if it were at the model's."""

import shutil

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.resample import resample
from espnet_ext.bridge.tasks import TASKS, sampling_rate
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.inference.decode import decode_sets
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.train.run import train_model


@pytest.fixture(scope="module")
def recognise(tiny):
    return Speech2Text.from_dir(tiny.model("asr"), options=DecodeOptions(beam_size=2))


@pytest.fixture
def heard(recognise, monkeypatch):
    """The lengths that the encoder is given."""
    lengths, encode = [], recognise.model.encode
    monkeypatch.setattr(
        recognise.model, "encode", lambda x, n: lengths.append(int(n)) or encode(x, n)
    )
    return lengths


@pytest.mark.parametrize("rate", [4000, 16000, 44100])
def test_another_rate_is_brought_to_the_models(tiny, recognise, heard, rate):
    samples, own = soundfile.read(tiny.valid / "wav/valid-01.wav", dtype="float32")
    assert recognise.rate == own == 8000
    recognise(resample(samples, own, rate), rate)
    assert abs(heard[0] - len(samples)) <= 3


def test_channels_are_mixed_and_integers_scaled(tiny, recognise):
    samples, rate = soundfile.read(tiny.valid / "wav/valid-01.wav", dtype="float32")
    integers, _ = soundfile.read(tiny.valid / "wav/valid-01.wav", dtype="int16")
    expected = recognise(samples, rate)
    assert recognise(np.stack([samples, samples], 1), rate) == expected
    assert recognise(integers, rate) == expected == recognise(samples)


@pytest.mark.parametrize("shape", [(2, 8000), (1, 8000), (8000, 1, 1), ()])
def test_an_array_of_another_form_is_refused(recognise, shape):
    with pytest.raises(UserError, match=r"found audio of shape .*, expected \(T,\) or \(T, C\)"):
        recognise(np.zeros(shape, dtype=np.float32), 8000)


def _at(tiny, folder, rate):
    """The validation set at another rate."""
    data = shutil.copytree(tiny.valid, folder / "valid")
    with open(data / "wav.scp", "w") as table:
        for path in sorted((data / "wav").iterdir()):
            samples, own = soundfile.read(path, dtype="float32")
            soundfile.write(path, resample(samples, own, rate), rate, subtype="PCM_16")
            table.write(f"{path.stem} {path}\n")
    return data


def test_the_decode_command_too(tiny, recognise, heard, tmp_path, caplog):
    data = _at(tiny, tmp_path, 16000)
    decode_sets(recognise, data.parent, ["valid"], tmp_path / "out", 1, 1)
    wanted = read_table(tiny.valid / "utt2num_samples").values()
    assert len(heard) == 3
    assert caplog.text.count("valid: audio at 16000 Hz is resampled to the model's 8000 Hz") == 1
    assert all(abs(n - int(w)) <= 3 for n, w in zip(heard, wanted, strict=True))


def test_training_on_audio_that_the_front_end_is_not_made_for(tiny, tmp_path):
    data = _at(tiny, tmp_path, 16000)
    for task, key in (("asr", "frontend_conf"), ("tts", "feats_extract_conf")):
        with pytest.raises(UserError, match=f"at 16000 Hz, expected 8000 Hz .*{key}: {{fs: 16000"):
            changes = {"pitch_extract": None, "pitch_normalize": None} if task == "tts" else {}
            train_model(task, tiny.places(task, tmp_path / task, changes, train=[data]))


@pytest.mark.parametrize(
    ("task", "change", "rate"),
    [
        ("asr", {}, 16000),
        ("asr", {"frontend_conf": {"fs": "8k"}}, 8000),
        ("asr", {"frontend_conf": {"fs": "22.05kHz"}}, 22050),
        ("asr", {"input_size": 80}, None),
        ("asr", {"frontend": None}, None),
        ("asr", {"frontend": "sliding_window"}, None),
        ("tts", {"feats_extract_conf": {"fs": 24000}}, 24000),
        ("gan_tts", {}, None),
    ],
)
def test_the_rate_of_a_configuration(task, change, rate):
    assert sampling_rate(task, {**TASKS[task].defaults, **change}) == rate
