"""JSUT 1.1 (Sonobe, Takamichi, Saruwatari 2017): one Japanese woman, 10 hours, 48 kHz.

`<subset>/transcript_utf8.txt` with lines `BASIC5000_0001:...`, and `<subset>/wav/<id>.wav`.
"""

from __future__ import annotations

import os
from pathlib import Path

from espnet_ext.corpora.fetch import Archive, obtain
from espnet_ext.corpora.labels import speech_span
from espnet_ext.corpora.layout import (
    choose,
    chosen,
    compare_total,
    corpus_root,
    left_out,
    require_rest,
    write_sets,
)
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "JSUT"
SOURCE = "https://sites.google.com/site/shinnosuketakamichi/publication/jsut"
NAME = "jsut_ver1.1"
CLIPS = 7_696
WITNESS = "basic5000/transcript_utf8.txt"
#: 2.7 GB. No checksum is published: zip's own, the size announced and the witnesses have to do.
ARCHIVE = Archive(
    f"http://ss-takashi.sakura.ne.jp/corpus/{NAME}.zip",
    NAME,
    "",
    (WITNESS, "basic5000/wav/BASIC5000_0001.wav", "voiceactress100/transcript_utf8.txt"),
)


def download(corpus: str | Path) -> None:
    """Fetch the corpus to `corpus/jsut_ver1.1`, or to `corpus` if that is its name.

    Raises:
        UserError: if it cannot be fetched or is not what is expected.
    """
    obtain(ARCHIVE, Path(corpus) if Path(corpus).name == NAME else Path(corpus) / NAME)


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    dev: int = 250,
    eval1: int = 250,
    subsets: str = "",
) -> list[Path]:
    """Write (and return) train, dev and eval1, split by sorted id as ESPnet does: eval1 first, then dev, then train.

    Where HTS labels lie in `<subset>/lab/<id>.lab`, utterances are cut to the speech.

    Args:
        corpus: `jsut_ver1.1` or the directory that holds it.
        data: gets the sets.
        dev: utterances of dev: the ones after eval1
        eval1: utterances of eval1: the first ones
        subsets: which to read, such as basic5000,travel1000; empty: all

    Raises:
        UserError: the corpus or a subset is missing, or dev and eval1 leave nothing for train.
    """
    root = corpus_root(corpus, NAME, WITNESS, VARIABLE, SOURCE)
    names = sorted(p.parent.name for p in _transcripts(root))
    if subsets:
        names = chosen("subsets", subsets, names)
    tables: Tables = {name: {} for name in ("wav.scp", "text", "utt2spk", "segments")}
    tables["spk2gender"] = {"JS": "f"}
    utts = sorted(utt for name in names for utt in _add_subset(root / name, tables))
    if tables["segments"].keys() != tables["utt2spk"].keys():
        left_out(root, "label files, because others are missing", tables.pop("segments"))
    if not subsets:
        compare_total(root, "clips", len(tables["utt2spk"]), CLIPS)
    require_rest(root, len(utts), dev, eval1)
    cuts = {"eval1": utts[:eval1], "dev": utts[eval1 : eval1 + dev], "train": utts[eval1 + dev :]}
    return write_sets(
        data, {name: choose(tables, set(mine).__contains__) for name, mine in cuts.items()}
    )


def _transcripts(root: Path) -> list[Path]:
    return list(root.glob("*/transcript_utf8.txt"))


def _add_subset(folder: Path, tables: Tables) -> list[str]:
    """Add the clips whose sound is there; ids of all, by which the corpus is split."""
    utts, silent, labels = [], [], folder / "lab"
    for number, line in enumerate(read_lines(folder / "transcript_utf8.txt"), 1):
        utt, colon, text = line.strip("\ufeff\r").partition(":")
        if not colon or not text.strip():
            raise UserError(
                f"{folder}/transcript_utf8.txt, line {number}: found {line[:60]!r}, expected "
                "`ID:TEXT`: correct the line"
            )
        utts.append(utt)
        sound = folder / "wav" / f"{utt}.wav"
        if not sound.is_file():
            silent.append(utt)
            continue
        tables["wav.scp"][utt] = os.path.abspath(sound)
        tables["text"][utt] = " ".join(text.split())
        tables["utt2spk"][utt] = "JS"
        label = labels / f"{utt}.lab"
        if label.is_file():
            start, end = speech_span(label)
            tables["segments"][utt] = f"{utt} {start:.3f} {end:.3f}"
    left_out(folder, "transcripts without audio", silent)
    return utts
