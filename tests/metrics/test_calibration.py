"""Confidence, beside sclite's normalised cross entropy and scikit-learn's area under the curve."""

import re
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.metrics.calibration import calibration, calibration_of
from espnet_ext.metrics.trn import find_sclite
from espnet_ext.metrics.wer import align

SCLITE = find_sclite()
judged = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def drawn(seed, number=20_000, power=1.0):
    """Words that are right as often as their confidence to a power says."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.02, 0.98, number)
    return sure, random.random(number) < sure**power


def test_honest_confidences_have_no_error_and_others_do():
    assert calibration(*drawn(0)).ece < 0.015
    boastful = calibration(*drawn(0, power=3.0))
    assert boastful.ece > 0.15 and boastful.confidence > boastful.correct


def test_a_constant_says_nothing():
    right = np.arange(100) < 80
    found = calibration([0.8] * 100, right)
    assert found.nce == pytest.approx(0, abs=1e-9) and found.auroc == 0.5
    assert found.ece == pytest.approx(0, abs=1e-9)
    assert calibration([0.5] * 100, right).nce < 0


@settings(deadline=None)
@given(judged)
def test_bins_hold_every_word_once(words):
    sure, right = zip(*words, strict=True)
    found = calibration(sure, right)
    assert sum(b.words for b in found.bins) == len(words)
    assert sum(b.words * b.correct for b in found.bins) == pytest.approx(sum(right))
    assert all(b.low - 1e-9 <= b.confidence <= b.high + 1e-9 for b in found.bins)
    assert 0 <= found.ece <= 1
    assert (found.nce is None) == (len(set(right)) == 1) == (found.auroc is None)


@settings(deadline=None)
@given(judged)
def test_the_area_is_scikit_learns(words):
    metrics = pytest.importorskip("sklearn.metrics")
    sure, right = zip(*words, strict=True)
    if len(set(right)) == 2:
        assert calibration(sure, right).auroc == pytest.approx(metrics.roc_auc_score(right, sure))


@pytest.mark.skipif(SCLITE is None, reason="sclite (package sctk) is not installed")
@pytest.mark.parametrize("seed", range(4))
def test_normalised_cross_entropy_is_sclites(tmp_path, seed):
    """Each utterance a recording of its own, its words a tenth of a second each, in NIST's ctm with confidences."""
    random = np.random.default_rng(seed)
    stm, ctm, sure, right = [], [], [], []
    for n in range(30):
        ref = random.choice(list("abcdefgh"), 8).tolist()
        hyp = [w if random.random() < 0.8 else "x" for w in ref]
        stm.append(f"r{n:02d} 1 spk 0.0 10.0 {' '.join(ref)}\n")
        lots = random.uniform(0.1, 0.95, len(hyp)).round(3)
        ctm += [
            f"r{n:02d} 1 {k / 10:.2f} 0.1 {w} {c:.3f}\n"
            for k, (w, c) in enumerate(zip(hyp, lots, strict=True))
        ]
        sure += lots.tolist()
        right += [op == "C" for op in align(ref, hyp).ops if op != "D"]
    (tmp_path / "ref").write_text("".join(stm))
    (tmp_path / "hyp").write_text("".join(ctm))
    command = [SCLITE, "-r", "ref", "stm", "-h", "hyp", "ctm", "-o", "rsum", "stdout"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    theirs = re.search(r"Sum .*?\|[^|]*\|[^|]*\| *(-?\d+\.\d+) *\|", said)
    assert calibration(sure, right).nce == pytest.approx(float(theirs[1]), abs=6e-4)


def write(folder, **tables):
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{u} {v}\n" for u, v in rows.items()))


ALIGNED = {
    "u1": align("a b c".split(), "a x c".split()),
    "u2": align(["d"], []),
    "u3": align(["e"], ["e"]),
}


def test_a_number_a_word(tmp_path):
    write(tmp_path, confidence={"u1": "0.9 0.2 0.7", "u3": "0.6"})
    found = calibration_of(tmp_path, ALIGNED)
    assert (found.source, found.words, found.correct) == ("confidence", 4, 0.75)
    assert found.confidence == pytest.approx(0.6) and found.auroc == 1.0


def test_a_number_a_token_is_averaged(tmp_path):
    write(tmp_path, confidence={"u1": "0.25 1 0.5 0.5"}, token={"u1": "a x c d"})
    assert calibration_of(tmp_path, ALIGNED).confidence == pytest.approx(0.5)


def test_scores_stand_in(tmp_path):
    write(
        tmp_path,
        score={"u1": "-2.0", "u2": "-5", "u3": "1.0"},
        token={"u1": "a x c", "u2": "", "u3": "e"},
    )
    found = calibration_of(tmp_path, ALIGNED)
    assert found.source == "exp(score / tokens)" and found.words == 4
    assert found.confidence == pytest.approx((3 * np.exp(-0.5) + 1) / 4)
    assert calibration_of(tmp_path / "none", ALIGNED) is None


@pytest.mark.parametrize("bad", ["0.1 0.2", "1.5", "-0.1", "nan", "high"])
def test_confidences_that_are_none_are_named(tmp_path, bad):
    write(tmp_path, confidence={"u1": bad})
    with pytest.raises(UserError, match="u1"):
        calibration_of(tmp_path, ALIGNED)
