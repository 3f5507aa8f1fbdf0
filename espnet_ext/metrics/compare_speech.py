"""Two synthesisers (or vocoders) on the same utterances: which is better in what, and is that more than chance?

Both have been scored, utterance by utterance. For every figure: the difference of the means with the bootstrap's
interval, both systems on the same drawn utterances (Bisani and Ney 2004), and the p-value of the signed-rank test on
the differences (F. Wilcoxon, "Individual comparisons by ranking methods", 1945), which asks nothing of their
distribution. With so many figures some differ by chance alone, so the p-values are corrected together (S. Holm, "A
simple sequentially rejective multiple test procedure", 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.metrics.bootstrap import Interval, improvement
from espnet_ext.metrics.compare_report import probability
from espnet_ext.metrics.provenance import Provenance
from espnet_ext.metrics.speech_tables import MEASURES, Measure, Row, weighted
from espnet_ext.metrics.tables import markdown

SURE = 0.05
_TABLES = ("score_tts/utterances.tsv", "utterances.tsv")  # of score_tts, of score_vocoder
_HEADER = ("figure", "Snt", "A", "B", "B better by", "95 %", "P(B better)", "p", "p (Holm)")


@dataclass(frozen=True)
class Difference:
    """One figure of both systems.

    Attributes:
        metric: its key in speech_tables.MEASURES.
        utterances: in which both have it.
        first, second: means of A and of B.
        gain: by how much B is better: positive, whether high or low values are good.
        interval: 95 % of the gain.
        probability: that B is better, of the bootstrap.
        p: of the signed-rank test; 1 where no utterance differs.
        p_corrected: for all figures together.
    """

    metric: str
    utterances: int
    first: float
    second: float
    gain: float
    interval: Interval
    probability: float
    p: float
    p_corrected: float

    @property
    def better(self) -> str:
        """ "A" or "B", or "" where it may be chance, or where ranks and means do not say the same."""
        low, high = self.interval
        if self.p_corrected >= SURE or low <= 0 <= high:
            return ""
        return "B" if self.gain > 0 else "A"


def read_utterances(folder: Path) -> dict[str, Row]:
    """The figures of every utterance of a scored set, or of all scored sets below `folder`, as SET/UTTERANCE.

    Raises:
        UserError: if nothing was scored there, or a table is broken.
    """
    one = _table_of(folder)
    if one is not None:
        return _read(one)
    found: dict[str, Row] = {}
    sets = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for path in sets:
        table = _table_of(path)
        found |= {f"{path.name}/{u}": row for u, row in _read(table).items()} if table else {}
    if not found:
        raise UserError(
            f"{folder}: found no scored set, expected SET/{_TABLES[0]} or SET/{_TABLES[1]}: run score_tts or "
            "score_vocoder"
        )
    return found


def _table_of(folder: Path) -> Path | None:
    return next((folder / name for name in _TABLES if (folder / name).is_file()), None)


def _read(path: Path) -> dict[str, Row]:
    head, *rows = (
        line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() or [""]
    )
    try:
        return {
            row[0]: {k: float(v) if v else None for k, v in zip(head[1:], row[1:], strict=True)}
            for row in rows
        }
    except (ValueError, IndexError) as error:
        raise UserError(
            f"{path}: found a line that is no row of figures ({error}), expected what scoring wrote: score again"
        ) from error


def compare(
    first: Mapping[str, Row], second: Mapping[str, Row], samples: int = 1000, seed: int = 0
) -> list[Difference]:
    """Every figure that both systems have, over the utterances that both have.

    Raises:
        UserError: if they have no utterance, or no figure, in common.
    """
    common = sorted(set(first) & set(second))
    if not common:
        some = [next(iter(sorted(rows)), "nothing") for rows in (first, second)]
        raise UserError(
            f"found no utterance that both systems have ({some[0]} and others, {some[1]} and others), expected the "
            "same set: check the names"
        )
    found = [
        difference
        for metric, measure in MEASURES.items()
        if measure.best != "one"  # nothing is better or worse there
        and (difference := _difference(metric, measure, first, second, common, samples, seed))
    ]
    if not found:
        raise UserError("found no figure that both systems have: score both with the same options")
    corrected = holm([difference.p for difference in found])
    return [replace(d, p_corrected=p) for d, p in zip(found, corrected, strict=True)]


def _difference(
    metric: str,
    measure: Measure,
    first: Mapping[str, Row],
    second: Mapping[str, Row],
    common: Sequence[str],
    samples: int,
    seed: int,
) -> Difference | None:
    both = [
        u for u in common if first[u].get(metric) is not None and second[u].get(metric) is not None
    ]
    (a, weights), (b, _) = (weighted([rows[u] for u in both], metric) for rows in (first, second))
    sign = 1.0 if measure.best == "low" else -1.0
    sure = improvement([sign * x for x in a], [sign * x for x in b], weights, samples, seed=seed)
    if sure is None:
        return None
    whole = sum(weights)
    means = sum(a) / whole, sum(b) / whole
    gain = sign * (means[0] - means[1])
    p = signed_rank([x - y for x, y in zip(a, b, strict=True)])
    return Difference(
        metric, len(both), *means, gain, sure.interval, sure.probability, p, p_corrected=p
    )


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's test; 1 where nothing differs. Utterances that do not differ are left out.

    >>> signed_rank([1.0, 2.0, 3.0, 4.0, 5.0])
    0.0625
    """
    from scipy.stats import wilcoxon

    some = [x for x in differences if x]
    return float(wilcoxon(some).pvalue) if some else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for being many, in their order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found, least = [0.0] * len(p), 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=lambda n: p[n])):
        least = max(least, min(1.0, (len(p) - rank) * p[at]))
        found[at] = least
    return found


def verdict(found: Sequence[Difference]) -> str:
    """A sentence a system, and one for what may be chance."""
    parts = []
    for system in ("B", "A"):
        names = [MEASURES[d.metric].name for d in found if d.better == system]
        parts += [f"{system} is better in: {'; '.join(names)}."] if names else []
    rest = [MEASURES[d.metric].name for d in found if not d.better]
    parts += [f"No more than chance would give: {'; '.join(rest)}."] if rest else []
    return "\n".join(parts) + "\n"


def text_of(found: Sequence[Difference]) -> str:
    """Table and verdict, in Markdown."""
    return f"{markdown(_HEADER, map(_row, found))}\n{verdict(found)}"


def _row(d: Difference) -> tuple[object, ...]:
    digits = MEASURES[d.metric].digits
    low, high = d.interval
    return (
        MEASURES[d.metric].head,
        d.utterances,
        f"{d.first:.{digits}f}",
        f"{d.second:.{digits}f}",
        f"{d.gain:+.{digits}f}",
        f"{low:+.{digits}f} to {high:+.{digits}f}" if d.utterances > 1 else None,
        f"{d.probability:.3f}",
        probability(d.p),
        probability(d.p_corrected),
    )


def write_comparison(directory: Path, found: Sequence[Difference], source: Provenance) -> None:
    """Write `comparison.json` and `COMPARISON.md`."""
    rows: list[dict[str, Any]] = [{**asdict(d), "better": d.better} for d in found]
    write_json(directory / "comparison.json", {**source.as_dict(), "differences": rows})
    head = f"# A against B\n\n{source.as_markdown()}\n\n"
    write_text(directory / "COMPARISON.md", head + text_of(found))
