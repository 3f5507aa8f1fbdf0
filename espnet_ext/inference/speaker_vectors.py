"""Speaker embeddings of a data directory's utterances."""

from __future__ import annotations

from pathlib import Path

from espnet_ext.audio.read import load
from espnet_ext.audio.voiceprint import RATE, embed
from espnet_ext.datadir import read_table, write_table
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.progress import progress


def write_vectors(directory: Path, device: str = "cpu") -> str:
    """Write `xvector.scp`, and `data/xvector.ark` beside it; the table's name.

    Raises:
        UserError: naming the utterance that cannot be read or is silent.
    """
    import kaldiio

    audio, table = read_table(directory / "wav.scp"), dict[str, str]()
    ark = directory / "data" / "xvector.ark"
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
