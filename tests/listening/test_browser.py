"""A whole test in a real browser: heard, answered by keyboard, closed and taken up again, downloaded, analysed."""

from __future__ import annotations

import csv
import json
import threading

import pytest

from espnet_ext.listening.analysis import analyse
from espnet_ext.listening.answers import read_answers
from espnet_ext.listening.collect import collector
from espnet_ext.listening.export import export
from espnet_ext.listening.key import KINDS
from espnet_ext.listening.screening import Limits
from tests.listening.browser import Browser
from tests.listening.panel import a_test

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HERE = """[...document.querySelectorAll('h1, .note, .badge, kbd, #count')].map(e => e.innerText).join('\\n')"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = Browser(tmp_path_factory.mktemp("browser"))
    yield one
    one.close()


def begin(browser, name="amy", **about):
    """Fill in the first page and press the button; the button waits for what has to be filled in."""
    answers = {"rater": name, "age": "30-44", "language": "Finnish", "hearing": "No known hearing loss",
               "device": "Headphones", **about}  # fmt: skip
    assert browser.run("document.querySelector('button.main').disabled")
    for field, value in answers.items():
        browser.run(f"""(() => {{ const e = document.forms[0].elements[{json.dumps(field)}]; if (!e) return;
            e.value = {json.dumps(value)};
            for (const name of ["change", "input"]) e.dispatchEvent(new Event(name)); }})()""")
    assert browser.run("document.querySelector('button.main').disabled")
    browser.click("#consent")
    browser.until("!document.querySelector('button.main').disabled")
    browser.click("button.main")
    browser.until("!!document.querySelector('.trial')")


def ready(browser):
    browser.until("!document.querySelector('.foot .main').disabled")


def advance(browser):
    """Enter, until the next page is there."""
    before = browser.run("state.at")
    ready(browser)
    browser.key("Enter")
    browser.until(f"state.at === {before + 1}")


def answer(browser, key, trial, listener):
    """The keys for one page of MOS or pairs, which says nothing before every sound has ended."""
    pair = KINDS[key.kind].sounds == 2
    values = KINDS[key.kind].values
    shown = [key.stimuli[name] for name in key.shown(trial, dict(key.orders[listener])[trial])]
    order = ["spoilt", "theirs", "ours", "reference"]
    ranks = [order.index(sound.system) if sound.system in order else 0 for sound in shown]
    value = 2 + ranks[0] if not pair else (ranks[1] > ranks[0]) - (ranks[1] < ranks[0])
    expected = key.trials[trial].expected
    if key.trials[trial].role == "check":
        value = int(expected[0])
    if not pair and shown[0].system == "spoilt" and key.trials[trial].role == "gold":
        value = 1
    browser.key(str(values.index(value) + 1))
    assert browser.run("document.querySelector('.foot .main').disabled"), "nothing was heard yet"
    for one in "ab" if pair else " ":
        browser.key(one)
        browser.until("playing && playing.heard")
    return value


def play(browser, key, listener=0, first=0, last=None):
    given = {}
    for trial, _ in key.orders[listener][first:last]:
        given[trial] = answer(browser, key, trial, listener)
        advance(browser)
    return given


def downloaded(browser, key, name):
    """The file behind the button at the end."""
    path = browser.downloads / f"listening_{key.test}_{name}.csv"
    browser.until("document.querySelector('h1').innerText === 'Thank you!'")
    browser.click("a[download]")
    for _ in range(500):
        if path.is_file():
            return path
        browser.until("new Promise(done => setTimeout(() => done(true), 20))")
    raise AssertionError(f"{path.name} was not downloaded: {list(browser.downloads.iterdir())}")


def test_a_whole_mos_test(browser, tmp_path):
    page, key = a_test(tmp_path, "mos", number=3, instructions="Dear listener,")
    browser.open(f"file://{page}?listener=1")
    assert (
        "Dear listener," in browser.text()
        and f"There are {len(key.orders[0])} pages" in browser.text()
    )
    begin(browser)
    assert "Practice: does not count" in browser.text() and browser.run(HERE)
    given = play(browser, key, last=4)
    browser.call("Page.navigate", url="about:blank")
    browser.open(f"file://{page}")  # another day, without the number in the address
    assert f"5 of {len(key.orders[0])}" in browser.text()
    given |= play(browser, key, first=4)
    path = downloaded(browser, key, "amy")
    sheet = read_answers(key, [path])[0]
    assert {a.trial: a.value for a in sheet.answers} == given and sheet.listener == 0
    assert sheet.about["language"] == "Finnish" and all(a.plays >= 1 for a in sheet.answers)
    found = analyse(page, [path], Limits(fast=1.0))
    assert found.rejected == {} and found.key.test == key.test
    assert {s.subject[0]: s.mean for s in found.scores} == {"theirs": 3, "ours": 4, "reference": 5}
    browser.open(f"file://{page}")
    assert "Thank you!" in browser.text()


def test_pairs_are_recorded_as_they_were_shown(browser, tmp_path):
    page, key = a_test(tmp_path, "ab", number=3)
    paths = []
    for listener, name in enumerate(("ann", "bob")):
        browser.open(f"file://{page}?listener={listener + 1}&rater={name}")
        begin(browser, name)
        play(browser, key, listener)
        paths.append(downloaded(browser, key, name))
        browser.run("localStorage.clear()")
    found = analyse(page, paths, Limits(fast=1.0))
    assert found.rejected == {} and found.scores[0].answers == {-1: 4, 0: 0, 1: 0}
    shown = {a.stimulus for path in paths for a in read_answers(key, [path])[0].answers}
    assert any("|".join(reversed(one.split("|"))) in shown for one in shown)


def test_a_whole_mushra_test(browser, tmp_path):
    page, key = a_test(tmp_path, "mushra", number=3)
    browser.open(f"file://{page}?listener=2")
    begin(browser, "mu = sha,")
    for trial, by in key.orders[1]:
        found = key.trials[trial]
        browser.key("r")
        browser.until(
            "document.querySelector('.reference .chip').getAttribute('aria-pressed') === 'true'"
        )
        for place, name in enumerate(key.shown(trial, by), 1):
            wanted = {"ours": 70, "theirs": 49, "reference": 100}.get(key.stimuli[name].system, 20)
            if found.role == "check":
                wanted = round(found.expected[0] + 5)
            browser.key(str(place))
            browser.until(
                f"document.activeElement.getAttribute('aria-label') === 'Rate version {place}'"
            )
            browser.run(f"document.activeElement.value = {wanted - 1}")
            browser.key("ArrowRight")
            browser.until(
                f"document.activeElement.closest('.row').querySelector('output').value === '{wanted}'"
            )
            browser.until("playing && playing.heard")
        advance(browser)
    path = downloaded(browser, key, "mu_sha_")
    results = analyse(page, [path], Limits(fast=1.0))  # nobody is as quick as a program
    assert results.rejected == {} and results.raters[0].name == "mu = sha,"
    means = {score.subject[0]: score.mean for score in results.scores}
    assert means == {"reference": 100, "ours": 70, "theirs": 49, "anchor_3.5kHz": 20}
    browser.run("localStorage.clear()")


def test_a_sound_counts_as_heard_at_its_end_and_can_be_played_again(browser, tmp_path):
    page, _ = a_test(tmp_path, "ab", number=2)
    browser.open(f"file://{page}")
    begin(browser, "stop")
    browser.key("2")
    browser.key("b")
    browser.until("playing && playing.node")
    browser.key("a")  # stops b
    browser.until("playing.plays === 1 && playing.heard && !playing.node")
    assert "Listen to A and B to the end." in browser.text()
    assert browser.run("document.querySelector('.foot .main').disabled")
    browser.key("Enter")
    assert browser.run("state.at") == 0
    browser.key("a")
    browser.until("playing.plays === 2 && playing.node")
    browser.key("b")
    browser.until("playing.plays === 2 && playing.heard")
    ready(browser)
    browser.key("Enter")
    browser.until("state.at === 1")
    assert browser.run("state.rows[0].slice(4, 6)") == [0, 4]  # no preference; two plays of each
    browser.run("localStorage.clear()")


def test_versions_take_over_where_another_one_was(browser, tmp_path):
    page, _ = a_test(tmp_path, "mushra", number=2, training=0, loudness=None)
    browser.open(f"file://{page}")
    begin(browser, "switch")
    browser.run("""(() => { window.places = [];
        const kind = AudioBufferSourceNode.prototype, start = kind.start;
        kind.start = function (when, from) { places.push(from); start.call(this, when, from); }; })()""")
    browser.key("r")
    browser.until("playing && playing.node && playing.place() > 0.08")
    browser.key("2")
    browser.until("places.length === 2")
    first, second = browser.run("places")
    assert first == 0 and (0.08 <= second < 0.3 or second == 0)
    browser.until("!playing.node")
    browser.key("2")
    browser.until("places.length === 3")
    assert browser.run("places[2]") == 0
    browser.run("localStorage.clear()")


def test_answers_are_sent_to_the_collector(browser, tmp_path):
    page, key = a_test(tmp_path, "mos", number=2)
    server = collector(page, tmp_path / "all.csv", "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        browser.open(f"http://127.0.0.1:{server.server_address[1]}/?PROLIFIC_PID=p1")
        assert browser.run("document.forms[0].elements.rater === undefined")
        begin(browser, "nobody")
        play(browser, key)
        browser.until("document.body.innerText.includes('Your answers have been sent.')")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    (sheet,) = read_answers(key, [tmp_path / "all.csv"])
    assert sheet.rater == "p1" and len(sheet.answers) == len(key.orders[0])


def test_without_a_collector_the_answers_are_not_lost(browser, tmp_path):
    page, key = a_test(tmp_path, "mos", number=2, collector="http://127.0.0.1:9/")
    browser.open(f"file://{page}?listener=1")
    begin(browser, "lost")
    play(browser, key)
    browser.until("document.body.innerText.includes('could not be sent')")
    assert read_answers(key, [downloaded(browser, key, "lost")])[0].rater == "lost"


def test_mechanical_turks_frame_gets_the_answers(browser, tmp_path):
    """The layout in a form, as the web site has it, with the page in its frame."""
    page, key = a_test(tmp_path, "mos", number=2, checks=0, gold=0, training=0)
    list(export("mturk", page, "https://example.org/t.html", tmp_path / "out", 20))
    layout = (
        (tmp_path / "out/layout.html").read_text().replace("${url}", f"file://{page}?listener=1")
    )
    frame = tmp_path / "frame.html"
    frame.write_text(f"<!DOCTYPE html><h1>HIT</h1><form>{layout}</form>")
    state = {
        "rater": "A1",
        "about": {},
        "session": "s",
        "listener": 0,
        "at": 0,
        "rows": [],
        "sent": False,
    }
    for position, (trial, _) in enumerate(key.orders[0], 1):
        state["rows"].append([position, trial, 1, key.trials[trial].stimuli[0], 3, 1, 9.0])
    state["at"] = len(state["rows"])
    browser.open(f"file://{page}?listener=1&workerId=A1")
    browser.run(f"localStorage.setItem(STORE, {json.dumps(json.dumps(state))})")
    browser.open(f"file://{frame}?workerId=A1&assignmentId=B2")
    browser.until("document.getElementById('answers').value.length > 0")
    text = browser.run("document.getElementById('answers').value")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == len(key.orders[0]) and {row["rater"] for row in rows} == {"A1"}
    assert "please press Submit" in browser.text()
    browser.run("localStorage.clear()")


def test_another_person_on_the_same_device_begins_anew(browser, tmp_path):
    """A name in the address has answers of its own: nobody's are sent as somebody else's."""
    page, _ = a_test(tmp_path, "ab", number=2)
    browser.open(f"file://{page}?workerId=A1")
    begin(browser, "A1")
    for worker, going_on in (("A2", False), ("A1", True)):
        browser.open(f"file://{page}?workerId={worker}")
        browser.until("!!document.querySelector('h1')")
        assert browser.run("!!document.querySelector('.trial')") == going_on
    assert browser.run("state.rater") == "A1"
    browser.run("localStorage.clear()")


def test_who_previews_a_task_cannot_begin(browser, tmp_path):
    page, _ = a_test(tmp_path, "mos", number=2, training=0)
    browser.open(f"file://{page}?workerId=A1&assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE")
    assert "This is a preview" in browser.text()
    browser.run("""document.querySelectorAll('select').forEach(e => { e.selectedIndex = 1;
        e.dispatchEvent(new Event('change')); }); document.getElementById('consent').click()""")
    assert browser.run("document.querySelector('button.main').disabled")


def test_every_control_has_a_name(browser, tmp_path):
    """What a screen reader would say: no button, slider or field without a name."""
    for kind in KINDS:
        page, _ = a_test(tmp_path, kind, number=2)
        browser.open(f"file://{page}")
        for _ in range(2):
            nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
            roles = (
                "button",
                "slider",
                "textbox",
                "combobox",
                "radio",
                "checkbox",
                "progressbar",
                "link",
            )
            controls = [
                n for n in nodes if not n["ignored"] and n["role"]["value"].lower() in roles
            ]
            assert len(controls) > 3
            assert all(node["name"]["value"].strip() for node in controls), controls
            if not browser.run("state"):
                begin(browser, "x")
        browser.run("localStorage.clear()")
