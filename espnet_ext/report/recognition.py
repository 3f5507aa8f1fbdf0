"""The recogniser's part of the page: tables of errors, the worst sentences, what it confuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from espnet_ext.metrics.confusion import Confusions, confusions, most_frequent
from espnet_ext.metrics.wer import Alignment
from espnet_ext.report.attention import asr_attention
from espnet_ext.report.breakdown import confidence, groups, speed
from espnet_ext.report.markup import esc, interval, missing, number, section, table
from espnet_ext.report.mistakes import align_all, aligned_html, worst
from espnet_ext.report.sound import Players
from espnet_ext.report.sources import Experiment, read_json
from espnet_ext.report.suites import suites_section

_KINDS = {"wer": "words", "cer": "characters", "ter": "tokens"}
_HEADER = (
    "set",
    "counted in",
    "sentences",
    "said",
    "wrong %",
    "missing %",
    "made up %",
    "all errors %",
    "95 %",
    "sentences wrong %",
)
_WORST, _HEARD = 8, 4  # sentences shown, and how many of them with a player


def recognition(asr: Experiment | None, players: Players) -> str:
    """The section, or a sentence that there is nothing to show."""
    title = "Speech recognition"
    if asr is None or asr.model is None:
        return section("asr", title, missing("No recogniser was trained."))
    scores = asr.scores()
    parts = [score_tables(scores) if scores else missing("What it recognised is not scored yet.")]
    parts += [_sentences(asr, name, players) for name in asr.sets("text")]
    if scores:
        parts += [confidence(scores.get("calibration", {})), speed(scores.get("timing", {}))]
    parts += [_conditions(asr), "<h3>Where it listened</h3>", asr_attention(asr.model)]
    return section("asr", title, *parts)


def _conditions(asr: Experiment) -> str:
    """What the evaluation suites gave, where they were run."""
    found = read_json(asr.decode / "suites" / "scores.json") if asr.decode else None
    return f"<h3>Other conditions</h3>{suites_section(found)}" if found else ""


def score_tables(scores: Mapping[str, Any]) -> str:
    """By set, and by speaker, gender, length, ..."""
    sets = scores.get("sets", {})
    rows = [
        _row(name, _KINDS.get(kind, kind), kinds[kind])
        for name, kinds in sets.items()
        for kind in kinds
    ]
    explain = (
        "wrong = another one was recognised; missing = it was not recognised; made up = nothing was "
        "said there; all as shares of what was said."
    )
    tables = [table(_HEADER, rows, 2), f'<p class="small">{explain}</p>']
    tables += [groups(name, kinds["wer"]) for name, kinds in sets.items() if "wer" in kinds]
    return "".join(tables)


def _row(name: str, unit: str, found: Mapping[str, Any]) -> tuple[object, ...]:
    total = found["words"]
    keys = ("substitutions", "deletions", "insertions")
    shares = [number(100 * found[key] / total if total else None) for key in keys]
    return (
        esc(name),
        unit,
        found["sentences"],
        total,
        *shares,
        f"<strong>{number(found['error_rate'])}</strong>",
        interval(found.get("interval_95")),
        number(found["sentence_error_rate"]),
    )


def _sentences(asr: Experiment, name: str, players: Players) -> str:
    ref = asr.reference(name, "text")
    if not ref:
        return missing(f"{name}: the reference text is missing, so no mistakes can be shown.")
    aligned = align_all(ref, asr.result(name, "text"))
    chosen = worst(aligned, _WORST)
    if not chosen:
        return f"<p>{esc(name)}: every sentence was recognised without a mistake.</p>"
    waves = asr.reference(name, "wav.scp")
    blocks = []
    for index, utt in enumerate(chosen):
        entry = waves.get(utt) if index < _HEARD else None
        heard = players.from_entry(asr.audio(entry), utt) if entry else ""
        blocks.append(_block(utt, aligned[utt], heard))
    return (
        f"<h3>Worst sentences: {esc(name)}</h3>"
        '<p class="small">Above what was said, below what was recognised; '
        '<span class="key S">S</span> another word, <span class="key D">D</span> a word missed, '
        '<span class="key I">I</span> a word made up.</p>'
        + "".join(blocks)
        + _confused(confusions(aligned.values()))
    )


def _block(utt: str, alignment: Alignment, heard: str) -> str:
    errors = alignment.counts.errors
    head = f"<code>{esc(utt)}</code> {errors} error{'s' if errors > 1 else ''} in {alignment.counts.words} words"
    return f'<div class="utt"><p>{head}</p>{aligned_html(alignment)}{heard}</div>'


def _confused(found: Confusions, count: int = 10) -> str:
    """The most frequent substitutions, deletions and insertions, side by side."""
    titles = {
        "S": ("Most confused", "said → recognised"),
        "D": ("Most missed", "said"),
        "I": ("Most made up", "recognised"),
    }
    tables = []
    for op, (title, heading) in titles.items():
        rows = [(_words(*words), times) for words, times in most_frequent(found, op, count)]
        if rows:
            tables.append(f"<div><h4>{title}</h4>{table((heading, 'times'), rows)}</div>")
    return f'<div class="trio">{"".join(tables)}</div>' if tables else ""


def _words(*words: str) -> str:
    shown: Sequence[str] = [esc(word) for word in words if word]
    return " → ".join(shown)
