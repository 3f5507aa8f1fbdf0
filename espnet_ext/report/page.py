"""The page itself: sections one below the other, style and script inside, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.report.headline import headline
from espnet_ext.report.markup import esc, section
from espnet_ext.report.origin import origin, times
from espnet_ext.report.recognition import recognition
from espnet_ext.report.sound import Players
from espnet_ext.report.sources import newest_model
from espnet_ext.report.summary import Sources, summarise
from espnet_ext.report.synthesis import round_trip, synthesis
from espnet_ext.report.training import training

_LINKS = {
    "results": "Results",
    "asr": "Recognition",
    "tts": "Synthesis",
    "round-trip": "Round trip",
    "training": "Training",
    "times": "Time",
    "origin": "How made",
}


def write_report(sources: Sources, output: Path, title: str) -> dict[str, Any]:
    """Write `report.html` and `summary.json` into `output`.

    Args:
        sources: what to report.
        output: directory; made if it is missing.
        title: of the page.

    Returns:
        the summary.

    Raises:
        UserError: if there is nothing at all to report.
    """
    if sources.empty():
        looked = [f"{part.recipe}/exp" for part in sources.recipes]
        looked += [str(sources.round_trip)] if sources.round_trip else []
        raise UserError(
            f"{' and '.join(looked) or 'no directory given'}: found no trained model and no scores, "
            "expected at least one of them: run a recipe first, or name it with --asr or --tts"
        )
    summary = summarise(sources)
    write_text(output / "report.html", build(sources, summary, title))
    write_json(output / "summary.json", summary)
    return summary


def build(sources: Sources, summary: dict[str, Any], title: str) -> str:
    """The whole page as text."""
    players = Players()
    spoken = synthesis(sources, players)  # before recognition: the first to ask has the players
    body = [
        headline(summary),
        recognition(sources.asr, players),
        spoken,
        round_trip(sources),
        _training(sources),
        times(summary),
        origin(summary, sources),
    ]
    return document(title, _LINKS, body)


def document(title: str, links: Mapping[str, str], body: Sequence[str]) -> str:
    """A page that needs nothing from elsewhere.

    Args:
        title: of the page.
        links: id of a section -> its name, at the top of the page.
        body: the sections, HTML.
    """
    to_parts = "".join(f'<a href="#{key}">{name}</a>' for key, name in links.items())
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{esc(title)}</title>\n<style>\n{_part('style.css')}</style>\n</head>\n<body>\n"
        f"<header><h1>{esc(title)}</h1><nav>{to_parts}</nav></header>\n<main>\n"
        + "\n".join(body)
        + f"\n</main>\n<script>\n{_part('script.js')}</script>\n</body>\n</html>\n"
    )


def _training(sources: Sources) -> str:
    parts = []
    if sources.asr:
        parts.append(training("Recogniser", sources.asr.model))
        parts.append(training("Language model", newest_model(sources.asr.recipe, "lm")))
    if sources.tts:
        parts.append(training("Synthesiser", sources.tts.model))
    return section("training", "Training", *parts)


def _part(name: str) -> str:
    return (resources.files("espnet_ext.report") / name).read_text(encoding="utf-8")
