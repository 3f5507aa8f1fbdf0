"""The page of an audit: what was found, how measures are spread, who is heard, and the worst to hear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.audio.read import AudioError, read
from espnet_ext.files import write_text
from espnet_ext.quality.audit import Audit, Finding
from espnet_ext.quality.examine import Task
from espnet_ext.quality.findings import KINDS
from espnet_ext.quality.representation import Spread
from espnet_ext.report.curves import histogram
from espnet_ext.report.markup import esc, figure, folded, note, number, section, table
from espnet_ext.report.page import document
from espnet_ext.report.sound import Players

_LINKS = {"verdict": "Findings", "spread": "Measures", "people": "Who is heard", "worst": "Listen"}
#: Column, heading, unit, what it is.
_PLOTS = (
    ("seconds", "Length", "s", "of an utterance"),
    ("cps", "Characters per second", "", "of the text, spaces counted"),
    ("snr", "Signal-to-noise ratio", "dB", "loud against quiet frames"),
    ("wada", "WADA-SNR", "dB", "from the distribution of amplitudes"),
    ("noise", "Noise floor", "dBFS", "level of the quiet frames"),
    ("level", "Level", "dBFS", "root mean square"),
    ("speech", "Speech", "share", "frames that stand out from the noise"),
    ("bandwidth", "Bandwidth", "Hz", "where the spectrum falls off"),
)
#: Kinds that ears can judge, and how many of each get a player.
_AUDIBLE = (
    *("noisy", "high_noise", "clipped", "quiet", "offset", "little_speech", "narrow"),
    *("fast", "slow", "short", "same_audio", "wrong_duration"),
)
_PLAYERS, _LONGEST = 4, 12.0  # seconds
_ROWS = 12  # groups in a table before the rest is folded


def write_page(found: Audit, path: Path, texts: dict[str, str]) -> None:
    """Write the page of an audit.

    Args:
        found: the audit.
        path: of the page; parents are made.
        texts: of the utterances, shown beside the players.
    """
    body = [_verdict(found), _measures(found), _people(found), _worst(found, texts)]
    title = f"Audit of {found.directory}"
    write_text(path, document(title, _LINKS, body))


def _verdict(found: Audit) -> str:
    good = "Nothing was found that a training would choke on."
    bad = f"Refused: {', '.join(found.refused)}. A training would fail on this or learn from broken data."
    hours = f"{len(found.utts):,} utterances, {found.seconds / 3600:,.2f} hours that can be read."
    rows = [
        (esc(kind), "refused" if kind in found.policy.refused else "worth a look",
         esc(KINDS[kind]), found.counts[kind])
        for kind in found.findings
    ]  # fmt: skip
    parts = [f"<p><strong>{esc(bad if found.refused else good)}</strong></p>", note(hours)]
    if rows:
        parts.append(table(("kind", "", "what it means", "utterances"), rows, text_columns=3))
    for kind in found.refused:
        parts.append(folded(f"{kind}: {found.counts[kind]}", _messages(found.findings[kind])))
    return section("verdict", "Findings", *parts)


def _messages(findings: Sequence[Finding], shown: int = 50) -> str:
    rows = [(esc(f.utt) or "the directory", esc(f.message)) for f in findings[:shown]]
    return table(("utterance", "found"), rows, text_columns=2)


def _measures(found: Audit) -> str:
    charts = []
    for column, heading, unit, meaning in _PLOTS:
        values = [v for v in found.columns[column] if not math.isnan(v)]
        label = f"{meaning}{f' ({unit})' if unit else ''}"
        charts.append(histogram(heading, values, label))
    drawn = f'<div class="charts">{"".join(charts)}</div>'
    caption = "How many utterances have which value; the outermost bars hold all that lies beyond."
    return section("spread", "Measures", figure(drawn, caption) if any(charts) else "")


def _people(found: Audit) -> str:
    parts = []
    for what, spread in found.spreads.items():
        sums = (
            f"{len(spread.hours)} in all; the largest has {100 * spread.largest:.1f} % of the time; "
            f"as varied as {spread.effective:.1f} of equal size; Gini coefficient {spread.gini:.2f}."
        )
        parts += [f"<h3>{esc(what.capitalize())}</h3>", note(sums), _groups(what, spread)]
    return section("people", "Who is heard", *parts)


def _groups(what: str, spread: Spread) -> str:
    top = max(spread.hours.values(), default=0) or 1
    rows = [
        (esc(group), f'<span class="bar wide" style="--share:{100 * h / top:.1f}%"></span>',
         number(h, 3))
        for group, h in spread.hours.items()
    ]  # fmt: skip
    header = (what, "", "hours")
    first = table(header, rows[:_ROWS], text_columns=2)
    rest = rows[_ROWS : _ROWS + 500]
    return first + (
        folded(f"{len(rest)} more", table(header, rest, text_columns=2)) if rest else ""
    )


def _worst(found: Audit, texts: dict[str, str]) -> str:
    players = Players()
    parts, heard = [], set[str]()
    for kind in (k for k in _AUDIBLE if k in found.findings):
        parts.append(f"<h3>{esc(kind)}</h3>{note(KINDS[kind])}")
        for finding in found.findings[kind][:_PLAYERS]:
            if finding.utt in heard:
                parts.append(f"<p><code>{esc(finding.utt)}</code>, see above</p>")
            else:
                parts.append(_heard(found, finding, players, texts.get(finding.utt, "")))
            heard.add(finding.utt)
    if not parts:
        parts.append(note("There is nothing to listen to."))
    return section("worst", "The worst, to listen to", *parts)


def _heard(found: Audit, finding: Finding, players: Players, text: str) -> str:
    row, task = found.places[finding.utt]
    values = found.row(row)
    shown = (
        f"{values['seconds']:.2f} s, SNR {values['snr']:.0f} dB (WADA {values['wada']:.0f}), level "
        f"{values['level']:.0f} dBFS, noise {values['noise']:.0f} dBFS, clipped "
        f"{100 * values['clipped']:.2f} %, speech {100 * values['speech']:.0f} %, bandwidth "
        f"{values['bandwidth']:.0f} Hz, {values['cps']:.1f} characters a second"
    )
    said = f"<p>{esc(text)}</p>" if text else ""
    why = f'<p class="small">{esc(finding.message)}</p>' if finding.message else ""
    return (
        f'<div class="utt"><code>{esc(finding.utt)}</code>{said}'
        f'<p class="small">{esc(shown)}</p>{why}{_player(task, players)}</div>'
    )


def _player(task: Task, players: Players) -> str:
    """Of the first seconds; a header may say a sampling rate that no FLAC can have."""
    from soundfile import SoundFileError

    end = task.start + _LONGEST
    try:
        samples, rate = read(task.entry, task.utt, start=task.start, end=min(end, task.end or end))
    except (AudioError, OSError) as error:
        return f'<p class="missing">{esc(error)}</p>'
    try:
        return players.player(samples.mean(axis=1), rate, task.utt)
    except SoundFileError:
        return f'<p class="missing">{esc(task.utt)}: no player for audio at {rate} Hz</p>'
