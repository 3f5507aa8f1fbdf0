"""Speaker embeddings of a data directory's utterances."""

from __future__ import annotations

from pathlib import Path

from espnet_ext.audio.read import load
from espnet_ext.audio.voiceprint import RATE, embed
from espnet_ext.datadir import read_table, write_table
from espnet_ext.datadir.vectors import VECTORS
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.progress import progress

ARK = "speaker_vectors.ark"  # by its name a table is known to be of this command


def refuse_others(directory: Path) -> None:
    """Leave alone what others have made.

    Raises:
        UserError: for a table of vectors in a data directory that `write_vectors` has not written.
    """
    for name in VECTORS:
        path = directory / name
        entries = read_table(path, empty=True).values() if path.is_file() else ()
        if any(Path(entry.rpartition(":")[0]).name != ARK for entry in entries):
            raise UserError(
                f"{path}: found vectors that this command has not made, expected none: they are used as they are, so "
                "leave the command out (use_spembs=false); or move the table away to have others made"
            )


def write_vectors(directory: Path, device: str = "cpu") -> str:
    """Write `xvector.scp`, and `data/speaker_vectors.ark` beside it; the table's name.

    Raises:
        UserError: naming the utterance that cannot be read or is silent; if there are vectors of others.
    """
    import kaldiio

    refuse_others(directory)
    audio, table = read_table(directory / "wav.scp"), dict[str, str]()
    ark = directory / "data" / ARK
    ark.parent.mkdir(exist_ok=True)
    with atomic_open(ark, "wb") as stream:
        for utt in progress(sorted(audio), len(audio), f"speaker embeddings of {directory.name}"):
            try:
                vector = embed(load(audio[utt], RATE)[0], device)
            except UserError as error:
                raise UserError(f"utterance {utt}: {error}") from error
            table[utt] = f"{ark}:{stream.tell() + len(utt.encode()) + 1}"
            kaldiio.save_ark(stream, {utt: vector})
    write_table(directory / "xvector.scp", table)
    return str(directory / "xvector.scp")
