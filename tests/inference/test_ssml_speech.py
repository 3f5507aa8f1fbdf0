"""SSML through a trained model."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from espnet_ext.bin import tts_synthesize
from espnet_ext.bin.command import call
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.inference.ssml_speech import _part, piece_tokens, read_plans
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.text.phonemes import VITS
from espnet_ext.text.speech_plan import Manner, Piece, Run
from espnet_ext.text.tokens import TextPipeline
from tests.inference.small_voices import OPTIONS, voice


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


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A speaker of 30 tokens at a time."""
    return voice(tmp_path_factory.mktemp("few"), "acoustic", replace(OPTIONS, longest=30))


LONG = "the quick brown fox, jumps over. a lazy dog. and all of it again. "


def test_a_long_document_is_spoken_phrase_by_phrase(few, monkeypatch):
    spoken, plain = [], Text2Speech.speak

    def watched(self, ids, text, *more):
        spoken.append(text)
        assert len(ids) <= 30
        return plain(self, ids, text, *more)

    monkeypatch.setattr(Text2Speech, "speak", watched)
    whole = few(f"<speak>{LONG * 20}</speak>")
    assert len(spoken) == 20 * 4 and "".join(spoken).strip() == (LONG * 20).strip()
    assert len(whole.wave) == pytest.approx(len(few(LONG * 20).wave), rel=0.01)
    spoken.clear()
    stream = few.stream(f'<speak>{LONG}<break time="1s"/>{LONG}</speak>')
    first = next(stream)
    assert spoken == ["the quick brown fox, "] and first.wave.any()
    rest = list(stream)
    assert not rest[3].wave[: few.rate].any() and rest[3].wave[few.rate :].any()


def test_marks_stay_with_their_words_where_a_piece_is_cut(few):
    """One word of a long sentence is silent, and a given pronunciation is not cut."""
    text = "the quick brown fox jumps over a lazy dog and all of it again and again"
    plain, found = (
        few(f"<speak>{text}</speak>"),
        few(
            "<speak>" + text.replace("lazy", '<prosody volume="silent">lazy</prosody>') + "</speak>"
        ),
    )
    assert len(found.wave) > 0.8 * len(plain.wave)
    runs = Run("one two "), Run("three four", "k", "ipa"), Run(" five")
    parts = [_part(Piece(runs), a, b).runs for a, b in ((0, 10), (10, 18), (19, 23))]
    assert parts == [(Run("one two "), runs[1]), (), (Run("five"),)]


def test_a_document_longer_than_the_context_of_frames(tmp_path):
    slow = replace(OPTIONS, speed_control_alpha=4.0)
    speaker = voice(tmp_path, "acoustic", slow, longest=100)
    text = "not short, not long"
    assert len(list(speaker.stream(f"<speak>{text}</speak>"))) > 1
    assert len(speaker(f"<speak>{text}</speak>").wave) > 100 * 80


def test_what_the_model_has_no_tokens_for_is_left_out(few, caplog):
    plain = few("<speak>ab cd</speak>")
    found = few("<speak>aébé cd</speak>")
    assert found.durations.tolist() == plain.durations.tolist() and "'é'" in caplog.text
    ids, manners = piece_tokens(few.pipeline, Piece((Run("aé"), Run("bé", manner=Manner(2.0)))))
    assert few.pipeline.text(ids) == "ab" and manners == [Manner(), Manner(2.0)]
    for nothing in ("<speak>你好</speak>", '<speak>你好<break time="1s"/></speak>'):
        with pytest.raises(UserError, match="found nothing to speak in this SSML"):
            few(nothing)
    half = few('<speak>你好<break time="1s"/>ab cd</speak>')
    assert np.array_equal(half.wave[few.rate :], plain.wave)


def test_what_is_too_loud_is_turned_down_and_not_cut_off(speaker):
    plain = speaker("abca").wave
    loud = speaker('<speak><prosody volume="+40dB">abca</prosody></speak>').wave
    assert 0.9 < np.abs(loud).max() <= 1
    assert (np.abs(loud) >= 1).mean() < 0.001 < (np.abs(plain) * 100 >= 1).mean()


def test_words_far_apart_in_volume_are_spoken(few):
    """The second is 50 dB louder than the first: no control of a model goes so far."""
    found = few('<speak><prosody volume="-50dB">ab</prosody> cd</speak>').wave
    half = len(found) // 2
    assert found[half:].std() > 30 * found[:half].std() > 0
    hushed = few('<speak><prosody volume="-9999dB">ab</prosody> cd</speak>').wave
    assert np.abs(hushed[: half // 2]).max() < 1e-6 and np.isfinite(hushed).all()


@pytest.mark.parametrize("inner", ["+9999dB", "+20dB"])
def test_what_no_voice_can_be_is_said(speaker, inner):
    with pytest.raises(UserError, match=r"line 1, .* volume '.*', expected at most \+40dB in all"):
        speaker(
            f'<speak><prosody volume="+30dB">a <prosody volume="{inner}">b</prosody></prosody></speak>'
        )


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


def test_a_speaker_who_is_not_in_the_table_is_said(data, tmp_path, capsys):
    command = data(u1="abca", u2="ab")
    table = tmp_path / "raw/set/utt2sid"
    for content, said in (
        ("u1 1\n", "utterance u2: found 'nothing'"),
        ("u1 1\nu2 two\n", "u2: found 'two'"),
    ):
        table.write_text(content)
        assert call(tts_synthesize.main, command) == 1
        error = capsys.readouterr().err
        assert f"{said} in utt2sid, expected a number" in error and "Traceback" not in error


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
