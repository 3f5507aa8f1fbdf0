"""RESULTS.md, scores.json and pictures of a listening test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.files import atomic_open, write_json, write_text
from espnet_ext.listening.analysis import Comparison, Rater, Results, Score
from espnet_ext.listening.key import KINDS
from espnet_ext.metrics.tables import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from espnet_ext.metrics.provenance import Provenance

_COLOURS = ("#a8433a", "#dd8f6a", "#e9d9a6", "#8fb8a0", "#35786b")  # from bad to excellent
_HOUSE = 2 / 3  # of raters with one answer are called out


def write_report(results: Results, output: Path, origin: Provenance | None = None) -> None:
    """Write everything into a directory.

    Args:
        results: of `analyse`.
        output: directory; made if it is missing.
        origin: date, commit, command and hardware.
    """
    write_json(output / "scores.json", as_json(results, origin))
    _draw(results, output)
    write_text(output / "RESULTS.md", as_markdown(results, origin))


def as_json(results: Results, origin: Provenance | None = None) -> dict[str, Any]:
    """All figures; what is not a number is null."""
    found = {name: value for name, value in asdict(results).items() if name != "key"}
    key = {
        "test": results.key.test,
        "kind": results.key.kind,
        "title": results.key.title,
        "systems": results.key.systems,
    }
    whole = {**key, **found, "made": results.key.made}
    return _plain({**whole, "origin": origin.as_dict() if origin else None})  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_markdown(results: Results, origin: Provenance | None = None) -> str:
    """The report as text."""
    key, kind = results.key, KINDS[results.key.kind]
    votes = sum(score.votes for score in results.scores)
    few, many = results.votes_each
    parts = [
        f"# {key.title}",
        f"{kind.name} ({kind.source}). {len(results.raters)} of {results.heard} raters counted, {votes} votes, "
        f"{few} to {many} on a sound or pair.",
        "## Scores",
        "![Scores](scores.png)",
        markdown(*_scores(results)),
        "Intervals of 95 % take raters and utterances for draws from many (pigeonhole bootstrap, Owen 2007): they say "
        "what another panel would find on other sentences.",
        "![Answers](answers.png)",
    ]
    if results.comparisons:
        parts += ["## Comparisons", markdown(*_comparisons(results)), _read_comparisons(key.kind)]
    parts += ["## Agreement", markdown(*_agreement(results)), _read_agreement(results)]
    parts += ["## Raters", markdown(*_raters(results.raters)), *_rejected(results)]
    parts += ["## Who they are", *_about(results)]
    if origin:
        parts += ["## How made", f"- test: `{key.test}`\n" + origin.as_markdown()]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _span(bounds: tuple[float, float] | None, digits: int = 2) -> str:
    return f"{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}" if bounds else "-"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _name(score: Score) -> str:
    return " → ".join(score.subject)


def ordered(results: Results) -> list[Score]:
    """Systems from good to bad; pairs as they are."""
    if KINDS[results.key.kind].sounds == 2:
        return list(results.scores)
    return sorted(results.scores, key=lambda score: -score.mean)


def _scores(results: Results) -> tuple[list[str], list[list[object]]]:
    scores = ordered(results)
    if results.key.kind == "ab":
        head = ["first", "second", "votes", "for the first", "no preference", "for the second"]
        rows: list[list[object]] = [
            [*s.subject, s.votes, *s.answers.values(), f"{s.mean:.2f}", _span(s.interval)]
            for s in scores
        ]
        return [*head, "second, ties halved", "95 %"], rows
    head = [
        "second against first" if results.key.kind == "cmos" else "system",
        "votes",
        "mean",
        "95 %",
    ]
    return head, [[_name(s), s.votes, f"{s.mean:.2f}", _span(s.interval)] for s in scores]


def _comparisons(results: Results) -> tuple[list[str], list[list[object]]]:
    tests = list(results.comparisons[0].tests)
    head = [
        "first",
        "second",
        "second less first",
        "95 %",
        *(f"p ({t})" for t in tests),
        "p (Holm)",
    ]

    def row(one: Comparison) -> list[object]:
        values = [_p(one.tests[test]) for test in tests]
        found = [f"{one.difference:+.2f}", _span(one.interval), *values, _p(one.corrected)]
        return [one.first, one.second, *found]

    return head, [row(one) for one in results.comparisons]


def _read_comparisons(kind: str) -> str:
    if kind == "ab":
        return (
            "Exact sign tests: of raters who prefer one side more often than the other, and of single votes (which are "
            "not independent of each other: too sure). The difference is wins less losses as a share of votes."
        )
    return (
        "Tests compare raters' means, one pair of numbers a rater; Holm corrects the first for the number of "
        "comparisons."
    )


def _agreement(results: Results) -> tuple[list[str], list[list[object]]]:
    found = results.agreement.items()
    return ["measure", "value"], [[n, "-" if v is None else f"{v:.3f}"] for n, v in found]


def _read_agreement(results: Results) -> str:
    text = (
        f"Over {results.units} sounds that two raters or more rated. 1 = all agree, 0 = chance; more than 0.7 is often "
        "asked for. Kappa takes a 4 beside a 5 for as wrong as a 1; of scales, look at ordinal or interval alpha."
    )
    return text + (
        " Of MUSHRA, kappa and nominal alpha are of bands of 20 points."
        if results.key.kind == "mushra"
        else ""
    )


def _raters(raters: Sequence[Rater]) -> tuple[list[str], list[list[object]]]:
    def row(one: Rater) -> list[object]:
        alike = "-" if one.correlation is None else f"{one.correlation:.2f}"
        return [_safe(one.name), one.votes, f"{one.mean:.2f}", alike, f"{one.seconds:.1f}"]

    head = ["rater", "votes", "mean", "correlation with the others", "seconds a page"]
    return head, [row(one) for one in raters]


def _rejected(results: Results) -> Iterable[str]:
    if not results.rejected:
        return ["Nobody was left out."]
    lines = [f"- {_safe(rater)}: {'; '.join(why)}" for rater, why in results.rejected.items()]
    return ["Left out:", "\n".join(lines)]


def _about(results: Results) -> Iterable[str]:
    if not results.about:
        return ["Nothing is known about them."]
    rows: list[list[object]] = []
    notes = []
    for question, answers in results.about.items():
        for answer, (count, mean) in answers.items():
            share = count / len(results.raters)
            shown = "-" if mean is None else f"{mean:.2f}"
            rows.append([question, _safe(answer), count, f"{100 * share:.0f} %", shown])
            if (
                share > _HOUSE
                and len(results.raters) > 2
                and question in ("age", "gender", "language")
            ):
                notes.append(f'- {question}: {100 * share:.0f} % are "{_safe(answer)}"')
    table = markdown(["question", "answer", "raters", "share", "mean of their votes"], rows)
    if not notes:
        return [table]
    return [table, "Not balanced, so take care whom the scores speak for:", "\n".join(notes)]


def _safe(text: str) -> str:
    """What a listener typed, within a table's cell."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _draw(results: Results, output: Path) -> None:
    """scores.png: means with intervals; answers.png: how often each answer was given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scores = ordered(results)[::-1]
    for name, paint in (("scores", _means), ("answers", _shares)):
        figure = Figure(figsize=(8, 1.5 + 0.45 * len(scores)), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        paint(axes, results, scores)
        axes.set_yticks(range(len(scores)), [_name(score).replace("$", r"\$") for score in scores])
        axes.set_ylim(-0.6, len(scores) - 0.4)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        with atomic_open(output / f"{name}.png", "wb") as stream:
            figure.savefig(stream, format="png")


def _means(axes: Axes, results: Results, scores: Sequence[Score]) -> None:
    digits = 1 if results.key.kind == "mushra" else 2
    for row, score in enumerate(scores):
        low, high = score.interval or (score.mean, score.mean)
        axes.plot([low, high], [row, row], color="#1f62ad", linewidth=2.5, solid_capstyle="round")
        axes.plot([score.mean], [row], "o", color="#1f62ad", markersize=8)
        axes.annotate(
            f"{score.mean:.{digits}f}",
            (score.mean, row),
            (0, 9),
            textcoords="offset points",
            ha="center",
        )
    kind = results.key.kind
    limits = {"mos": (0.9, 5.1), "cmos": (-3.1, 3.1), "ab": (-0.02, 1.02), "mushra": (-2, 102)}
    titles = {"ab": "share of the second, ties halved", "cmos": "second against first"}
    axes.set_xlim(*limits[kind])
    axes.set_xlabel(f"{titles.get(kind, 'mean')}, 95 % interval")
    if kind in ("ab", "cmos"):
        axes.axvline(0.5 if kind == "ab" else 0, color="#868b92", linewidth=1, linestyle="--")
    axes.grid(axis="x", color="#e2e0db")
    axes.set_axisbelow(True)


def _shares(axes: Axes, results: Results, scores: Sequence[Score]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    kind = KINDS[results.key.kind]
    names = {"ab": ("the first", "no preference", "the second")}.get(results.key.kind, kind.labels)
    scale = LinearSegmentedColormap.from_list("answers", _COLOURS)
    for row, score in enumerate(scores):
        left = 0.0
        for place, count in enumerate(score.answers.values()):
            share = 100 * count / score.votes
            colour = scale(place / (len(names) - 1))
            axes.barh(
                row,
                share,
                left=left,
                color=colour,
                height=0.7,
                label=names[place] if not row else None,
            )
            left += share
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of votes")
    axes.legend(
        ncols=min(len(names), 5),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
        fontsize=8,
    )
