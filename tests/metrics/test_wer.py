"""Alignment and error rates, beside sclite and jiwer."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.metrics.bootstrap import mean_interval, ratio_interval
from espnet_ext.metrics.trn import find_sclite, run_sclite, write_trn
from espnet_ext.metrics.wer import Counts, align, by_speaker, pretty, total

words = st.lists(st.sampled_from(["a", "b", "B", "c", "é", "É", "<space>", "{", "@", ";;", "(x)"]))
SCLITE = find_sclite()


def figures(ref, hyp, **options):
    c = align(ref.split(), hyp.split(), **options).counts
    return c.correct, c.substitutions, c.deletions, c.insertions


@pytest.mark.parametrize(
    "ref, hyp, expected",
    [
        ("a b c", "a b c", (3, 0, 0, 0)),
        ("", "", (0, 0, 0, 0)),
        ("a b", "", (0, 0, 2, 0)),
        ("", "a b", (0, 0, 0, 2)),
        ("a b c", "a x c", (2, 1, 0, 0)),
        ("a b c", "a c", (2, 0, 1, 0)),
        ("a c", "a b c", (2, 0, 0, 1)),
        ("A Word", "a wORD", (2, 0, 0, 0)),
        ("É", "é", (0, 1, 0, 0)),
        # weights 4, 3, 3: an insertion and a deletion are cheaper than two substitutions
        ("a b", "b a", (1, 0, 1, 1)),
    ],
)
def test_counts(ref, hyp, expected):
    assert figures(ref, hyp) == expected


def test_case_can_matter():
    assert figures("A b", "a b", case_sensitive=True) == (1, 1, 0, 0)


@settings(deadline=None)
@given(words, words)
def test_an_alignment_is_whole(ref, hyp):
    alignment = align(ref, hyp)
    c = alignment.counts
    assert c.correct + c.substitutions + c.deletions == len(ref) == c.words
    assert c.correct + c.substitutions + c.insertions == len(hyp)
    columns = alignment.columns()
    assert [r for op, r, h in columns if op != "I"] == ref
    assert [h for op, r, h in columns if op != "D"] == hyp
    assert all(r.lower() == h.lower() for op, r, h in columns if op == "C")
    assert (c.errors == 0) == (c.wrong_sentences == 0)


@settings(deadline=None)
@given(words, words)
def test_weights_are_minimal(ref, hyp):
    """Against the textbook recursion, cell by cell."""
    a, b = [[w if w in "éÉ" else w.lower() for w in side] for side in (ref, hyp)]
    cost = np.zeros((len(a) + 1, len(b) + 1))
    cost[:, 0], cost[0] = 3 * np.arange(len(a) + 1), 3 * np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            diagonal = cost[i - 1, j - 1] + (4 if x != y else 0)
            cost[i, j] = min(diagonal, cost[i - 1, j] + 3, cost[i, j - 1] + 3)
    c = align(ref, hyp).counts
    assert 4 * c.substitutions + 3 * (c.deletions + c.insertions) == cost[-1, -1]


@pytest.mark.skipif(SCLITE is None, reason="sclite (package sctk) is not installed")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=40))
def test_figures_equal_sclite(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("trn")
    names = [f"s{i % 3}-u{i:03d}" for i in range(len(pairs))]
    spk = {name: name.split("-")[0] for name in names}
    refs, hyps = (dict(zip(names, side, strict=True)) for side in zip(*pairs, strict=True))
    write_trn(folder / "ref.trn", refs, spk)
    write_trn(folder / "hyp.trn", hyps, spk)
    report = run_sclite(SCLITE, folder / "ref.trn", folder / "hyp.trn")
    pattern = r"id: \(s\d-(\S+)\)\nScores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)"
    theirs = {m[0]: tuple(map(int, m[1:])) for m in re.findall(pattern, report)}
    ours = {}
    for name in names:
        c = align(refs[name], hyps[name]).counts
        ours[name] = (c.correct, c.substitutions, c.deletions, c.insertions)
    assert theirs == ours


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abc")))
def test_unit_weight_errors_never_exceed_ours(ref, hyp):
    """jiwer weighs all errors 1, so its total is the least there can be; equal where they agree."""
    jiwer = pytest.importorskip("jiwer")
    theirs = jiwer.process_words(" ".join(ref), " ".join(hyp))
    least = theirs.substitutions + theirs.deletions + theirs.insertions
    c = align(ref, hyp).counts
    assert least <= c.errors
    assert c.deletions - c.insertions == theirs.deletions - theirs.insertions
    if not c.deletions or not c.insertions:  # nothing to trade: both are the same alignment cost
        assert c.errors == least


def test_word_error_rate_equals_jiwer_on_sentences():
    jiwer = pytest.importorskip("jiwer")
    refs = ["the cat sat on the mat", "one two three four", "speech is easy"]
    hyps = ["the cat sat on mat", "one too three four five", "speech is is easy"]
    counts = total(align(r.split(), h.split()).counts for r, h in zip(refs, hyps, strict=True))
    assert counts.error_rate == pytest.approx(100 * jiwer.wer(refs, hyps))
    assert counts.sentence_error_rate == 100.0


def test_nothing_to_score_has_no_rate():
    assert Counts().error_rate is None and Counts().sentence_error_rate is None
    assert align([], ["a"]).counts.error_rate is None


def test_speakers_add_up():
    alignments = {"u1": align(["a"], ["a"]), "u2": align(["a"], []), "u3": align(["a"], ["b"])}
    spoken = by_speaker(alignments, {"u1": "s2", "u2": "s1", "u3": "s1"})
    assert list(spoken) == ["s1", "s2"]
    assert spoken["s1"] == Counts(2, 2, 0, 1, 1, 0, 2)


def test_pretty_lines_stand_under_each_other():
    text = pretty(align("the quick fox ran".split(), "the slow quick box".split()))
    lines = text.splitlines()
    assert lines[0] == "REF:  the **** quick FOX RAN"
    assert lines[1] == "HYP:  the SLOW quick *** BOX"
    assert lines[2] == "EVAL:     I          D   S"


@settings(deadline=None)
@given(words, words)
def test_pretty_holds_every_token_within_the_width(ref, hyp):
    text = pretty(align(ref, hyp), width=30)
    assert all(len(line) <= 30 for line in text.splitlines())
    shown = [c for line in text.splitlines() if line.startswith("REF") for c in line.split()[1:]]
    assert [c.lower() for c in shown if set(c) != {"*"}] == [w.lower() for w in ref]


def test_intervals_are_seeded_and_hold_the_rate():
    errors, lengths = [0, 1, 2, 0, 5, 1], [10, 8, 9, 12, 11, 10]
    low, high = ratio_interval(errors, lengths)
    assert (low, high) == ratio_interval(errors, lengths)
    assert low < sum(errors) / sum(lengths) < high
    assert ratio_interval(errors, lengths, seed=1) != (low, high)
    assert ratio_interval([1, 1], [2, 2]) == (0.5, 0.5)
    assert ratio_interval([], []) is None and ratio_interval([1, 1], [0, 0]) is None
    assert ratio_interval([1], [2]) is None  # shows no spread
    assert ratio_interval([1, 0], [2, 2], blocks=["a", "a"]) is None


def test_interval_of_a_mean_covers_it_as_often_as_promised():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(100):
        low, high = mean_interval(generator.normal(5, 1, 60), samples=200, seed=trial)
        hits += low <= 5 <= high
    assert 85 <= hits <= 100
