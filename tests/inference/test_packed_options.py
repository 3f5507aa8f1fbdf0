"""A packed recogniser decodes as its scores were made, unless it is told otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from espnet_ext.bin.command import call
from espnet_ext.bin.transcribe import main
from espnet_ext.errors import UserError
from espnet_ext.export.archive import extract, unpack
from espnet_ext.export.pack import pack
from espnet_ext.inference.options import DecodeOptions
from espnet_ext.inference.packed_options import packed_options
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.inference.streaming_options import StreamOptions, options_of

OWN = {"beam_size": 3, "ctc_weight": 0.7, "lm_weight": 0.3, "penalty": 1.5, "confidence_shift": 0.3}


@pytest.fixture
def packed(tiny, tmp_path, monkeypatch):
    """A recogniser with the YAML of its decoding."""
    monkeypatch.chdir(tiny.root)
    (tmp_path / "decode.yaml").write_text(yaml.safe_dump(OWN))
    model = tiny.model("asr").relative_to(tiny.root)
    pack("asr", model, tmp_path / "a.zip", decode_config=tmp_path / "decode.yaml")
    monkeypatch.setenv("ESPNET_EXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "a.zip"


def test_what_was_packed_is_used_unless_told_otherwise(packed):
    def options(**given):
        return Speech2Text.from_pretrained(packed, **given).options

    assert options() == DecodeOptions(**OWN)
    assert options(beam=2, ctc_weight=0.1) == DecodeOptions(
        **{**OWN, "beam_size": 2, "ctc_weight": 0.1}
    )
    assert options(options=DecodeOptions(beam_size=4)) == DecodeOptions(beam_size=4)
    greedy = options(method="ctc_greedy")  # which knows no penalty
    assert greedy == DecodeOptions(beam_size=3, confidence_shift=0.3, method="ctc_greedy")


def test_a_model_without_has_the_usual_ones(tiny):
    assert packed_options(find_model(tiny.model("asr"))) == DecodeOptions()


def test_streams_take_what_they_share_with_decoding():
    found = options_of(DecodeOptions(**OWN))
    assert found == StreamOptions(ctc_weight=0.7, confidence_shift=0.3)
    assert options_of(DecodeOptions()) == StreamOptions()


def test_the_command_does_what_the_engine_does(tiny, packed, tmp_path, monkeypatch):
    seen, make = [], Speech2Text.__init__

    def made(self, *given, options, **more):
        seen.append(options)
        make(self, *given, options=options, **more)

    monkeypatch.setattr(Speech2Text, "__init__", made)
    (tmp_path / "other.yaml").write_text("beam_size: 2\n")
    name = str(tiny.valid / "wav/valid-00.wav")
    more = ["--config", str(tmp_path / "other.yaml")]
    phrases = ["--boost", "dac b", "--boost", "cab"]
    for given in ([name], [*more, "--beam", "1", name], [*phrases, name]):
        assert call(main, [*given, "--model", str(packed)]) == 0
    assert seen == [
        DecodeOptions(**OWN),
        DecodeOptions(beam_size=1),
        DecodeOptions(**OWN, boost=("dac b", "cab")),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam_sise: 3", r"decode\.yaml: unknown key 'beam_sise'; did you mean beam_size"),
        ("beam_size: many", r"decode\.yaml: beam_size: found 'many', expected a whole number"),
        ("- 3", r"decode\.yaml: found a list"),
        ("boost: /etc/passwd", "found boost: '/etc/passwd', expected a list of phrases"),
        ("!!python/object/apply:os.getcwd []", r"decode\.yaml: not readable as YAML"),
        (None, "no such"),
    ],
)
def test_a_strangers_options_are_read_with_care(packed, tmp_path, text, message):
    extract(packed, tmp_path / "model")
    (found,) = (tmp_path / "model").rglob("decode.yaml")
    found.unlink() if text is None else found.write_text(text)
    with pytest.raises(UserError, match=message):
        Speech2Text.from_pretrained(tmp_path / "model")


def test_phrases_are_packed_themselves(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.root)
    (tmp_path / "names.txt").write_text("low high\n\nmiddle\n")
    decoding = tmp_path / "decode.yaml"
    decoding.write_text(yaml.safe_dump({"boost": str(tmp_path / "names.txt"), "beam_size": 3}))
    model = tiny.model("asr").relative_to(tiny.root)
    pack("asr", model, tmp_path / "a.zip", decode_config=decoding)
    found = unpack(tmp_path / "a.zip", tmp_path / "out", own=True)
    options = packed_options(found)
    assert options == DecodeOptions(boost=("low high", "middle"), beam_size=3)


def test_stock_is_told_nothing_of_it(packed, tmp_path):
    assert set(unpack(packed, tmp_path / "out")) == {"asr_model_file", "asr_train_config"}
    assert "decode_config" in Path(tmp_path / "out/README.md").read_text()


def test_what_cannot_be_packed(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.root)
    (tmp_path / "decode.yaml").write_text("bean: 3")
    model = tiny.model("asr").relative_to(tiny.root)
    for task, message in (("asr", "unknown key 'bean'"), ("tts", "drop --decode_config")):
        with pytest.raises(UserError, match=message):
            pack(task, model, tmp_path / "a.zip", decode_config=tmp_path / "decode.yaml")
    assert not (tmp_path / "a.zip").exists()
