"""CSTR VCTK (Yamagishi, Veaux, MacDonald 2019): 109 speakers of English with many accents, 48 kHz.

Version 0.80: `wav48/<speaker>/<speaker>_<number>.wav`. Version 0.92:
`wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic{1,2}.flac`. Both: `txt/<speaker>/<id>.txt`
and `speaker-info.txt`. No text: p315. No second microphone: p280 and p315.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from espnet_ext.corpora.fetch import Archive, obtain
from espnet_ext.corpora.labels import speech_span
from espnet_ext.corpora.layout import (
    choose,
    corpus_root,
    keep_genders,
    left_out,
    one_of,
    write_sets,
)
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "VCTK"
SOURCE = "https://datashare.ed.ac.uk/handle/10283/3443"
#: 0.92's MD5 is the repository's own; for 0.80 none is published.
ARCHIVES = {
    "0.92": Archive(
        "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
        "",
        "md5:8a6ba2946b36fcbef0212cad601f4bfa",
        ("speaker-info.txt", "txt/p225/p225_001.txt"),
    ),
    "0.80": Archive(
        "http://www.udialogue.org/download/VCTK-Corpus.tar.gz",
        "VCTK-Corpus",
        "",
        ("speaker-info.txt", "txt/p225/p225_001.txt", "wav48/p225/p225_001.wav"),
    ),
}
#: Names of the two versions' directories, and where their sounds are.
NAMES = {"0.92": "VCTK-Corpus-0.92", "0.80": "VCTK-Corpus"}
FOLDERS = {"0.92": "wav48_silence_trimmed", "0.80": "wav48"}


def download(corpus: str | Path, *, version: str = "") -> None:
    """Fetch a version (11 GB) to `corpus/VCTK-Corpus-0.92` or `corpus/VCTK-Corpus`.

    Raises:
        UserError: no such version, it cannot be fetched or is not what is expected.
    """
    if str(corpus) and _find(corpus, version) is None:
        wanted = version or "0.92"
        obtain(ARCHIVES[wanted], Path(corpus) / NAMES[wanted])


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    dev: int = 5,
    eval1: int = 5,
    mic: int = 1,
    version: str = "",
) -> list[Path]:
    """Write train, dev and eval1, every speaker in each, as ESPnet does.

    Of each speaker, sorted by id: the last `dev` utterances are dev, the `eval1` before them eval1,
    all others train. Where HTS labels lie in `lab/mono/<speaker>/<id>.lab` (version 0.80 has long
    silences), utterances are cut to the speech and those without a label are left out.

    Args:
        corpus: `VCTK-Corpus`, `VCTK-Corpus-0.92` or the directory that holds one of them.
        data: gets the sets, with spk2gender, spk2age and spk2accent where speaker-info.txt is there.
        dev: utterances a speaker in dev: the last ones
        eval1: utterances a speaker in eval1: the ones before dev
        mic: microphone of version 0.92, 1 or 2 (p280 has no second one)
        version: 0.92 or 0.80; "" = the one that is there (of both, or to fetch: 0.92)

    Returns:
        the directories written.

    Raises:
        UserError: the corpus is missing or a speaker has too few utterances.
    """
    one_of("mic", str(mic), "12")
    root, found = _root(corpus, version)
    rows = _utterances(root, found, mic)
    parts = _split(rows, dev, eval1)
    silent = sorted(utt for utt, row in rows.items() if not row.sound)
    left_out(root, f"texts without a sound (microphone {mic})", silent)
    tables = _tables(root, {utt: row for utt, row in rows.items() if row.sound})
    return write_sets(
        data, {name: choose(tables, mine.__contains__) for name, mine in parts.items()}
    )


def _find(corpus: str | Path, version: str) -> Path | None:
    """The directory with the sounds of a version ("": the newest that is there); None if there is none."""
    for key in [one_of("version", version, NAMES)] if version else NAMES:
        for root in (Path(corpus) / NAMES[key], Path(corpus)):
            if str(corpus) and (root / FOLDERS[key]).is_dir():
                return root
    return None


def _root(corpus: str | Path, version: str) -> tuple[Path, str]:
    """The corpus' directory, and the version whose sounds are in it."""
    root = _find(corpus, version)
    if root is None:
        wanted = version or "0.92"
        root = corpus_root(corpus, NAMES[wanted], FOLDERS[wanted], VARIABLE, SOURCE)
    return root, version or next(key for key in FOLDERS if (root / FOLDERS[key]).is_dir())


class Row(NamedTuple):
    """An utterance: who speaks, the path of the sound ("": it is not there), what is said."""

    speaker: str
    sound: str
    words: str


def _utterances(root: Path, version: str, mic: int) -> dict[str, Row]:
    """Every utterance with a text and, where there are labels, a label: what the split goes by.

    Raises:
        UserError: no sound has a text.
    """
    new, labels = version == "0.92", root / "lab" / "mono"
    ending = f"_mic{mic}.flac" if new else ".wav"
    sounds = {
        sound.name.removesuffix(ending): os.path.abspath(sound)
        for sound in sorted((root / FOLDERS[version]).glob(f"*/*{ending}"))
    }
    rows, unlabelled = {}, []
    for text in sorted((root / "txt").glob("*/*.txt")):
        words = " ".join(" ".join(read_lines(text)).split())
        if words and labels.is_dir() and not _label(root, text.parent.name, text.stem).is_file():
            unlabelled.append(text.stem)
        elif words:
            rows[text.stem] = Row(text.parent.name, sounds.get(text.stem, ""), words)
    if not any(row.sound for row in rows.values()):
        raise UserError(
            f"{root}: found no sound with a text, expected {FOLDERS[version]}/p225/*{ending} and "
            f"txt/p225/*.txt: fetch it anew from {SOURCE}"
        )
    left_out(labels, "utterances without labels", unlabelled)
    left_out(root, "sounds without text", sorted(sounds.keys() - rows.keys() - set(unlabelled)))
    return rows


def _label(root: Path, speaker: str, utt: str) -> Path:
    return root / "lab" / "mono" / speaker / f"{utt}.lab"


def _tables(root: Path, rows: dict[str, Row]) -> Tables:
    tables: Tables = {
        "wav.scp": {utt: row.sound for utt, row in rows.items()},
        "text": {utt: row.words for utt, row in rows.items()},
        "utt2spk": {utt: row.speaker for utt, row in rows.items()},
    }
    if (root / "lab" / "mono").is_dir():
        spans = {utt: speech_span(_label(root, row.speaker, utt)) for utt, row in rows.items()}
        tables["segments"] = {utt: f"{utt} {a:.3f} {b:.3f}" for utt, (a, b) in spans.items()}
    return {**tables, **_speakers(root, set(tables["utt2spk"].values()))}


def _speakers(root: Path, speakers: set[str]) -> Tables:
    """spk2gender, spk2age and spk2accent from lines `ID AGE GENDER ACCENT REGION...`.

    0.80 writes the id without its p, 0.92 with it, and its list lacks p280.
    """
    path = root / "speaker-info.txt"
    if not path.is_file():
        return {}
    rows = [line.split() for line in read_lines(path)[1:] if len(line.split()) >= 3]
    known = {f"p{row[0]}" if row[0].isdigit() else row[0]: row for row in rows}
    found: Tables = {"spk2gender": {}, "spk2age": {}, "spk2accent": {}}
    for speaker in sorted(speakers):
        row = [*known.get(speaker, ["", "", ""]), ""]
        found["spk2age"][speaker], found["spk2gender"][speaker] = row[1], row[2].lower()
        found["spk2accent"][speaker] = row[3]
    keep_genders(path, found)
    return {name: {s: v for s, v in table.items() if v} for name, table in found.items()}


def _split(rows: dict[str, Row], dev: int, eval1: int) -> dict[str, set[str]]:
    by_speaker: dict[str, list[str]] = {}
    for utt in sorted(rows):
        by_speaker.setdefault(rows[utt].speaker, []).append(utt)
    parts: dict[str, set[str]] = {"train": set(), "dev": set(), "eval1": set()}
    for speaker, utts in by_speaker.items():
        if dev < 1 or eval1 < 1 or len(utts) <= dev + eval1:
            raise UserError(
                f"speaker {speaker}: found {len(utts)} utterances, expected more than {dev} + "
                f"{eval1} for dev and eval1: ask for fewer with --dev and --eval1 (each at least 1)"
            )
        held = len(utts) - dev - eval1
        parts["train"].update(utts[:held])
        parts["eval1"].update(utts[held : held + eval1])
        parts["dev"].update(utts[held + eval1 :])
    return parts
