"""The command compare_asr."""

import json

import numpy as np
import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.compare_asr import main


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{u} {v}\n".replace(" \n", "\n") for u, v in rows.items()))


def heard(random, refs, rate):
    return {
        utt: " ".join("x" if random.random() < rate else w for w in text.split())
        for utt, text in refs.items()
    }


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Two sets; B makes half of A's errors, and none for speakers of gender f."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("one", "two"):
        refs = {
            f"s{k % 4}-{k:03d}": " ".join(random.choice(list("abcdefgh"), 9)) for k in range(60)
        }
        ref = tmp_path / "dump" / name
        write(ref / "text", refs)
        write(ref / "utt2spk", {u: u[:2] for u in refs})
        write(ref / "spk2gender", {"s0": "f", "s1": "f", "s2": "m", "s3": "m"})
        write(tmp_path / "A" / name / "text", heard(random, refs, 0.3))
        second = heard(random, refs, 0.3)
        write(
            tmp_path / "B" / name / "text",
            {u: refs[u] if u[1] in "01" else second[u] for u in refs},
        )
    return tmp_path


def test_a_difference_with_interval_and_probability(recipe, capsys):
    assert call(main, ["dump", "A", "B", "--output", "out"]) == 0
    said = capsys.readouterr().out
    assert "B has the lower WER" in said and "more than chance (p < 0.001)" in said
    assert "### By gender" in said and "### By set" in said and "### By speaker" in said
    record = json.loads((recipe / "out/comparison.json").read_text())
    whole = record["all"]
    assert whole["gain"] == pytest.approx(whole["first_error_rate"] - whole["second_error_rate"])
    low, high = whole["bootstrap"]["interval"]
    assert low < whole["gain"] < high and whole["bootstrap"]["probability"] == 1.0
    assert record["groups"]["gender"]["f"]["second_error_rate"] == 0
    assert record["groups"]["gender"]["m"]["test"]["p"] > 0.001
    words = sum(g["first"]["words"] for g in record["groups"]["set"].values())
    assert words == whole["first"]["words"] == 2 * 60 * 9
    assert "compare_asr dump A B" in record["command"]
    assert said.strip().split("\n\n", 1)[1] in (recipe / "out/COMPARISON.md").read_text()
    page = (recipe / "out/comparison.html").read_text()
    assert (
        "B has the lower WER" in page
        and "<h3>By gender</h3>" in page
        and page.count("<h4>B</h4>") == 8
    )
    assert "http://" not in page and "https://" not in page


def test_the_two_sides_can_be_swapped(recipe, capsys):
    files = [f"dump/one/text A/one/text {x}/one/text".split() for x in "BA"]
    assert call(main, files[0]) == 0
    there = capsys.readouterr().out
    assert call(main, [files[0][0], files[0][2], files[0][1]]) == 0
    back = capsys.readouterr().out
    assert "B has the lower WER" in there and "A has the lower WER" in back
    assert call(main, files[1]) == 0
    same = capsys.readouterr().out
    assert "A and B have the same WER." in same and "p 1.000" in same
    assert "Utterances that differ most" not in same


def test_utterances_that_differ_most_are_shown_aligned(recipe, capsys):
    write(recipe / "B/one/text", {**dict.fromkeys(_ids(recipe), ""), "s0-000": "a b"})
    assert call(main, ["dump/one", "A/one", "B/one", "--worst", "2", "--kind", "cer"]) == 0
    said = capsys.readouterr().out
    assert said.count("errors of A") == 2 and "REF:" in said and "|CER|" in said


def _ids(recipe):
    return [line.split()[0] for line in (recipe / "dump/one/text").read_text().splitlines()]


def test_a_table_of_ones_own(recipe, capsys):
    write(recipe / "microphone", {u: "near" if int(u[3:]) % 2 else "far" for u in _ids(recipe)})
    assert call(main, ["dump/one", "A/one", "B/one", "--by", "microphone"]) == 0
    said = capsys.readouterr().out
    assert "### By microphone" in said and "|near|" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"B/one/text": {"s0-000": "a"}}, "found no hypothesis for 59 of 60"),
        ({"B/one/text": {"other": "a"}}, "not in the reference, first other"),
    ],
)
def test_systems_that_heard_other_utterances_are_refused(recipe, capsys, change, said):
    for path, rows in change.items():
        write(recipe / path, rows)
    assert call(main, ["dump/one", "A/one", "B/one"]) == 1
    assert said in capsys.readouterr().err


def test_what_is_missing_is_named(recipe, capsys):
    assert call(main, ["dump", "A", "nowhere"]) == 1
    error = capsys.readouterr().err
    assert "hold no SET/text in common" in error and error.count("\n") == 1
