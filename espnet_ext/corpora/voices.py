"""The synthetic voices of the embedded corpora and how to make them speak."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np


class Voice(NamedTuple):
    """A reader of Mini-ASR.

    Attributes:
        part: train, dev or test.
        sex: F or M.
        engine: "espeak-ng" or "flite".
        name: the engine's name of the voice.
        tempo: 1 is the engine's own speed, 1.1 speaks faster.
        pitch: espeak-ng's 0 to 99, or flite's mean fundamental frequency in Hz; 0 keeps the voice's
            own.
        share: how many utterances it speaks, relative to the others of its part.
    """

    part: str
    sex: str
    engine: str
    name: str
    tempo: float = 1.0
    pitch: int = 0
    share: float = 1.0


#: Every voice of dev and test is unheard in training, but kin to voices that are: other variants of
#: the same accents. flite's four natural voices are all in training: three do not make a fourth
#: one understood. slt reads the most, also slower, faster, lower and higher: Mini-TTS speaks with her
#: voice, and of what she reads herself a recogniser that heard her a tenth of the time missed a fifth.
VOICES = (
    Voice("train", "M", "espeak-ng", "en-us", 1.00, 50),
    Voice("train", "F", "espeak-ng", "en-us+f1", 0.95, 55),
    Voice("train", "F", "espeak-ng", "en-us+f2", 1.05, 60),
    Voice("train", "F", "espeak-ng", "en-us+f4", 0.90, 45),
    Voice("train", "M", "espeak-ng", "en-us+m1", 0.95, 40),
    Voice("train", "M", "espeak-ng", "en-us+m3", 1.10, 45),
    Voice("train", "M", "espeak-ng", "en-us+m7", 1.00, 55),
    Voice("train", "M", "espeak-ng", "en-gb", 1.00, 45),
    Voice("train", "F", "espeak-ng", "en-gb+f2", 0.95, 50),
    Voice("train", "M", "espeak-ng", "en-gb+m2", 1.05, 50),
    Voice("train", "F", "espeak-ng", "en-gb-x-rp+f4", 1.00, 55),
    Voice("train", "M", "espeak-ng", "en-gb-x-rp+m4", 0.95, 45),
    Voice("train", "M", "espeak-ng", "en-gb-scotland+m1", 1.00, 50),
    Voice("train", "M", "espeak-ng", "en-us+Alex", 0.90, 42),
    Voice("train", "F", "espeak-ng", "en-us+Alicia", 1.00, 53),
    Voice("train", "F", "espeak-ng", "en-gb+Andrea", 1.10, 43),
    Voice("train", "M", "espeak-ng", "en-us+Andy", 0.95, 54),
    Voice("train", "F", "espeak-ng", "en-us+Annie", 1.05, 44),
    Voice("train", "M", "espeak-ng", "en-gb+Denis", 0.90, 55),
    Voice("train", "M", "espeak-ng", "en-us+Diogo", 1.00, 45),
    Voice("train", "M", "espeak-ng", "en-gb+Lee", 1.10, 56),
    Voice("train", "M", "espeak-ng", "en-us+Marco", 0.95, 46),
    Voice("train", "M", "espeak-ng", "en-gb-x-rp+Michael", 1.05, 57),
    Voice("train", "M", "espeak-ng", "en-us+adam", 0.90, 47),
    Voice("train", "F", "espeak-ng", "en-gb+anika", 1.00, 58),
    Voice("train", "F", "espeak-ng", "en-us+belinda", 1.10, 48),
    Voice("train", "M", "espeak-ng", "en-gb+boris", 0.95, 59),
    Voice("train", "M", "espeak-ng", "en-us+david", 1.05, 49),
    Voice("train", "M", "espeak-ng", "en-us+gustave", 0.90, 60),
    Voice("train", "F", "espeak-ng", "en-gb-x-rp+linda", 1.00, 50),
    Voice("train", "M", "espeak-ng", "en-gb+max", 1.10, 61),
    Voice("train", "M", "espeak-ng", "en-us+quincy", 0.95, 51),
    Voice("train", "F", "espeak-ng", "en-us+steph", 1.05, 62),
    Voice("train", "M", "espeak-ng", "en-gb-scotland+travis", 0.90, 52),
    Voice("train", "M", "espeak-ng", "en-us+victor", 1.00, 42),
    Voice("train", "F", "flite", "slt", 1.00, 0, 7.0),
    Voice("train", "F", "flite", "slt", 0.92, 165, 1.5),
    Voice("train", "F", "flite", "slt", 1.08, 195, 1.5),
    Voice("train", "M", "flite", "awb", 1.00, 0, 1.5),
    Voice("train", "M", "flite", "kal16", 1.00, 0, 1.5),
    Voice("train", "M", "flite", "rms", 1.00, 0, 1.5),
    Voice("dev", "F", "espeak-ng", "en-gb+f1", 1.00, 60),
    Voice("dev", "M", "espeak-ng", "en-us+m4", 1.00, 50),
    Voice("test", "F", "espeak-ng", "en-us+f3", 1.00, 50),
    Voice("test", "M", "espeak-ng", "en-gb+m3", 1.00, 45),
    Voice("test", "F", "espeak-ng", "en-gb-x-rp+f1", 0.95, 55),
    Voice("test", "M", "espeak-ng", "en-us+m5", 1.00, 50),
)

#: The speaker of Mini-TTS.
SPEAKER = Voice("tts", "F", "flite", "slt")


def require_engines(voices: Sequence[Voice]) -> None:
    """Check that what the voices need is installed; both engines silently replace an unknown voice.

    Raises:
        UserError: naming the missing synthesisers or voices.
    """
    engines = sorted({v.engine for v in voices})
    missing = [engine for engine in engines if shutil.which(engine) is None]
    if missing:
        raise UserError(
            f"found no {' and no '.join(missing)}, expected the synthesisers that speak the "
            f"embedded corpora: sudo apt-get install {' '.join(missing)}"
        )
    known = {engine: _known(engine) for engine in engines}
    absent = [v.name for v in voices if not set(v.name.split("+")) <= known[v.engine]]
    if absent:
        raise UserError(
            f"found no voice {', '.join(sorted(set(absent)))} in {' or '.join(engines)}, expected "
            "those of espeak-ng 1.50 and flite 2.2 or later: install these versions"
        )


def _known(engine: str) -> set[str]:
    """Names of voices (and of espeak-ng's variants) that an engine has."""
    if engine == "flite":
        return set(_said("flite", "-lv").partition(":")[2].split())
    listed = _said("espeak-ng", "--voices=en") + _said("espeak-ng", "--voices=variant")
    return {word.rpartition("/")[2] for word in listed.split()}


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout


def speak(voice: Voice, text: str) -> tuple[np.ndarray, int]:
    """Let a voice say a text.

    Returns:
        float32 samples (T,) and their rate (22,050 Hz espeak-ng, 16,000 Hz flite); the same every
        time.

    Raises:
        UserError: if the synthesiser fails.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        command = _command(voice, text, path)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode or not path.is_file():
            raise UserError(
                f"{' '.join(command)}: found status {done.returncode} "
                f"({done.stderr.strip()[-200:]}), expected a sound file: try that command by hand"
            )
        samples, rate = soundfile.read(path, dtype="float32")
    return samples, int(rate)


def _command(voice: Voice, text: str, path: Path) -> list[str]:
    if voice.engine == "flite":
        pitch = ["--setf", f"int_f0_target_mean={voice.pitch}"] if voice.pitch else []
        slower = f"duration_stretch={1 / voice.tempo:.4f}"
        return [
            "flite",
            "-voice",
            voice.name,
            "--setf",
            slower,
            *pitch,
            "-o",
            str(path),
            "-t",
            text,
        ]
    words_a_minute = str(round(165 * voice.tempo))
    pitch = ["-p", str(voice.pitch)] if voice.pitch else []
    return [
        "espeak-ng",
        "-v",
        voice.name,
        "-s",
        words_a_minute,
        *pitch,
        "-w",
        str(path),
        "--",
        text,
    ]
