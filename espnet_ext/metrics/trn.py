"""NIST's trn files and the program sclite, the reference for error rates."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.files import write_text

_USUAL_PLACES = ("/usr/lib/sctk/bin", "/usr/local/sctk/bin", "/opt/sctk/bin")
# sclite takes braces for alternatives, @ for a null word and a line that begins with ;; for a
# comment: their full-width twins are plain tokens to it
_MARKUP = str.maketrans({"{": "｛", "}": "｝", "@": "＠", ";": "；"})


def find_sclite() -> str | None:
    """Path of sclite: on PATH, then where packages put it; None if it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_USUAL_PLACES])
    return shutil.which("sclite", path=path)


def trn_line(tokens: Iterable[str], utterance: str, speaker: str) -> str:
    """`token token<tab>(speaker-utterance)`, as ESPnet writes it."""
    return " ".join(tokens).translate(_MARKUP) + f"\t({speaker}-{utterance})\n"


def write_trn(
    path: str | Path, tokens: Mapping[str, Sequence[str]], utt2spk: Mapping[str, str]
) -> None:
    """Write utterances (id -> tokens) in their order; an utterance without a speaker is its own."""
    lines = (trn_line(t, u, utt2spk.get(u, u)) for u, t in tokens.items())
    write_text(path, "".join(lines))


def run_sclite(sclite: str, ref: str | Path, hyp: str | Path, case_sensitive: bool = False) -> str:
    """sclite's whole report (`-o all stdout`) on two trn files.

    Raises:
        UserError: if sclite fails, with its last line.
    """
    command = [sclite, "-r", str(ref), "trn", "-h", str(hyp), "trn", "-i", "rm", "-o", "all"]
    command += ["stdout", *(["-s"] if case_sensitive else [])]
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise UserError(f"sclite on {ref} and {hyp} ended with {done.returncode}: {last}")
    return done.stdout.decode(errors="replace")
