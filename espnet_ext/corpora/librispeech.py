"""LibriSpeech (Panayotov et al. 2015), and anything laid out like it.

`<part>/<reader>/<chapter>/<reader>-<chapter>-<utterance>.flac` and `<reader>-<chapter>.trans.txt`
beside them. As in ESPnet's recipe a speaker is a reader in a chapter.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from espnet_ext.corpora.fetch import Archive, fetch, obtain
from espnet_ext.corpora.layout import (
    chosen,
    compare_total,
    corpus_root,
    keep_genders,
    left_out,
    write_sets,
)
from espnet_ext.datadir import read_table
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open

VARIABLE = "LIBRISPEECH"
SOURCE = "https://www.openslr.org/12"
URL = "https://www.openslr.org/resources/12"
#: Utterances of each part, and the checksum of its archive (openslr.org/resources/12/md5sum.txt).
PARTS = {
    "train-clean-100": (28539, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": (104014, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": (148688, "d1a0fd59409feb2c614ce4d30c387708"),
    "dev-clean": (2703, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": (2864, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": (2620, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": (2939, "fb5a50374b501bb3bac4815ee91d3135"),
}
SHARED = ("SPEAKERS.TXT", "CHAPTERS.TXT", "BOOKS.TXT", "README.TXT", "LICENSE.TXT")
#: 803 million words of 14,500 books for language models; no checksum is published, gzip has a CRC.
LM_TEXT = "librispeech-lm-norm.txt.gz"
LM_URL = f"https://www.openslr.org/resources/11/{LM_TEXT}"


def download(corpus: str | Path, *, sets: str = "", lm_text: int = 0) -> None:
    """Fetch the parts that the sets need (all: 60 GB), each verified by its published MD5.

    Args:
        corpus: gets `LibriSpeech/`, or is it.
        sets: as for prepare(); empty: every part.
        lm_text: 1: also the text for language models (1.5 GB), into `corpus`.

    Raises:
        UserError: no such part, it cannot be fetched or is not what was published.
    """
    root = Path(corpus) if Path(corpus).name == "LibriSpeech" else Path(corpus) / "LibriSpeech"
    wanted = {part for parts in _sets(sets, PARTS).values() for part in parts} or set(PARTS)
    for part, (_, md5) in PARTS.items():
        if part in wanted:
            archive = Archive(
                f"{URL}/{part}.tar.gz", f"LibriSpeech/{part}", f"md5:{md5}", (), SHARED
            )
            obtain(archive, root / part)
    if lm_text and not (Path(corpus) / LM_TEXT).is_file():
        fetch(LM_URL, Path(corpus) / LM_TEXT)


def prepare(
    corpus: str | Path, data: str | Path, *, sets: str = "", partial: int = 0, lm_text: int = 0
) -> list[Path]:
    """Write Kaldi data directories.

    Args:
        corpus: `LibriSpeech` or the directory that holds it.
        data: gets a directory for every set.
        sets: which parts make which set, "train=train-clean-100+train-clean-360,dev=dev-clean"; "" = one set a part
            (train-clean-100 -> train_clean_100). Commas or spaces separate sets.
        partial: 1 = be content with the parts that are there, and leave out a set without any
        lm_text: 1 = write the books' sentences to local/lm_text/text, if librispeech-lm-norm.txt.gz is there

    Returns:
        the directories written.

    Raises:
        UserError: a part or the corpus is missing, or it is not laid out like LibriSpeech.
    """
    root = corpus_root(corpus, "LibriSpeech", "SPEAKERS.TXT", VARIABLE, SOURCE)
    genders = _genders(root / "SPEAKERS.TXT")
    found: dict[str, Tables] = {}
    for name, parts in _plan(root, sets, bool(partial)).items():
        found[name] = {"wav.scp": {}, "text": {}, "utt2spk": {}, "spk2gender": {}}
        for part in parts:
            _add_part(root / part, genders, found[name])
        keep_genders(root, found[name])
    written = write_sets(data, found)
    if lm_text:
        _write_lm_text((Path(corpus), root), Path(data) / "local" / "lm_text" / "text")
    return written


def _sets(sets: str, known: Iterable[str]) -> dict[str, list[str]]:
    """ "train=a+b,dev=c" -> {"train": ["a", "b"], "dev": ["c"]}."""
    found: dict[str, list[str]] = {}
    for item in sets.replace(",", " ").split():
        name, _, parts = item.partition("=")
        if not re.fullmatch(r"[\w.-]+", name) or not parts or name in found:
            raise UserError(
                f"--sets: found {item!r}, expected NAME=PART+PART..., every name once, such as "
                "dev=dev-clean+dev-other"
            )
        found[name] = chosen("sets", parts, known)
    return found


def _plan(root: Path, sets: str, partial: bool) -> dict[str, list[str]]:
    present = sorted(p.name for p in root.iterdir() if p.is_dir())
    if not sets:
        return {part.replace("-", "_"): [part] for part in present}
    plan = {}
    for name, parts in _sets(sets, {**PARTS, **dict.fromkeys(present)}).items():
        absent = [part for part in parts if part not in present]
        if absent and not partial:
            raise UserError(
                f"{root}: found the parts {', '.join(present) or 'none'}, expected "
                f"{', '.join(absent)} for the set {name!r}: fetch it from {SOURCE}, change --sets, "
                "or be content with what there is (--partial 1)"
            )
        plan[name] = [part for part in parts if part in present]
        left_out(root, f"parts of {name!r} that are not there", absent)
    return {name: parts for name, parts in plan.items() if parts}


def _genders(path: Path) -> dict[str, str]:
    rows = [line.split("|") for line in read_lines(path) if line.strip() and line[0] != ";"]
    found = {row[0].strip(): row[1].strip().lower() for row in rows if len(row) > 1}
    return {reader: gender for reader, gender in found.items() if gender in ("f", "m")}


def _add_part(part: Path, genders: dict[str, str], tables: Tables) -> None:
    silent: list[str] = []
    chapters = sorted(part.glob("*/*/*.trans.txt"))
    if not chapters:
        raise UserError(
            f"{part}: found no READER/CHAPTER/*.trans.txt, expected LibriSpeech's layout"
        )
    before = len(tables["text"])
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
            tables["spk2gender"][speaker] = genders.get(reader, "")
    left_out(part, "transcripts without audio", silent)
    expected = PARTS.get(part.name, (0, ""))[0]
    compare_total(part, "utterances", len(tables["text"]) - before, expected)


def _write_lm_text(folders: tuple[Path, ...], target: Path) -> None:
    """The books' sentences as a Kaldi text, ids as in ESPnet's recipe; a note if they are not there."""
    found = next((f / LM_TEXT for f in folders if (f / LM_TEXT).is_file()), None)
    if found is None:
        print(
            f"{folders[0]}: found no {LM_TEXT}; without it run with --lm_train_text '' (a language "
            f"model of the transcripts alone) or fetch it from {LM_URL}",
            file=sys.stderr,
        )
        return
    try:
        with atomic_open(target) as out:
            for number, line in enumerate(_sentences(found), 1):
                out.write(f"librispeech_lm_{number:08d} {line}\n")
    except (EOFError, OSError) as error:
        raise UserError(
            f"{found}: found a damaged file ({error}), expected gzip: remove it and fetch it anew"
        ) from None


def _sentences(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from (line.strip() for line in stream if line.strip())
