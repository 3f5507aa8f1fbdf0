"""Utterances, batches and what is wrong with data."""

import random
import shutil
import tracemalloc

import numpy as np
import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.data import Collate, drawing_from, loader, read_data_dir, read_text


@pytest.fixture
def pipeline(tiny):
    return TextPipeline.from_dir(tiny.tokens)


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny.valid, tmp_path / "data")


def test_an_utterance_is_its_samples_and_tokens(tiny, pipeline):
    data = read_data_dir(tiny.valid, pipeline)
    utt, item = data[0]
    text = dict(line.split() for line in (tiny.valid / "text").read_text().splitlines())[utt]
    assert [pipeline.token_list[i] for i in item["text"]] == list(text)
    assert item["speech"].ndim == 1 and len(item["speech"]) / 8000 == pytest.approx(
        data.seconds[0], abs=1e-3
    )
    assert abs(item["speech"]).max() <= 1


def test_a_batch_is_padded_with_its_lengths(tiny, pipeline):
    data = read_data_dir(tiny.train, pipeline)
    ids, batch = Collate(text_pad=-1)([data[0], data[3]])
    assert ids == data.ids[3::-3]  # the longer one first: ESPnet's recurrent encoders ask for it
    assert batch["text_lengths"].tolist() == [5, 2]
    assert batch["text"][1, 2:].tolist() == [-1, -1, -1]
    assert float(batch["speech"][1, int(batch["speech_lengths"][1]) :].abs().max()) == 0


def test_speakers_are_numbers(tiny, pipeline, folder):
    (folder / "utt2sid").write_text("".join(f"valid-{i:02d} {i + 1}\n" for i in range(3)))
    data = read_data_dir(folder, pipeline)
    _, batch = Collate(text_pad=0)([data[i] for i in range(3)])
    assert batch["sids"].tolist() == [[3], [2], [1]] and "sids_lengths" not in batch


@pytest.mark.parametrize("table", ["wav.scp", "utt2dur", "utt2sid"])
def test_a_table_that_lacks_an_utterance_is_named(folder, pipeline, table):
    lines = (
        "valid-00 1\nvalid-01 1\n"
        if table == "utt2sid"
        else (folder / table).read_text().splitlines(True)[:-1]
    )
    (folder / table).write_text("".join(lines))
    with pytest.raises(UserError, match="lacks utterance valid-02") as error:
        read_data_dir(folder, pipeline)
    assert ("sids" if table == "utt2sid" else table) in str(error.value)


@pytest.mark.parametrize("value", ["abc", "-1", "nan"])
def test_durations_are_numbers_of_seconds(folder, pipeline, value):
    table = folder / "utt2dur"
    rows = [line.split()[0] for line in table.read_text().splitlines()]
    table.write_text("".join(f"{u} {value if u == 'valid-01' else 1}\n" for u in rows))
    with pytest.raises(UserError, match="for 'valid-01', expected seconds"):
        read_data_dir(folder, pipeline)


def test_a_missing_directory_is_said(tmp_path, pipeline):
    with pytest.raises(UserError, match=r"no/wav\.scp: no such file"):
        read_data_dir(tmp_path / "no", pipeline)


def test_no_line_of_text_is_lost(tmp_path, pipeline):
    for name, lines in (("one", "u1 a b\nu2 b\n"), ("two", "u1 c\nu3 d\n")):
        (tmp_path / name).write_text(lines)
    data = read_text([tmp_path / "one", tmp_path / "two"], pipeline)
    assert len(data) == 4 and len(set(data.ids)) == 4
    assert sorted(pipeline.text(t.tolist()) for t in data.tokens) == ["a b", "b", "c", "d"]


def test_many_sentences_take_little_memory(tmp_path, pipeline):
    """Eight bytes a token and a hundred a sentence were 25 GB for LibriSpeech's books."""
    count = 50_000
    lines = (f"u{index:05d} {'a b c ' * 5}\n" for index in range(count))
    (tmp_path / "text").write_text("".join(lines))
    tracemalloc.start()
    data = read_text([tmp_path / "text"], pipeline)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) == count and len(data.tokens[count - 1]) == 29
    assert kept < count * 220 and peak < count * 320


def test_bad_lines_of_a_text_are_named(tmp_path, pipeline):
    for name, content, expected in (
        ("twice", b"u1 a\nu2 b\nu1 c\n", "found 'u1' twice, in lines 1 and 3"),
        ("empty", b"u1 a\n\nu2 b\n", "line 2: found an empty line"),
        ("lacking", b"u1 a\nu2\n", "line 2"),
        ("latin", b"u1 a\nu2 \xe9\n", "UTF-8"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=expected):
            read_text([tmp_path / name], pipeline)
    with pytest.raises(UserError, match="no such file"):
        read_text([tmp_path / "none"], pipeline)


def test_lengths_in_units(tiny, pipeline):
    text, speech = read_text([tiny.valid / "text"], pipeline), read_data_dir(tiny.valid, pipeline)
    assert speech.lengths("utterances") == [1.0] * 3
    assert text.lengths("tokens") == speech.lengths("tokens") == [3.0, 4.0, 5.0]
    for data, unit in ((text, "seconds"), (speech, "bins")):
        with pytest.raises(UserError, match=f"found '{unit}'"):
            data.lengths(unit)


def draws(uid, item):
    return {**item, "draw": np.array([np.random.rand(), random.random(), float(torch.rand(()))])}


def test_what_a_preprocessor_draws_depends_on_nothing_but_seed_epoch_and_utterance(tiny, pipeline):
    data = read_data_dir(tiny.train, pipeline)
    data.preprocessor, data.seed = draws, (0, 1)
    before = torch.get_rng_state()
    batches = [[0, 1], [2], [3, 4]]
    found = [
        torch.cat([batch["draw"] for _, batch in loader(data, which, Collate(-1), workers)])
        for workers, which in ((0, batches), (2, batches), (0, batches[1:]))
    ]
    assert torch.equal(found[0], found[1]) and torch.equal(found[0][2:], found[2])
    assert len(set(found[0].flatten().tolist())) == 15
    data.seed = (0, 2)
    assert not np.array_equal(data[0][1]["draw"], found[0][0].numpy())
    assert torch.equal(before, torch.get_rng_state())


def test_reading_leaves_the_generators_alone(tiny, pipeline):
    """A loader that draws from torch's generator would change the dropout after a resume."""
    data = read_data_dir(tiny.valid, pipeline)
    before = torch.get_rng_state()
    for workers in (0, 1):
        assert len(list(loader(data, [[0], [1, 2]], Collate(-1), workers))) == 2
    assert torch.equal(before, torch.get_rng_state())


def test_the_generators_are_restored_after_an_error():
    before = torch.get_rng_state(), random.getstate()
    with pytest.raises(ZeroDivisionError), drawing_from(1, 2):
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate()
