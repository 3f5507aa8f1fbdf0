"""Lists of hypotheses with the score that each model gave them: a line of JSON an utterance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_ext.datadir import read_table, write_table
from espnet_ext.errors import UserError
from espnet_ext.inference.results import Hypothesis, Piece, Recognition

NBEST_FILE = "nbest"
NBest = dict[str, list[Hypothesis]]


def to_line(hypotheses: Sequence[Hypothesis]) -> str:
    """Hypotheses as they stand behind an utterance's id; scores have six digits behind the point."""
    rows = [
        {
            "text": found.text,
            "tokens": found.tokens,
            "token_ids": found.token_ids,
            "score": _rounded(found.score),
            "scores": {name: _rounded(score) for name, score in found.scores.items()},
        }
        for found in hypotheses
    ]
    return json.dumps(rows, ensure_ascii=False)


def _rounded(score: float) -> float | None:
    """JSON knows no infinity: None stands for the score of nothing."""
    return round(score, 6) if score > float("-inf") else None


def _number(score: float | None) -> float:
    return float("-inf") if score is None else float(score)


def from_line(line: str) -> list[Hypothesis]:
    """What `to_line` wrote.

    Raises:
        ValueError: if there is no hypothesis.
    """
    found = [
        Hypothesis(
            row["text"],
            tuple(row["tokens"]),
            tuple(row["token_ids"]),
            _number(row["score"]),
            {name: _number(score) for name, score in row["scores"].items()},
        )
        for row in json.loads(line)
    ]
    if not found:
        raise ValueError("found none, expected one or more, an empty one where nothing was heard")
    return found


def read_nbest(folder: Path) -> NBest:
    """The lists of a decoded set.

    Raises:
        UserError: if there are none, or one cannot be read.
    """
    path = folder / NBEST_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: not found, expected the hypotheses of a decoding with `nbest: 10` or so in its YAML"
        )
    found: NBest = {}
    for utt, line in read_table(path).items():
        try:
            found[utt] = from_line(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: utterance {utt}: not a list of hypotheses ({error})"
            ) from error
    return found


def detail_line(found: Recognition) -> str:
    """Times and confidences of the best hypothesis, as JSON: rows of text, start, end (seconds or null), confidence."""

    def rows(pieces: Sequence[Piece]) -> list[list[object]]:
        return [[p.text, p.start, p.end, round(p.confidence, 4)] for p in pieces]

    detail = {
        "seconds": round(found.seconds, 3),
        "confidence": round(found.confidence, 4),
        "words": rows(found.words),
        "tokens": rows(found.tokens),
    }
    return json.dumps(detail, ensure_ascii=False)


def confidence_line(found: Recognition) -> str:
    """A number a word, as score_asr reads it."""
    return " ".join(f"{word.confidence:.4f}" for word in found.words)


def write_nbest(folder: Path, lists: Mapping[str, Sequence[Hypothesis]]) -> None:
    """Write the lists, and the best of each, as a decoding leaves them: `nbest`, `text`, `token`, `score`.

    `confidence` and `detail` of another best go.
    """
    for name in ("confidence", "detail"):
        (folder / name).unlink(missing_ok=True)
    write_table(folder / NBEST_FILE, {utt: to_line(found) for utt, found in lists.items()})
    best = {utt: found[0] for utt, found in lists.items()}
    write_table(folder / "text", {utt: h.text.strip() for utt, h in best.items()})
    write_table(folder / "token", {utt: " ".join(h.tokens) for utt, h in best.items()})
    write_table(folder / "score", {utt: f"{h.score:.4f}" for utt, h in best.items()})
