"""Who is left out, and the reason that is given."""

from collections import Counter

import pytest

from espnet_ext.listening.answers import as_csv, sheets_of
from espnet_ext.listening.key import KINDS
from espnet_ext.listening.screening import Limits, screen
from tests.listening.panel import a_test, good, sheet

QUALITY = {"reference": 0.95, "ours": 0.7, "theirs": 0.45, "anchor_3.5kHz": 0.2, "spoilt": 0.0}


@pytest.fixture(scope="module")
def tests(tmp_path_factory):
    root = tmp_path_factory.mktemp("screening")
    changes = {"mushra": {"mid_anchor": True, "number": 8}}
    return {kind: a_test(root / kind, kind, **changes.get(kind, {}))[1] for kind in KINDS}


def reasons(key, rows, limits=Limits()):
    sheets = sheets_of(key, as_csv(rows), None)
    found = screen(key, sheets, limits)
    assert set(found) <= {one.rater for one in sheets} and all(found.values())
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_who_listens_is_kept(kind, tests):
    for listener in range(3):
        rows = sheet(tests[kind], f"good{listener}", listener, good(QUALITY, kind))
        assert reasons(tests[kind], rows) == {}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_who_does_not_do_what_checks_say(kind, tests):
    key = tests[kind]
    rows = [list(row) for row in sheet(key, "amy", 0, good(QUALITY, kind))]
    checks = [row for row in rows if row[5] in key.trials and key.trials[row[5]].role == "check"]
    for failed, row in enumerate(checks, 1):
        low, high = key.trials[row[5]].expected
        row[8] = next(v for v in KINDS[kind].values or (0, 100) if not low <= v <= high)
        assert reasons(key, rows) == {"amy": [f"failed {failed} of 2 attention checks"]}
        assert reasons(key, rows, Limits(failed_checks=1.0)) == {}


@pytest.mark.parametrize("kind", ["mos", "cmos", "ab"])
def test_who_does_not_know_gold_when_they_hear_it(kind, tests):
    """Also of pairs that are shown the other way round: listener 1 and 2 have them on different sides."""
    backwards = {**QUALITY, "spoilt": 1.0, "reference": 0.0}
    for listener in (0, 1):
        found = reasons(tests[kind], sheet(tests[kind], "amy", listener, good(backwards, kind)))
        assert "failed 2 of 2 gold questions" in found["amy"]


def test_who_always_says_the_same(tests):
    key = tests["mos"]
    assert (
        "gave 15 of 15 times the same answer, 3"
        in reasons(key, sheet(key, "amy", 0, lambda s, d: 3))["amy"]
    )
    found = reasons(
        key, sheet(key, "amy", 0, lambda s, d: 3), Limits(same_answer=1.1, failed_gold=1)
    )
    assert found == {}


def test_who_always_takes_the_same_side_hears_pairs_both_ways(tests):
    """Five answers are too few for sameness to tell; gold gives such a listener away."""
    found = reasons(tests["ab"], sheet(tests["ab"], "amy", 0, lambda s, d: -1))
    assert found == {"amy": ["failed 2 of 2 gold questions"]}


def test_who_is_too_fast(tests):
    for kind, key in tests.items():
        rows = sheet(key, "amy", 0, good(QUALITY, kind), seconds=0.05)
        pages = sum(key.trials[trial].role == "test" for trial, _ in key.orders[0])
        expected = f"answered {pages} of {pages} pages faster than their sounds last"
        assert reasons(key, rows) == {"amy": [expected]}
        assert reasons(key, rows, Limits(fast=1.0)) == {}


def test_who_does_not_finish(tests):
    key = tests["mos"]
    found = reasons(key, sheet(key, "amy", 0, good(QUALITY, "mos"))[:-5])
    assert found["amy"][0] == "answered 15 of 20 pages"


def mushra_rows(key, rater, below, above_anchor=0):
    """A listener who rates the hidden reference 89 on some items, and the 7 kHz anchor 95 on some."""
    rows = [list(row) for row in sheet(key, rater, 0, good(QUALITY, "mushra"))]
    seen = Counter()
    for row in rows:
        trial = key.trials.get(row[5])
        if trial is None or trial.role != "test":
            continue
        system = key.stimuli[row[7]].system
        seen[system] += 1
        if system == "reference":
            row[8] = 89 if seen[system] <= below else 90
        if system == "anchor_7kHz" and seen[system] <= above_anchor:
            row[8] = 95
    return rows


def test_the_hidden_reference_after_bs_1534(tests):
    """Seven items: one of them is 14 %, two are 29 %; 90 itself is enough."""
    key = tests["mushra"]
    assert reasons(key, mushra_rows(key, "amy", 0)) == {}
    assert reasons(key, mushra_rows(key, "amy", 1)) == {}
    found = reasons(key, mushra_rows(key, "amy", 2))
    assert found == {"amy": ["rated the hidden reference below 90 on 2 of 7 items"]}


def test_the_mid_anchor_after_bs_1534(tests):
    """Who takes it for good is left out, unless more than a quarter of all do."""
    key = tests["mushra"]
    others = [row for n in range(4) for row in mushra_rows(key, f"other{n}", 0)]
    found = reasons(key, [*others, *mushra_rows(key, "amy", 0, above_anchor=3)])
    assert found == {"amy": ["rated the 7 kHz anchor above 90 on 3 of 7 items"]}
    alike = [row for n in range(2) for row in mushra_rows(key, f"alike{n}", 0, above_anchor=3)]
    assert reasons(key, [*others, *alike, *mushra_rows(key, "amy", 0, above_anchor=3)]) == {}
