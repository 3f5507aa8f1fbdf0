"""AN4 in small, with AN4's exact layout: rendered by espeak-ng, or a few utterances of the real corpus.

an4/etc/an4_{train,test}.{fileids,transcription}
an4/wav/{an4_clstk,an4test_clstk}/<speaker>/<id>.raw    headerless 16-bit big-endian PCM at 16 kHz
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDERS = {"train": "an4_clstk", "test": "an4test_clstk"}
SPEAKERS = ("falh", "fcaw", "fejs", "fkai", "mblb", "mcel", "mdms", "mgah", "mjhp", "mmtm")
TESTERS = ("fvap", "mwhw")
NAMES = "ALICE BRUNO CAROL DAVID ESTHER FRANK GRACE HUGO IRENE JACQUES KELLY LUCY MAX QUINN VIVIAN WYATT ZOE"
WORDS = "YES NO GO HELP START STOP ENTER ERASE REPEAT ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE ZERO OH"


class Line(NamedTuple):
    """An utterance: which part, who, its id and words."""

    part: str
    speaker: str
    utt: str
    words: str


def lines(each: int = 3, tests: int = 1) -> Iterator[Line]:
    """`each` utterances of ten training speakers and `tests` of two test speakers, always the same."""
    choose = random.Random(4)
    for part, speakers, number in (("train", SPEAKERS, each), ("test", TESTERS, tests)):
        for index in range(number * len(speakers)) if part == "train" else range(number):
            speaker = speakers[index % len(speakers)]
            kind = "an" if index // len(speakers) % 2 else "cen"
            yield Line(part, speaker, f"{kind}{index + 1}-{speaker}-b", _words(kind, choose))


def _words(kind: str, choose: random.Random) -> str:
    if kind == "cen":  # a name, spelled
        name = choose.choice(NAMES.split())
        return " ".join(name)
    return " ".join(choose.choices(WORDS.split(), k=choose.randint(2, 5)))


def render(an4: Path, each: int = 3, tests: int = 1) -> Path:
    """Let espeak-ng say the miniature into the directory `an4`; returns it."""
    found = list(lines(each, tests))
    with tempfile.TemporaryDirectory() as scratch:
        for index, line in enumerate(found):
            wav = Path(scratch) / "said.wav"
            sex, number = line.speaker[0], (SPEAKERS + TESTERS).index(line.speaker) % 4 + 1
            text = (
                line.words.lower() if line.utt.startswith("an") else ". ".join(line.words.split())
            )
            voice = ["-v", f"en-us+{sex}{number}", "-s", str(150 + 5 * (index % 5))]
            subprocess.run(["espeak-ng", *voice, "-w", str(wav), text], check=True)
            _write(an4, line, wav)
    _write_lists(an4, found)
    return an4


def _write(an4: Path, line: Line, wav: Path) -> None:
    from espnet_ext.audio.read import read
    from espnet_ext.audio.resample import resample, to_int16

    samples, rate = read(str(wav))
    path = an4 / "wav" / FOLDERS[line.part] / line.speaker / f"{line.utt}.raw"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_int16(resample(samples[:, 0], rate, 16000)).astype(">i2").tobytes())


def _write_lists(an4: Path, found: list[Line]) -> None:
    (an4 / "etc").mkdir(parents=True, exist_ok=True)
    for part, folder in FOLDERS.items():
        mine = [line for line in found if line.part == part]
        ids = "".join(f"{folder}/{line.speaker}/{line.utt}\n" for line in mine)
        marks = ("<s> ", " </s>") if part == "train" else ("", "")  # as in the corpus
        texts = "".join(f"{marks[0]}{line.words}{marks[1]} ({line.utt})\n" for line in mine)
        (an4 / f"etc/an4_{part}.fileids").write_text(ids)
        (an4 / f"etc/an4_{part}.transcription").write_text(texts)


def take(real: Path, an4: Path, each: int = 3, tests: int = 1) -> Path:
    """Copy `each` utterances of ten speakers of the real corpus and `tests` of an eleventh's into `an4`."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for row in (real / "etc/an4_train.transcription").read_text().splitlines():
        words, _, utt = row.strip().removesuffix(")").rpartition(" (")
        rows.setdefault(utt.split("-")[1], []).append(
            (utt, words.removeprefix("<s> ").removesuffix(" </s>"))
        )
    speakers = sorted(rows)[:: max(1, len(rows) // 11)][:11]
    found = []
    for speaker in speakers:
        part, number = ("train", each) if speaker != speakers[-1] else ("test", tests)
        found += [Line(part, speaker, *row) for row in rows[speaker][:number]]
    for line in found:
        target = an4 / "wav" / FOLDERS[line.part] / line.speaker / f"{line.utt}.raw"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real / f"wav/an4_clstk/{line.speaker}/{line.utt}.raw", target)
    _write_lists(an4, found)
    return an4
