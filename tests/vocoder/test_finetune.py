"""A vocoder is trained on an acoustic model's own spectrograms of the recordings."""

from __future__ import annotations

import json
import shutil

import kaldiio
import numpy as np
import pytest
import torch
import yaml

from espnet_ext.audio.features import Features, extract
from espnet_ext.audio.read import load
from espnet_ext.bin import tts_synthesize, vocoder_stats, vocoder_train
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.train.identity import fingerprint
from espnet_ext.vocoder.data import read_segments
from tests.vocoder.test_training import FRONT, VOCODER

FEATURES = Features(fs=8000, n_fft=256, hop_length=80, n_mels=20, fmin=60, fmax=3800, power=1, log_base=10)  # fmt: skip


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """mels.scp of both sets, written by two jobs."""
    output = tmp_path_factory.mktemp("teacher_forced")
    for job in ("1/2", "2/2"):
        options = ["--model_dir", str(tiny.model("tts")), "--output_dir", str(output)]
        data = [str(tiny.train.parent), "train", "valid"]
        assert tts_synthesize.main([*data, *options, "--teacher_forced", "--job", job]) == 0
    return output


def test_spectrograms_follow_the_recordings(made, tiny):
    mels, audio = read_table(made / "valid/mels.scp"), read_table(tiny.valid / "wav.scp")
    assert list(mels) == list(audio)
    for utt, entry in audio.items():
        mel, own = kaldiio.load_mat(mels[utt]), extract([load(entry)[0]], FEATURES)[0]
        assert mel.shape == own.shape and np.isfinite(mel).all()
        # a model of two epochs knows little, but loud from soft, before normalisation
        assert np.abs(mel - own).mean() < np.abs(own - own.mean(0)).mean() + 0.5
        assert abs(mel.mean() - own.mean()) < 1.0


def test_a_vocoder_goes_on_with_them(made, tiny, tmp_path, capsys):
    config = tmp_path / "wanted.yaml"
    changes = {"mels": str(made), "max_epoch": 1, "discriminators": {}}
    config.write_text(yaml.safe_dump({**VOCODER, **changes}))
    given = ["--config", str(config), "--train", str(tiny.train)]
    stats = str(tmp_path / "stats")
    assert vocoder_stats.main([*given, "--output_dir", stats]) == 0
    more = ["--valid", str(tiny.valid), "--stats_dir", stats, "--output_dir", str(tmp_path / "voc")]
    assert vocoder_train.main([*given, *more, "--device", "cpu"]) == 0
    lines = (tmp_path / "voc/metrics.jsonl").read_text().splitlines()
    assert any("mel" in json.loads(line) for line in lines)
    assert read_segments(tiny.train, FEATURES, 12, mels=made)[0][1]["mel"].shape == (12, 20)


def test_other_spectrograms_are_another_training(made, tiny, tmp_path):
    model = torch.nn.Linear(2, 2)

    def told(mels):
        return fingerprint({}, model, read_segments(tiny.valid, FEATURES, 12, mels=mels))

    louder = {
        utt: kaldiio.load_mat(e) + 1 for utt, e in read_table(made / "valid/mels.scp").items()
    }
    (tmp_path / "valid").mkdir()
    scp = tmp_path / "valid/mels.scp"
    kaldiio.save_ark(str(tmp_path / "mels.ark"), louder, scp=str(scp))
    assert told(made) == told(made)
    assert len({told(made), told(False), told(tmp_path)}) == 3


def test_what_does_not_fit_is_said(made, tiny, tmp_path):
    with pytest.raises(UserError, match=r"mels.scp: no such file.*--teacher_forced"):
        read_segments(tiny.valid, FEATURES, 12, mels=tmp_path)
    (tmp_path / "some/valid").mkdir(parents=True)
    rows = (made / "valid/mels.scp").read_text().splitlines(keepends=True)
    (tmp_path / "some/valid/mels.scp").write_text("".join(rows[1:]))
    fewer = read_segments(tiny.valid, FEATURES, 12, each=2, mels=tmp_path / "some")
    assert fewer.ids == ["valid-01", "valid-01@2", "valid-02", "valid-02@2"]
    assert len(fewer.seconds) == 4
    (tmp_path / "some/valid/mels.scp").write_text("x y.ark:3\n")
    with pytest.raises(UserError, match="found no utterance of 3"):
        read_segments(tiny.valid, FEATURES, 12, mels=tmp_path / "some")
    other = Features(**{**vars(FEATURES), "hop_length": 160})
    with pytest.raises(UserError, match="found a spectrogram of shape"):
        read_segments(tiny.valid, other, 12, mels=made)[0]
    (tmp_path / "audio").symlink_to(
        tiny.valid / "wav"
    )  # paths are relative to a folder above the data
    text = "".join(f"valid-{n:02d} audio/valid-{n:02d}.wav\n" for n in range(3))
    (tmp_path / "data/set").mkdir(parents=True)
    (tmp_path / "data/set/wav.scp").write_text(text)
    options = ["--model_dir", str(tiny.model("tts")), "--output_dir", str(tmp_path / "out")]
    shutil.copy(tiny.valid / "text", tmp_path / "data/set/text")
    assert tts_synthesize.main([str(tmp_path / "data"), "set", *options, "--teacher_forced"]) == 0
    (tmp_path / "data/set/text").write_text("valid-00 abc\n")
    with pytest.raises(UserError, match="text lacks utterance valid-01"):
        tts_synthesize.main([str(tmp_path / "data"), "set", *options, "--teacher_forced"])


def test_a_stock_model_follows_durations(tiny):
    """FastSpeech 2, which has to be told them; pitch and energy are averaged over tokens."""
    pytest.importorskip("espnet2.tts.fastspeech2")
    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.bridge.teacher import teacher_forced
    from tests.conftest import TTS

    small = {"adim": 8, "aheads": 2, "elayers": 1, "eunits": 8, "dlayers": 1, "dunits": 8}
    small |= {"postnet_layers": 0, "duration_predictor_chans": 8, "pitch_predictor_chans": 8}
    small |= {
        "energy_predictor_chans": 8,
        "pitch_predictor_layers": 1,
        "energy_predictor_layers": 1,
    }
    plain = dict.fromkeys(("normalize", "pitch_normalize", "energy_normalize"))
    task = TASKS["tts"]
    config = {**task.defaults, **TTS, **plain, "tts": "fastspeech2", "tts_conf": small}
    for name in ("pitch", "energy"):
        known = TTS[f"{name}_extract_conf"].items()
        conf = {key: value for key, value in known if not key.startswith("use_token")}
        config[f"{name}_extract_conf"] = {**conf, "reduction_factor": 1}
    config["token_list"] = ["<blank>", "<unk>", "a", "b", "c", "d", "<sos/eos>"]
    model = task.build(config).eval()
    speech = torch.from_numpy(load(str(next(iter(read_table(tiny.valid / "wav.scp").values()))))[0])
    frames = len(speech) // 80 + 1
    durations = torch.tensor([frames - 7, 4, 3])
    mel = teacher_forced(model, torch.tensor([2, 3]), speech, durations)
    assert mel.shape == (frames, FRONT["n_mels"]) and mel.isfinite().all()
    with pytest.raises(UserError, match="expected a table `durations`"):
        teacher_forced(model, torch.tensor([2, 3]), speech)
    with pytest.raises(UserError, match=rf"{frames + 6} frames, expected 3 .* and {frames}"):
        teacher_forced(model, torch.tensor([2, 3]), speech, durations + 2)
