"""Schedules, and what CTC can align."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.asr.objectives.feasible import TooShortForCTC, check_lengths, frames_needed
from espnet_ext.asr.objectives.schedule import Weight
from tests.asr.tiny_model import tiny_batch, tiny_model


@given(
    st.floats(0, 10), st.floats(0, 10), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0)
)
def test_a_schedule_stays_between_its_ends(first, last, updates, begin, at):
    weight = Weight.read("w", {"from": first, "to": last, "updates": updates, "begin": begin})
    assert min(first, last) <= weight.at(at) <= max(first, last)
    assert weight.at(0) == first and weight.at(begin) == first
    assert weight.at(begin + updates) == weight.at(begin + updates + at) == last


@pytest.mark.parametrize(
    "value",
    [
        None,
        "0.3",
        -1,
        True,
        [1],
        {},
        {"from": 1},
        {"from": 1, "to": 0},
        {"from": 0, "to": 1, "until": 3},
    ]
    + [{"from": 0, "to": -1, "updates": 3}],
)
def test_a_weight_that_is_none(value):
    with pytest.raises(ValueError, match="w: "):
        Weight.read("w", value)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_frames_needed_are_those_of_the_shortest_path(tokens):
    """Against a search over all paths of each length."""
    text, length = torch.tensor([tokens]), torch.tensor([len(tokens)])
    for frames in itertools.count():
        paths = itertools.product(range(4), repeat=frames)
        if any([t for t, _ in itertools.groupby(path) if t] == tokens for path in paths):
            break
    assert int(frames_needed(text, length)) == frames


def test_what_stands_behind_the_text_does_not_count():
    text = torch.tensor([[2, 2, -1, -1, -1], [2, 3, 3, 3, 4]])
    assert frames_needed(text, torch.tensor([2, 5])).tolist() == [3, 7]


def test_an_utterance_too_short_for_its_text_is_named():
    model, batch = tiny_model(), tiny_batch()
    batch["speech_lengths"] = torch.tensor([21, 2, 18])  # one frame for two tokens
    with pytest.raises(
        TooShortForCTC, match=r"1 encoder frames, at least 2 needed.*too_short"
    ) as found:
        model(**batch)
    assert found.value.indices == [1]
    loss, stats, _ = tiny_model(conf={"too_short": "skip"})(**batch)
    assert bool(torch.isfinite(loss)) and float(stats["too_short"]) == 1
    check_lengths(batch["text"], batch["text_lengths"], torch.tensor([5, 2, 3]))
    with pytest.raises(TooShortForCTC):
        check_lengths(batch["text"], batch["text_lengths"], torch.tensor([4, 2, 3]))


def test_a_model_without_ctc_takes_short_utterances():
    batch = tiny_batch()
    batch["speech_lengths"] = torch.tensor([21, 2, 18])
    assert tiny_model(conf={"ctc_weight": 0.0})(**batch)


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"ctc_weight": {"from": 0.5, "to": 0.0, "updates": 9}}, "ends at 0"),
        ({"ctc_weight": {"from": 0.5, "to": 1.0, "updates": 9}}, "ends at 1"),
        ({"ctc_weight": 0.0, "cr_ctc_weight": 0.2}, "no CTC"),
        ({"too_short": "ignore"}, "error or skip"),
        ({"cr_ctc_wieght": 0.2}, "cr_ctc_wieght"),
    ],
)
def test_wrong_options(conf, words):
    from espnet_ext.errors import UserError

    with pytest.raises(UserError, match=words):
        tiny_model(conf=conf)
