"""The languages that a synthesiser knows by name: lang2lid beside its config.yaml, `NAME NUMBER` lines."""

from __future__ import annotations

from pathlib import Path

from espnet_ext.datadir.tables import read_table, write_table

TABLE = "lang2lid"


def languages_in(directory: Path) -> dict[str, str]:
    """Language -> its number, as utt2lang and utt2lid of a data directory have it; 0, unknown, has no name."""
    if not all((directory / name).is_file() for name in ("utt2lang", "utt2lid")):
        return {}
    names, numbers = read_table(directory / "utt2lang"), read_table(directory / "utt2lid")
    found = {name: numbers.get(utt, "0") for utt, name in names.items()}
    return {name: number for name, number in found.items() if number != "0"}


def keep_languages(directory: Path, folder: Path) -> None:
    """Write the names of a training set's languages into the model's folder; none where it has none."""
    found = languages_in(directory)
    folder.mkdir(parents=True, exist_ok=True)
    if found:
        write_table(folder / TABLE, found)
    else:  # of an earlier training
        (folder / TABLE).unlink(missing_ok=True)


def read_languages(folder: Path) -> dict[str, int]:
    """Language -> number that a model's folder names, the lowest number first; lines without a number are none.

    Raises:
        UserError: if the table is none.
    """
    table = read_table(folder / TABLE) if (folder / TABLE).is_file() else {}
    numbers = {name: int(number) for name, number in table.items() if number.isdecimal()}
    return dict(sorted(numbers.items(), key=lambda item: item[1]))
