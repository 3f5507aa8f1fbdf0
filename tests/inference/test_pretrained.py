"""Models by their names: folders and zips; what lies elsewhere is in test_zoo.py."""

from __future__ import annotations

import pickle
import re
import zipfile

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_ext.errors import UserError
from espnet_ext.export.archive import extract
from espnet_ext.export.pack import pack
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text


@pytest.fixture(scope="module")
def packed(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "tones.zip"
    folder, lm = tiny.model("asr"), tiny.model("lm")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny.root)  # a recipe's directory
        pack("asr", folder.relative_to(tiny.root), path, lm_dir=lm.relative_to(tiny.root))
    return path


OPTIONS = {"beam": 3, "ctc_weight": 0.4, "lm_weight": 0.3}


def test_folder_and_zip_and_unpacked_model_say_the_same(tiny, packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a model may be used from anywhere
    samples, _ = soundfile.read(tiny.valid / "wav/valid-00.wav")
    extract(packed, tmp_path / "unpacked")
    whole = Speech2Text.from_pretrained(packed, cache=tmp_path / "cache", **OPTIONS)
    again = Speech2Text.from_pretrained(str(packed), cache=tmp_path / "cache", **OPTIONS)
    other = Speech2Text.from_pretrained(tmp_path / "unpacked", **OPTIONS)
    folder = Speech2Text.from_pretrained(tiny.model("asr"), lm=tiny.model("lm"), **OPTIONS)
    assert whole.options == DecodeOptions(beam_size=3, ctc_weight=0.4, lm_weight=0.3)
    found = whole(samples)
    assert "lm" in found[0].scores
    assert found == again(samples) == other(samples) == folder(samples)
    assert len(list((tmp_path / "cache").iterdir())) == 1  # unpacked once
    without = Speech2Text.from_pretrained(packed, lm=False, cache=tmp_path / "cache", **OPTIONS)
    assert "lm" not in without(samples)[0].scores


def test_half_precision_hears_much_the_same(tiny, packed, tmp_path):
    samples, _ = soundfile.read(tiny.valid / "wav/valid-00.wav")
    loud = samples / np.abs(samples).max()  # powers of its spectrum are beyond float16
    kinds = {
        dtype: Speech2Text.from_pretrained(packed, dtype=dtype, cache=tmp_path, **OPTIONS)(loud)
        for dtype in ("float32", "bfloat16", "float16")
    }
    full = kinds["float32"]
    for half in (kinds["bfloat16"], kinds["float16"]):
        assert half.error is None and len(half.tokens) > 0
        assert half[0].score == pytest.approx(full[0].score, rel=0.05)
        assert half[0].score != full[0].score
    with pytest.raises(UserError, match="dtype: found 'int7'"):
        Speech2Text.from_pretrained(packed, dtype="int7", cache=tmp_path)


class Marks:
    """Code that a pickle runs when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_strangers_weights_run_no_code(tiny, packed, tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Marks(mark))).close()
    assert mark.is_file()  # it would
    mark.unlink()
    extract(packed, tmp_path / "model")
    (weights,) = (tmp_path / "model").rglob("valid.acc.ave.pth")
    for form in ("torch", "plain"):
        if form == "torch":
            torch.save({"weight": Marks(mark)}, weights)
        else:
            weights.write_bytes(pickle.dumps(Marks(mark)))
        with pytest.raises(UserError, match="not a readable weights file"):
            Speech2Text.from_pretrained(tmp_path / "model")
        assert not mark.exists()


def test_a_model_that_names_files_elsewhere(packed, tmp_path):
    (tmp_path / "secret.pth").write_text("x")
    for name in ("../secret.pth", str(tmp_path / "secret.pth"), 7):
        extract(packed, tmp_path / "model")
        meta = yaml.safe_load((tmp_path / "model/meta.yaml").read_text())
        meta["files"]["asr_model_file"] = name
        (tmp_path / "model/meta.yaml").write_text(yaml.safe_dump(meta))
        with pytest.raises(UserError, match="expected a name below the model's folder"):
            find_model(tmp_path / "model")


def test_weights_of_another_name(tiny, tmp_path):
    """The only ones in a folder are used; of several, one is named."""
    folder, other = tmp_path / "model", "valid.cer_ctc.best.pth"
    folder.mkdir()
    trained = tiny.model("asr")
    (folder / "config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    (folder / other).write_bytes((trained / "valid.acc.ave.pth").read_bytes())
    (folder / "checkpoint.pth").write_text("the state of a training")
    assert find_model(folder)["asr_model_file"] == str(folder / other)
    (folder / "latest.pth").symlink_to(other)
    assert Speech2Text.from_pretrained(folder).files[1].endswith(".pth")
    (folder / "3epoch.pth").write_text("x")
    with pytest.raises(UserError, match=rf"weights there: 3epoch\.pth, latest\.pth, {other}; name"):
        find_model(folder)
    assert find_model(folder / other)["asr_model_file"] == str(folder / other)
    with pytest.raises(UserError, match="state of a training run"):
        find_model(folder / "checkpoint.pth")
    (folder / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"config\.yaml: no such file, expected the configuration"):
        find_model(folder / other)


def test_a_model_in_a_folder_has_its_own_files_and_nothing_deeper_is_read(packed, tmp_path):
    extract(packed, tmp_path / "here" / "model")
    found = find_model(tmp_path / "here")
    assert found == find_model(tmp_path / "here/model")
    assert all((tmp_path / name).is_file() for name in found.values())
    with pytest.raises(UserError, match="found neither"):
        find_model(tmp_path)
    extract(packed, tmp_path / "here" / "model2")
    with pytest.raises(UserError, match="found several models, model, model2: name one"):
        find_model(tmp_path / "here")


def test_names_count_from_the_archive_wherever_its_table_lies(packed, tmp_path):
    """As ESPnet's own unpacking has it."""
    extract(packed, tmp_path / "model")
    expected = find_model(tmp_path / "model")
    (tmp_path / "model/etc").mkdir()
    (tmp_path / "model/meta.yaml").rename(tmp_path / "model/etc/meta.yaml")
    assert find_model(tmp_path / "model") == expected


def test_a_table_that_is_no_yaml(packed, tmp_path):
    extract(packed, tmp_path / "model")
    (tmp_path / "model/meta.yaml").write_text("files: [")
    with pytest.raises(UserError, match=r"meta\.yaml: found no YAML"):
        find_model(tmp_path / "model")


def test_what_is_no_model(packed, tmp_path, monkeypatch):
    cut_off = tmp_path / "cut.zip"
    cut_off.write_bytes(packed.read_bytes()[:2000])
    (tmp_path / "empty").mkdir()
    speaker = tmp_path / "tts.zip"
    with zipfile.ZipFile(speaker, "w") as archive:
        meta = {"files": {"model_file": "a.pth"}, "yaml_files": {"train_config": "c.yaml"}}
        archive.writestr("a.pth", "")
        archive.writestr("c.yaml", "")
        archive.writestr("meta.yaml", yaml.safe_dump(meta))
    for name, said in [
        (cut_off, "not a whole zip archive"),
        (tmp_path / "empty", "found neither config.yaml nor meta.yaml"),
        (speaker, "is it one for asr"),
        (tmp_path / "none.zip", "found no such file or folder"),
        ("one_word", "found no such file or folder"),
    ]:
        with pytest.raises(UserError, match=said):
            find_model(name, cache=tmp_path / "cache")
    assert not (tmp_path / "cache/cut").exists()
    with pytest.raises(UserError, match="unknown key 'bean'"):
        Speech2Text.from_pretrained(packed, cache=tmp_path / "cache", bean=3)


def test_files_and_lists_and_arrays(tiny, packed, tmp_path):
    recognise = Speech2Text.from_pretrained(packed, cache=tmp_path, **OPTIONS)
    name = tiny.valid / "wav/valid-01.wav"
    samples, rate = soundfile.read(name, dtype="float32")
    one = recognise(str(name))
    assert one == recognise(name) == recognise(samples, rate)
    assert one.text and one.seconds == pytest.approx(len(samples) / rate)
    (tmp_path / "broken.flac").write_bytes(b"fLaC nothing")
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, np.array([0.0, np.nan] * 4000, dtype=np.float32), rate, subtype="FLOAT")
    found = recognise([name, tmp_path / "broken.flac", samples, nan, "nowhere.wav"], rate)
    for same in (found[0], found[2]):
        assert same[0].tokens == one[0].tokens and same[0].score == pytest.approx(one[0].score)
    for broken, said in ((1, "unreadable"), (3, "NaN|nan"), (4, "nowhere.wav")):
        assert found[broken].text == "" and found[broken].error is not None
        assert re.search(said, found[broken].error)
    assert recognise(torch.from_numpy(samples), rate) == one  # one sound, not as many as samples
    with pytest.raises(UserError, match=r"expected .* time first"):
        recognise(torch.from_numpy(samples)[None], rate)
    with pytest.raises(UserError, match="found 1 rates of 2 arrays"):
        recognise.many([samples, samples], [rate])
    with pytest.raises(UserError, match=r"nowhere\.wav"):
        recognise("nowhere.wav")
    assert recognise([]) == []
    (piece,) = recognise.transcribe(name)
    assert piece.text == one.text.strip() and piece.start == 0.0
    with pytest.raises(UserError, match="broken"):
        list(recognise.transcribe(tmp_path / "broken.flac"))
    assert [f.text for f in recognise.stream(iter([name, samples]))] == [one.text] * 2


def test_a_live_source_is_heard_utterance_by_utterance(tiny, packed, tmp_path):
    recognise = Speech2Text.from_pretrained(packed, cache=tmp_path, **OPTIONS)
    name, asked = tiny.valid / "wav/valid-01.wav", []

    def source():
        for number in range(5):
            asked.append(number)
            yield name

    texts = [(one.text, len(asked)) for one in recognise.stream(source(), window=1)]
    assert texts == [(recognise(name).text, number) for number in range(1, 6)]
    asked.clear()
    next(recognise.stream(source(), window=3))
    assert len(asked) == 3
    for window in (0, 1.5, True):
        with pytest.raises(UserError, match="window: found"):
            next(recognise.stream(source(), window=window))
