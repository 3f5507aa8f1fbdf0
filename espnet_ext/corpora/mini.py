"""The embedded corpora: Mini-ASR, laid out as LibriSpeech, and Mini-TTS, laid out as LJ Speech 1.1.

Nothing is downloaded: sentences of a small grammar (corpora/sentences.py) are spoken by free
synthesisers (corpora/voices.py), the same sentences and samples every time. Voices and sentences of
train, dev and test are disjoint; every word of dev and test occurs in train at least five times.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from espnet_ext.corpora import librispeech, ljspeech
from espnet_ext.corpora.sentences import Sentence, sentences
from espnet_ext.corpora.voices import SPEAKER, VOICES, Voice, require_engines, speak
from espnet_ext.errors import UserError
from espnet_ext.files import write_json, write_text
from espnet_ext.machine import cores
from espnet_ext.progress import progress

if TYPE_CHECKING:
    import numpy as np

#: Raise it when the same sentences and voices would give other samples.
VERSION = 1
PARTS = {"train": "train-clean-mini", "dev": "dev-clean", "test": "test-clean"}
COUNTS = {"train": 640, "dev": 60, "test": 80, "tts": 350}
CHAPTERS = 2
MARK = ".mini.json"


class Line(NamedTuple):
    """One utterance to render: where it goes, who says it, what."""

    path: str
    voice: Voice
    sentence: Sentence


def draw(counts: dict[str, int]) -> dict[str, list[Sentence]]:
    """Sentences of each part, all different; those of dev and test in words known from train."""
    taken: set[str] = set()
    drawn = {"train": list(islice(sentences(1, taken), counts["train"]))}
    known = Counter(word for s in drawn["train"] for word in s.transcript.split())
    frequent = known if min(counts.values()) >= 50 else None
    for seed, part in enumerate(("dev", "test", "tts"), 2):
        drawn[part] = list(islice(sentences(seed, taken, frequent), counts[part]))
    return drawn


def asr_lines(drawn: dict[str, list[Sentence]]) -> Iterator[Line]:
    """Utterances of Mini-ASR in the order of their ids."""
    for part, folder in PARTS.items():
        readers = [(1001 + i, v) for i, v in enumerate(VOICES) if v.part == part]
        whole = sum(v.share for _, v in readers)
        before = 0.0
        for reader, voice in readers:
            first, last = (
                round(len(drawn[part]) * s / whole) for s in (before, before + voice.share)
            )
            before += voice.share
            yield from _chapters(folder, reader, voice, drawn[part][first:last])


def _chapters(folder: str, reader: int, voice: Voice, mine: list[Sentence]) -> Iterator[Line]:
    size = -(-len(mine) // CHAPTERS)
    for index, sentence in enumerate(mine):
        chapter = reader * 10 + index // size
        name = f"{reader}-{chapter}-{index % size:04d}.flac"
        yield Line(f"LibriSpeech/{folder}/{reader}/{chapter}/{name}", voice, sentence)


def tts_lines(drawn: dict[str, list[Sentence]]) -> Iterator[Line]:
    """Utterances of Mini-TTS in the order of their ids, fifty a chapter."""
    for index, sentence in enumerate(drawn["tts"]):
        name = f"LJ{index // 50 + 1:03d}-{index % 50 + 1:04d}.wav"
        yield Line(f"LJSpeech-1.1/wavs/{name}", SPEAKER, sentence)


def sound(line: Line) -> tuple[np.ndarray, int]:
    """int16 samples and rate; Mini-ASR varies a little in loudness and has a quiet hiss."""
    import numpy as np

    from espnet_ext.audio.resample import resample, to_int16

    samples, found = speak(line.voice, line.sentence.spoken.replace("-", " "))
    tts = line.path.endswith(".wav")
    rate = 22050 if tts else 16000
    samples = trimmed(resample(samples, found, rate), rate)
    random = np.random.default_rng(zlib.crc32(line.path.encode()))
    level = -23.0 if tts else random.uniform(-28.0, -20.0)
    samples = samples * (10 ** (level / 20) / np.sqrt(np.mean(samples**2)))
    noise = 0.0 if tts else 10 ** ((level - random.uniform(30.0, 45.0)) / 20)
    samples = samples + noise * random.standard_normal(len(samples))
    return to_int16((samples / max(1.0, np.abs(samples).max() / 0.98)).astype(np.float32)), rate


def trimmed(samples: np.ndarray, rate: int, margin: float = 0.15) -> np.ndarray:
    """Cut the silence at both ends to `margin` seconds, adding zeros where there is less."""
    import numpy as np

    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    pad = round(margin * rate)
    padded = np.pad(samples, pad)
    return padded[loud[0] : loud[-1] + 2 * pad + 1]


def render(corpus_dir: str | Path, task: str, counts: dict[str, int] | None = None) -> None:
    """Write a corpus below `corpus_dir`; utterances that are there already are not spoken again.

    Args:
        corpus_dir: gets `LibriSpeech/` (asr) or `LJSpeech-1.1/` (tts).
        task: asr or tts.
        counts: utterances of train, dev, test and tts; default COUNTS.

    Raises:
        UserError: if a synthesiser is missing or fails, or other files lie where the corpus would
            go.
    """
    drawn = draw({**COUNTS, **(counts or {})})
    lines = list(asr_lines(drawn) if task == "asr" else tts_lines(drawn))
    root = Path(corpus_dir) / lines[0].path.split("/")[0]
    plan = hashlib.sha256(json.dumps([VERSION, lines]).encode()).hexdigest()
    done = _state(root)
    if done == {"plan": plan, "finished": True}:
        return
    require_engines([line.voice for line in lines])
    _start(root, plan, keep=done.get("plan") == plan)
    todo = [line for line in lines if not (root.parent / line.path).exists()]
    with ThreadPoolExecutor(2 * cores()) as pool:
        jobs = pool.map(lambda line: _write(root.parent, line), todo)
        for _ in progress(jobs, len(todo), f"speak {root.name}"):
            pass
    _write_librispeech(root, lines) if task == "asr" else _write_ljspeech(root, lines)
    write_json(root / MARK, {"plan": plan, "finished": True})


def _state(root: Path) -> dict[str, object]:
    try:
        return dict(json.loads((root / MARK).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _start(root: Path, plan: str, keep: bool) -> None:
    """Take away what another plan rendered, but never files that were not rendered here."""
    found = [p for p in root.rglob("*") if p.is_file() and p.name != MARK]
    if found and not (root / MARK).exists():
        raise UserError(
            f"{root}: found {len(found)} files that were not rendered here, expected an empty or "
            "absent directory: choose another one"
        )
    if not keep:
        for path in found:
            path.unlink()
    write_json(root / MARK, {"plan": plan, "finished": False})


def _write(root: Path, line: Line) -> None:
    from espnet_ext.audio.write import write

    write(root / line.path, *sound(line))


def _write_librispeech(root: Path, lines: list[Line]) -> None:
    chapters: dict[Path, list[str]] = {}
    for line in lines:
        path = Path(line.path)
        text = f"{path.stem} {line.sentence.transcript}\n"
        chapters.setdefault(path.parent.relative_to("LibriSpeech"), []).append(text)
    for folder, rows in chapters.items():
        _, reader, chapter = folder.parts
        write_text(root / folder / f"{reader}-{chapter}.trans.txt", "".join(rows))
    _write_lists(root, list(chapters))


def _write_ljspeech(root: Path, lines: list[Line]) -> None:
    rows = [f"{Path(x.path).stem}|{x.sentence.written}|{x.sentence.spoken}\n" for x in lines]
    write_text(root / "metadata.csv", "".join(rows))


def _write_lists(root: Path, chapters: list[Path]) -> None:
    part_of = {int(c.parts[1]): c.parts[0] for c in chapters}
    speakers = [";ID  |SEX| SUBSET           |MINUTES| NAME\n"]
    for reader, part in part_of.items():
        voice = VOICES[reader - 1001]
        minutes = _minutes(root / part / str(reader))
        speakers.append(
            f"{reader:<4} | {voice.sex} | {part:<16} | {minutes:5.2f} | {voice.engine} "
            f"{voice.name}\n"
        )
    write_text(root / "SPEAKERS.TXT", "".join(speakers))
    head = ";ID  |READER|MINUTES| SUBSET           | PROJ.|BOOK ID| CH. TITLE | PROJECT TITLE\n"
    rows = [
        f"{c.parts[2]} | {c.parts[1]} | {_minutes(root / c):5.2f} | {c.parts[0]:<16} | 1 | 1 | "
        "Sentences | Mini\n"
        for c in chapters
    ]
    write_text(root / "CHAPTERS.TXT", head + "".join(rows))
    write_text(root / "BOOKS.TXT", "1 | Everyday sentences of a small grammar | espnet_ext\n")


def _minutes(folder: Path) -> float:
    from espnet_ext.audio.read import seconds_of

    return sum(seconds_of(str(path)) for path in sorted(folder.rglob("*.flac"))) / 60


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    task: str = "asr",
    train: int = COUNTS["train"],
    dev: int = COUNTS["dev"],
    test: int = COUNTS["test"],
    tts: int = COUNTS["tts"],
) -> list[Path]:
    """Render the embedded corpora where they are not there yet and prepare one of them.

    Args:
        corpus: where the rendered corpora lie or go.
        data: gets the data directories: train, dev, test (asr) or train, dev, eval1 (tts).
        task: asr or tts.
        train: Mini-ASR utterances for training.
        dev: Mini-ASR utterances for validation.
        test: Mini-ASR utterances for the test.
        tts: Mini-TTS utterances altogether; a twentieth goes to dev, a twentieth to eval1.
    """
    steps: dict[str, Callable[[], list[Path]]] = {
        "asr": lambda: librispeech.prepare(
            Path(corpus) / "LibriSpeech", data, sets=" ".join(f"{k}={v}" for k, v in PARTS.items())
        ),
        "tts": lambda: ljspeech.prepare(
            Path(corpus) / "LJSpeech-1.1", data, dev=max(1, tts // 20), eval1=max(1, tts // 20)
        ),
    }
    if task not in steps:
        raise UserError(f"found task {task!r}, expected asr or tts: use --task asr or --task tts")
    render(corpus, task, {"train": train, "dev": dev, "test": test, "tts": tts})
    return steps[task]()
