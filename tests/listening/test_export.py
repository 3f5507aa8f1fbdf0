"""Files for crowdsourcing platforms have the form that their documentation asks for."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qs, urlsplit

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.listening_test import main
from espnet_ext.listening.export import guess
from tests.listening.panel import a_test

URL = "https://example.org/a/test.html?x=1"
BACK = "https://app.prolific.com/submissions/complete?cc=C0DE"


def export(platform, page, output, *more, url=URL):
    return call(main, ["export", platform, str(page), "--url", url, "--output", str(output), *more])


def test_mechanical_turk(tmp_path):
    page, key = a_test(tmp_path, "mos")
    assert export("mturk", page, tmp_path / "out") == 0
    with open(tmp_path / "out/tasks.csv", newline="") as stream:
        tasks = list(csv.DictReader(stream))
    assert [parse_qs(urlsplit(task["url"]).query) for task in tasks] == [
        {"x": ["1"], "listener": [str(n)]} for n in range(1, 7)
    ]
    questions = sorted((tmp_path / "out/questions").iterdir())
    assert len(questions) == len(key.orders)
    for question, task in zip(questions, tasks, strict=True):
        root = ElementTree.parse(question).getroot()
        space, _, name = root.tag.rpartition("}")
        assert name == "ExternalQuestion" and space.endswith("/2006-07-14/ExternalQuestion.xsd")
        assert [child.tag.rpartition("}")[2] for child in root] == ["ExternalURL", "FrameHeight"]
        assert root[0].text == task["url"] and int(root[1].text) > 0
    layout = (tmp_path / "out/layout.html").read_text()
    assert "${url}" in layout and 'name="answers"' in layout and "<form" not in layout
    hit = json.loads((tmp_path / "out/hit.json").read_text())
    assert hit["AssignmentDurationInSeconds"] == 2400 and hit["MaxAssignments"] == 1


def test_prolific(tmp_path):
    page, _ = a_test(tmp_path, "ab", completion=BACK, collector="https://example.org/answers")
    assert export("prolific", page, tmp_path / "out", "--minutes", "9") == 0
    study = json.loads((tmp_path / "out/study.json").read_text())
    assert (
        study["completion_codes"][0]["code"] == "C0DE" and study["estimated_completion_time"] == 9
    )
    assert (
        study["total_available_places"]
        == sum(d["total_allocation"] for d in study["access_details"])
        == 6
    )
    with open(tmp_path / "out/tasks.csv", newline="") as stream:
        places = [row["external_url"] for row in csv.DictReader(stream)]
    assert places == [detail["external_url"] for detail in study["access_details"]]
    assert "PROLIFIC_PID={{%PROLIFIC_PID%}}" in places[0] and "listener=1&" in places[0]


@pytest.mark.parametrize(
    ("platform", "changes", "more", "url", "said"),
    [
        ("mturk", {}, (), "http://example.org/t.html", "expected an https address"),
        ("mturk", {}, (), "file:///t.html", "expected an https address"),
        ("mturk", {}, ("--minutes", "1"), URL, "--minutes: found 1, expected at least 3"),
        ("prolific", {}, (), URL, "expected one that sends them"),
        (
            "prolific",
            {"collector": "https://x.org"},
            (),
            URL,
            "found a page without a completion code",
        ),
    ],
)
def test_what_a_platform_would_not_take(platform, changes, more, url, said, tmp_path, capsys):
    page, _ = a_test(tmp_path, "mos", **changes)
    assert export(platform, page, tmp_path / "out", *more, url=url) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_minutes_that_are_asked_for_are_enough(tmp_path, capsys):
    page, key = a_test(tmp_path, "mos", trials=6, checks=1, gold=0)
    assert 1.0 < guess(key) / 60 < 1.4  # which rounds down to what is too little
    assert export("mturk", page, tmp_path / "out", "--minutes", "1") == 1
    assert "--minutes: found 1, expected at least 2" in capsys.readouterr().err
    assert export("mturk", page, tmp_path / "out", "--minutes", "2") == 0


def test_the_guess_grows_with_the_test(tmp_path):
    long, short = (a_test(tmp_path, "mos", trials=n)[1] for n in (15, 5))
    assert guess(long) > 10 * 8 + guess(short) - 1 > 0
