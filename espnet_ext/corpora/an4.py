"""CMU AN4 (Acero 1990): spelled names, addresses and numbers, 16 kHz, close microphone.

`etc/an4_{train,test}.transcription` and `wav/an4_clstk/<speaker>/<id>.raw` (`an4test_clstk` for the
test), or `.sph` in the sphere distribution. The `.raw` files are headerless 16-bit PCM whose byte
order the samples
tell: the distribution named bigendian is big-endian even where a README says otherwise. They get
WAV copies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from espnet_ext.audio.read import endianness, read_raw
from espnet_ext.audio.write import write
from espnet_ext.corpora.fetch import fetch, unpack
from espnet_ext.datadir import validate
from espnet_ext.datadir.edit import Tables, write_all
from espnet_ext.datadir.tables import read_lines
from espnet_ext.errors import UserError

VARIABLE = "AN4"
URL = "http://www.speech.cs.cmu.edu/databases/an4/an4_raw.bigendian.tar.gz"
RATE = 16000
#: Speakers held out for the test where the corpus comes without its test part, and for dev.
TEST_SPEAKERS = 8
DEV_SPEAKERS = 6
SOUNDS = (".raw", ".sph", ".wav", ".flac")
ADVICE = f"set {VARIABLE}=/path/to/an4 in local/db.sh or the environment, or have it fetched: {URL}"


def download(corpus: str | Path) -> None:
    """Fetch the corpus from CMU (64 MB) if it is neither `corpus` nor in it.

    It goes to `corpus/an4`, or to `corpus` if that is its name already.

    Raises:
        UserError: if it cannot be fetched or is not what is expected.
    """
    if _root(Path(corpus)):
        return
    target = Path(corpus) if Path(corpus).name == "an4" else Path(corpus) / "an4"
    archive = target.parent / URL.rpartition("/")[2]
    kinds = ("fileids", "transcription")
    lists = tuple(f"etc/an4_{part}.{kind}" for part in ("train", "test") for kind in kinds)
    if not archive.exists():
        try:
            fetch(URL, archive)
        except UserError as error:
            raise UserError(f"{error}; if you have the corpus already, {ADVICE}") from None
    unpack(archive, "an4", target, lists)


def prepare(corpus: str | Path, data: str | Path, *, as_test: str = "") -> list[Path]:
    """Write train, dev and test, no speaker in two of them; or all of `corpus` as one test set.

    The corpus' own test part is the test set; without it the last eight speakers in alphabetical
    order are. dev are six speakers of the others, evenly spaced.

    Args:
        corpus: the directory that holds etc/ and wav/.
        data: gets the data directories, and WAV copies of raw files below local/an4.
        as_test: name of a test set. The corpus is then any directory of AN4's kind (lists or one
            transcription, and sounds), all of which becomes that set.

    Returns:
        the directories written.

    Raises:
        UserError: corpus missing, a transcript without audio or an unreadable list.
    """
    data = Path(data)
    if as_test:
        more = Path(corpus)
        return [_write_set(data, as_test, _extra(more), _sounds(more))]
    root = _root(Path(corpus)) if str(corpus) else None
    if root is None:
        raise UserError(
            f"{corpus or 'AN4'}: found no etc/an4_train.transcription, expected AN4: {ADVICE}"
        )
    sounds = _sounds(root)
    train = _transcripts([root / "etc" / "an4_train.transcription"])
    official = root / "etc" / "an4_test.transcription"
    test = _transcripts([official]) if official.is_file() else {}
    sets = _split(root, train, test)
    return [_write_set(data, name, texts, sounds) for name, texts in sets.items()]


def _split(root: Path, train: dict[str, str], test: dict[str, str]) -> dict[str, dict[str, str]]:
    """Transcripts of train, dev and test, by set; `test` is the official one, or empty."""
    test_speakers = {_speaker(i) for i in test}
    speakers = sorted({_speaker(i) for i in train} - test_speakers)
    if not test:
        test_speakers = set(speakers[-TEST_SPEAKERS:])
        speakers = speakers[:-TEST_SPEAKERS]
    if len(speakers) <= DEV_SPEAKERS:
        raise UserError(
            f"{root}: found {len(speakers)} speakers to train with, expected more than "
            f"{DEV_SPEAKERS}: {ADVICE}"
        )
    dev = set(
        speakers[len(speakers) // (2 * DEV_SPEAKERS) :: len(speakers) // DEV_SPEAKERS][
            :DEV_SPEAKERS
        ]
    )
    return {
        "train": {i: t for i, t in train.items() if _speaker(i) in set(speakers) - dev},
        "dev": {i: t for i, t in train.items() if _speaker(i) in dev},
        "test": test or {i: t for i, t in train.items() if _speaker(i) in test_speakers},
    }


def _root(corpus: Path) -> Path | None:
    for root in (corpus, corpus / "an4"):
        if (root / "etc" / "an4_train.transcription").is_file():
            return root
    return None


def _sounds(root: Path) -> dict[str, Path]:
    """Every sound below a directory by its id."""
    if not root.is_dir():
        raise UserError(f"{root}: no such directory, expected one laid out as AN4: check AN4_TEST")
    return {p.stem: p for p in sorted(root.rglob("*")) if p.suffix.lower() in SOUNDS}


def _extra(root: Path) -> dict[str, str]:
    """Transcripts of a further test set: of its test list, else every list, else text files."""
    for pattern in ("*_test.transcription", "*.transcription", "*trans*", "*.txt"):
        paths = sorted(p for p in root.rglob(pattern) if p.is_file())
        texts = _transcripts(paths)
        if texts:
            return texts
    raise UserError(
        f"{root}: found no transcription, expected lines like `<s> YES </s> (an251-fash-b)` in "
        "etc/*.transcription: check AN4_TEST"
    )


def _transcripts(paths: Iterable[Path]) -> dict[str, str]:
    """id -> words, from lines `<s> WORDS </s> (id)` or `WORDS (id)`.

    Raises:
        UserError: no such line, no words, or an id twice.
    """
    found: dict[str, str] = {}
    for path in paths:
        for number, line in enumerate(read_lines(path), 1):
            match = re.fullmatch(r"\s*(.*?)\s*\(([^()\s]+)\)\s*", line)
            if not match and line.strip() and path.suffix == ".transcription":
                raise UserError(
                    f"{path}, line {number}: found {line!r}, expected `<s> WORDS </s> (id)`: "
                    "correct the line"
                )
            if match:
                _add(found, match[2], match[1], f"{path}, line {number}")
    return found


def _add(found: dict[str, str], utt: str, text: str, where: str) -> None:
    words = re.sub(r"</?s>|\+\+\S+\+\+|<sil>", " ", text, flags=re.IGNORECASE).upper().split()
    if not words or utt in found:
        what = f"{utt!r} a second time" if utt in found else f"an empty text for {utt!r}"
        raise UserError(f"{where}: found {what}, expected one text for every id: correct the line")
    found[utt] = " ".join(words)


def _speaker(utt: str) -> str:
    """an251-fash-b -> fash."""
    fields = utt.split("-")
    return fields[1] if len(fields) > 1 else fields[0]


def _write_set(data: Path, name: str, texts: dict[str, str], sounds: dict[str, Path]) -> Path:
    silent = sorted(texts.keys() - sounds.keys())
    if silent:
        raise UserError(
            f"{name}: found no sound for {len(silent)} transcripts ({', '.join(silent[:3])}), "
            f"expected wav/**/{silent[0]}.raw or .sph, .wav, .flac: the copy of the corpus is not "
            "whole; fetch it again"
        )
    raw = [sounds[i] for i in sorted(texts) if sounds[i].suffix.lower() == ".raw"]
    order = endianness(p.read_bytes() for p in raw[:: max(1, len(raw) // 20)]) if raw else None
    tables: Tables = {"wav.scp": {}, "text": {}, "utt2spk": {}, "spk2gender": {}}
    for utt, text in texts.items():
        speaker = _speaker(utt)
        key = f"{speaker}-{utt}"
        copy = data / "local" / "an4" / name / f"{key}.wav"
        tables["wav.scp"][key] = os.path.abspath(_readable(sounds[utt], copy, order))
        tables["text"][key] = text
        tables["utt2spk"][key] = speaker
        tables["spk2gender"][speaker] = "f" if speaker.startswith("f") else "m"
    write_all(data / name, tables)
    validate(data / name)
    return data / name


def _readable(sound: Path, copy: Path, order: str | None) -> Path:
    """A file with a header: the sound itself, or a WAV copy of a raw one."""
    if sound.suffix.lower() != ".raw":
        return sound
    write(copy, *read_raw(sound, RATE, order))
    return copy
