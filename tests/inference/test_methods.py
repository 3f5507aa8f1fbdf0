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
            made[repr(options)] = Speech2Text.from_dir(
                tiny.model("asr"), lm_dir=tiny.model("lm"), options=options
            )
        return made[repr(options)]

    return make


def sounds(tiny):
    names = sorted((tiny.valid / "wav").iterdir())
    return [soundfile.read(name)[0].astype(np.float32) for name in names]


WAYS = [
    {"method": "joint"},
    {"method": "attention"},
    {"method": "ctc_greedy"},
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
    assert prefix.scores["ctc"] >= engine(method="ctc_greedy")(sample)[0].scores["ctc"] - 1e-4
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
        ({"normalize_length": True, "length_alpha": 0.5}, "expected one of them"),
        ({"boost": [1]}, "boost: found .*expected a list of phrases"),
        ({"boost": [" "]}, "boost: found"),
        ({"coverage_threshold": -1.0}, "coverage_threshold: found -1.0"),
    ],
)
def test_options_that_do_not_go_together(given, said):
    with pytest.raises(UserError, match=said):
        DecodeOptions(**given)


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


def test_an_utterance_that_cannot_be_read_takes_no_other_along(tiny, engine, tmp_path):
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
