"""LibriTTS (Zen et al. 2019) and LibriTTS-R (Koizumi et al. 2023): 585 hours, 24 kHz.

`<part>/<reader>/<chapter>/<reader>_<chapter>_<paragraph>_<sentence>.wav`, beside it the texts
`....normalized.txt` and `....original.txt`, and `SPEAKERS.txt` (R: `speakers.tsv`) on top.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from espnet_ext.corpora.fetch import Archive, obtain
from espnet_ext.corpora.layout import (
    at_least,
    choose,
    chosen,
    corpus_root,
    keep_genders,
    left_out,
    one_of,
    write_sets,
)
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "LIBRITTS"
NAMES = {"libritts": "LibriTTS", "libritts_r": "LibriTTS_R"}
SOURCES = {"libritts": "https://www.openslr.org/60", "libritts_r": "https://www.openslr.org/141"}
#: Checksums of both editions' archives (md5sum.txt beside them).
PARTS = {
    "train-clean-100": ("4a8c202b78fe1bc0c47916a98f3a2ea8", "6df668d8f5f33e70876bfa33862ad02b"),
    "train-clean-360": ("a84ef10ddade5fd25df69596a2767b2d", "382eb3e64394b3da6a559f864339b22c"),
    "train-other-500": ("7b181dd5ace343a5f38427999684aa6f", "a37a8e9f4fe79d20601639bf23d1add8"),
    "dev-clean": ("0c3076c1e5245bb3f0af7d82087ee207", "2c1f5312914890634cc2d15783032ff3"),
    "dev-other": ("815555d8d75995782ac3ccd7f047213d", "62d3a80ad8a282b6f31b3904f0507e4f"),
    "test-clean": ("7bed3bdb047c4c197f1ad3bc412db59f", "4d373d453eb96c0691e598061bbafab7"),
    "test-other": ("ae3258249472a13b5abef2a816f733e4", "dbc0959d8bdb6d52200595cabc9995ae"),
}
TRAIN = "train-clean-100+train-clean-360"
SPEAKERS = ("SPEAKERS.txt", "speakers.tsv")


def download(corpus: str | Path, *, train: str = TRAIN, edition: str = "") -> None:
    """Fetch the parts that prepare() reads (40 GB), each verified by its published MD5.

    Raises:
        UserError: no such edition or part, it cannot be fetched or is not what was published.
    """
    edition = _edition(edition) or next(
        (key for key, name in NAMES.items() if name == Path(corpus).name), "libritts"
    )
    name = NAMES[edition]
    root = Path(corpus) if Path(corpus).name == name else Path(corpus) / name
    for part in (*chosen("train", train, PARTS), "dev-clean", "test-clean"):
        number = SOURCES[edition].rpartition("/")[2]
        file = part if edition == "libritts" else part.replace("-", "_")
        md5 = PARTS[part][list(NAMES).index(edition)]
        url = f"https://www.openslr.org/resources/{number}/{file}.tar.gz"
        obtain(Archive(url, f"{name}/{part}", f"md5:{md5}", (), SPEAKERS), root / part)


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    train: str = TRAIN,
    held_out: int = 1,
    speaker: str = "reader",
    edition: str = "",
) -> list[Path]:
    """Write (and return) train, dev and eval1 of the same readers, and dev_clean and test_clean of others.

    ESPnet trains on all of train-clean-460 and validates and tests on the unseen readers of
    dev-clean and test-clean; `--held_out 0` writes exactly these three. A model that knows voices
    by number needs sets of known readers: the last sentences of every reader become dev and eval1.

    Args:
        corpus: `LibriTTS`, `LibriTTS_R` or the directory that holds one of them.
        data: gets the sets, with raw_text and spk2gender.
        train: parts to train on, such as train-clean-100+train-clean-360
        held_out: sentences of every reader in dev, and as many in eval1; 0 = no such sets
        speaker: reader (ids READER-FILE), or chapter = a reader in a chapter (ids FILE), as in ESPnet's recipe
        edition: libritts or libritts_r; "" = the one that is there (of both, or to fetch: libritts)

    Raises:
        UserError: the corpus or a part is missing, or it is not laid out like LibriTTS.
    """
    one_of("speaker", speaker, ("reader", "chapter"))
    at_least("held_out", held_out, 0)
    root = _root(corpus, edition)
    genders = _genders(root)
    known = dict.fromkeys((*PARTS, *(p.name for p in root.iterdir() if p.is_dir())))
    whole = _parts([root / part for part in chosen("train", train, known)], genders, speaker)
    sets = _split(whole, held_out) if held_out else {"train": whole}
    for part in ("dev-clean", "test-clean"):
        if (root / part).is_dir() or not held_out:
            sets[part.replace("-", "_")] = _parts([root / part], genders, speaker)
    for tables in sets.values():
        keep_genders(root, tables)
    return write_sets(data, sets)


def _parts(folders: list[Path], genders: dict[str, str], speaker: str) -> Tables:
    """Tables of some parts together."""
    tables: Tables = {"wav.scp": {}, "text": {}, "raw_text": {}, "utt2spk": {}, "spk2gender": {}}
    for folder in folders:
        _add_part(folder, genders, speaker, tables)
    return tables


def _edition(edition: str) -> str:
    return one_of("edition", edition, NAMES) if edition else ""


def _root(corpus: str | Path, edition: str) -> Path:
    """Where the edition's parts are: below its name, or here unless this is the other one."""
    names = [NAMES[edition]] if _edition(edition) else list(NAMES.values())
    here = Path(corpus)
    other = os.path.basename(os.path.abspath(here)) in set(NAMES.values()) - set(names)
    for folder in (*(here / name for name in names), *(() if other else (here,))):
        if str(corpus) and any((folder / part).is_dir() for part in PARTS):
            return folder
    if other:
        raise UserError(
            f"{here}: found {here.name}, expected {names[0]}: leave out --edition, or set "
            f"{VARIABLE} to the other directory"
        )
    source = SOURCES[edition or "libritts"]
    return corpus_root(corpus, names[0], "dev-clean", VARIABLE, source)


def _genders(root: Path) -> dict[str, str]:
    """Reader -> m or f, from `14 | F | train-clean-360 | ...` or tabs in place of bars; {} without a list."""
    path = next((root / name for name in SPEAKERS if (root / name).is_file()), None)
    if path is None:
        return {}
    lines = (line for line in read_lines(path) if line.strip() and line[0] != ";")
    rows = [[field.strip() for field in re.split(r"[|\t]", line)] for line in lines]
    return {row[0]: row[1].lower() for row in rows if len(row) > 1 and row[1] in ("F", "M")}


def _add_part(part: Path, genders: dict[str, str], speaker: str, tables: Tables) -> None:
    sounds = sorted(part.glob("*/*/*.wav"))
    if not sounds:
        raise UserError(
            f"{part}: found no READER/CHAPTER/*.wav, expected LibriTTS's layout: fetch the part "
            "with --download, or name others with --train"
        )
    silent = []
    for sound in sounds:
        utt, (reader, chapter) = sound.stem, sound.parts[-3:-1]
        text, raw = (_text(sound.with_name(f"{utt}.{k}.txt")) for k in ("normalized", "original"))
        if not text:
            silent.append(utt)
            continue
        # validation wants utterances sorted as their speakers are, and 1001_ comes before 100_
        spk, utt = (
            (reader, f"{reader}-{utt}") if speaker == "reader" else (f"{reader}_{chapter}", utt)
        )
        tables["wav.scp"][utt] = os.path.abspath(sound)
        tables["text"][utt] = text
        tables["raw_text"][utt] = raw or text
        tables["utt2spk"][utt] = spk
        tables["spk2gender"][spk] = genders.get(reader, "")
    left_out(part, "sounds without a normalised text", silent)


def _text(path: Path) -> str:
    return " ".join(" ".join(read_lines(path)).split()) if path.is_file() else ""


def _split(tables: Tables, held_out: int) -> dict[str, Tables]:
    """The last sentences of every reader: dev; those before: eval1; a reader with few stays in train."""
    by_reader: dict[str, list[str]] = {}
    for utt in sorted(tables["utt2spk"]):
        by_reader.setdefault(re.split("[-_]", utt)[0], []).append(utt)
    many = [utts for utts in by_reader.values() if len(utts) > 2 * held_out]
    dev = {utt for utts in many for utt in utts[-held_out:]}
    eval1 = {utt for utts in many for utt in utts[-2 * held_out : -held_out]}
    wanted = {
        "train": lambda utt: utt not in dev and utt not in eval1,
        "dev": dev.__contains__,
        "eval1": eval1.__contains__,
    }
    return {name: choose(tables, test) for name, test in wanted.items()}
