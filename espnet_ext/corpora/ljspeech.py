"""LJ Speech 1.1 (Ito and Johnson 2017), and anything laid out like it: `metadata.csv`,
`wavs/<id>.wav`.
"""

from __future__ import annotations

import os
from pathlib import Path

from espnet_ext.corpora.fetch import Archive, obtain
from espnet_ext.corpora.layout import compare_total, corpus_root, left_out, require_rest, write_sets
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "LJSPEECH"
SOURCE = "https://keithito.com/LJ-Speech-Dataset"
NAME = "LJSpeech-1.1"
CLIPS = 13_100
#: 2.6 GB; the author publishes no checksum, this is the one that torchaudio verifies.
ARCHIVE = Archive(
    f"https://data.keithito.com/data/speech/{NAME}.tar.bz2",
    NAME,
    "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    ("metadata.csv", "wavs/LJ001-0001.wav", "wavs/LJ050-0278.wav"),
)


def download(corpus: str | Path) -> None:
    """Fetch the corpus to `corpus/LJSpeech-1.1` (or `corpus`, if that is its name), verified.

    Raises:
        UserError: if it cannot be fetched or is not what is expected.
    """
    obtain(ARCHIVE, Path(corpus) if Path(corpus).name == NAME else Path(corpus) / NAME)


def prepare(
    corpus: str | Path, data: str | Path, *, dev: int = 250, eval1: int = 250
) -> list[Path]:
    """Write Kaldi data directories train, dev and eval1, split by sorted id as ESPnet does.

    The text is the normalised field; the raw one goes to `raw_text`.

    Args:
        corpus: `LJSpeech-1.1` or the directory that holds it.
        data: gets train, dev and eval1.
        dev: utterances of dev: the ones before eval1.
        eval1: utterances of eval1: the last ones.

    Returns:
        the directories written.

    Raises:
        UserError: the corpus is missing, a line has no three fields, or dev and eval1 leave nothing
            for train.
    """
    root = corpus_root(corpus, NAME, "metadata.csv", VARIABLE, SOURCE)
    rows = _rows(root)
    utts = sorted(rows)  # the split is by the whole list, also where some of its audio is missing
    require_rest(root, len(utts), dev, eval1)
    there = _with_audio(root, utts)
    cut = len(utts) - dev - eval1
    sets = {"train": utts[:cut], "dev": utts[cut : cut + dev], "eval1": utts[cut + dev :]}
    return write_sets(
        data,
        {
            name: _tables(root, {u: rows[u] for u in utts if u in there})
            for name, utts in sets.items()
        },
    )


def _tables(root: Path, rows: dict[str, tuple[str, str]]) -> Tables:
    return {
        "wav.scp": {u: f"{os.path.abspath(root)}/wavs/{u}.wav" for u in rows},
        "text": {u: normalised for u, (_, normalised) in rows.items()},
        "raw_text": {u: raw for u, (raw, _) in rows.items()},
        "utt2spk": dict.fromkeys(rows, "LJ"),
        "spk2gender": {"LJ": "f"},
    }


def _rows(root: Path) -> dict[str, tuple[str, str]]:
    """id -> (raw, normalised) of the clips that metadata.csv lists."""
    rows: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(read_lines(root / "metadata.csv"), 1):
        fields = line.rstrip("\r").split("|")
        if len(fields) != 3 or not fields[2].strip():
            raise UserError(
                f"{root}/metadata.csv, line {number}: found {len(fields)} fields in {line[:60]!r}, "
                "expected id|raw|normalised with a text: correct the line"
            )
        rows[fields[0]] = (" ".join(fields[1].split()), " ".join(fields[2].split()))
    return rows


def _with_audio(root: Path, utts: list[str]) -> set[str]:
    """Those whose sound is there; the others are told, and how many the corpus has."""
    sounds = {e.name for e in os.scandir(root / "wavs")} if (root / "wavs").is_dir() else set()
    there = {utt for utt in utts if f"{utt}.wav" in sounds}
    left_out(root, "clips without audio", [utt for utt in utts if utt not in there])
    compare_total(root, "clips", len(there), CLIPS)
    return there
