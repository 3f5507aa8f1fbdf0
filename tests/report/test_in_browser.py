"""The page as a browser shows it: nothing hangs over the edge, what is to be compared stands in a line."""

import json
import shutil

import pytest

from espnet_ext.report.page import write_report
from tests.listening.browser import Browser

WIDE = "document.documentElement.scrollWidth > window.innerWidth"
PAIR = "#tts .utt .pair"
EACH = f"[...document.querySelectorAll('{PAIR} > div')].slice(0, 3)"
TOPS = f"{EACH}.map(e => Math.round(e.getBoundingClientRect().top))"
SEEN = f"{EACH}.every(e => e.querySelector('audio').getBoundingClientRect().width > 150)"
HEARD = f"""(async () => {{ const a = document.querySelector('{PAIR} audio');
await new Promise(r => a.readyState ? r() : a.onloadedmetadata = r); return a.duration; }})()"""


@pytest.fixture
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


def resize(browser, width):
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    browser.until(f"window.innerWidth === {width} || {WIDE}")


@pytest.mark.slow
def test_the_synthesisers_part(sources, job, browser):
    made = job / "tts1/exp/tts_small/decode"
    shutil.copytree(made / "eval1", made / "griffin_lim/eval1")
    scores = json.loads((made / "scores.json").read_text())
    scores["beside"] = {f"{x}/eval1": scores["sets"]["eval1"] for x in ("recording", "griffin_lim")}
    (made / "scores.json").write_text(json.dumps(scores))
    write_report(sources, job / "report", "A job")
    browser.open(f"file://{job}/report/report.html")
    for width, lines in ((1000, 1), (360, 3)):
        resize(browser, width)
        assert not browser.run(WIDE), width
        assert len(set(browser.run(TOPS))) == lines and browser.run(SEEN)
    assert browser.run(HEARD) == pytest.approx(0.4, abs=0.05)
