"""Agreement between people, against the published worked example."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.bin.agreement import main
from espnet_ext.bin.command import call
from espnet_ext.errors import UserError
from espnet_ext.quality.agreement import agreement, alpha, word_votes

#: Krippendorff 2011, Computing Krippendorff's alpha-reliability, section C: four observers, twelve units.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
PUBLISHED = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}


def units(rows=OBSERVERS):
    columns = zip(*(row.split() for row in rows), strict=True)
    return [[None if vote == "." else vote for vote in column] for column in columns]


@pytest.mark.parametrize("level", PUBLISHED)
def test_the_published_example(level):
    assert alpha(units(), level) == pytest.approx(PUBLISHED[level], abs=0.0005)


def test_two_observers_with_two_values():
    """Section A of the same paper: ten units, alpha = 0.095."""
    rows = ("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
    assert alpha(units(rows)) == pytest.approx(0.095, abs=0.0005)
    assert alpha(units(rows), "interval") == pytest.approx(alpha(units(rows)))


votes = st.lists(st.lists(st.none() | st.integers(0, 5), min_size=2, max_size=4), max_size=30)


@given(votes, st.sampled_from(sorted(PUBLISHED)), st.randoms())
def test_alpha_is_at_most_one_and_does_not_depend_on_the_order(found, level, chance):
    first = alpha(found, level)
    shuffled = [chance.sample(unit, len(unit)) for unit in found]
    chance.shuffle(shuffled)
    second = alpha(shuffled, level)
    assert (first is None) == (second is None)
    if first is not None:
        assert first <= 1 + 1e-12 and second == pytest.approx(first)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30))
def test_who_agrees_has_alpha_one(values):
    found = alpha([[v, v, v] for v in values])
    assert found == (1 if len(set(values)) > 1 else None)


def test_chance_is_zero():
    draw = random.Random(0)
    found = [[draw.randrange(3), draw.randrange(3)] for _ in range(20_000)]
    assert alpha(found) == pytest.approx(0, abs=0.02)


def test_names_are_no_numbers():
    with pytest.raises(UserError, match="--level nominal"):
        alpha([["a", "b"]], "interval")
    with pytest.raises(UserError, match="expected one of nominal"):
        alpha([[1, 2]], "cardinal")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", math.nan])
@pytest.mark.parametrize("level", ["ordinal", "interval", "ratio"])
def test_what_is_not_finite_is_no_number(value, level):
    with pytest.raises(UserError, match="expected finite numbers"):
        alpha([[1, 2], [1, value]], level)


@pytest.mark.parametrize("level", ["interval", "ratio"])
@given(votes, st.floats(1e-300, 1e300))
def test_alpha_does_not_depend_on_the_unit(level, found, unit):
    plain = alpha(found, level)
    scaled = alpha([[None if v is None else v * unit for v in votes] for votes in found], level)
    assert (plain is None) == (scaled is None)
    assert plain is None or scaled == pytest.approx(plain, abs=1e-9)


def test_words_beside_each_other():
    texts = ["the cat sat".split(), "THE BIG CAT SAT DOWN".split(), "the cat".split()]
    assert word_votes(texts) == [
        ["the", "the", "the"],
        ["", "big", ""],
        ["cat", "cat", "cat"],
        ["sat", "sat", ""],
        ["", "down", ""],
    ]


VERSIONS = {
    "anna": {"u1": "the cat sat on the mat", "u2": "yes", "u3": "no"},
    "bert": {"u1": "the cat sat on a mat", "u2": "yes"},
    "cleo": {"u1": "the cat sat on the mat", "u2": "yes"},
}


def test_versions_of_transcripts():
    found = agreement(VERSIONS)
    assert found.utterances == 2 and found.same == 0.5
    assert found.pairs["anna", "bert"].error_rate == pytest.approx(100 / 7)
    assert found.pairs["anna", "cleo"].errors == 0
    assert found.least[0][0] == "u1" and len(found.least) == 1
    assert 0.8 < found.alpha < 1


def test_nothing_to_compare():
    with pytest.raises(UserError, match="found 1 version"):
        agreement({"anna": {}})
    with pytest.raises(UserError, match="check that the ids agree"):
        agreement({"anna": {"u1": "a"}, "bert": {"u2": "a"}})


def write(path, table):
    path.write_text("".join(f"{k} {v}\n" for k, v in table.items()))
    return str(path)


def test_the_command(tmp_path, capsys):
    paths = [write(tmp_path / name, table) for name, table in VERSIONS.items()]
    assert call(main, [*paths, "--output", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().out
    assert f"WER of {paths[1]} against {paths[0]}: 14.29 %" in said and "50.0 % of 2" in said
    assert '"same": 0.5' in (tmp_path / "a.json").read_text()
    rows = {
        f"{i}": dict(enumerate(column)) for i, column in enumerate(row.split() for row in OBSERVERS)
    }
    tables = [{f"u{k}": v for k, v in row.items() if v != "."} for row in rows.values()]
    paths = [write(tmp_path / f"r{i}", table) for i, table in enumerate(tables)]
    assert call(main, [*paths, "--level", "ordinal"]) == 0
    # One of the twelve units has a single vote.
    assert "(ordinal): 0.815 on 11 ids" in capsys.readouterr().out
    other = write(tmp_path / "other", {"v1": "1"})
    assert call(main, [paths[0], other, "--level", "ordinal"]) == 1
    assert "no id in two of them" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        call(main, paths[:1])
    assert caught.value.code == 2
