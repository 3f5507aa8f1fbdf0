"""The page of a listening test: one file with sounds, style and script inside, and nothing that tells systems apart."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError
from espnet_ext.listening.key import KINDS, Key, read_key
from espnet_ext.report.markup import esc

if TYPE_CHECKING:
    import numpy as np

    from espnet_ext.listening.build import Options


def page_of(key: Key, sounds: Mapping[str, np.ndarray], rate: int, options: Options) -> str:
    """The page as text.

    Args:
        key: to the test.
        sounds: id of a stimulus -> samples (T,), float in [-1, 1].
        rate: Hz.
        options: texts and addresses.
    """
    blocks = "\n".join(
        f'<script type="text/plain" id="{name}">{_flac(samples, rate)}</script>'
        for name, samples in sorted(sounds.items())
    )
    parts = {
        "STYLE": _part("page.css"),
        "SCRIPT": _part("page.js"),
        "SOUNDS": blocks,
        "DATA": as_data(_data(key, options)),
        "TITLE": esc(key.title),
    }
    page = _part("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def as_data(value: object) -> str:
    """A value as it stands in a page, where "<" would end the script."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def read_page(path: Path) -> tuple[str, dict[str, Any], Key]:
    """The page as text, what its script knows, and its key.

    Raises:
        UserError: no page, or one that has another key beside it.
    """
    if path.suffix != ".html" or not path.is_file():
        raise UserError(f"{path}: found no page, expected the file *.html that `make` wrote")
    key = read_key(path)
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    except ValueError:
        data = {}
    if data.get("test") != key.test:
        raise UserError(
            f"{path}: found the page of the test {data.get('test')}, expected {key.test} as its key says: make the "
            "test again, or put page and key of one test together"
        )
    return text, data, key


def _data(key: Key, options: Options) -> dict[str, Any]:
    """What the script has to know; no system, no role but training, no right answer."""
    kind = KINDS[key.kind]
    trials = {
        name: {
            "stimuli": trial.stimuli,
            "reference": trial.reference,
            "text": trial.text,
            "training": trial.role == "training",
        }
        for name, trial in key.trials.items()
    }
    return {
        "test": key.test,
        "kind": key.kind,
        "title": key.title,
        "question": options.question or kind.question,
        "instructions": options.instructions,
        "values": kind.values,
        "labels": kind.labels,
        "trials": trials,
        "orders": key.orders,
        "collector": options.collector,
        "completion": options.completion,
        "code": options.code,
    }


def _flac(samples: np.ndarray, rate: int) -> str:
    """16-bit FLAC as base64: half the size of wav, and every current browser plays it."""
    from espnet_ext.audio.resample import to_int16
    from espnet_ext.audio.write import encode

    return base64.b64encode(encode(to_int16(samples), rate, "flac")).decode()


def _part(name: str) -> str:
    return (resources.files("espnet_ext.listening") / name).read_text(encoding="utf-8")
