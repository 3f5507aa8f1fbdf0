"""CSTR VCTK (Yamagishi, Veaux, MacDonald 2019): 109 speakers of English with many accents, 48 kHz.

Version 0.80: `wav48/<speaker>/<speaker>_<number>.wav`. Version 0.92:
`wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic{1,2}.flac`. Both: `txt/<speaker>/<id>.txt`
and `speaker-info.txt`. No text: p315. No second microphone: p280 and p315.
"""

from __future__ import annotations

import os
from pathlib import Path

from espnet_ext.corpora.fetch import Archive, obtain
from espnet_ext.corpora.labels import speech_span
from espnet_ext.corpora.layout import choose, corpus_root, left_out, write_sets
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
FOLDERS = ("wav48_silence_trimmed", "wav48")


def download(corpus: str | Path, *, version: str = "0.92") -> None:
    """Fetch a version (11 GB) to `corpus/VCTK-Corpus-0.92` or `corpus/VCTK-Corpus`.

    Raises:
        UserError: no such version, it cannot be fetched or is not what is expected.
    """
    if version not in ARCHIVES:
        raise UserError(f"found version {version!r}, expected {' or '.join(ARCHIVES)}")
    if not any((Path(corpus) / name).is_dir() for name in (*NAMES.values(), *FOLDERS)):
        obtain(ARCHIVES[version], Path(corpus) / NAMES[version])


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    dev: int = 5,
    eval1: int = 5,
    mic: int = 1,
    version: str = "0.92",
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
        version: which to fetch with --download, 0.92 or 0.80

    Returns:
        the directories written.

    Raises:
        UserError: the corpus is missing or a speaker has too few utterances.
    """
    root = _root(corpus)
    rows, silent = _utterances(root, mic)
    left_out(root, "sounds without text", silent)
    if not rows:
        raise UserError(
            f"{root}: found no sound with a text, expected {FOLDERS[0]}/p225/*_mic{mic}.flac or "
            f"{FOLDERS[1]}/p225/*.wav, and txt/p225/*.txt: fetch it anew from {SOURCE}"
        )
    tables = _tables(root, rows)
    parts = _split(tables["utt2spk"], dev, eval1)
    return write_sets(
        data, {name: choose(tables, mine.__contains__) for name, mine in parts.items()}
    )


def _root(corpus: str | Path) -> Path:
    for name in NAMES.values():
        for folder in FOLDERS:
            for root in (Path(corpus), Path(corpus) / name):
                if str(corpus) and (root / folder).is_dir():
                    return root
    return corpus_root(corpus, NAMES["0.92"], FOLDERS[0], VARIABLE, SOURCE)


def _utterances(root: Path, mic: int) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """id -> (path of the sound, text), and the ids of sounds that have no text."""
    new = (root / FOLDERS[0]).is_dir()
    pattern = f"*/*_mic{mic}.flac" if new else "*/*.wav"
    rows, silent = {}, []
    for sound in sorted((root / FOLDERS[0 if new else 1]).glob(pattern)):
        utt = sound.stem.removesuffix(f"_mic{mic}") if new else sound.stem
        text = root / "txt" / sound.parent.name / f"{utt}.txt"
        words = " ".join(" ".join(read_lines(text)).split()) if text.is_file() else ""
        if words:
            rows[utt] = (os.path.abspath(sound), words)
        else:
            silent.append(utt)
    return rows, silent


def _tables(root: Path, rows: dict[str, tuple[str, str]]) -> Tables:
    labels = root / "lab" / "mono"
    tables: Tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    if labels.is_dir():
        tables["segments"] = {}
    for utt, (sound, words) in rows.items():
        speaker = Path(sound).parent.name
        if labels.is_dir():
            label = labels / speaker / f"{utt}.lab"
            if not label.is_file():
                continue
            start, end = speech_span(label)
            tables["segments"][utt] = f"{utt} {start:.3f} {end:.3f}"
        tables["wav.scp"][utt] = sound
        tables["text"][utt] = words
        tables["utt2spk"][utt] = speaker
    left_out(labels, "utterances without labels", sorted(rows.keys() - tables["text"].keys()))
    return {**tables, **_speakers(root, set(tables["utt2spk"].values()))}


def _speakers(root: Path, speakers: set[str]) -> Tables:
    """spk2gender, spk2age and spk2accent from lines `ID AGE GENDER ACCENT REGION...`.

    0.80 writes the id without its p, 0.92 with it. Gender is for all speakers or none (0.80's list
    lacks p280).
    """
    path = root / "speaker-info.txt"
    if not path.is_file():
        return {}
    rows = [line.split() for line in read_lines(path)[1:] if len(line.split()) >= 3]
    known = {f"p{row[0]}" if row[0].isdigit() else row[0]: row for row in rows}
    found: Tables = {"spk2gender": {}, "spk2age": {}, "spk2accent": {}}
    for speaker in sorted(speakers & known.keys()):
        row = [*known[speaker], ""]
        found["spk2age"][speaker], found["spk2gender"][speaker] = row[1], row[2].lower()
        found["spk2accent"][speaker] = row[3]
    if found["spk2gender"].keys() != speakers:
        left_out(path, "genders, because these have none", speakers - known.keys())
        del found["spk2gender"]
    return {name: {s: v for s, v in table.items() if v} for name, table in found.items()}


def _split(utt2spk: dict[str, str], dev: int, eval1: int) -> dict[str, set[str]]:
    by_speaker: dict[str, list[str]] = {}
    for utt in sorted(utt2spk):
        by_speaker.setdefault(utt2spk[utt], []).append(utt)
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
