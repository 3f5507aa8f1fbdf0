"""The synthesiser's part of the page: scores, and sentences to listen to and look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espnet_ext.metrics.beside import GRIFFIN_LIM, RECORDING, VOCODER
from espnet_ext.metrics.speech_tables import MEASURES, share
from espnet_ext.metrics.wer import align
from espnet_ext.report.attention import tts_attention
from espnet_ext.report.markup import esc, figure, interval, missing, note, number, section, table
from espnet_ext.report.mistakes import aligned_html
from espnet_ext.report.pictures import spectrogram
from espnet_ext.report.pitch import contour, highest
from espnet_ext.report.recognition import score_tables
from espnet_ext.report.sound import Players, load_entry
from espnet_ext.report.sources import Experiment, table_or_empty
from espnet_ext.report.summary import Sources

_SENTENCES = 5
_SIZE = (250, 140)  # of a spectrogram: three stand side by side
# what was made of the recordings' own spectrograms
_AGAIN = {GRIFFIN_LIM: "recording by Griffin-Lim", VOCODER: "recording by the vocoder"}
BESIDE = {RECORDING: "recording", **_AGAIN}


def synthesis(sources: Sources, players: Players) -> str:
    """The section, or a sentence that there is nothing to show."""
    tts, title = sources.tts, "Speech synthesis"
    if tts is None or tts.model is None:
        return section("tts", title, missing("No synthesiser was trained."))
    scores = tts.scores()
    parts = [_scores(scores) if scores else missing("What it spoke is not scored yet.")]
    names = tts.sets("wav.scp")
    parts += [_sentences(sources, tts, name, players) for name in names[:1]]
    parts += [] if names else [missing("No sentence was synthesised.")]
    parts += ["<h3>What it learnt to say when</h3>", tts_attention(tts.model)]
    return section("tts", title, *parts)


def _scores(scores: Mapping[str, Any]) -> str:
    beside: Mapping[str, Any] = scores.get("beside", {})
    kinds = [kind for kind in BESIDE if any(name.startswith(f"{kind}/") for name in beside)]
    rows = [
        (
            esc(name),
            measure.name,
            _figure(found, key, measure.digits),
            interval(found[key].get("interval_95"), measure.digits),
            *(_figure(beside.get(f"{kind}/{name}"), key, measure.digits) for kind in kinds),
        )
        for name, found in scores.get("sets", {}).items()
        for key, measure in MEASURES.items()
        if _mean(found, key) is not None
    ]
    explain = (
        "Each synthesised sentence is laid upon a recording of the same sentence and compared frame by "
        "frame; the recording itself would have 0 (correlations, length and STOI: 1; PESQ: 4.6)."
    )
    if kinds:
        explain += (
            " Beside stand the recordings, and what a perfect synthesiser would get: their own spectrograms made "
            "sound again."
        )
    header = ("set", "compared with recordings", "synthesis", "95 %", *(BESIDE[k] for k in kinds))
    return table(header, rows, 2) + note(explain)


def _figure(found: Mapping[str, Any] | None, key: str, digits: int) -> str:
    """The mean, and of how many sentences it is if not of all."""
    value = _mean(found, key)
    if found is None or value is None:
        return number(value, digits)
    return number(value, digits) + share(found[key], found.get("sentences", 0))


def _mean(found: Mapping[str, Any] | None, key: str) -> float | None:
    value = ((found or {}).get(key) or {}).get("mean")
    return None if value is None else float(value)


def _heard(sources: Sources, name: str) -> dict[str, tuple[str, str]]:
    """Utterance -> (what was to be heard, what the recogniser heard), both as its transcripts are."""
    trip = sources.round_trip
    if trip is None:
        return {}
    said, heard = (table_or_empty(trip / folder / name / "text") for folder in ("dump", "decode"))
    return {utt: (text, heard[utt]) for utt, text in said.items() if utt in heard}


def _sentences(sources: Sources, tts: Experiment, name: str, players: Players) -> str:
    made, real = tts.result(name, "wav.scp"), tts.reference(name, "wav.scp")
    texts, heard = tts.reference(name, "text"), _heard(sources, name)
    again = {_AGAIN[k]: tts.result(f"{k}/{name}", "wav.scp") for k in _AGAIN}
    blocks = []
    for utt in spread(sorted(made), _SENTENCES):
        entries = [(tts.audio(real[utt]), "recording")] if utt in real else []
        entries += [
            (tts.audio(waves[utt]), label) for label, waves in again.items() if utt in waves
        ]
        entries += [(tts.audio(made[utt]), "synthesis")]
        blocks.append(
            f'<div class="utt"><p><code>{esc(utt)}</code> {esc(texts.get(utt, ""))}</p>'
            f"{_side_by_side(utt, entries, players)}{_hearing(heard.get(utt))}</div>"
        )
    caption = (
        "Spectrograms: time from left to right, low sounds below, high ones above, loud is bright. The line is the "
        "melody of the voice, with its own scale on the right. The closer two pictures look, the closer they sound."
    )
    return f"<h3>Sentences to listen to: {esc(name)}</h3>" + figure("".join(blocks), caption)


def spread(items: list[str], count: int) -> list[str]:
    """`count` of the items, evenly spread."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _side_by_side(utt: str, entries: list[tuple[str, str]], players: Players) -> str:
    """Pictures and players of the same sentence, with the same scales."""
    loaded = [(load_entry(entry), label) for entry, label in entries]
    longest = max((len(found[0]) / found[1] for found, _ in loaded if found), default=0.0)
    contours = [contour(*found) if found else None for found, _ in loaded]
    top, sides = highest(contours), []
    for (found, label), pitch in zip(loaded, contours, strict=True):
        if found is None:
            sides.append(missing(f"{label}: the audio is missing"))
            continue
        alt = f"Spectrogram of the {label} of {utt}"
        over = None if pitch is None else (pitch, top)
        drawn = spectrogram(*found, longest, alt, _SIZE, over)
        heard = players.player(*found, f"{label} of {utt}", named=False)
        sides.append(f"<div><h4>{label}</h4>{drawn}{heard}</div>")
    return f'<div class="pair">{"".join(sides)}</div>'


def _hearing(pair: tuple[str, str] | None) -> str:
    if pair is None:
        return ""
    said, heard = (text.split() for text in pair)
    if said == heard:
        return '<p class="small">Our recogniser understood every word of the synthesis.</p>'
    return '<p class="small">What our recogniser heard in the synthesis:</p>' + aligned_html(
        align(said, heard)
    )


def round_trip(sources: Sources) -> str:
    """How well the recogniser understands the synthesiser."""
    scores, title = sources.round_trip_scores(), "Round trip: the recogniser hears the synthesiser"
    if scores is None:
        return section("round-trip", title, missing("The round trip was not run."))
    explain = (
        "The recogniser writes down what the synthesiser says; few errors mean that the synthesis can "
        "be understood (and that the recogniser copes with this voice)."
    )
    return section("round-trip", title, note(explain), score_tables(scores))
