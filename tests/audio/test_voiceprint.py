"""Speaker embeddings: the numbers of the package whose weights they use, and what they are good for."""

import sys
import types
import wave

import numpy as np
import pytest

from espnet_ext.audio import voiceprint
from espnet_ext.audio.read import load
from espnet_ext.bin.speaker_vectors import main
from espnet_ext.datadir import read_table
from espnet_ext.datadir.vectors import speaker_vectors, vector
from espnet_ext.errors import UserError
from espnet_ext.inference import speaker_vectors as speaker_vectors_of

needs_weights = pytest.mark.skipif(
    voiceprint.weights_file() is None, reason=f"no resemblyzer: {voiceprint.INSTALL}"
)


@needs_weights
@pytest.mark.parametrize("seconds", [0.4, 1.6, 2.0, 3.3])
def test_it_is_the_packages_own(monkeypatch, seconds):
    """Its detector of speech, which needs a compiler, is left out there, too."""
    monkeypatch.setitem(sys.modules, "webrtcvad", types.ModuleType("webrtcvad"))
    morphology = types.ModuleType("scipy.ndimage.morphology")
    morphology.binary_dilation = None
    monkeypatch.setitem(sys.modules, "scipy.ndimage.morphology", morphology)
    resemblyzer = pytest.importorskip("resemblyzer")
    random = np.random.default_rng(0)
    time = np.arange(int(seconds * 16000)) / 16000
    sound = 0.1 * np.sin(2 * np.pi * (150 + 50 * time) * time) + 0.02 * random.standard_normal(
        len(time)
    )
    sound = sound.astype(np.float32)
    theirs = resemblyzer.VoiceEncoder("cpu", verbose=False).embed_utterance(sound)
    assert np.allclose(voiceprint.embed(sound), theirs, atol=1e-4)
    quiet = voiceprint.embed(0.01 * sound)
    louder = resemblyzer.normalize_volume(0.01 * sound, -30, increase_only=True)
    assert np.allclose(
        quiet, resemblyzer.VoiceEncoder("cpu", verbose=False).embed_utterance(louder), atol=1e-4
    )


@needs_weights
def test_voices_are_told_apart(realdata):
    """Two utterances of each of several people: the nearest other utterance is the same person's."""
    found = {}
    for path in sorted(realdata.glob("LibriSpeech/*/*/*/*.flac")):
        found.setdefault(path.parent.parent.name, []).append(path)
    people = {name: paths[:2] for name, paths in found.items() if len(paths) > 1}
    if len(people) < 3:
        pytest.skip("too few speakers with two utterances")
    people = dict(list(people.items())[:4])
    names = [name for name in people for _ in range(2)]
    vectors = np.stack([voiceprint.embed(load(p, 16000)[0]) for ps in people.values() for p in ps])
    alike = vectors @ vectors.T - 2 * np.eye(len(vectors))
    right = [names[int(row.argmax())] == name for row, name in zip(alike, names, strict=True)]
    assert np.mean(right) >= 0.75


@needs_weights
def test_a_set_gets_its_table(tiny, tmp_path):
    (tmp_path / "valid").mkdir()
    for name in ("wav.scp", "text", "utt2spk"):
        (tmp_path / "valid" / name).write_bytes((tiny.valid / name).read_bytes())
    assert main([str(tmp_path), "valid"]) == 0
    assert list(read_table(tmp_path / "valid/xvector.scp")) == ["valid-00", "valid-01", "valid-02"]
    first = vector(speaker_vectors(tmp_path / "valid")["valid-00"])
    assert first.shape == (256,) and np.linalg.norm(first) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("samples", [0, 16000])
def test_silence_is_nobodys(samples):
    with pytest.raises(UserError, match="found silence, expected speech"):
        voiceprint.embed(np.zeros(samples, np.float32))


@needs_weights
def test_a_silent_recording_is_named(tmp_path):
    path = tmp_path / "silent.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid/wav.scp").write_text(f"valid-00 {path}\n")
    with pytest.raises(UserError, match=r"utterance valid-00: .*found silence"):
        main([str(tmp_path), "valid"])


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(voiceprint, "weights_file", lambda: None)
    with pytest.raises(UserError, match=r"pip install --no-deps resemblyzer.*xvector\.scp"):
        main([str(tmp_path), "none"])


def test_other_weights_are_said(tmp_path):
    import torch

    sound, path = np.ones(8000, np.float32), tmp_path / "other.pt"
    for content in ({"model_state": {}}, [1], b"no weights"):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(UserError, match="found other weights"):
            voiceprint.embed(sound, weights=path)


@pytest.mark.parametrize("name", ["xvector.scp", "spembs.scp"])
def test_vectors_of_others_are_left_alone(monkeypatch, tmp_path, name):
    """Past bug: a user's own xvector.scp was written over."""
    monkeypatch.setattr(voiceprint, "weights_file", lambda: tmp_path)
    for dataset in ("first", "second"):
        (tmp_path / dataset).mkdir()
        (tmp_path / dataset / "wav.scp").write_text("a none.wav\n")
    theirs = tmp_path / "second" / name
    theirs.write_text(f"a {tmp_path}/second/data/xvector.ark:2\n")
    with pytest.raises(UserError, match=rf"{name}: found vectors that this command has not made"):
        main([str(tmp_path), "first", "second"])
    assert theirs.read_text().endswith("xvector.ark:2\n")
    assert not (tmp_path / "first/data").exists()


def test_its_own_vectors_are_made_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(speaker_vectors_of, "embed", lambda wave, device: np.ones(4, np.float32))
    monkeypatch.setattr(speaker_vectors_of, "load", lambda entry, rate: (np.ones(9), rate))
    (tmp_path / "wav.scp").write_text("a none.wav\n")
    for _ in range(2):
        speaker_vectors_of.write_vectors(tmp_path)
        assert vector(speaker_vectors(tmp_path)["a"]).tolist() == [1.0] * 4
