"""Speaker embeddings of a data directory (x-vectors, d-vectors): the utterance's own, or else its speaker's.

`xvector.scp` or `spembs.scp` says where each utterance's vector lies (`file.ark:offset`, as kaldiio writes them);
`spk_xvector.scp` or `spk_spembs.scp` does so for speakers. All of them may lack keys.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from espnet_ext.datadir.tables import invert, read_table
from espnet_ext.errors import UserError

#: Tables of vectors by utterance; those by speaker have `spk_` before the name.
VECTORS = ("spembs.scp", "xvector.scp")
#: Between the entries of several vectors whose mean is meant; no entry of a table holds it.
_AND = "\n"


def speaker_vectors(directory: str | Path) -> dict[str, str]:
    """What `vector` reads the embedding of each utterance from; those of which nothing is known are left out.

    An utterance without a vector of its own has that of its speaker, or the mean of those of its speaker's other
    utterances.

    Raises:
        UserError: if two tables say the same, or one cannot be read.
    """
    directory = Path(directory)
    own, speakers = (_table(directory, prefix) for prefix in ("", "spk_"))
    if not speakers and not (own and (directory / "utt2spk").is_file()):
        return own
    utt2spk = read_table(directory / "utt2spk")
    means = {
        speaker: _AND.join(own[utt] for utt in utts.split() if utt in own)
        for speaker, utts in invert(utt2spk).items()
    }
    found = {utt: own.get(utt) or speakers.get(s) or means[s] for utt, s in utt2spk.items()}
    return {utt: entry for utt, entry in found.items() if entry}


def _table(directory: Path, prefix: str) -> dict[str, str]:
    there = [path for name in VECTORS if (path := directory / f"{prefix}{name}").is_file()]
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        raise UserError(f"{directory}: found {names}, expected one of them: remove the other")
    return read_table(there[0]) if there else {}


def required_vectors(directory: str | Path, utterances: Iterable[str]) -> dict[str, str]:
    """`speaker_vectors`, of which each of some utterances has one.

    Raises:
        UserError: if one has none.
    """
    found = speaker_vectors(directory)
    lacking = next((utt for utt in utterances if utt not in found), None)
    if lacking is not None:
        raise UserError(
            f"{directory}: found no speaker embedding for utterance {lacking}, expected one in xvector.scp or "
            "spk_xvector.scp, as the model has spk_embed_dim: make them with "
            "`python -m espnet_ext.bin.speaker_vectors`, or bring your own (kaldiio arks)"
        )
    return found


@functools.lru_cache(maxsize=512)
def vector(entry: str) -> np.ndarray:
    """The vector behind an entry of `speaker_vectors`, (E,) float32; read-only.

    Raises:
        UserError: if it cannot be read, or vectors to be averaged have several sizes.
    """
    import kaldiio

    found = []
    for path in entry.split(_AND):
        try:
            found.append(np.array(kaldiio.load_mat(path), np.float32).reshape(-1))
        except (OSError, ValueError, AssertionError) as error:
            raise UserError(
                f"{path}: found no vector ({error}), expected one as kaldiio writes them: make the table again"
            ) from error
    sizes = sorted({len(one) for one in found})
    if len(sizes) > 1:
        raise UserError(
            f"{entry.split(_AND)[0]}: found vectors of sizes {sizes}, expected one size"
        )
    mean = np.asarray(np.mean(found, axis=0), np.float32)
    mean.flags.writeable = False
    return mean
