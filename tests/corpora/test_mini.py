"""The embedded corpora."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.corpora import mini
from espnet_ext.corpora.voices import VOICES, Voice, require_engines, speak
from espnet_ext.errors import UserError

FEW = {"train": 60, "dev": 2, "test": 4, "tts": 20}
needs_voices = pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("flite")),
    reason="espeak-ng and flite are not both installed",
)


def digests(root):
    return {
        str(p.relative_to(root)): hashlib.sha1(p.read_bytes()).hexdigest()
        for p in root.rglob("*")
        if p.is_file()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    root = tmp_path_factory.mktemp("mini")
    for task in ("asr", "tts"):
        mini.prepare(root / "corpus", root / task, task=task, **FEW)
    return root


@needs_voices
def test_asr_is_laid_out_as_librispeech(rendered):
    root = rendered / "corpus/LibriSpeech"
    sound = sorted(root.glob("train-clean-mini/*/*/*.flac"))[0]
    reader, chapter = sound.parts[-3:-1]
    assert sound.name == f"{reader}-{chapter}-0000.flac"
    lines = (sound.parent / f"{reader}-{chapter}.trans.txt").read_text().splitlines()
    assert lines[0].startswith(f"{sound.stem} ")
    assert len(lines) == len(list(sound.parent.glob("*.flac")))
    assert f"{reader} | M | train-clean-mini" in (root / "SPEAKERS.TXT").read_text()
    info = soundfile.info(sound)
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")


@needs_voices
def test_tts_is_laid_out_as_ljspeech(rendered):
    root = rendered / "corpus/LJSpeech-1.1"
    rows = [line.split("|") for line in (root / "metadata.csv").read_text().splitlines()]
    assert [len(row) for row in rows] == [3] * 20
    info = soundfile.info(root / "wavs/LJ001-0001.wav")
    assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")


@needs_voices
def test_data_directories(rendered):
    for name, count in (("asr/train", 60), ("asr/dev", 2), ("asr/test", 4), ("tts/dev", 1)):
        datadir.validate(rendered / name)
        assert len(datadir.read_table(rendered / name / "text")) == count
    readers = [
        {s.split("-")[0] for s in datadir.read_table(rendered / "asr" / n / "spk2utt")}
        for n in ("train", "dev", "test")
    ]
    assert sum(len(r) for r in readers) == len(set.union(*readers)) == len(VOICES)


@needs_voices
def test_sounds_are_neither_silent_nor_clipped(rendered):
    for path in rendered.rglob("*.flac"):
        samples, rate = soundfile.read(path)
        assert 1 < len(samples) / rate < 8
        assert 0.1 < np.abs(samples).max() < 0.999
        assert -30 < 20 * np.log10(np.sqrt(np.mean(samples**2))) < -19


@pytest.mark.slow
@needs_voices
def test_the_same_every_time_also_after_a_stop(rendered, tmp_path, monkeypatch):
    whole = digests(rendered / "corpus")
    written = []

    def stops(path, *args):
        if len(written) == 15:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *args)

    from espnet_ext.audio.write import write

    monkeypatch.setattr("espnet_ext.audio.write.write", stops)
    with pytest.raises(KeyboardInterrupt):
        mini.render(tmp_path / "corpus", "asr", FEW)
    monkeypatch.undo()
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.flac")}
    assert len(times) == 15
    for task in ("asr", "tts"):
        mini.render(tmp_path / "corpus", task, FEW)
    assert digests(tmp_path / "corpus") == whole
    assert {p: p.stat().st_mtime_ns for p in times} == times


@needs_voices
def test_another_plan_replaces_its_own_files_only(tmp_path):
    mini.render(tmp_path, "tts", {"tts": 4, "dev": 1, "test": 1, "train": 1})
    first = digests(tmp_path)
    mini.render(tmp_path, "tts", {"tts": 2, "dev": 1, "test": 1, "train": 2})
    assert len(list(tmp_path.rglob("*.wav"))) == 2
    assert digests(tmp_path) != first
    (tmp_path / "other/LJSpeech-1.1").mkdir(parents=True)
    (tmp_path / "other/LJSpeech-1.1/metadata.csv").write_text("somebody's own")
    with pytest.raises(UserError, match="not rendered here"):
        mini.render(tmp_path / "other", "tts", FEW)
    assert (tmp_path / "other/LJSpeech-1.1/metadata.csv").read_text() == "somebody's own"


def test_a_missing_synthesiser_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt-get install espeak-ng flite"):
        require_engines(VOICES)
    with pytest.raises(UserError, match="found task 'svs'"):
        mini.prepare(tmp_path / "c", tmp_path / "d", task="svs")
    assert not list(Path(tmp_path).iterdir())


@needs_voices
def test_a_missing_voice_is_named():
    require_engines(VOICES)
    for engine, name in (("flite", "nobody"), ("espeak-ng", "en-us+f77"), ("espeak-ng", "xx")):
        with pytest.raises(UserError, match=f"found no voice {name.replace('+', '.')} in {engine}"):
            require_engines([Voice("train", "F", engine, name)])


def test_a_failing_synthesiser_says_how(monkeypatch):
    failing = ["sh", "-c", "echo no such voice >&2; exit 3"]
    monkeypatch.setattr("espnet_ext.corpora.voices._command", lambda *_: failing)
    with pytest.raises(UserError, match=r"found status 3 \(no such voice\)"):
        speak(Voice("train", "F", "espeak-ng", "en-us"), "hello")


def test_held_out_voices_are_new_and_of_both_sexes():
    names = {part: {(v.engine, v.name) for v in VOICES if v.part == part} for part in mini.PARTS}
    assert not names["train"] & (names["dev"] | names["test"])
    assert not names["dev"] & names["test"]
    test = [v for v in VOICES if v.part == "test"]
    assert len(test) >= 3 and {v.sex for v in test} == {"F", "M"}
    assert {v.engine for v in test} <= {v.engine for v in VOICES if v.part == "train"}
    assert len(names["train"]) >= 12
