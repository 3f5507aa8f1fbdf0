"""What crowdsourcing platforms want to publish a test: addresses, forms, questions.

The page itself has to lie at an https address. Amazon Mechanical Turk (Requester UI guide; API reference,
ExternalQuestion and HTMLQuestion articles) shows it in a frame and takes a form with `assignmentId` and at least one
more field; a project of its web site fills `${url}` of a layout from the column `url` of a CSV. Prolific (API
reference, the study object) sends people to an address with their id in it, and takes them back at another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.listening.key import Key
from espnet_ext.listening.page import read_page
from espnet_ext.listening.screening import heard

_SCHEMA = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"
_FRAME = 900  # pixels of height
_IDS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")  # what Prolific fills in
_DECIDING = 8.0  # seconds a page, beside listening once and a half

Written = Iterator[tuple[Path, str]]


def export(platform: str, page: Path, url: str, output: Path, minutes: int) -> Written:
    """Write a platform's files.

    Args:
        platform: "mturk" or "prolific".
        page: that `make` wrote.
        url: where it will lie.
        output: directory.
        minutes: that people get.

    Yields:
        path and purpose of each file.

    Raises:
        UserError: no such page, an address that is not https, a test that takes longer, or answers with nowhere to go.
    """
    _, data, key = read_page(page)
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc or parts.fragment:
        raise UserError(
            f"--url: found {url!r}, expected an https address, such as https://example.org/test.html: platforms show "
            "nothing else"
        )
    needed = guess(key) / 60
    if minutes < needed:
        raise UserError(
            f"--minutes: found {minutes}, expected at least {math.ceil(needed)}, which listening and deciding "
            "take: ask for more, or make a test with fewer --trials"
        )
    yield from (_mturk if platform == "mturk" else _prolific)(key, data, url, output, minutes)


def guess(key: Key) -> float:
    """Seconds that the longest order takes somebody quick: every sound one and a half times, and some thought."""
    return max(sum(1.5 * heard(key, trial) + _DECIDING for trial, _ in one) for one in key.orders)


def addresses(key: Key, url: str) -> list[str]:
    """The page's address for every listener number."""
    sign = "&" if urlsplit(url).query else "?"
    return [f"{url}{sign}listener={number}" for number in range(1, len(key.orders) + 1)]


def _mturk(key: Key, data: dict[str, Any], url: str, output: Path, minutes: int) -> Written:
    write_text(output / "tasks.csv", "\r\n".join(["url", *addresses(key, url)]) + "\r\n")
    yield output / "tasks.csv", "a task a line, for a batch on the web site"
    write_text(output / "layout.html", _LAYOUT)
    yield (
        output / "layout.html",
        "the design layout of the project; answers come as the column Answer.answers",
    )
    for number, address in enumerate(addresses(key, url), 1):
        path = output / "questions" / f"{number:03d}.xml"
        write_text(path, _question(address))
    yield output / "questions", "ExternalQuestion of each task, for the API's CreateHIT"
    hit = {
        "Title": key.title,
        "Description": "Listen to short recordings of speech and rate them. Headphones are best.",
        "Keywords": "audio, listening, speech, rating",
        "MaxAssignments": 1,
        "AssignmentDurationInSeconds": 60 * minutes * 2,
        "LifetimeInSeconds": 7 * 24 * 3600,
    }
    write_json(output / "hit.json", hit)
    yield output / "hit.json", "the other arguments of CreateHIT but the reward"


def _question(address: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ExternalQuestion xmlns="{_SCHEMA}">\n'
        f"  <ExternalURL>{escape(address)}</ExternalURL>\n"
        f"  <FrameHeight>{_FRAME}</FrameHeight>\n"
        "</ExternalQuestion>\n"
    )


# The web site puts a layout into a form of its own, with a button to submit; `answers` is what it stores. The page in
# the frame learns the worker's id from the address of the frame around it.
_LAYOUT = """<p>Please answer every page below. Your answers are handed in at the end by themselves.</p>
<iframe id="page" title="Listening test" style="width: 100%; height: 900px; border: 0" allow="autoplay"></iframe>
<input type="hidden" name="answers" id="answers">
<p><label>Anything to tell us? <input type="text" name="comment" maxlength="500" style="width: 60%"></label></p>
<p id="state" role="status"></p>
<script>
(function () {
  var here = new URLSearchParams(location.search), page = new URL("${url}");
  ["workerId", "assignmentId"].forEach(function (name) {
    if (here.get(name)) page.searchParams.set(name, here.get(name));
  });
  document.getElementById("page").src = page.href;
  addEventListener("message", function (event) {
    if (event.source !== document.getElementById("page").contentWindow || !event.data || !event.data.listening) return;
    document.getElementById("answers").value = event.data.answers;
    document.getElementById("state").textContent = "All answered: please press Submit.";
  });
})();
</script>
"""


def _prolific(key: Key, data: dict[str, Any], url: str, output: Path, minutes: int) -> Written:
    if not data["collector"]:
        raise UserError(
            "found a page that downloads its answers, expected one that sends them: make it again with --collector "
            "https://..., where `collect` runs behind your web server"
        )
    code = data["code"] or dict(
        pair.partition("=")[::2] for pair in urlsplit(data["completion"]).query.split("&")
    ).get("cc", "")
    if not code:
        raise UserError(
            "found a page without a completion code, expected one: make it again with --code CODE or --completion "
            "https://app.prolific.com/submissions/complete?cc=CODE"
        )
    asked = "&".join(f"{name}={{{{%{name}%}}}}" for name in _IDS)
    places = [f"{address}&{asked}" for address in addresses(key, url)]
    write_text(output / "tasks.csv", "\r\n".join(["external_url", *places]) + "\r\n")
    yield output / "tasks.csv", "an address a line, for a study with several (Taskflow)"
    study = {
        "name": key.title,
        "internal_name": f"listening {key.test}",
        "description": "Listen to short recordings of speech and rate them. Headphones are best.",
        "prolific_id_option": "url_parameters",
        "access_details": [{"external_url": place, "total_allocation": 1} for place in places],
        "total_available_places": len(places),
        "estimated_completion_time": minutes,
        "completion_codes": [
            {"code": code, "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}
        ],
        "device_compatibility": ["desktop", "tablet", "mobile"],
        "peripheral_requirements": ["audio"],
        "filters": [],
    }
    write_json(output / "study.json", study)
    yield output / "study.json", "the body of a draft study for the API; the reward is left to you"
