"""SSML through a trained model."""

import numpy as np
import pytest
import soundfile

from espnet_ext.bin import tts_synthesize
from espnet_ext.bin.command import call
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.inference.ssml_speech import piece_tokens, read_plans
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.text.phonemes import VITS
from espnet_ext.text.speech_plan import Piece, Run
from espnet_ext.text.tokens import TextPipeline


@pytest.fixture(scope="module")
def speaker(tiny):
    return Text2Speech.from_dir(tiny.model("tts"), options=SynthesisOptions(griffin_lim_iters=2))


def test_a_break_is_silence_of_its_length(speaker):
    ab, ca = speaker("ab").wave, speaker("ca").wave
    found = speaker('<speak>ab<break time="250ms"/>ca<break time="1s"/></speak>')
    assert np.array_equal(found.wave, np.concatenate([ab, np.zeros(2000), ca, np.zeros(8000)]))
    assert found.rate == 8000 and found.mel is None and found.durations is None


def test_one_piece_has_its_mel(speaker):
    plain, found = speaker("abca"), speaker("<speak>abca</speak>")
    assert np.array_equal(found.wave, plain.wave) and np.array_equal(found.mel, plain.mel)
    assert np.array_equal(speaker('<speak><sub alias="abca">x</sub></speak>').wave, plain.wave)


def test_rate_and_volume(speaker):
    plain = speaker("abca").wave
    slow = speaker('<speak><prosody rate="33%">abca</prosody></speak>').wave
    assert len(slow) > 1.5 * len(plain)
    soft = speaker('<speak><prosody volume="-20dB">abca</prosody></speak>').wave
    assert np.allclose(soft, plain * 0.1, atol=1e-6)
    assert not speaker('<speak><prosody volume="silent">abca</prosody></speak>').wave.any()


def test_one_word_is_louder(speaker):
    """This model knows of no loudness: the samples of that word are amplified, a few at its ends less."""
    plain = speaker("<speak>ab cd ab</speak>")
    loud = speaker('<speak>ab <prosody volume="-12dB">cd</prosody> ab</speak>')
    assert np.array_equal(loud.durations, plain.durations)
    ends = np.cumsum(plain.durations) / plain.durations.sum() * len(plain.wave)
    begin, end = int(ends[1]), int(ends[4])  # with the blank before it
    factor = 10 ** (-12 / 20)
    inside = slice(begin + 90, end - 90)
    assert np.allclose(loud.wave[inside], factor * plain.wave[inside], atol=1e-5)
    assert np.allclose(loud.wave[: begin - 90], plain.wave[: begin - 90], atol=1e-5)
    assert np.allclose(loud.wave[end + 90 :], plain.wave[end + 90 :], atol=1e-5)


def test_nothing_to_speak(speaker):
    with pytest.raises(UserError, match="found nothing to speak in this SSML"):
        speaker('<speak><break time="1s"/></speak>')


@pytest.fixture
def data(tiny, tmp_path):
    """A set with the texts given, and the command's arguments."""

    def make(**texts):
        folder = tmp_path / "raw/set"
        folder.mkdir(parents=True)
        (folder / "text").write_text("".join(f"{utt} {text}\n" for utt, text in texts.items()))
        model = ["--model_dir", str(tiny.model("tts")), "--output_dir", str(tmp_path / "out")]
        return [str(folder.parent), "set", *model]

    return make


def test_as_a_command(data, tmp_path, capsys):
    markup = '<speak>ab <emphasis>ca</emphasis><break time="2s"/>b</speak>'
    assert call(tts_synthesize.main, data(u1="abca", u2=markup)) == 0
    assert "warning" not in capsys.readouterr().err
    waves = read_table(tmp_path / "out/set/wav.scp")
    samples, rate = soundfile.read(waves["u2"])
    quiet = np.flatnonzero(np.diff(np.concatenate([[0], samples == 0, [0]]).astype(int)))
    assert list(waves) == ["u1", "u2"] and max(quiet[1::2] - quiet[::2]) >= 2 * rate
    assert list(read_table(tmp_path / "out/set/feats.scp")) == ["u1"]


@pytest.mark.parametrize(
    "text, options, words",
    [
        ("<speak>a<break></speak>", [], "u1: SSML: line 1, column 18: mismatched tag"),
        ("<speak>a &amp b</speak>", [], "every element closed and & written as &amp;"),
        ("<speak>a <bell/></speak>", [], "found <bell>, expected one of speak"),
        ("plain", ["--ssml"], "u1: found plain text 'plain', expected <speak>"),
        ('<speak><phoneme ph="x">a</phoneme></speak>', [], "reads letters (token type char)"),
    ],
)
def test_broken_markup_is_one_line(data, tmp_path, capsys, text, options, words):
    assert call(tts_synthesize.main, [*data(u1=text), *options]) == 1
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
    assert not (tmp_path / "out/set/wav").exists()


def _ids(g2p, tokens, *runs):
    pipeline = TextPipeline("phn", ["<blank>", "<unk>", *tokens, "<sos/eos>"], g2p=g2p)
    return [pipeline.token_list[i] for i in piece_tokens(pipeline, Piece(runs))[0]]


def test_phonemes_take_the_place_of_their_text():
    ipa, arpabet = Run("cat ", "k æ", "ipa"), Run(" cat", "K AE1", "x-arpabet")
    assert _ids(None, ["A", "B", "K", "AE1"], Run("A"), arpabet, Run(" B")) == [
        "A",
        "K",
        "AE1",
        "B",
    ]
    words = ["AH0", " ", "K", "AE0", "AE1"]
    assert _ids("g2p_en", words, Run("a"), arpabet) == ["AH0", " ", "K", "AE1"]
    assert _ids("g2p_en", words, ipa, Run("a")) == ["K", "AE0", " ", "AH0"]
    assert _ids(VITS, ["k", "æ", "<space>"], Run("cat", "kæ", "ipa")) == ["k", "æ"]


def test_phonemes_that_the_model_lacks_are_named():
    with pytest.raises(UserError, match=r"'cat'.*'q' that this model knows of; expected .* K"):
        _ids("g2p_en", ["K"], Run("cat", "K q", "x-arpabet"))
    with pytest.raises(UserError, match='write alphabet="ipa"'):
        _ids(VITS, ["k"], Run("cat", "K", "x-arpabet"))


def test_all_documents_are_read_before_the_first_is_spoken(capsys):
    good, bad = "<speak>a</speak>", "<speak>"
    assert list(read_plans([("u1", good), ("u2", "plain")])) == ["u1"]
    with pytest.raises(UserError, match="u2: SSML: line 1"):
        read_plans([("u1", good), ("u2", bad)])
