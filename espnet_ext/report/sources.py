"""Where a report finds its figures: a recipe's newest model, what that made, how long it took."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError

_SIGNS = ("metrics.jsonl", "config.yaml", "*/scores.json")  # any of them makes a model directory


@dataclass(frozen=True)
class Experiment:
    """A model of a recipe and one of its decodings.

    Attributes:
        recipe: the recipe's directory; paths in its tables are relative to it.
        model: exp/<model>, or None where nothing was trained.
        decode: <model>/<decoding>, or None where nothing was decoded (or synthesised).
    """

    recipe: Path
    model: Path | None
    decode: Path | None

    @property
    def name(self) -> str:
        """Name of the recipe in summaries, such as "asr1"."""
        return self.recipe.resolve().name

    def scores(self) -> dict[str, Any] | None:
        """What scoring wrote, or None."""
        return read_json(self.decode / "scores.json") if self.decode else None

    def sets(self, table: str) -> list[str]:
        """Sets below the decoding that hold `table`."""
        found = self.decode.glob(f"*/{table}") if self.decode else ()
        return sorted(path.parent.name for path in found)

    def reference(self, dataset: str, table: str) -> dict[str, str]:
        """A table of the data that was decoded; empty where it is missing."""
        return table_or_empty(self.recipe / "dump" / "raw" / dataset / table)

    def result(self, dataset: str, table: str) -> dict[str, str]:
        """A table that decoding or synthesis wrote; empty where it is missing."""
        return table_or_empty(self.decode / dataset / table) if self.decode else {}

    def audio(self, entry: str) -> str:
        """An entry of one of the recipe's wav.scp as it is found from here."""
        path = self.recipe / entry
        return entry if entry.endswith("|") or Path(entry).is_absolute() else str(path)


def find_experiment(spec: str, kind: str) -> Experiment:
    """The experiment meant by `RECIPE_DIR[:model_dir[:decode_dir]]`; the newest where not said.

    Args:
        spec: for example "egs2/mini/asr1" or "egs2/mini/asr1:asr_small:decode_asr".
        kind: "asr" or "tts": models lie in exp/<kind>_*.

    Raises:
        UserError: if a directory that the specification names is not there.
    """
    recipe_name, model_name, decode_name = [*spec.split(":", 2), "", ""][:3]
    recipe = _existing(Path(recipe_name), "a recipe's directory, such as egs2/mini/asr1")
    if model_name:
        model_name = model_name.removeprefix("exp/").strip("/")
        model: Path | None = _existing(recipe / "exp" / model_name, "a model's directory")
    else:
        model = newest_model(recipe, kind)
    if decode_name and model:
        return Experiment(recipe, model, _existing(model / decode_name, "a decoding's directory"))
    return Experiment(recipe, model, _newest_decoding(model) if model else None)


def _existing(path: Path, what: str) -> Path:
    if path.is_dir():
        return path
    beside = (
        sorted(p.name for p in path.parent.iterdir() if p.is_dir()) if path.parent.is_dir() else []
    )
    listed = f" (beside it lie {', '.join(beside[:8])})" if beside else ""
    raise UserError(f"{path}: found no such directory, expected {what}{listed}: check the name")


def newest_model(recipe: Path, kind: str) -> Path | None:
    """The exp/<kind>_* that was worked on last; None if there is none."""
    candidates = [
        path for path in recipe.glob(f"exp/{kind}_*") if not path.name.startswith(f"{kind}_stats")
    ]
    return _newest((path, _touched(path, _SIGNS)) for path in candidates)


def _newest_decoding(model: Path) -> Path | None:
    signs = ("scores.json", "*/text", "*/wav.scp")
    return _newest((path, _touched(path, signs)) for path in model.iterdir() if path.is_dir())


def _touched(directory: Path, patterns: Iterable[str]) -> float:
    """When the newest of the files was written; 0 if there is none."""
    files = [path for pattern in patterns for path in directory.glob(pattern)]
    return max((path.stat().st_mtime for path in files), default=0.0)


def _newest(times: Iterable[tuple[Path, float]]) -> Path | None:
    found = sorted((when, path) for path, when in times if when)
    return found[-1][1] if found else None


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where the file is missing.

    Raises:
        UserError: if the file is not JSON.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path}: found broken JSON ({error}), expected what a stage wrote: run it again"
        ) from None
    return found if isinstance(found, dict) else None


def read_history(model: Path | None) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl, one an epoch and split; empty where the file is missing."""
    path = model / "metrics.jsonl" if model else None
    if path is None or not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [json.loads(line) for line in lines if line.strip()]
    except ValueError as error:
        raise UserError(
            f"{path}: found a line that is not JSON ({error}), expected one object a line: "
            "run the training again"
        ) from None


def stage_records(recipe: Path) -> list[dict[str, Any]]:
    """Records of a recipe's finished stages, in the order in which they run.

    Stages that the recipe had with other options, but not as it was last run, are left out.
    """
    folder = recipe / "exp" / ".stages"
    declared = read_json(folder / ".declared")
    found = [read_json(path) for path in sorted(folder.glob("*.json"))]
    records = [r for r in found if r and "seconds" in r]
    if declared is None:
        return sorted(records, key=lambda r: r.get("number", 0))
    places = {name: at for at, name in enumerate(declared)}
    records = [r for r in records if r.get("name") in places]
    return sorted(records, key=lambda r: places[r["name"]])


def spans(record: dict[str, Any]) -> list[tuple[float, float]]:
    """(start, end) of each attempt at a stage, in seconds since 1970; one span where only its end is known."""
    if "spans" in record:
        return [(start, end) for start, end in record["spans"]]
    try:
        end = datetime.strptime(record["finished"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except (KeyError, ValueError):
        return []
    return [(end - float(record["seconds"]), end)]


def table_or_empty(path: Path) -> dict[str, str]:
    """A Kaldi table; empty where the file is missing."""
    return read_table(path, empty=True) if path.is_file() else {}
