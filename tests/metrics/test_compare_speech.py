"""Two systems compared figure by figure: who is better, and whether it may be chance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.bin.command import call
from espnet_ext.bin.compare_tts import main
from espnet_ext.errors import UserError
from espnet_ext.metrics.compare_speech import compare, holm, read_utterances, signed_rank


def system(seed, number=24, **offsets):
    random = np.random.default_rng(seed)
    base = np.random.default_rng(0)
    rows = {}
    for n in range(number):
        row = {"mcd": base.normal(6, 1), "stoi": base.normal(0.8, 0.05), "pesq": 2.0}
        row = {k: v + offsets.get(k, 0.0) + random.normal(0, 1e-3) for k, v in row.items()}
        rows[f"u{n}"] = row
    return rows


def test_better_is_lower_or_higher_as_the_figure_has_it():
    found = {d.metric: d for d in compare(system(1), system(2, mcd=-0.5, stoi=-0.1))}
    assert {m: d.better for m, d in found.items()} == {"mcd": "B", "stoi": "A", "pesq": ""}
    mcd = found["mcd"]
    assert mcd.gain == pytest.approx(0.5, abs=0.01) and mcd.probability == 1.0
    assert mcd.interval[0] <= mcd.gain <= mcd.interval[1]
    assert found["stoi"].gain < 0 and found["stoi"].probability == 0.0


def test_turned_round_it_says_the_opposite():
    one, two = system(1), system(2, mcd=0.2)
    for there, back in zip(compare(one, two), compare(two, one), strict=True):
        assert there.gain == -back.gain and there.p == pytest.approx(back.p)
        assert {there.better, back.better} in ({""}, {"A", "B"})


def test_many_small_gains_and_few_large_losses_decide_nothing():
    one = {f"u{n}": {"mcd": 6.0 + 0.01 * n} for n in range(40)}
    two = {f"u{n}": {"mcd": 5.9 + 0.01 * n if n >= 4 else 7.2 + 0.01 * n} for n in range(40)}
    (found,) = compare(one, two)
    assert found.p < 0.01 and found.gain < 0  # ranks are for B, means for A
    assert found.better == ""


def test_error_rates_are_of_all_words_together():
    one = {"a": {"wer": 50.0, "words": 2.0}, "b": {"wer": 0.0, "words": 8.0}}
    two = {"a": {"wer": 0.0, "words": 2.0}, "b": {"wer": 25.0, "words": 8.0}}
    (found,) = compare(one, two)
    assert (found.first, found.second) == (10.0, 20.0) and found.better == ""


def test_unknown_figures_and_utterances_are_left_out():
    one = {"a": {"mcd": 1.0, "pesq": None}, "b": {"mcd": 2.0, "pesq": 1.0}, "c": {"mcd": 9.0}}
    two = {"a": {"mcd": 2.0, "pesq": 3.0}, "b": {"mcd": 2.0, "pesq": None}}
    (found,) = compare(one, two)
    assert (found.metric, found.utterances, found.first, found.second) == ("mcd", 2, 1.5, 2.0)
    with pytest.raises(UserError, match="no utterance that both"):
        compare({"a": {"mcd": 1.0}}, {"b": {"mcd": 1.0}})
    with pytest.raises(UserError, match="no figure that both"):
        compare({"a": {"mcd": 1.0}}, {"a": {"stoi": 1.0}})


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-60, 60).filter(bool), min_size=1, max_size=9, unique_by=abs))
def test_the_signed_rank_test_counts_all_signs(differences):
    """Under chance every choice of signs is as likely: how many give a sum of ranks as far from the middle?"""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    middle = ranks.sum() / 2
    off = abs(ranks[np.array(differences) > 0].sum() - middle)
    sums = [
        abs(sum(r for r, s in zip(ranks, signs, strict=True) if s) - middle)
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    expected = np.mean([x >= off - 1e-9 for x in sums])
    assert signed_rank([float(d) for d in differences]) == pytest.approx(expected)
    assert signed_rank([0.0, 0.0]) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_values_keep_their_order_and_lie_below_bonferronis(p):
    found = holm(p)
    assert all(x <= y <= min(1.0, len(p) * x) + 1e-12 for x, y in zip(p, found, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0).all()


def write(folder, rows, name="score_tts/utterances.tsv"):
    path = folder / name
    path.parent.mkdir(parents=True)
    heads = list(next(iter(rows.values())))
    lines = [
        ["utterance", *heads],
        *([u, *(f"{r[h]:.4f}" for h in heads)] for u, r in rows.items()),
    ]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))


def test_the_command(tmp_path, capsys):
    write(tmp_path / "one/test", system(1))
    write(tmp_path / "two/test", system(2, number=20, mcd=-0.5), "utterances.tsv")
    given = [str(tmp_path / "one"), str(tmp_path / "two"), "--samples", "50"]
    assert call(main, [*given, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "B is better in: mel-cepstral distortion, dB." in said.out and "4 utterances" in said.err
    assert "|MCD [dB]|20|" in (tmp_path / "out/COMPARISON.md").read_text()
    assert '"better": "B"' in (tmp_path / "out/comparison.json").read_text()
    # a set is as good as all sets
    assert next(iter(read_utterances(tmp_path / "one/test"))) == "u0"
    assert next(iter(read_utterances(tmp_path / "one"))) == "test/u0"


def test_what_was_not_scored_is_named(tmp_path, capsys):
    (tmp_path / "one").mkdir()
    assert call(main, [str(tmp_path / "one"), str(tmp_path / "none")]) == 1
    assert "found no scored set" in capsys.readouterr().err
    write(tmp_path / "two/test", system(1, number=1))
    (tmp_path / "two/test/score_tts/utterances.tsv").write_text("utterance\tmcd\na\tx\n")
    assert call(main, [str(tmp_path / "two"), str(tmp_path / "two")]) == 1
    assert "no row of figures" in capsys.readouterr().err
