"""LibriSpeech (Panayotov et al. 2015), and anything laid out like it.

`<part>/<reader>/<chapter>/<reader>-<chapter>-<utterance>.flac` and `<reader>-<chapter>.trans.txt`
beside them. As in ESPnet's recipe a speaker is a reader in a chapter.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from espnet_ext.corpora.layout import corpus_root
from espnet_ext.datadir import read_table, validate
from espnet_ext.datadir.edit import Tables, write_all
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "LIBRISPEECH"
SOURCE = "https://www.openslr.org/12"


def prepare(corpus: str | Path, data: str | Path, *, sets: str = "") -> list[Path]:
    """Write Kaldi data directories.

    Args:
        corpus: `LibriSpeech` or the directory that holds it.
        data: gets a directory for every set.
        sets: which parts make which set, such as "train=train-clean-100+train-clean-360
            dev=dev-clean"; empty: every part a set of its own, train-clean-100 -> train_clean_100.

    Returns:
        the directories written.

    Raises:
        UserError: a part or the corpus is missing, or it is not laid out like LibriSpeech.
    """
    root = corpus_root(corpus, "LibriSpeech", "SPEAKERS.TXT", VARIABLE, SOURCE)
    genders = _genders(root / "SPEAKERS.TXT")
    written = []
    for name, parts in _plan(root, sets).items():
        tables: Tables = {"wav.scp": {}, "text": {}, "utt2spk": {}, "spk2gender": {}}
        for part in parts:
            _add_part(root / part, genders, tables)
        write_all(Path(data) / name, tables)
        validate(Path(data) / name)
        written.append(Path(data) / name)
    return written


def _plan(root: Path, sets: str) -> dict[str, list[str]]:
    present = sorted(p.name for p in root.iterdir() if p.is_dir())
    if not sets:
        return {part.replace("-", "_"): [part] for part in present}
    plan = {}
    for item in sets.split():
        name, _, parts = item.partition("=")
        plan[name] = parts.split("+")
        absent = [part for part in plan[name] if part not in present]
        if absent:
            raise UserError(
                f"{root}: found the parts {', '.join(present) or 'none'}, expected "
                f"{', '.join(absent)} for the set {name!r}: fetch it from {SOURCE} or change --sets"
            )
    return plan


def _genders(path: Path) -> dict[str, str]:
    rows = [line.split("|") for line in read_lines(path) if line.strip() and line[0] != ";"]
    return {row[0].strip(): row[1].strip().lower() for row in rows if len(row) > 1}


def _add_part(part: Path, genders: dict[str, str], tables: Tables) -> None:
    silent: list[str] = []
    chapters = sorted(part.glob("*/*/*.trans.txt"))
    if not chapters:
        raise UserError(
            f"{part}: found no READER/CHAPTER/*.trans.txt, expected LibriSpeech's layout"
        )
    for trans in chapters:
        reader, chapter = trans.parent.parts[-2:]
        speaker = f"{reader}-{chapter}"
        here = os.path.abspath(trans.parent)
        sounds = {e.name for e in os.scandir(here)}
        for utt, text in read_table(trans).items():
            if f"{utt}.flac" not in sounds:
                silent.append(utt)
                continue
            tables["wav.scp"][utt] = f"{here}/{utt}.flac"
            tables["text"][utt] = text
            tables["utt2spk"][utt] = speaker
            tables["spk2gender"][speaker] = genders.get(reader, "m")
    if silent:
        shown = ", ".join(silent[:3])
        print(
            f"{part}: left out {len(silent)} transcripts without audio: {shown} ...",
            file=sys.stderr,
        )
