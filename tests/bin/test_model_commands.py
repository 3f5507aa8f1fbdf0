"""The commands of the models, from statistics to tables, on the corpus of tones."""

import json

import pytest

from espnet_ext.bin import (
    asr_decode,
    asr_train,
    collect_stats,
    lm_perplexity,
    lm_train,
    tts_synthesize,
)
from espnet_ext.bin.command import call
from espnet_ext.datadir import read_table


def test_a_recogniser_from_its_commands(tiny, tmp_path, capsys):
    config = tiny.places("asr", tmp_path).config
    common = [
        "--config",
        str(config),
        "--train",
        str(tiny.train),
        "--valid",
        str(tiny.valid),
        "--tokens",
        str(tiny.tokens),
    ]
    stats, model = tmp_path / "stats", tmp_path / "exp"
    assert call(collect_stats.main, [*common, "--task", "asr", "--output-dir", str(stats)]) == 0
    assert (stats / "train/feats_stats.npz").is_file() and (
        stats / "valid/text_shape.char"
    ).is_file()
    trained = [
        "--stats-dir",
        str(stats),
        "--output-dir",
        str(model),
        "--device",
        "cpu",
        "--set",
        "max_epoch=1",
    ]
    assert call(asr_train.main, [*common, *trained]) == 0
    assert f"final model: {model}/valid.acc.ave.pth" in capsys.readouterr().out
    (tmp_path / "decode.yaml").write_text("{beam_size: 2, lm_weight: 0}")
    decoded = [
        "--model_dir",
        str(model),
        "--config",
        str(tmp_path / "decode.yaml"),
        "--output_dir",
        str(tmp_path / "d"),
    ]
    assert call(asr_decode.main, [str(tiny.valid.parent), "valid", *decoded]) == 0
    assert len(read_table(tmp_path / "d/valid/text", empty=True)) == 3


def test_a_language_model_from_its_commands(tiny, tmp_path, capsys):
    config = tiny.places("lm", tmp_path).config
    text = ["--train", str(tiny.train / "text"), "--valid", str(tiny.valid / "text")]
    options = [
        "--config",
        str(config),
        *text,
        "--tokens",
        str(tiny.tokens),
        "--output_dir",
        str(tmp_path / "exp"),
    ]
    assert call(lm_train.main, options) == 0
    measured = [
        "--model_dir",
        str(tmp_path / "exp"),
        "--text",
        *text[1::2],
        "--output",
        str(tmp_path / "ppl.json"),
    ]
    assert call(lm_perplexity.main, measured) == 0
    found = json.loads((tmp_path / "ppl.json").read_text())
    assert f"perplexity {found['perplexity']:.2f} a token" in capsys.readouterr().out
    assert found["utterances"] == 15 and 1 < found["perplexity"] < 20


def test_speech_from_its_command(tiny, tmp_path):
    options = ["--model_dir", str(tiny.model("tts")), "--output_dir", str(tmp_path), "--job", "2/2"]
    assert call(tts_synthesize.main, [str(tiny.valid.parent), "valid", *options]) == 0
    assert [p.name for p in (tmp_path / "valid/wav").iterdir()] == ["valid-01.wav"]


@pytest.mark.parametrize("job", ["0/2", "3/2", "1", "a/b"])
def test_a_job_that_makes_no_sense(job, capsys):
    with pytest.raises(SystemExit) as stopped:
        asr_decode.main(["data", "set", "--model_dir", "m", "--output_dir", "o", "--job", job])
    assert stopped.value.code == 2 and f"found '{job}', expected JOB/N" in capsys.readouterr().err


def test_a_set_without_utterances_is_told(tiny, tmp_path, capsys):
    """Past bug: nothing was decoded, and all was well."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set/wav.scp").write_text("")
    options = ["--model_dir", str(tiny.model("asr")), "--output_dir", str(tmp_path / "out")]
    assert call(asr_decode.main, [str(tmp_path), "set", *options]) == 1
    assert "set/wav.scp: found no utterance, expected at least one" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
