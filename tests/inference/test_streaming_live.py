"""Sound that is still coming: blocks, files that grow, a model by its name."""

import logging
import threading
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.inference.streaming import StreamingSpeech2Text
from espnet_ext.inference.streaming_live import Form, at_rate, growing
from tests.bin.test_stream import folder  # noqa: F401
from tests.test_readme import blocks, section


@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=5),
    length=st.integers(0, 5000),
    rates=st.sampled_from([(8000, 8000), (48000, 16000), (8000, 16000), (44100, 16000)]),
)
@settings(deadline=None, max_examples=20)
def test_blocks_at_another_rate_are_the_whole_at_that_rate(sizes, length, rates):
    import soxr

    sound = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    cuts = np.cumsum(sizes * (length // max(sum(sizes), 1) + 1))
    parts = np.split(sound, cuts[cuts < length])
    found = np.concatenate([np.zeros(0, np.float32), *at_rate(parts, *rates)])
    same = rates[0] == rates[1]
    expected = sound if same else soxr.resample(sound, *rates, quality="HQ")
    assert found.dtype == np.float32 and np.array_equal(found, expected)


def test_forms_of_blocks(caplog):
    stereo = np.array([[16384, 0], [-32768, 0]], dtype=np.int16)
    (found,) = at_rate([stereo], 16000, 16000)
    assert found.tolist() == [0.25, -0.5]
    with caplog.at_level(logging.WARNING):
        bad = np.array([np.nan, 0.5, np.inf])
        found = list(at_rate([bad, bad], 8000, 8000))
    assert [x.tolist() for x in found] == 2 * [[0.0, 0.5, 0.0]] and len(caplog.records) == 1
    for block in (np.zeros((2, 2, 2)), "abc", np.array([1j])):
        with pytest.raises(UserError, match="found a block of shape"):
            list(at_rate([block], 8000, 8000))
    for rate in (0, -1, float("nan")):
        with pytest.raises(UserError, match="expected that of the blocks in Hz"):
            list(at_rate([], rate, 8000))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_file_that_is_being_written(tmp_path, subtype):
    """Its header says that nothing is in it, and it comes byte by byte."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 2))
    soundfile.write(tmp_path / "whole.wav", sound, 8000, subtype=subtype)
    data = (tmp_path / "whole.wav").read_bytes()
    begin = data.index(b"data") + 4
    data = data[:begin] + bytes(4) + data[begin + 4 :]

    def write():
        time.sleep(0.05)
        with open(tmp_path / "a.wav", "wb", buffering=0) as stream:
            for start in range(0, len(data), 5001):
                stream.write(data[start : start + 5001])
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    rate, found = growing(tmp_path / "a.wav", idle=3.0, wait=0.01)
    written = np.concatenate([*at_rate(found, rate, 8000)])
    writer.join()
    expected, _ = soundfile.read(tmp_path / "whole.wav")
    assert rate == 8000 and np.allclose(written[: len(expected)], expected.mean(1), atol=1e-6)


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"found no file with a WAV header after 0\.01 s"):
        growing(tmp_path / "a.wav", idle=0.01)
    (tmp_path / "a.wav").write_bytes(b"RIFF1234WAVEfmt ")
    with pytest.raises(UserError, match="found no file with a WAV header"):
        growing(tmp_path / "a.wav", idle=0.01)
    (tmp_path / "a.txt").write_text("no sound at all")
    with pytest.raises(UserError, match="found no WAV file of 16 or 32-bit"):
        growing(tmp_path / "a.txt")
    (tmp_path / "a.raw").write_bytes(np.arange(4, dtype=np.int16).tobytes() + b"x")
    rate, found = growing(tmp_path / "a.raw", Form(8000, 2), idle=0.01)
    assert rate == 8000 and np.concatenate(list(found)).tolist() == [[0, 1], [2, 3]]


def test_a_model_by_its_name(folder):  # noqa: F811
    engine = StreamingSpeech2Text.from_pretrained(folder, silence=0.5)
    assert engine.options.silence == 0.5 and engine.rate == 8000
    with pytest.raises(UserError, match="silent"):
        StreamingSpeech2Text.from_pretrained(folder, silent=0.5)
    with pytest.raises(UserError, match="found no such file or folder"):
        StreamingSpeech2Text.from_pretrained(folder / "nowhere")


def test_the_readmes_lines(folder, tmp_path, monkeypatch, capsys):  # noqa: F811
    live = blocks(section("From Python"), "python")[1]
    assert '"model.zip"' in live and '"some.wav"' in live
    soundfile.write(tmp_path / "some.wav", soundfile.read(folder / "a.wav")[0], 16000)
    monkeypatch.chdir(tmp_path)
    exec(live.replace('"model.zip"', repr(str(folder))), {})
    assert capsys.readouterr().out.strip()
