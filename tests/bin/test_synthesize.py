"""The synthesize command."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from espnet_ext.bin.command import call
from espnet_ext.bin.synthesize import main
from espnet_ext.errors import UserError
from espnet_ext.export.pack import pack
from espnet_ext.inference.speech_file import pipe_speech, write_speech
from espnet_ext.inference.text2speech import Text2Speech
from tests.inference.small_voices import OPTIONS, train


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voice")
    (folder / "decode.yaml").write_text("griffin_lim_iters: 1\n")
    return train(folder, "acoustic", spks=3, spk_embed_dim=None)


@pytest.fixture
def command(model):
    given = ["--model", str(model), "--config", str(model / "decode.yaml")]
    return lambda *more: call(main, [*map(str, more), *given])


def test_a_text_becomes_a_file(command, model, tmp_path, capsys):
    out = tmp_path / "out.wav"
    assert command("abc, def.", "-o", out, "--voice", "2") == 0
    said = capsys.readouterr()
    wave, rate = soundfile.read(out)
    assert rate == 8000 and said.out == f"{out}: {len(wave) / rate:.2f} s of speech\n"
    speaker = Text2Speech.from_pretrained(model, voice=2, griffin_lim_iters=1)
    assert np.allclose(wave, speaker("abc, def.").wave, atol=1e-4)
    assert command("abc, def.", "-o", tmp_path / "b.flac", "--voice", "2", "--speed", "0.5") == 0
    slow = soundfile.read(tmp_path / "b.flac")[0]
    assert 1.7 * len(wave) < len(slow) < 2.3 * len(wave)


def test_a_long_text_tells_how_far_it_is(command, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("one two. three. four five. six seven.\n")
    for name, more in (("a", []), ("b", ["--stream"])):
        out = tmp_path / f"{name}.wav"
        assert command("--file", text, "-o", out, "--voice", "0", *more) == 0
        assert "synthesise (sentences): 4 done" in capsys.readouterr().err
    waves = [soundfile.read(tmp_path / f"{name}.wav")[0] for name in "ab"]
    assert np.array_equal(*waves)


def test_only_a_stream_begins_with_a_clause(command, tmp_path, monkeypatch):
    text = "when the sun had gone down, they went home. all slept. so long. and well."
    spoken, plain = [], Text2Speech.speak

    def watched(self, ids, text, *more):
        spoken.append(text)
        return plain(self, ids, text, *more)

    monkeypatch.setattr(Text2Speech, "speak", watched)
    for name, given in (("plain", text), ("marked", f"<speak>{text}</speak>")):
        for more, first in (
            ([], "when the sun had gone down, they went home. "),
            (["--stream"], "when the sun had gone down, "),
        ):
            spoken.clear()
            assert command(given, "-o", tmp_path / f"{name}.wav", "--voice", "0", *more) == 0
            assert spoken[0] == first


@pytest.mark.parametrize("content", [b"", b"no array"])
def test_a_voice_that_is_no_array_is_one_line(command, tmp_path, capsys, content):
    (tmp_path / "who.npy").write_bytes(content)
    assert command("abc", "-o", tmp_path / "a.wav", "--voice", tmp_path / "who.npy") == 1
    error = capsys.readouterr().err
    assert "expected a speaker's number or a .npy file" in error and error.count("\n") == 1
    for odd in (np.array(["a"]), np.array([1.0, np.nan, 2.0])):
        np.save(tmp_path / "who.npy", odd)
        assert command("abc", "-o", tmp_path / "a.wav", "--voice", tmp_path / "who.npy") == 1
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["-o", "a.wav"], "neither a text nor --file"),
        (["abc", "--file", "x", "-o", "a.wav"], "found a text and --file"),
        (["abc", "-o", "a.mp4"], "found a.mp4, expected a name that ends in .wav"),
        (["abc", "-o", "a.wav", "--voice", "3"], "found speaker 3, expected 0 to 2"),
        (["abc", "-o", "a.wav", "--voice", "who"], "expected a speaker's number or a .npy file"),
        (["abc", "-o", "a.wav", "--speed", "0", "--voice", "0"], "speed: found 0"),
        (["...", "-o", "a.wav", "--voice", "0"], "found nothing to speak"),
        (["abc", "-o", "a.wav", "--vocoder", "nowhere", "--voice", "0"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(command, capsys, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--stream"]):
        assert command(*given, *more) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
        assert list(tmp_path.iterdir()) == []


def test_a_packed_model_speaks(model, tmp_path):
    pack("tts", model, tmp_path / "voice.zip")
    name = tmp_path / "voice.zip"
    cache = tmp_path / "cache"
    found = Text2Speech.from_pretrained(name, voice=1, pitch=2, cache=cache, options=OPTIONS)
    plain = Text2Speech.from_pretrained(model, voice="1", options=OPTIONS)
    assert found.options.pitch_shift == 2 and len(found("abc").wave) == len(plain("abc").wave)
    with pytest.raises(UserError, match="no_such"):
        Text2Speech.from_pretrained(model, no_such=1)


def test_embeddings_are_voices(tmp_path):
    folder = train(tmp_path / "voice", "aligned", spk_embed_dim=3)
    np.save(tmp_path / "who.npy", np.array([1.0, -2.0, 0.5]))
    one = Text2Speech.from_pretrained(folder, voice=tmp_path / "who.npy", options=OPTIONS)
    other = Text2Speech.from_pretrained(folder, voice=[1.0, -2.0, 0.5], options=OPTIONS)
    assert np.array_equal(one("abc").mel, other("abc").mel)
    for voice, said in (([1.0], "found an embedding of 1 numbers, expected 3"), (2, "speaker 2")):
        with pytest.raises(UserError, match=said):
            Text2Speech.from_pretrained(folder, voice=voice, options=OPTIONS)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A model that goes by a speaker's number, a language and an embedding, and an embedding."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "decode.yaml").write_text("griffin_lim_iters: 1\n")
    (folder / "lang2lid").write_text("de 1\nen 2\n")
    np.save(folder / "who.npy", np.array([1.0, -2.0, 0.5]))
    return train(folder, "acoustic", spks=3, langs=3, spk_embed_dim=3)


def mel_of(folder, **more):
    return Text2Speech.from_pretrained(folder, options=OPTIONS, **more)("abc def").mel


def test_a_speaker_a_language_and_an_embedding_go_together(several, tmp_path):
    """Past fault: one --voice and no language, so that nobody could use such a model."""
    given = ["--model", str(several), "--config", str(several / "decode.yaml")]
    voices = ["--voice", "2", "--voice", str(several / "who.npy")]
    out = tmp_path / "out.wav"
    assert call(main, ["abc def", "-o", str(out), *voices, "--language", "en", *given]) == 0
    speaker = Text2Speech.from_pretrained(several, options=OPTIONS)
    expected = speaker("abc def", sids=2, lids=2, spembs=[1.0, -2.0, 0.5])
    assert np.allclose(soundfile.read(out)[0], expected.wave, atol=1e-4)
    for voice in ([2, [1.0, -2.0, 0.5]], (np.array([1.0, -2.0, 0.5]), "2")):
        for language in ("en", 2, "2"):
            assert np.array_equal(mel_of(several, voice=voice, language=language), expected.mel)
    assert not np.array_equal(mel_of(several, voice=voice, language="de"), expected.mel)


def test_a_packed_model_knows_its_languages(several, tmp_path, monkeypatch):
    monkeypatch.chdir(several.parent)  # as in a recipe: named from its folder
    for model in (several, several.name):
        pack("tts", model, tmp_path / "voice.zip")
        found = Text2Speech.from_pretrained(tmp_path / "voice.zip", cache=tmp_path, options=OPTIONS)
        assert found.languages == {"de": 1, "en": 2}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--voice 2 --voice who.npy", "found no language (lids), expected de, en, or a number"),
        ("--voice 2 --voice who.npy --language fr", "language: found fr, expected de, en, or a"),
        ("--voice 2 --voice who.npy --language 3", "found 3, expected de, en, or a number from 0"),
        ("--voice 2 --language en", "found no spembs, expected 3 numbers, the embedding of a spe"),
        ("--voice who.npy --language en", "sids: found none, expected numbers from 0 to 2"),
        ("--voice 1 --voice 2 --language en", "voice: found two speakers' numbers, expected one"),
    ],
)
def test_what_a_model_of_several_kinds_lacks_is_one_line(
    several, capsys, tmp_path, monkeypatch, given, said
):
    monkeypatch.chdir(several)
    more = ["--model", str(several), "-o", str(tmp_path / "a.wav")]
    assert call(main, ["abc", *given.split(), *more]) == 1
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1] and not (tmp_path / "a.wav").exists()


def test_a_language_is_none_of_a_model_of_one(model):
    with pytest.raises(UserError, match="language: found en, expected none"):
        Text2Speech.from_pretrained(model, voice=1, language="en", options=OPTIONS)


class Pipe(io.BytesIO):
    """What cannot go back."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise OSError


def test_a_pipe_gets_a_wav_that_readers_take(model, tmp_path):
    speaker = Text2Speech.from_pretrained(model, voice=0, options=OPTIONS)
    pipe, pieces = Pipe(), list(speaker.stream("abc. def."))
    seconds = pipe_speech(iter(pieces), pipe, speaker.rate)
    (tmp_path / "piped.wav").write_bytes(pipe.getvalue())
    wave, rate = soundfile.read(tmp_path / "piped.wav")
    expected = np.concatenate([piece.wave for piece in pieces])
    assert np.allclose(wave, expected, atol=1e-4) and seconds == len(wave) / rate


def test_a_live_file_grows_and_never_stays_half(model, tmp_path):
    speaker = Text2Speech.from_pretrained(model, voice=0, options=OPTIONS)
    out = tmp_path / "live.wav"

    def watched():
        yield from speaker.stream("abc. def.")
        assert len(soundfile.read(out)[0]) > 0
        raise UserError("found no more, expected more")

    with pytest.raises(UserError, match="no more"):
        write_speech(watched(), str(out), speaker.rate, live=True)
    assert not out.exists()


def test_what_cannot_be_spoken_costs_no_file(tmp_path):
    out = tmp_path / "live.wav"
    out.write_bytes(b"mine")

    def nothing():
        raise UserError("found nothing to speak, expected a text")
        yield

    with pytest.raises(UserError, match="nothing to speak"):
        write_speech(nothing(), str(out), 16000, live=True)
    assert out.read_bytes() == b"mine"


def test_minutes_in_one_piece_become_an_ogg(tmp_path):
    wave = 0.1 * np.sin(np.arange(100 * 24000) / 20).astype(np.float32)
    piece = SimpleNamespace(wave=wave)
    assert write_speech([piece], str(tmp_path / "a.ogg"), 24000, live=False) == 100.0
    assert soundfile.info(tmp_path / "a.ogg").frames == len(wave)
