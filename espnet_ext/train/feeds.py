"""What a synthesiser is fed besides sound and tokens, where its configuration asks for it.

Durations (`durations`: frames of each token) and speaker embeddings (`xvector.scp`) of a data directory.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_ext.bridge.choices import find_class
from espnet_ext.datadir import read_table
from espnet_ext.datadir.vectors import required_vectors
from espnet_ext.errors import UserError
from espnet_ext.train.data import Utterances
from espnet_ext.tts.options import part_of

DURATIONS, SPEMBS = "durations", "spembs"


def wanted(task: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of durations and spembs a model has to be given.

    Args:
        task: "tts" or "gan_tts"; others want none.
        config: the whole configuration.
    """
    if task not in ("tts", "gan_tts"):
        return ()
    conf = config.get("tts_conf") or {}
    inner = conf.get("generator_params") or {}
    timed = _needs_durations(find_class(task, "tts", config["tts"]), conf)
    heard = conf.get("spk_embed_dim") or inner.get("spk_embed_dim")
    return (DURATIONS,) * timed + (SPEMBS,) * bool(heard)


def _needs_durations(cls: Any, conf: Mapping[str, Any]) -> bool:
    """Whether a synthesiser cannot be trained without: it says so by its arguments, ours by `alignment`."""
    known = inspect.signature(cls).parameters
    if "alignment" in known or "acoustic" in known:  # the second has the first one's options inside
        return not part_of(conf, "alignment", inside="acoustic" in known).get("learned", True)
    asked = inspect.signature(cls.forward).parameters.get(DURATIONS)
    return asked is not None and asked.default is inspect.Parameter.empty


def feed(data: Utterances, directory: Path, names: tuple[str, ...]) -> Utterances:
    """Give utterances what of these their directory has.

    Args:
        data: changed in place.
        directory: that they were read from.
        names: see `wanted`.

    Raises:
        UserError: if the directory does not have it for each of them, or durations are none.
    """
    if DURATIONS in names:
        data.extra[DURATIONS] = _durations(data, directory)
    if SPEMBS in names:
        data.extra[SPEMBS] = required_vectors(directory, data.ids)
    return data


def _durations(data: Utterances, directory: Path) -> dict[str, str]:
    """Frames of each token, and of <sos/eos> where the table has that, too."""
    path = directory / DURATIONS
    if not path.is_file():
        raise UserError(
            f"{path}: no such table, expected the frames of each token, as this model does not align by itself: make "
            "it with `python -m espnet_ext.bin.import_durations` (from TextGrids or a trained model), or let the model "
            "align: tts_conf's alignment: {learned: true}"
        )
    table = read_table(path)
    for utt, tokens in zip(data.ids, data.tokens, strict=True):
        given = table.get(utt, "").split()
        if (
            not all(number.isdecimal() for number in given)
            or not 0 <= len(given) - len(tokens) <= 1
        ):
            raise UserError(
                f"{path}: found {len(given)} durations ({' '.join(given[:8])} ...) for utterance {utt}, expected "
                f"{len(tokens)} whole numbers, one a token, and perhaps one for <sos/eos>: made with another token "
                "list? Run import_durations again"
            )
    return table
