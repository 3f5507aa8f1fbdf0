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

from espnet_ext.corpora.layout import at_least, choose, corpus_root, left_out, one_of, write_sets
from espnet_ext.datadir.edit import Tables
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

#: Columns that every list has.
NEEDED = ("client_id", "path", "sentence")
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
        data: gets the sets, with utt2lang, and utt2gender, utt2age and utt2accent as far as clients said.
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
    one_of("task", task, ("asr", "tts"))
    at_least("held_out", held_out, 1)
    root = _root(corpus, language)
    dev, test, rest = (_read(root, name, task) for name in ("dev", "test", train))
    for tables in (dev, test, rest):  # so that sets of several languages can be put together
        tables["utt2lang"] = dict.fromkeys(tables["utt2spk"], language)
    if task == "asr":
        taken = dev["utt2spk"].keys() | test["utt2spk"].keys()
        found = choose(rest, lambda utt: utt not in taken)
        return write_sets(data, {"train": found, "dev": dev, "test": test})
    return write_sets(data, _voices(root, rest, min_clips, held_out))


def _root(corpus: str | Path, language: str) -> Path:
    """The language's directory, of the newest release if there are several."""
    given = Path(corpus)
    releases = sorted(given.glob("cv-corpus-*"), key=_release) if str(corpus) else []
    for root in (given / language, *(r / language for r in reversed(releases)), given):
        if str(corpus) and (root / "test.tsv").is_file() and (root / "clips").is_dir():
            _require_language(root, language)
            return root
    name = f"cv-corpus-*/{language}"
    return corpus_root(corpus, name, "clips", VARIABLE, SOURCE)


def _release(path: Path) -> list[int]:
    """cv-corpus-13.0-2023-03-09 after cv-corpus-5.1-2020-06-22."""
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _require_language(root: Path, language: str) -> None:
    """A directory is of the language that its lists say (`locale`) or, if they say none, its name."""
    rows, _ = _rows(root / "test.tsv")
    said = {row.get("locale", "") for row in rows} - {""} or {
        os.path.basename(os.path.abspath(root))
    }
    if language not in said:
        raise UserError(
            f"{root}: found Common Voice in the language {', '.join(sorted(said))}, expected "
            f"{language}: say which with --language, or set {VARIABLE} to another directory"
        )


def _rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Rows and, of rows too short to have a client, clip and sentence, their line numbers.

    Raises:
        UserError: no such list, an empty one, or one without these columns.
    """
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.tsv"))) or "none"
        raise UserError(
            f"{path}: found no such list, expected it beside the others ({there}): copy it from "
            "the corpus, or choose another list to train on with --train"
        )
    header, *lines = (line.rstrip("\r").split("\t") for line in read_lines(path) or [""])
    if not set(NEEDED) <= set(header):
        raise UserError(
            f"{path}, line 1: found the columns {', '.join(header)[:120] or 'of an empty file'}, "
            f"expected {', '.join(NEEDED)}: is it a list of Common Voice?"
        )
    rows, ragged = [], []
    for number, fields in enumerate(lines, 2):
        row = dict(zip(header, fields, strict=False))
        if all(row.get(column) for column in NEEDED[:2]) and NEEDED[2] in row:
            rows.append(row)
        else:
            ragged.append(str(number))
    return rows, ragged


def _read(root: Path, name: str, task: str) -> Tables:
    """One list as tables; clips that are not there or have no text are left out and told."""
    rows, ragged = _rows(root / f"{name}.tsv")
    tables: Tables = {n: {} for n in ("wav.scp", "text", "utt2spk", "utt2gender")}
    tables |= {"utt2age": {}, "utt2accent": {}}
    clips = os.path.abspath(root / "clips")
    there = {entry.name for entry in os.scandir(clips) if entry.stat().st_size}
    absent = []
    for row in rows:
        clip = row["path"] if "." in row["path"] else f"{row['path']}.mp3"
        text = spoken(row["sentence"]) if task == "asr" else _shown(row["sentence"])
        if clip in there and text and "{" not in row["sentence"]:
            _add(tables, row, f"{clips}/{clip}", text)
        else:
            absent.append(clip)
    left_out(root / f"{name}.tsv", "clips without sound or text", absent)
    left_out(root / f"{name}.tsv", "lines with too few fields", [f"line {n}" for n in ragged])
    return {n: t for n, t in tables.items() if t or n == "utt2spk"}


def _add(tables: Tables, row: dict[str, str], clip: str, text: str) -> None:
    """One row's utterance; age and accent only where the client said them."""
    utt = f"{row['client_id']}-{Path(clip).stem}"
    tables["wav.scp"][utt] = clip
    tables["text"][utt] = text
    tables["utt2spk"][utt] = row["client_id"]
    tables["utt2gender"][utt] = GENDERS.get(row.get("gender", ""), "u")
    for column, kind in (("accents", "accent"), ("accent", "accent"), ("age", "age")):
        if row.get(column, "").strip():
            tables[f"utt2{kind}"][utt] = " ".join(row[column].split())


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
