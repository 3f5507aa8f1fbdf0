"""Training states that survive a crash at any moment: written beside and renamed, the last two kept."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open

NAME, PREVIOUS = "checkpoint.pth", "checkpoint.previous.pth"
_OF_A_RUN = (
    "*.pth",
    "metrics.jsonl",
    "updates.jsonl",
    "config.yaml",
    "attention.npz",
    "tensorboard",
)


def save_tensors(path: Path, state: Any) -> None:
    """`torch.save`, whole or not at all.

    Raises:
        OSError: if it cannot be written, with the file's name.
    """
    with atomic_open(path, "wb") as stream:
        try:
            torch.save(state, stream)
        except (OSError, RuntimeError) as error:
            found = _from_system(error)
            if found is None:
                raise
            raise OSError(found.errno, found.strerror, str(path)) from error


def _from_system(error: BaseException | None) -> OSError | None:
    """What the system said, which torch hides behind an error about places in its archive."""
    if error is None or isinstance(error, OSError):
        return error
    return _from_system(error.__context__)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Make `state` the latest checkpoint in `folder`; the one before is kept as a second line."""
    for left in folder.glob(".*.pth.tmp-*"):  # half a file, from a process killed while it wrote
        left.unlink(missing_ok=True)
    beside = folder / ".checkpoint.new.pth"
    save_tensors(beside, state)
    if (folder / NAME).exists():
        os.replace(folder / NAME, folder / PREVIOUS)
    os.replace(beside, folder / NAME)


def load(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The latest readable checkpoint that belongs to the same configuration and data; None to start anew.

    A checkpoint of another configuration, or one that cannot be read, is never deleted: it is moved aside with the
    models of its run.
    """
    there = [folder / name for name in (NAME, PREVIOUS) if (folder / name).exists()]
    for path in there:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load fails in many ways on what is not its own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logging.warning("%s cannot be read (%s); trying the one before", path, reason)
            continue
        if isinstance(state, dict) and state.get("fingerprint") == fingerprint:
            return dict(state)
        set_aside(folder, "was trained with another configuration, code or data")
        return None
    if there:
        # the next two checkpoints would be written over what somebody may yet be able to read
        set_aside(folder, "has no checkpoint that can be read")
    return None


def set_aside(folder: Path, why: str) -> None:
    """Move what an earlier run left in `folder` to `folder/before-N`, and say why.

    Raises:
        UserError: if that cannot be made.
    """
    number = 1
    while (folder / f"before-{number}").exists():
        number += 1
    aside = folder / f"before-{number}"
    logging.warning("%s %s: moved to %s", folder, why, aside)
    try:
        aside.mkdir()
    except OSError as error:
        raise UserError(
            f"{aside} cannot be made ({error.strerror}): choose another --output_dir"
        ) from error
    for path in [p for name in _OF_A_RUN for p in folder.glob(name)]:
        os.replace(path, aside / path.name)
