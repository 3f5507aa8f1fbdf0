"""Finding a corpus where the user says it is."""

from __future__ import annotations

from pathlib import Path

from espnet_ext.errors import UserError


def corpus_root(given: str | Path, name: str, witness: str, variable: str, source: str) -> Path:
    """The directory of a corpus: `given` itself or `given/name`, whichever holds `witness`.

    Args:
        given: what the user named; "" if nothing.
        name: the directory's usual name.
        witness: a file that every copy of the corpus holds.
        variable: the environment variable of local/db.sh that names the directory.
        source: where the corpus can be had.

    Raises:
        UserError: if neither holds it; names the variable to set.
    """
    advice = (
        f"set {variable}=/path/to/{name} in local/db.sh or in the environment (corpus: {source})"
    )
    if not str(given):
        raise UserError(f"found no {variable}, expected the directory of {name}: {advice}")
    for root in (Path(given), Path(given) / name):
        if (root / witness).is_file():
            return root
    state = "a directory without it" if Path(given).is_dir() else "nothing there"
    raise UserError(f"{given}: found {state}, expected {name} with its {witness}: {advice}")
