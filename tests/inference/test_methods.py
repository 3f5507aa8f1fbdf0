"""The ways to decode, and sounds of every kind, through Speech2Text."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from espnet_ext.errors import UserError
from espnet_ext.inference.boosting import boost_of
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.text.tokens import TextPipeline

RATE = 8000
OPTIONS = DecodeOptions(beam_size=4, lm_weight=0.3, ctc_weight=0.4, nbest=2)


@pytest.fixture(scope="module")
def engine(tiny):
    """Makes recognisers of one model, loaded once for each set of options."""
    made = {}

    def make(**changes):
        options = replace(OPTIONS, **changes)
        if repr(options) not in made:
            lm = None if options.ctc_alone else tiny.model("lm")
            made[repr(options)] = Speech2Text.from_dir(
                tiny.model("asr"), lm_dir=lm, options=options
            )
        return made[repr(options)]

    return make


def sounds(tiny):
    names = sorted((tiny.valid / "wav").iterdir())
    return [soundfile.read(name)[0].astype(np.float32) for name in names]


WAYS = [
    {"method": "joint"},
    {"method": "attention"},
    {"method": "ctc_greedy", "nbest": 1},
    {"method": "ctc_prefix"},
    {"method": "ctc_rescore"},
    {"length_alpha": 0.7, "coverage_weight": 0.1, "boost": ("ab", "dc d")},
]


@pytest.mark.parametrize("way", WAYS)
def test_wild_sounds_are_recognised_as_alone(tiny, engine, way):
    """Silence, a clip of 0.05 s, no sound, NaN, 48 kHz and stereo in one batch with speech, in two orders."""
    recognise, (first, second, third) = engine(**way), sounds(tiny)
    fast = np.repeat(first, 6)  # 48 kHz, roughly
    stereo = np.stack([second, second], axis=1)
    nan = np.where(np.arange(len(third)) == 700, np.nan, third)
    given = [
        (first, RATE),
        (np.zeros(9000, np.float32), RATE),
        (fast, 48000),
        (third[: RATE // 20], RATE),
        (nan, RATE),
        (stereo, None),
        (np.zeros(0, np.float32), RATE),
        ((third * 32767).astype(np.int16), RATE),
    ]
    found = recognise.many(*zip(*given, strict=True))
    back = recognise.many(*zip(*given[::-1], strict=True))[::-1]
    assert found[4].text == found[6].text == ""
    for one, again, (samples, rate) in zip(found, back, given, strict=True):
        alone = recognise(samples, rate)
        assert [h.tokens for h in one] == [h.tokens for h in again] == [h.tokens for h in alone]
        for ours, theirs in zip(one, alone, strict=True):
            assert ours.score == pytest.approx(theirs.score, abs=1e-3) or ours.score == -math.inf
        assert [(w.start, w.end) for w in one.words] == [(w.start, w.end) for w in alone.words]
        assert one.text == "" or all(w.confidence > 0 for w in one.words)
    assert found[5].tokens == recognise(second).tokens


def test_a_method_has_its_own_answer(tiny, engine):
    (sample, *_) = sounds(tiny)
    assert set(engine(method="attention")(sample)[0].scores) == {"decoder", "lm"}
    assert set(engine(method="ctc_prefix")(sample)[0].scores) == {"ctc"}
    rescored = engine(method="ctc_rescore", penalty=0.1)(sample)[0]
    assert set(rescored.scores) == {"decoder", "ctc", "lm", "length_bonus"}
    prefix = engine(method="ctc_prefix")(sample)[0]
    assert (
        prefix.scores["ctc"] >= engine(method="ctc_greedy", nbest=1)(sample)[0].scores["ctc"] - 1e-4
    )
    stock = Speech2Text.from_dir(
        tiny.model("asr"), options=replace(OPTIONS, method="attention", search="stock")
    )
    ours = Speech2Text.from_dir(tiny.model("asr"), options=replace(OPTIONS, method="attention"))
    assert ours(sample)[0].tokens == stock(sample)[0].tokens


def test_what_is_boosted_is_said(tiny, engine):
    for sample in sounds(tiny):
        found = engine(boost=("bad",), boost_weight=30.0)(sample)
        assert "bad" in found.text.split() and "bad" not in engine()(sample).text.split()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "best"}, "method: found 'best', expected joint or attention"),
        ({"search": "stock", "method": "ctc_prefix"}, "stock does not know method: ctc_prefix"),
        ({"search": "stock", "length_alpha": 0.5}, "stock does not know length_alpha"),
        ({"method": "ctc_greedy", "nbest": 5}, "ctc_greedy does not know nbest: 5: leave it out"),
        ({"method": "ctc_prefix", "boost": ["a"], "penalty": 1.0}, "does not know boost, penalty:"),
        ({"method": "ctc_prefix", "length_alpha": 0.7}, "does not know length_alpha"),
        ({"method": "ctc_prefix", "coverage_weight": 1.0}, "does not know coverage_weight"),
        ({"method": "ctc_prefix", "ilm_weight": 1.0}, "does not know ilm_weight"),
        ({"normalize_length": True, "length_alpha": 0.5}, "expected one of them"),
        ({"boost": [1]}, "boost: found .*expected a list of phrases"),
        ({"boost": [" "]}, "boost: found"),
        ({"coverage_threshold": -1.0}, "coverage_threshold: found -1.0"),
    ],
)
def test_options_that_do_not_go_together(given, said):
    with pytest.raises(UserError, match=said):
        DecodeOptions(**given)


def test_ctc_alone_asks_no_language_model(tiny, tmp_path):
    """Whoever gives one is told; one without a weight, and what recipes give in any case, may stay."""
    usual = DecodeOptions(method="ctc_prefix", nbest=3, beam_size=5, lm_weight=0.4, ctc_weight=0.3)
    given = {"model_dir": tiny.model("asr"), "lm_dir": tiny.model("lm")}
    with pytest.raises(UserError, match=r"ctc_prefix and a language model \(lm\).*lm_weight: 0"):
        Speech2Text.from_dir(**given, options=usual)
    Speech2Text.from_dir(**given, options=replace(usual, lm_weight=0.0))
    Speech2Text.from_dir(tiny.model("asr"), options=usual)


def test_phrases_from_a_list_and_from_a_file(tmp_path):
    (tmp_path / "phrases").write_text("ab\n\n dc d \n")
    assert DecodeOptions(boost=str(tmp_path / "phrases")).phrases() == ["ab", "dc d"]
    assert DecodeOptions(boost=["x"]).boost == ("x",)
    with pytest.raises(UserError, match="no such file, expected phrases"):
        DecodeOptions(boost="nowhere.txt").phrases()


def test_a_phrase_that_the_model_cannot_write(tiny, engine):
    with pytest.raises(UserError, match="found 'axe', of which the model cannot write x e"):
        engine(boost=("axe",))


def test_where_words_begin():
    chars = TextPipeline("char", ["<blank>", "<unk>", "<space>", "a", "b", "字", "<sos/eos>"])
    found = boost_of(chars, ["ab", "字a"])
    assert found is not None and found.phrases == [[2, 3, 4], [5, 3]] and found.before == [2]
    assert [t for t, b in zip(chars.token_list, found.begins, strict=True) if b] == [
        "<space>",
        "字",
    ]
    words = TextPipeline("word", ["<blank>", "<unk>", "a", "b", "<sos/eos>"])
    found = boost_of(words, ["a b"])
    assert found is not None and found.phrases == [[2, 3]] and all(found.begins)
    assert boost_of(words, []) is None


def test_a_model_without_ctc_or_without_decoder(tiny, tmp_path):
    from espnet_ext.bridge.batched import batch_search
    from espnet_ext.bridge.load import load_model
    from espnet_ext.bridge.search import Others

    folder = tiny.model("asr")
    model, _ = load_model("asr", folder / "config.yaml", folder / "valid.acc.ave.pth")
    ctc, model.ctc = model.ctc, None
    assert batch_search(model, Others(), replace(OPTIONS, method="attention")) is not None
    with pytest.raises(UserError, match=r"without CTC and ctc_weight: 0\.4"):
        batch_search(model, Others(), OPTIONS)
    model.ctc, model.decoder = ctc, None
    assert batch_search(model, Others(), replace(OPTIONS, method="ctc_prefix")) is not None
    with pytest.raises(UserError, match=r"without attention decoder.*method: ctc_prefix"):
        batch_search(model, Others(), OPTIONS)


def out_of_memory(call, longest):
    """The same, as if memory held no more than `longest` samples or frames."""

    def short(x, *more):
        if max(x.shape[-1], len(x)) > longest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return call(x, *more)

    return short


@pytest.mark.parametrize("part", ["encoder", "search"])
def test_an_utterance_that_memory_does_not_hold_takes_no_other_along(
    tiny, engine, monkeypatch, part
):
    recognise, (first, second, _) = engine(), sounds(tiny)
    long = np.tile(first, 4)
    expected = recognise([first, second], RATE)
    if part == "encoder":
        short = out_of_memory(recognise.model.encode, max(len(first), len(second)))
        monkeypatch.setattr(recognise.model, "encode", short)
    else:
        frames = max(len(recognise._encode(x)) for x in (first, second))
        begin = recognise.batched._begin

        def begun(some, *more):
            if max(map(len, some)) > frames:
                raise MemoryError
            return begin(some, *more)

        monkeypatch.setattr(recognise.batched, "_begin", begun)
    found = recognise([first, long, second], RATE)
    assert [f.text for f in (found[0], found[2])] == [f.text for f in expected]
    assert found[0].error is None and found[2].error is None
    assert found[1].text == "" and found[1].seconds == len(long) / RATE
    assert "s of sound, more than the memory" in found[1].error and "--longest" in found[1].error
    assert recognise(long, RATE).error == found[1].error


def test_an_encoder_that_gives_no_number_is_told(tiny, engine, monkeypatch):
    recognise, (first, second, _) = engine(), sounds(tiny)
    encode = recognise.model.encode

    def overflown(x, lengths):
        found, sizes = encode(x, lengths)
        return (found * float("inf") if x.shape[1] == len(first) else found), sizes

    monkeypatch.setattr(recognise.model, "encode", overflown)
    lost, found = recognise([first, second], RATE)
    assert lost.text == "" and "output is no number (NaN or infinite) in float32" in lost.error
    assert found.error is None and found.text


def test_a_piece_that_cannot_be_recognised_costs_the_recording_nothing_else(
    tiny, engine, monkeypatch, tmp_path
):
    from espnet_ext.inference.results import Hypothesis, Recognition
    from espnet_ext.inference.transcribe import Segment, collect

    good = Recognition((Hypothesis("yes", (), (), 0.0),), 2.0)
    bad = Recognition(seconds=3.0, error="too long")
    pieces = [(0, 2, good), (2, 5, bad), (5, 7, good), (9, 9, Recognition())]
    segments = [(0, Segment(float(a), float(b), found)) for a, b, found in pieces]
    (whole,) = collect(segments, ["a.wav"])
    assert [s.start for s in whole.segments] == [0.0, 5.0]
    assert whole.seconds == 9.0 and whole.error == "a.wav, from 2 s on: too long"
    recognise, (first, *_) = engine(), sounds(tiny)
    soundfile.write(tmp_path / "a.wav", first, RATE)
    short = out_of_memory(recognise.model.encode, 1)
    monkeypatch.setattr(recognise.model, "encode", short)
    (piece,) = recognise.transcribe(tmp_path / "a.wav")
    assert piece.found.error and piece.end == pytest.approx(len(first) / RATE)


def test_an_utterance_that_cannot_be_read_takes_no_other_along(tiny, engine, tmp_path, monkeypatch):
    """All others are written; the command ends with the error."""
    from espnet_ext.datadir import read_table
    from espnet_ext.inference.decode import decode_sets

    data = tmp_path / "data/valid"
    data.mkdir(parents=True)
    scp = (tiny.valid / "wav.scp").read_text()
    decode_sets(engine(), tiny.valid.parent, ["valid"], tmp_path / "whole", 1, 1)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (data / "wav.scp").write_text(f"utt-broken {tmp_path}/broken.wav\n{scp}")
    with pytest.raises(UserError, match=r"found 1 utterances that cannot be read.*utt-broken"):
        decode_sets(engine(), data.parent, ["valid"], tmp_path / "part", 1, 1)
    for table in ("text", "token"):
        whole, part = (
            read_table(tmp_path / name / "valid" / table, empty=True) for name in ("whole", "part")
        )
        assert part.pop("utt-broken") == "" and part == whole
    monkeypatch.setattr("espnet_ext.inference.sounds.LONGEST", 0.01)
    with pytest.raises(UserError, match=r"the first: \S+-00: found 0 s of sound, expected at most"):
        decode_sets(engine(), tiny.valid.parent, ["valid"], tmp_path / "long", 1, 1)
