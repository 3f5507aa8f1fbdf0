"""Formats that libsndfile does not know, through the programs that do: shorten inside SPHERE, m4a, WebM, WMA, AMR."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

#: first bytes -> what the format is called
_MAGIC = {b"\x1aE\xdf\xa3": "WebM or Matroska", b"0&\xb2u": "WMA", b"#!AMR": "AMR"}


def foreign_format(path: str | Path) -> str | None:
    """The name of a format that `decode` may know; None for any other content.

    Raises:
        OSError: if the file cannot be read.
    """
    with open(path, "rb") as stream:
        head = stream.read(1024)
    if head.startswith(b"NIST_1A") and b"shorten" in head:
        return "SPHERE with shorten"
    if head[4:8] == b"ftyp":
        return "MP4 (m4a)"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


@lru_cache(maxsize=1)  # the segments of one recording come one after another
def decode(path: str, kind: str) -> bytes:
    """The file as wav, by the first of sph2pipe and ffmpeg that is installed and does it.

    Raises:
        EOFError: if there is none, or none can; says which to install.
    """
    sphere = [["sph2pipe", "-f", "wav", path]] if kind.startswith("SPHERE") else []
    # into a pipe ffmpeg cannot write lengths into the header; libsndfile takes what there is
    commands = [*sphere, ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-f", "wav", "-"]]
    said = ""
    for command in commands:
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True)
            if done.returncode == 0 and len(done.stdout) > 44:
                return done.stdout
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or "no sound"
    names = " or ".join(command[0] for command in commands)
    raise EOFError(
        f"{kind}; {names} says: {said}" if said else f"{kind}, for which {names} must be installed"
    )
