"""The transcribe command."""

from __future__ import annotations

import json

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.transcribe import main
from espnet_ext.datadir import read_table
from espnet_ext.inference.decode import decode_sets
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text


@pytest.fixture
def command(tiny, tmp_path):
    (tmp_path / "decode.yaml").write_text("beam_size: 3\nctc_weight: 0.4\n")
    model = ["--model", str(tiny.model("asr")), "--config", str(tmp_path / "decode.yaml")]
    return lambda *more: call(main, [*map(str, more), *model])


def test_recordings_are_written_as_decoding_recognises_them(tiny, command, tmp_path, capsys):
    files = sorted((tiny.valid / "wav").iterdir())
    options = DecodeOptions(beam_size=3, ctc_weight=0.4)
    engine = Speech2Text.from_dir(tiny.model("asr"), options=options)
    decode_sets(engine, tiny.valid.parent, ["valid"], tmp_path / "decoded", 1, 1)
    text = read_table(tmp_path / "decoded/valid/text", empty=True)
    assert command(*files, "--format", "json") == 0
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [one["text"].split() for one in found] == [t.split() for t in text.values()]
    assert "transcribe (seconds): " in said.err
    assert command(*files, "--format", "srt", "--output_dir", tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{u}.srt" for u in text]


def test_a_broken_recording_takes_no_other_along(tiny, command, tmp_path, capsys):
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    good = tiny.valid / "wav/valid-00.wav"
    assert command(tmp_path / "broken.wav", good, "--vad", "none") == 1
    said = capsys.readouterr()
    assert said.out.strip() and "found 1 of 2 recordings that cannot be read" in said.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a.wav", "b.wav", "--format", "srt"], "expected one, or --output_dir"),
        (["x/a.wav", "y/a.flac", "--output_dir", "o"], "several recordings called a"),
    ],
)
def test_outputs_that_would_run_into_each_other(command, capsys, given, said):
    assert command(*given) == 1
    assert said in capsys.readouterr().err
