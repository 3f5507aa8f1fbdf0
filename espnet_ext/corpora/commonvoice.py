"""Mozilla Common Voice (Ardila et al. 2020), any language and release.

`cv-corpus-<release>/<language>/{validated,train,dev,test}.tsv` with a header, and `clips/*.mp3`. Since
2025 the corpus is given out at datacollective.mozillafoundation.org to those who log in and agree.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

from espnet_ext.corpora.layout import choose, corpus_root, left_out, write_sets
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "COMMONVOICE"
SOURCE = "https://datacollective.mozillafoundation.org, after logging in"
#: What the columns `gender` of all releases say.
GENDERS = {"male": "m", "male_masculine": "m", "female": "f", "female_feminine": "f"}


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    language: str = "en",
    task: str = "asr",
    train: str = "validated",
    min_clips: int = 500,
    held_out: int = 5,
) -> list[Path]:
    """Write train, dev and test (asr), or train, dev and eval1 of the most diligent speakers (tts).

    As in ESPnet's recipe train is validated.tsv without the clips of dev.tsv and test.tsv, ids are
    CLIENT-CLIP, a speaker is a client. Text for asr is upper case without punctuation but the
    apostrophe, as icefall's English figures have it; text for tts is as it was shown.

    Args:
        corpus: the release (cv-corpus-...), its directory of the language, or one that holds the release.
        data: gets the sets, with utt2gender, utt2age and utt2accent as far as clients said.
        language: code of the language, as the corpus' directory is called
        task: asr or tts
        train: list to train on: validated (less dev and test), or train = the corpus' own, smaller one
        min_clips: clips that a speaker must have for tts
        held_out: clips of each such speaker in dev, and as many in eval1

    Returns:
        the directories written.

    Raises:
        UserError: corpus or language missing, a list without the expected columns, no such task.
    """
    if task not in ("asr", "tts"):
        raise UserError(f"found task {task!r}, expected asr or tts")
    root = _root(corpus, language)
    lists = ("dev", "test", train if (root / f"{train}.tsv").is_file() else "train")
    dev, test, rest = (_read(root, name, task) for name in lists)
    if task == "asr":
        taken = dev["utt2spk"].keys() | test["utt2spk"].keys()
        found = choose(rest, lambda utt: utt not in taken)
        return write_sets(data, {"train": found, "dev": dev, "test": test})
    return write_sets(data, _voices(root, rest, min_clips, held_out))


def _root(corpus: str | Path, language: str) -> Path:
    """The language's directory, of the newest release if there are several."""
    given = Path(corpus)
    releases = sorted(given.glob("cv-corpus-*"), key=_release) if str(corpus) else []
    for root in (given, given / language, *(r / language for r in reversed(releases))):
        if str(corpus) and (root / "test.tsv").is_file() and (root / "clips").is_dir():
            return root
    name = f"cv-corpus-*/{language}"
    return corpus_root(corpus, name, "clips", VARIABLE, SOURCE)


def _release(path: Path) -> list[int]:
    """cv-corpus-13.0-2023-03-09 after cv-corpus-5.1-2020-06-22."""
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _read(root: Path, name: str, task: str) -> Tables:
    """One list as tables; clips that are not there or have no text are left out and told."""
    lines = read_lines(root / f"{name}.tsv")
    header = lines[0].rstrip("\r").split("\t")
    columns = {"accents": "accent", "accent": "accent", "age": "age", "gender": "gender"}
    if not {"client_id", "path", "sentence"} <= set(header):
        raise UserError(
            f"{root}/{name}.tsv: found the columns {', '.join(header)[:120]}, expected client_id, "
            "path, sentence: is it a list of Common Voice?"
        )
    tables: Tables = {n: {} for n in ("wav.scp", "text", "utt2spk", "utt2gender")}
    tables |= {"utt2age": {}, "utt2accent": {}}
    clips = os.path.abspath(root / "clips")
    there = {entry.name for entry in os.scandir(clips) if entry.stat().st_size}
    absent = []
    for line in lines[1:]:
        row = dict(zip(header, line.rstrip("\r").split("\t"), strict=False))
        clip = row["path"] if "." in row["path"] else f"{row['path']}.mp3"
        sentence = row.get("sentence", "")
        text = spoken(sentence) if task == "asr" else _shown(sentence)
        if clip not in there or not text or "{" in sentence:
            absent.append(clip)
            continue
        utt = f"{row['client_id']}-{Path(clip).stem}"
        tables["wav.scp"][utt] = f"{clips}/{clip}"
        tables["text"][utt] = text
        tables["utt2spk"][utt] = row["client_id"]
        tables["utt2gender"][utt] = GENDERS.get(row.get("gender", ""), "u")
        for column, kind in columns.items():
            if kind != "gender" and row.get(column, "").strip():
                tables[f"utt2{kind}"][utt] = " ".join(row[column].split())
    left_out(root / f"{name}.tsv", "clips without sound or text", absent)
    return {n: t for n, t in tables.items() if t or n == "utt2spk"}


def spoken(sentence: str) -> str:
    """Upper case, no punctuation; an apostrophe stays within a word.

    >>> spoken("„It’s 'fine'\\", he said – twice.")
    "IT'S FINE HE SAID TWICE"
    """
    text = unicodedata.normalize("NFC", sentence).replace("\u2019", "'").replace("\u02bc", "'")
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c == "'" else " " for c in text)
    words = (word.strip("'") for word in kept.upper().split())
    return " ".join(word for word in words if word)


def _shown(sentence: str) -> str:
    """Without the quotes that lists put around whole sentences."""
    text = " ".join(sentence.replace('""', '"').split())
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _voices(root: Path, tables: Tables, min_clips: int, held_out: int) -> dict[str, Tables]:
    counts = Counter(tables["utt2spk"].values())
    wanted = {client for client, count in counts.items() if count >= max(min_clips, 3)}
    if not wanted:
        raise UserError(
            f"{root}: found {max(counts.values(), default=0)} clips of the most diligent speaker, "
            f"expected {min_clips}: ask for fewer with --min_clips"
        )
    dev: set[str] = set()
    eval1: set[str] = set()
    for client in wanted:
        mine = sorted(u for u, s in tables["utt2spk"].items() if s == client)
        held = min(held_out, (len(mine) - 1) // 2)
        dev.update(mine[len(mine) - held :])
        eval1.update(mine[len(mine) - 2 * held : len(mine) - held])
    tests = {
        "train": lambda u: tables["utt2spk"][u] in wanted and u not in dev and u not in eval1,
        "dev": dev.__contains__,
        "eval1": eval1.__contains__,
    }
    return {name: choose(tables, test) for name, test in tests.items()}
