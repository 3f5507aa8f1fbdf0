"""Means, comparisons and reports from answers whose meaning is known."""

import json
import re
from itertools import pairwise

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.listening_test import main
from espnet_ext.errors import UserError
from espnet_ext.listening.analysis import analyse
from espnet_ext.listening.key import KINDS
from espnet_ext.listening.report import as_markdown
from tests.listening.panel import a_test, good, panel, sheet

QUALITY = {"reference": 0.95, "ours": 0.75, "theirs": 0.5, "anchor_3.5kHz": 0.2, "spoilt": 0.0}
ABOUT = {"age": "18-29", "language": "English | <b>\n$x$", "device": "Headphones"}


@pytest.fixture(scope="module")
def tests(tmp_path_factory):
    root = tmp_path_factory.mktemp("analysis")
    return {kind: (root, *a_test(root, kind)) for kind in KINDS}


def results(tests, kind, opinion=None, raters=6, **options):
    root, page, key = tests[kind]
    opinion = opinion or good(QUALITY, kind)
    sheets = [sheet(key, f"r{n}", n % 6, opinion, about=ABOUT) for n in range(raters)]
    return analyse(page, [panel(root / "answers.csv", *sheets)], **options)


def systems(kind_of):
    """An opinion that says a fixed value for each system, or each pair as it is shown."""
    return lambda sounds, draw: kind_of(*(sound.system for sound in sounds))


def test_mos_by_hand(tests):
    """ours 4, theirs 2 and 4 by turns of raters: means 4 and 3, difference -1."""
    _, _, key = tests["mos"]

    def opinion(sounds, draw):
        fixed = {"ours": 4, "reference": 5, "spoilt": 1, "theirs": 2 if draw.rater % 2 else 4}
        return fixed[sounds[0].system]

    class Draw:
        def __init__(self, rater):
            self.rater = rater

    root, page, _ = tests["mos"]
    sheets = [sheet(key, f"r{n}", n, lambda s, d, n=n: opinion(s, Draw(n))) for n in range(6)]
    found = analyse(page, [panel(root / "hand.csv", *sheets)])
    means = {score.subject[0]: score for score in found.scores}
    assert [means[s].mean for s in ("ours", "theirs", "reference")] == [4, 3, 5]
    assert means["theirs"].answers == {1: 0, 2: 15, 3: 0, 4: 15, 5: 0}
    assert means["ours"].interval == (4, 4)
    low, high = means["theirs"].interval
    assert 2 <= low < 2.6 and 3.4 < high <= 4
    one = next(c for c in found.comparisons if (c.first, c.second) == ("ours", "theirs"))
    assert one.difference == -1 and one.interval[0] < -1 < one.interval[1]
    assert [r.mean for r in found.raters] == [11 / 3 + (0 if n % 2 else 2 / 3) for n in range(6)]


def test_the_better_one_wins_everywhere(tests):
    for kind in KINDS:
        found = results(tests, kind)
        assert found.rejected == {} and len(found.raters) == 6
        one = next(c for c in found.comparisons if {c.first, c.second} == {"ours", "theirs"})
        assert one.first == "ours" and one.difference < 0 and one.interval[1] < 0
        # six raters of one mind: the exact tests' p is 2 / 2^6
        assert next(iter(one.tests.values())) == pytest.approx(2 / 64, abs=1e-3)


def test_preferences_are_counted_whichever_side_they_were_on(tests):
    """Half of the listeners hear ours as B; all prefer it."""
    prefer = systems(lambda a, b: -1 if a in ("ours", "reference") else 1)
    found = results(tests, "ab", prefer)
    assert found.scores[0].answers == {-1: 30, 0: 0, 1: 0} and found.scores[0].mean == 0
    assert found.comparisons[0].tests == {"sign, raters": 2 / 2**6, "sign, votes": 2 / 2**30}


def test_no_preference_counts_for_neither(tests):
    indifferent = systems(lambda a, b: 0 if "ours" in (a, b) else 1 if b == "reference" else -1)
    found = results(tests, "ab", indifferent)
    assert found.scores[0].mean == 0.5 and found.comparisons[0].tests == {
        "sign, raters": 1,
        "sign, votes": 1,
    }


def test_comparisons_are_turned_the_right_way(tests):
    """theirs is 2 worse than ours, however it is shown."""
    found = results(tests, "cmos", systems(lambda a, b: -2 if a in ("ours", "reference") else 2))
    assert found.scores[0].subject == ("ours", "theirs") and found.scores[0].mean == -2
    assert found.scores[0].answers[-2] == 30


def test_who_only_says_a_prefers_nobody(tests):
    """The balance of sides takes a habit of sides out; gold is switched off to let such raters in."""
    from espnet_ext.listening.screening import Limits

    found = results(tests, "ab", lambda s, d: -1, limits=Limits(failed_gold=1, same_answer=2))
    assert found.scores[0].mean == pytest.approx(0.5, abs=0.04)


def test_agreement_is_that_of_the_answers(tests):
    perfect = results(
        tests, "mos", systems(lambda s: {"ours": 3, "theirs": 2, "spoilt": 1}.get(s, 5))
    )
    assert set(perfect.agreement.values()) == {1.0} and perfect.units == 15
    chance = results(
        tests, "mos", lambda s, d: 5 if s[0].system == "reference" else d.randint(1, 2), raters=12
    )
    assert chance.agreement["Fleiss' kappa"] < 0.6


def test_the_seed_decides_intervals_and_nothing_else(tests):
    one, same, other = (results(tests, "mushra", seed=seed, samples=200) for seed in (0, 0, 1))
    assert one == same and one.scores != other.scores
    assert [s.mean for s in one.scores] == [s.mean for s in other.scores]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_report(kind, tests, tmp_path, capsys):
    root, page, key = tests[kind]
    sheets = [sheet(key, f"r{n}|`", n, good(QUALITY, kind), about=ABOUT) for n in range(4)]
    sheets.append(sheet(key, "rush", 4, good(QUALITY, kind), seconds=0.01))
    answers = panel(root / f"{kind}.csv", *sheets)
    assert (
        call(
            main,
            [
                "analyse",
                str(page),
                str(answers),
                "--output",
                str(tmp_path / "out"),
                "--samples",
                "100",
            ],
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "left out rush: answered" in said and "4 of 5 raters counted" in said
    text = (tmp_path / "out/RESULTS.md").read_text()
    assert "- rush: answered" in text and "Krippendorff's alpha, ordinal" in text
    assert 'language: 100 % are "English \\| &lt;b> $x$"' in text and "commit: `" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    for line, after in pairwise(tables):
        if after.startswith("|---"):
            width = len(re.findall(r"(?<!\\)\|", line))
        assert len(re.findall(r"(?<!\\)\|", line)) in (width, len(re.findall(r"(?<!\\)\|", after)))
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert scores["test"] == key.test and scores["rejected"]["rush"]
    assert {name for score in scores["scores"] for name in score["subject"]} == set(key.systems)
    for name in ("scores.png", "answers.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_one_rater_is_no_panel_but_no_error(tests):
    found = results(tests, "mos", raters=1)
    assert all(score.interval is None for score in found.scores)
    assert found.agreement["Fleiss' kappa"] is None and found.units == 0
    assert all(p is None for c in found.comparisons for p in c.tests.values())
    assert "|ours|5|" in as_markdown(found) and "nan" not in as_markdown(found)


def test_nobody_left(tests):
    with pytest.raises(
        UserError, match=r"found 2 raters and left all of them out \(r0: failed 1 of 2 gold"
    ):
        results(tests, "mos", lambda s, d: 3, raters=2)


def test_a_csv_of_another_test(tests, tmp_path, capsys):
    _, _, key = tests["ab"]
    answers = panel(tmp_path / "ab.csv", sheet(key, "amy", 0, good(QUALITY, "ab")))
    page = tests["mos"][1]
    assert call(main, ["analyse", str(page), str(answers), "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert f"found answers of the test '{key.test}', expected '{tests['mos'][2].test}'" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()
    assert (
        call(
            main,
            ["analyse", str(page), str(tmp_path / "no.csv"), "--output", str(tmp_path / "out")],
        )
        == 1
    )
    assert "no.csv: no such file" in capsys.readouterr().err
