"""Groups of utterances, mistakes by word, and speed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.metrics.confusion import summary
from espnet_ext.metrics.groups import UNKNOWN, bucket, group_key, groupings
from espnet_ext.metrics.timing import timing
from espnet_ext.metrics.wer import align, total

WORDS = {"s1-a": 3, "s1-b": 12, "s2-a": 50, "s3-a": 0}


def write(folder, **tables):
    folder.mkdir(exist_ok=True)
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{u} {v}\n" for u, v in rows.items()))


@pytest.fixture
def data(tmp_path):
    write(
        tmp_path,
        utt2spk={u: u[:2] for u in WORDS},
        spk2gender={"s1": "f", "s2": "m", "s3": "f"},
        utt2accent={"s1-a": "Scottish", "s2-a": "Welsh"},
        utt2dur={u: 1 + n / 4 for u, n in WORDS.items()},
    )
    return tmp_path


def test_tables_of_utterances_and_speakers(data):
    found = groupings(data, WORDS)
    assert list(found) == ["gender", "accent", "words", "seconds"]
    assert found["gender"] == {"s1-a": "f", "s1-b": "f", "s2-a": "m", "s3-a": "f"}
    assert found["accent"] == {
        "s1-a": "Scottish",
        "s1-b": UNKNOWN,
        "s2-a": "Welsh",
        "s3-a": UNKNOWN,
    }
    assert found["words"] == {"s1-a": "1-5 words", "s1-b": "11-20 words", "s2-a": "41+ words"}
    assert found["seconds"]["s1-b"] == "2-5 s" and found["seconds"]["s3-a"] == "0-2 s"


def test_noise_that_is_known(data):
    write(data, utt2snr={"s1-a": "3.5", "s1-b": "-2", "s2-a": "5"})
    found = groupings(data, WORDS)["snr"]
    assert found == {"s1-a": "0 to 5 dB", "s1-b": "-5 to 0 dB", "s2-a": "5 to 10 dB"}


def test_a_table_of_ones_own(data):
    write(
        data / "own",
        utt2microphone={"s1-a": "near", "s1-b": "far", "other": "far"},
        dialect={"s1": "north"},
    )
    found = groupings(data, WORDS, [data / "own/utt2microphone", data / "own/dialect"])
    assert found["microphone"] == {"s1-a": "near", "s1-b": "far", "s2-a": UNKNOWN, "s3-a": UNKNOWN}
    assert found["dialect"]["s1-b"] == "north"
    write(data / "own", wrong={"x": "y"})
    with pytest.raises(UserError, match="found none of the utterances, the first is s1-a"):
        groupings(data, WORDS, [data / "own/wrong"])


@settings(deadline=None)
@given(st.floats(0, 1e6), st.lists(st.floats(0.5, 1e5), min_size=1, unique=True))
def test_a_bucket_holds_its_number(value, edges):
    name = bucket(value, sorted(edges), "s")
    low = float(name.split("+")[0].split("-")[0]) if "e-" not in name else 0.0
    assert low <= value * (1 + 1e-5) + 1e-9


def test_groups_are_in_order():
    decibels = ["5 to 10 dB", "-5 to 0 dB", "0 to 5 dB"]
    assert sorted(decibels, key=group_key) == ["-5 to 0 dB", "0 to 5 dB", "5 to 10 dB"]
    names = ["41+ words", "6-10 words", "m", UNKNOWN, "1-5 words", "11-20 words", "f"]
    assert sorted(names, key=group_key) == [
        "1-5 words", "6-10 words", "11-20 words", "41+ words", "f", "m", UNKNOWN
    ]  # fmt: skip


sentence = st.lists(st.sampled_from(["a", "A", "b", "c"]), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(sentence, sentence), max_size=8))
def test_mistakes_add_up(pairs):
    aligned = [align(ref, hyp) for ref, hyp in pairs]
    found, counts = summary(aligned, count=100), total(a.counts for a in aligned)
    times = {kind: sum(row["times"] for row in rows) for kind, rows in found.items()}
    assert times["confused"] == counts.substitutions and times["inserted"] == counts.insertions
    assert times["deleted"] == counts.deletions
    assert times["missed"] == counts.substitutions + counts.deletions
    assert all(row["times"] <= row["said"] for row in found["missed"])


def test_speed(tmp_path):
    lengths = {f"u{n:03d}": 1 + n % 7 for n in range(200)}
    rtf = {u: round(0.1 + 0.001 * n, 4) for n, u in enumerate(lengths)}
    write(tmp_path / "ref", utt2dur=lengths)
    write(tmp_path / "hyp", rtf=rtf)
    (tmp_path / "hyp/hardware").write_text("a fast one\n")
    found = timing(tmp_path / "ref", tmp_path / "hyp")
    values = np.array(list(rtf.values()))
    seconds = np.array(list(lengths.values()))
    assert found["hardware"] == "a fast one" and found["utterances"] == 200
    assert found["rtf"]["p95"] == pytest.approx(np.quantile(values, 0.95), abs=1e-4)
    assert found["latency"]["p99"] == pytest.approx(np.quantile(values * seconds, 0.99), abs=1e-3)
    assert found["rtf_overall"] == pytest.approx((values * seconds).sum() / seconds.sum(), abs=1e-4)
    write(tmp_path / "hyp", latency=dict.fromkeys(lengths, 0.25))
    assert timing(tmp_path / "ref", tmp_path / "hyp")["latency"]["p50"] == 0.25


def test_speed_that_nobody_measured(tmp_path):
    assert timing(tmp_path, tmp_path) is None
    write(tmp_path, rtf={"u": 0.5})
    found = timing(tmp_path, tmp_path)
    assert found["rtf"]["p50"] == 0.5 and "latency" not in found and found["hardware"] is None
    write(tmp_path, rtf={"u": "fast"})
    with pytest.raises(UserError, match="expected a number"):
        timing(tmp_path, tmp_path)
