"""Pages and keys as they are made from directories of speech."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.listening_test import main
from espnet_ext.errors import UserError
from espnet_ext.listening.build import Options, make
from espnet_ext.listening.key import KINDS, RESERVED, key_path, read_key, write_key
from tests.listening.panel import a_test, speech


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_needs_nothing_and_says_nothing_of_systems(kind, tmp_path):
    page, key = a_test(tmp_path, kind)
    text = page.read_text()
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?https?:""", text)
    for name in ("ours", "theirs", "spoilt", "gold", "anchor_3.5kHz", str(tmp_path)):
        assert not re.search(rf"\b{re.escape(name)}\b", text), name
    assert all(f'id="{name}">' in text for name in key.stimuli)
    assert read_key(page) == key == read_key(key_path(page))


def roles(key):
    return Counter(trial.role for trial in key.trials.values())


def test_what_the_kinds_are_made_of(tmp_path):
    """Six utterances, one of them for training; two systems and the reference."""
    mos = a_test(tmp_path, "mos")[1]
    assert mos.systems == ("ours", "theirs", "reference")
    assert roles(mos) == {"test": 15, "training": 1, "check": 2, "gold": 2}
    pairs = a_test(tmp_path, "cmos")[1]
    assert pairs.systems == ("ours", "theirs")
    assert roles(pairs) == {"test": 5, "training": 1, "check": 2, "gold": 2}
    with_natural = a_test(tmp_path, "ab", baseline="reference")[1]
    assert roles(with_natural)["test"] == 10
    mushra = a_test(tmp_path, "mushra", mid_anchor=True)[1]
    assert mushra.systems == ("ours", "theirs", *RESERVED)
    assert roles(mushra) == {"test": 5, "training": 1, "check": 2}
    for trial in mushra.trials.values():
        if trial.role == "test":
            assert {mushra.stimuli[name].system for name in trial.stimuli} == set(mushra.systems)
            assert mushra.stimuli[trial.reference].system == "reference"
            assert {mushra.stimuli[name].item for name in trial.stimuli} == {trial.item}


def test_training_is_of_utterances_that_are_used_for_nothing_else(tmp_path):
    key = a_test(tmp_path, "mos", training=3)[1]
    of = {role: {t.item for t in key.trials.values() if t.role == role} for role in roles(key)}
    assert len(of["training"]) == 3 and not of["training"] & (of["test"] | of["gold"])


def test_right_answers_can_be_given_and_are_not_on_the_page(tmp_path):
    for kind in KINDS:
        page, key = a_test(tmp_path, kind, checks=4)
        data = json.loads(page.read_text().partition('id="data">')[2].partition("</script>")[0])
        assert set(next(iter(data["trials"].values()))) == {
            "stimuli",
            "reference",
            "text",
            "training",
        }
        for trial in key.trials.values():
            if trial.role == "check":
                low, high = trial.expected
                assert any(low <= v <= high for v in KINDS[kind].values or range(101))
                assert trial.text.startswith("This is a check")


def test_the_seed_decides(tmp_path):
    keys = [a_test(tmp_path, "mos", seed=seed)[1] for seed in (1, 1, 2)]
    assert keys[0] == keys[1] and keys[0].test != keys[2].test
    assert keys[0].orders != keys[2].orders


def test_the_key_of_another_test_stays(tmp_path):
    """Its listeners' answers could not be read without it; the same test may be made again."""
    page, key = a_test(tmp_path, "mos")
    before = page.read_bytes(), key_path(page).read_bytes()
    systems = {name: tmp_path / name for name in ("ours", "theirs")}
    with pytest.raises(UserError, match=r"mos.key.json: found the key of another test.*--replace"):
        make(Options("cmos", systems, check_style="text"), page)
    assert (page.read_bytes(), key_path(page).read_bytes()) == before
    command = ["make", "cmos", str(page), "--check_style", "text", "--system"]
    command += [f"{name}={path}" for name, path in systems.items()]
    assert call(main, command) == 1
    assert call(main, [*command, "--replace"]) == 0 and call(main, command) == 0
    assert read_key(page).kind == "cmos" != key.kind


def test_sounds_decide_the_test_as_well(tmp_path):
    first = a_test(tmp_path, "mos")[1]
    assert a_test(tmp_path, "mos", loudness=None)[1].test != first.test


def test_texts_are_shown_and_harmless(tmp_path):
    text = {f"u{n}": "He said </script><script>alert(1)</script> & left" for n in range(6)}
    page, _ = a_test(tmp_path, "mos", text=text, title="<b>Mine & yours</b>")
    found = page.read_text()
    assert "<script>alert" not in found and "<b>Mine" not in found
    assert "&lt;b&gt;Mine &amp; yours&lt;/b&gt;" in found
    data = json.loads(found.partition('id="data">')[2].partition("</script>")[0])
    assert sum(trial["text"] == text["u0"] for trial in data["trials"].values()) > 5


def test_spoken_checks_need_no_text(tmp_path):
    if not shutil.which("espeak-ng"):
        pytest.skip("no espeak-ng")
    _, key = a_test(tmp_path, "mos", check_style="spoken", checks=3)
    checks = [trial for trial in key.trials.values() if trial.role == "check"]
    assert len(checks) == 3 and all(not trial.text for trial in checks)
    for trial in checks:
        sound = key.stimuli[trial.stimuli[0]]
        assert sound.system == "spoken" and sound.seconds > 2
        assert sound.item == f"check {trial.expected[0]:g}"


WRONG = {
    "no reference": ("mushra", {"reference": None}, "MUSHRA: found no --reference"),
    "gold alone": ("mos", {"reference": None, "gold": 2}, "--gold: found no --reference"),
    "gold in MUSHRA": ("mushra", {"gold": 1}, "expected 0 with MUSHRA"),
    "anchor in pairs": ("ab", {"low_anchor": True}, "found an anchor in a test of pairs"),
    "nothing to compare": ("cmos", {"systems": {}}, "found no system"),
    "nobody": ("mos", {"listeners": 0}, "--listeners: found 0"),
    "all for training": ("mos", {"training": 6}, "found 6 utterances, expected more than the 6"),
    "too many trials": ("mos", {"trials": 16}, "--trials: found 16, expected 1 to 15"),
    "unknown": ("mos", {"utts": ["u1", "u9"], "training": 0}, "without 'u9'"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_options_that_do_not_fit(name, tmp_path):
    kind, changes, message = WRONG[name]
    with pytest.raises(UserError, match=re.escape(message)):
        a_test(tmp_path, kind, **changes)
    assert not list(tmp_path.glob("*.html")) and not list(tmp_path.glob("*.json"))


def test_systems_that_cannot_be_compared(tmp_path):
    ours, theirs = speech(tmp_path, "ours", 4), speech(tmp_path, "theirs", 3)
    for systems in ({"ours": ours, "theirs": theirs}, {"theirs": theirs, "ours": ours}):
        with pytest.raises(UserError, match="theirs: found 3 utterances without 'u3'"):
            make(Options("cmos", systems), tmp_path / "x.html")
    with pytest.raises(UserError, match=r"found the name 'reference'.*--reference"):
        make(Options("cmos", {"reference": ours, "theirs": theirs}), tmp_path / "x.html")
    many = {f"s{n}": ours for n in range(11)}
    with pytest.raises(UserError, match="found 13 sounds on a page, expected 12 at most"):
        make(Options("mushra", many, ours, checks=0), tmp_path / "x.html")


def test_one_system_is_compared_with_recordings_if_these_are_the_baseline(tmp_path):
    ours, real = speech(tmp_path, "ours", 4), speech(tmp_path, "real", 4)
    options = Options("ab", {"ours": ours}, real, checks=0, gold=0, training=0)
    with pytest.raises(UserError, match="--reference DIR --baseline reference"):
        make(options, tmp_path / "x.html")
    make(replace(options, baseline="reference"), tmp_path / "x.html")


def test_a_key_that_is_none(tmp_path):
    _, key = a_test(tmp_path, "mos")
    path = tmp_path / "k.json"
    write_key(path, key)
    assert read_key(path) == key
    for text in ("{", "[]", "{}", path.read_text().replace('"format": 1', '"format": 9')):
        path.write_text(text)
        with pytest.raises(UserError, match="found no key of a listening test"):
            read_key(path)
    with pytest.raises(UserError, match="no such file, expected the key"):
        read_key(tmp_path / "other.html")


def test_the_command(tmp_path, capsys):
    ours, theirs = speech(tmp_path, "ours"), speech(tmp_path, "theirs")
    page = tmp_path / "test.html"
    common = ["make", "ab", str(page), "--check-style", "text", "--system"]
    assert call(main, [*common, f"ours={ours}", str(theirs), "--trials", "3"]) == 0
    said = capsys.readouterr().out
    assert (
        f"wrote {page}" in said
        and "7 pages, 1 min a listener" in said
        and "keep it to yourself" in said
    )
    assert read_key(page).systems == ("ours", "theirs")
    assert call(main, [*common, f"x={ours}", f"x={theirs}"]) == 1
    assert "--system: found 'x' twice" in capsys.readouterr().err
    assert call(main, ["make", "ab", "page", "--system", str(ours)]) == 1
    assert "page: found no .html at the end" in capsys.readouterr().err
    assert call(main, ["make", "ab", str(page), "--system", "a=/nowhere", f"b={ours}"]) == 1
    assert capsys.readouterr().err.startswith("listening_test: error: a: found no /nowhere/wav.scp")
