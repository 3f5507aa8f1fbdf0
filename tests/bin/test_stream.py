"""The command stream, with a model that nobody taught: lines with times, and figures."""

import re

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_ext.bin import stream
from espnet_ext.bin.command import call
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.export.pack import pack
from espnet_ext.inference.results import Hypothesis, Piece
from espnet_ext.inference.streaming import Said, StreamOptions
from espnet_ext.inference.streaming_show import Reply, delays, stability, summary

CONFIG = {
    "token_list": ["<blank>", "<unk>", "<space>", *"abcde", "<sos/eos>"],
    "token_type": "char",
    "frontend_conf": {"fs": 8000, "n_fft": 256, "win_length": 256, "hop_length": 80, "n_mels": 20},
    "normalize": None,
    "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
    "encoder_conf": {
        "output_size": 16,
        "num_blocks": 1,
        "attention_heads": 2,
        "linear_units": 16,
        "kernel": 5,
        "channels": 4,
        "chunk": {"left": 2},
    },
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
    "model_conf": {"ctc_weight": 0.5},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asr")
    torch.manual_seed(0)
    model = TASKS["asr"].build({**TASKS["asr"].defaults, **CONFIG})
    with torch.no_grad():
        model.ctc.ctc_lo.bias[0] -= 5  # so that it says something
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    torch.save(model.state_dict(), folder / "valid.acc.ave.pth")
    noise = 0.1 * np.random.default_rng(0).standard_normal((32000, 2))
    soundfile.write(folder / "a.wav", noise, 16000)
    return folder


def test_a_recording_is_listened_to(folder, capsys):
    given = [str(folder / "a.wav"), "--model_dir", str(folder), "--piece", "0.25"]
    assert call(stream.main, given) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    times = [float(re.fullmatch(r" *([\d.]+) s +(\.\.\.|==) .*", line)[1]) for line in lines]
    assert times and times == sorted(times) and times[-1] == 2.0 and "==" in lines[-1]
    assert last.startswith("# 2.00 s of sound in ") and "shown words changed later" in last


def test_a_file_that_is_still_written_is_listened_to(folder, capsys):
    given = [str(folder / "a.wav"), "--model_dir", str(folder), "--live", "0.2"]
    assert call(stream.main, given) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" *2\.00 s +== .+", last)
    assert call(stream.main, [str(folder / "b.wav"), *given[1:]]) == 1
    assert "found no file with a WAV header after 0.2 s" in capsys.readouterr().err


def test_a_model_is_named_as_for_transcribe(folder, tmp_path, monkeypatch):
    own = {"ctc_weight": 0.3, "confidence_scale": 0.7, "beam_size": 3}
    (tmp_path / "decode.yaml").write_text(yaml.safe_dump(own))
    monkeypatch.chdir(folder)
    pack("asr", ".", tmp_path / "a.zip", decode_config=tmp_path / "decode.yaml")
    cache, model = ["--cache", str(tmp_path / "cache")], ["--model_dir", str(folder)]

    def options(*given):
        return stream.loaded(stream.get_parser().parse_args(["a.wav", *given])).options

    packed = StreamOptions(ctc_weight=0.3, confidence_scale=0.7)
    assert options("--model", str(tmp_path / "a.zip"), *cache) == packed
    assert options(*model, "--config", str(tmp_path / "decode.yaml")) == packed
    assert options("--model", str(folder)) == options(*model) == StreamOptions()
    weights = ["--model", "valid.acc.ave.pth"]
    told = options(*model, *weights, "--beam", "3", "--pause", "0.5", "--longest", "9", "--once")
    assert told == StreamOptions(beam=3, pause=0.5, longest=9.0, again=False)


def test_no_model(capsys):
    assert call(stream.main, ["a.wav"]) == 1
    assert "found no model, expected one: --model model.zip" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--piece", "0", "piece: found 0.0, expected seconds above 0"),
        ("--piece", "inf", "piece: found inf, expected seconds above 0"),
        ("--chunk", "inf", "chunk: found inf, expected a number from 0.01 to 60"),
        ("--silence", "-1", "silence: found -1.0, expected a number from 0"),
        ("--ctc_weight", "2", "ctc_weight: found 2.0, expected a number from 0.0 to 1.0"),
    ],
)
def test_what_is_no_option(folder, capsys, option, value, message):
    assert (
        call(stream.main, [str(folder / "a.wav"), "--model_dir", str(folder), option, value]) == 1
    )
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("given", [{"beam": 2.5}, {"beam": "8"}, {"left": -1}, {"chunk": None}])
def test_what_is_no_number(given):
    (name,) = given
    with pytest.raises(UserError, match=f"{name}: found"):
        StreamOptions(**given)


def said(heard, words, final=False):
    pieces = tuple(Piece(word, number, number + 0.5, 1.0) for number, word in enumerate(words))
    hypothesis = Hypothesis(" ".join(words), (), (), 0.0, words=pieces) if final else None
    return Said(heard, 0.0, tuple(words), final, hypothesis)


def test_delays_and_stability_are_those_of_words_that_stay():
    replies = [
        Reply(1.0, 0.1, (said(1.0, ["a"]),)),
        Reply(2.0, 0.1, (said(2.0, ["a", "x"]),)),
        Reply(3.0, 0.2, (said(3.0, ["a", "b"]),)),
        Reply(4.0, 0.3, (said(4.0, ["a", "b", "c"], final=True),)),
    ]
    # ends at 0.5, 1.5, 2.5; shown for good at 1, 3 and 4, each after some work
    assert delays(replies) == pytest.approx([0.6, 1.7, 1.8])
    assert stability([one for reply in replies for one in reply.said]) == (1, 3)
    assert summary(replies, 4.0) == (
        "# 4.00 s of sound in 0.70 s (real-time factor 0.175), words after 1.70 s (median), 1 of 3 shown words "
        "changed later"
    )
