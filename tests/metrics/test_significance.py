"""Tests of a difference between two systems, beside NIST's sc_stats, scipy and simulated systems."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from espnet_ext.metrics.bootstrap import improvement, ratio_interval
from espnet_ext.metrics.significance import matched_pairs, mcnemar, segments
from espnet_ext.metrics.trn import find_sclite, write_trn
from espnet_ext.metrics.wer import align

SCLITE = find_sclite()
SC_STATS = shutil.which("sc_stats", path="/usr/lib/sctk/bin:/usr/local/bin:/usr/bin")
sentence = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=14)


def spoil(random, words, rate):
    """A recogniser that replaces, drops or adds words at a rate."""
    heard = []
    for word in words:
        lot = random.random()
        if lot < rate / 3:
            heard.append("x")
        elif lot < 2 * rate / 3:
            continue
        else:
            heard += [word, "y"] if lot < rate else [word]
    return heard


def pairs(random, rate1, rate2, number, bursts=False):
    """Alignments of the same sentences by two systems with error rates of their own."""
    found = []
    for _ in range(number):
        words = [str(n) for n in random.integers(0, 1000, random.integers(4, 20))]
        worse = random.choice([0.2, 1.8]) if bursts else 1.0  # hard and easy utterances
        heard = [spoil(random, words, rate * worse) for rate in (rate1, rate2)]
        found.append((align(words, heard[0]), align(words, heard[1])))
    return found


def test_segments_are_parted_by_two_words_that_both_got_right():
    ref = "a b c d e f g h".split()
    first = align(ref, "x b c d e y g h".split())
    second = align(ref, "a b c q e f g h".split())
    # a | b c | d e f | g h: only one good word parts d from f
    assert segments(first, second) == [(1, 0), (1, 1)]
    assert segments(first, second, good=1) == [(1, 0), (0, 1), (1, 0)]


def test_insertions_break_a_run_of_good_words():
    ref = "a b c d".split()
    first, second = align(ref, "x b i c d".split()), align(ref, ref)
    assert segments(first, second) == [(2, 0)]
    assert segments(align(ref, [*ref, "i"]), second) == [(1, 0)]


@settings(deadline=None)
@given(sentence, sentence, sentence, st.integers(1, 4))
def test_segments_hold_every_error_once(ref, hyp1, hyp2, good):
    first, second = align(ref, hyp1), align(ref, hyp2)
    found = segments(first, second, good)
    assert all(any(pair) for pair in found)
    sums = (sum(a for a, _ in found), sum(b for _, b in found))
    assert sums == (first.counts.errors, second.counts.errors)
    assert [(b, a) for a, b in found] == segments(second, first, good)


@pytest.mark.skipif(
    not (SCLITE and SC_STATS), reason="sclite and sc_stats (package sctk) are not installed"
)
@pytest.mark.parametrize("seed", range(6))
def test_the_figures_are_those_of_sc_stats(tmp_path, seed):
    random = np.random.default_rng(seed)
    aligned = pairs(random, 0.2, 0.25, 40)
    names = [f"u{i:03d}" for i in range(len(aligned))]
    write_trn(tmp_path / "ref", {n: a.ref for n, (a, _) in zip(names, aligned, strict=True)}, {})
    for side, name in enumerate("AB"):
        said = {n: p[side].hyp for n, p in zip(names, aligned, strict=True)}
        write_trn(tmp_path / name, said, {})
    sgml = b""
    for name in "AB":
        command = [
            SCLITE,
            "-r",
            "ref",
            "trn",
            "-h",
            name,
            "trn",
            "-i",
            "rm",
            "-o",
            "sgml",
            "stdout",
        ]
        sgml += subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    command = [SC_STATS, "-p", "-t", "mapsswe", "-v", "-n", "-"]
    done = subprocess.run(command, input=sgml, capture_output=True, cwd=tmp_path, check=True)
    said = done.stdout.decode(errors="replace")
    line = re.search(r"# segs: (\d+)\).*mean: (\S+)\) \(std dev: +(\S+)\) \(Z Stat: (\S+)\)", said)
    ours = matched_pairs(aligned)
    assert ours.segments == int(line[1])
    theirs = tuple(map(float, line.groups()[1:]))
    assert (ours.mean, ours.deviation, ours.z) == pytest.approx(theirs, abs=6e-4)


def test_z_and_p_are_scipys():
    aligned = pairs(np.random.default_rng(3), 0.15, 0.2, 400)
    found = matched_pairs(aligned)
    differences = [a - b for pair in aligned for a, b in segments(*pair)]
    theirs = stats.ttest_1samp(differences, 0.0)
    assert found.z == pytest.approx(theirs.statistic)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(theirs.statistic)))
    assert found.p == pytest.approx(theirs.pvalue, rel=0.1)  # t and normal, many segments


def test_equal_systems_do_not_differ():
    one = align("a b c".split(), "a x c".split())
    assert matched_pairs([(one, one)] * 5).p == 1.0
    assert matched_pairs([]).p == 1.0
    right = align("a b c".split(), "a b c".split())
    assert matched_pairs([(one, right)]).p == 1.0  # a single segment shows nothing
    assert matched_pairs([(one, right)] * 10).p == pytest.approx(2 / 2**10)


def test_false_alarms_come_at_the_promised_rate():
    """400 comparisons of two systems that are equally good, on easy and hard utterances."""
    random = np.random.default_rng(0)
    alarms = [matched_pairs(pairs(random, 0.2, 0.2, 40, bursts=True)).p < 0.05 for _ in range(400)]
    assert 0.025 <= np.mean(alarms) <= 0.085  # 99.9 % of what 5 % gives


def test_a_real_difference_is_found():
    random = np.random.default_rng(1)
    found = [matched_pairs(pairs(random, 0.30, 0.15, 60)).p < 0.05 for _ in range(40)]
    assert np.mean(found) > 0.9


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test(one, two):
    expected = stats.binomtest(one, one + two).pvalue if one + two else 1.0
    assert mcnemar(one, two) == pytest.approx(min(1.0, expected), abs=1e-9)


def errors(random, rate, words):
    return random.binomial(words, rate).tolist()


def test_the_interval_of_a_difference_covers_it_as_often_as_promised():
    random = np.random.default_rng(0)
    covered, sure = 0, 0
    for trial in range(200):
        words = random.integers(5, 30, 100)
        found = improvement(
            errors(random, 0.2, words), errors(random, 0.2, words), words, 300, seed=trial
        )
        covered += found.interval[0] <= 0 <= found.interval[1]
        sure += found.probability > 0.975
    assert 180 <= covered <= 199 and sure <= 14


def test_probability_of_improvement_is_the_normal_distributions():
    """Many utterances: the mean difference is normal, with the spread of the differences."""
    random = np.random.default_rng(5)
    words = np.full(500, 10)
    one, two = errors(random, 0.20, words), errors(random, 0.19, words)
    gains = np.subtract(one, two)
    expected = stats.norm.cdf(gains.mean() / (gains.std() / np.sqrt(500)))
    assert improvement(one, two, words, 4000).probability == pytest.approx(expected, abs=0.03)


def test_blocks_are_drawn_whole():
    """Ten speakers with errors of their own: utterances drawn one by one hide how few speakers there are."""
    random = np.random.default_rng(0)
    rates = np.repeat(random.uniform(0.05, 0.5, 10), 30)
    wrong, words = random.binomial(10, rates), np.full(300, 10)
    speakers = [f"s{i // 30}" for i in range(300)]
    alone = ratio_interval(wrong, words)
    together = ratio_interval(wrong, words, blocks=speakers)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    each = [str(i) for i in range(300)]
    assert ratio_interval(wrong, words, blocks=each) == pytest.approx(alone, rel=0.1)
