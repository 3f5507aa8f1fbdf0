"""An acoustic model's own spectrograms of recordings, for a vocoder that is to learn to speak them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from espnet_ext.audio.read import ark_offset, load
from espnet_ext.bridge.teacher import teacher_forced
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.inference.shares import Share, run_key, share_of
from espnet_ext.inference.synthesize import Conditions, conditions_of, given_for
from espnet_ext.inference.text2speech import Text2Speech
from espnet_ext.progress import progress


def write_teacher_forced(
    speaker: Text2Speech, data: Path, sets: Sequence[str], output: Path, job: int, jobs: int
) -> None:
    """Write this job's share of each set's `mels.scp`: log-mel spectrograms, frame for frame with the recordings.

    Args:
        speaker: a loaded acoustic model.
        data: directory of the sets' formatted data directories, with wav.scp and text; `durations` where the model
            needs them.
        sets: their names.
        output: receives `SET/mels.scp`.
        job, jobs: the share.

    Raises:
        UserError: for audio of another rate, an utterance without text, or a model that makes no spectrograms.
    """
    import kaldiio

    for name in sets:
        every = _recordings(data / name)
        conditions = conditions_of(data / name)
        durations = _durations(data / name)
        key = run_key(speaker.files, "teacher_forced", every, conditions, durations)
        share = Share(output / name, key, job, jobs)
        wanted, mels = share_of(every, job, jobs), dict[str, str]()
        ark = share.parts / f"mels.{job}of{jobs}.ark"
        with atomic_open(ark, "wb") as stream:
            for utt, entry, text in progress(wanted, len(wanted), f"teacher-force {name}"):
                mel = _mel(speaker, utt, entry, text, conditions, durations.get(utt))
                mels[utt] = f"{ark}:{stream.tell() + len(utt.encode()) + 1}"
                kaldiio.save_ark(stream, {utt: mel})
        share.write({"mels.scp": mels})


def _recordings(directory: Path) -> list[tuple[str, str, str]]:
    """Utterance, audio, text, sorted."""
    audio, texts = (read_table(directory / table) for table in ("wav.scp", "text"))
    lacking = sorted(set(audio) - set(texts))
    if lacking:
        raise UserError(
            f"{directory}: text lacks utterance {lacking[0]}, which wav.scp has ({len(lacking)} in all); run fix_data"
        )
    return [(utt, _found(audio[utt], directory), texts[utt]) for utt in sorted(audio)]


def _found(entry: str, directory: Path) -> str:
    """An entry of another recipe's wav.scp, whose paths are relative to that recipe's folder."""
    path = ark_offset(entry)[0]
    if entry.endswith("|") or Path(path).is_absolute():
        return entry
    for base in directory.absolute().parents:
        if (base / path).is_file():
            return str(base / entry)
    return entry


def _durations(directory: Path) -> dict[str, list[int]]:
    """Frames of each token, where the set has them."""
    path = directory / "durations"
    table = read_table(path) if path.is_file() else {}
    return {utt: [int(number) for number in numbers.split()] for utt, numbers in table.items()}


def _mel(
    speaker: Text2Speech,
    utt: str,
    entry: str,
    text: str,
    conditions: Conditions,
    durations: list[int] | None,
) -> np.ndarray:
    """(F, M), float32."""
    samples, rate = load(entry)
    if rate != speaker.rate:
        raise UserError(
            f"utterance {utt}: found audio at {rate} Hz, expected {speaker.rate} Hz, the model's"
        )
    ids = speaker.pipeline.ids(text)
    if not ids:
        raise UserError(f"utterance {utt}: found nothing to speak in {text!r}, expected a text")
    device = speaker.device
    given = {name: value.to(device) for name, value in given_for(conditions, utt).items()}
    try:
        mel = teacher_forced(
            speaker.model,
            torch.tensor(ids, device=device),
            torch.from_numpy(samples).to(device),
            None if durations is None else torch.tensor(durations, device=device),
            **given,
        )
    except UserError as error:
        raise UserError(f"utterance {utt}: {error}") from error
    return mel.cpu().numpy().astype(np.float32)
