"""What a checkpoint belongs to: a hash of all that decides on the weights of an epoch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.read import ark_offset
from espnet_ext.train.config import TRAINING
from espnet_ext.train.data import Utterances
from espnet_ext.train.initial import source_files as source_weights
from espnet_ext.train.sources import code_digest, dotted_paths, source_files

#: Keys that change how fast or how long training goes, not what a given epoch computes.
HARMLESS = (
    "max_epoch",
    "patience",
    "num_workers",
    "checkpoint_minutes",
    "num_att_plot",
    "monitor_every",
    "trackers",
    "keep_nbest_models",
    "best_model_criterion",
    "not_finite",
)
#: Keys that came later; at their default they change nothing, and a training of before goes on.
LATER = (
    "precision",
    "weight_decay_groups",
    "phases",
    "ema",
    "freeze",
    "lora",
    "fsdp",
)
_PROBED, _PROBE = 2000, 8192  # utterances of a split, bytes of each


def fingerprint(
    config: Mapping[str, Any],
    model: torch.nn.Module,
    *data: Utterances,
    stats: Path | None = None,
    selected: Sequence[Sequence[int]] = (),
) -> str:
    """A hash of configuration, code, weights to start from, statistics and data.

    The names and shapes of the weights count, because a user's module may change and its YAML stay; so does the
    code of every class that the YAML names by a dotted path.

    Args:
        config: the whole configuration.
        model: built from it.
        data: training and validation.
        stats: directory made by collect_stats.
        selected: places of the utterances of each phase.
    """
    kept = {
        key: value
        for key, value in config.items()
        if key not in HARMLESS and not (key in LATER and value == TRAINING[key])
    }
    if kept.get("phases"):  # how long the last one lasts is what max_epoch would say
        *earlier, last = kept["phases"]
        kept["phases"] = [*earlier, {k: v for k, v in last.items() if k != "epochs"}]
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode())
    digest.update(str([(name, *t.shape) for name, t in model.state_dict().items()]).encode())
    for utterances in data:
        digest.update("\n".join(utterances.ids).encode())
        for ids in utterances.tokens:  # one by one: a language model may have a thousand million
            digest.update(ids.tobytes())
        digest.update(np.asarray(utterances.seconds).tobytes())
        digest.update(audio_digest(list(utterances.audio.values())).encode())
        _add_tables(digest, utterances)
    for dotted in dotted_paths(kept):
        digest.update("".join(code_digest(file) for file in source_files(dotted)).encode())
    for path in [*weights_to_start_from(config), *read_by_preprocessors(config)]:
        digest.update(_file_digest(path).encode())
    for places in selected:
        digest.update(np.asarray(places, dtype=np.int64).tobytes())
    digest.update("\n".join(_stats_lines(stats)).encode())
    return digest.hexdigest()


def _add_tables(digest: Any, utterances: Utterances) -> None:
    """Numbers of speakers, languages and frames; of vectors and of a vocoder's spectrograms some of each."""
    for name in ("sids", "lids", "durations"):
        table = getattr(utterances, "extra", {}).get(name, {})
        digest.update("".join(f"{name} {table[utt]}\n" for utt in utterances.ids if table).encode())
    vectors = getattr(utterances, "extra", {}).get("spembs", {})
    if vectors:
        entries = [entry for utt in utterances.ids for entry in vectors[utt].split("\n")]
        digest.update(audio_digest(entries).encode())
    mels = getattr(utterances, "mels", None)
    if mels:
        digest.update(audio_digest(list(mels.values())).encode())


def read_by_preprocessors(config: Mapping[str, Any]) -> list[Path]:
    """Files that `preprocessor_conf` names, of the whole and of each phase, and those in folders that it names."""
    confs = [config.get("preprocessor_conf")]
    confs += [phase.get("preprocessor_conf") for phase in config.get("phases") or []]
    found: list[str] = []
    for text in sorted({text for text in _texts(confs) if text}):
        inside = sorted(os.listdir(text)) if os.path.isdir(text) else []
        found += [text, *(os.path.join(text, name) for name in inside)]
    return [Path(text) for text in found if os.path.isfile(text)]


def _texts(value: Any) -> list[str]:
    """All texts in a configuration's nested values."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value
    several = isinstance(inner, (list, tuple, type({}.values())))
    return [text for item in inner for text in _texts(item)] if several else []


def weights_to_start_from(config: Mapping[str, Any]) -> list[Path]:
    """The files of `init_param`, of the whole and of each phase."""
    phases = [phase.get("init_param") or [] for phase in config.get("phases") or []]
    return source_weights([e for part in [config.get("init_param") or [], *phases] for e in part])


def _file_digest(path: Path) -> str:
    with open(path, "rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def audio_digest(entries: Sequence[str]) -> str:
    """A hash of the audio behind `wav.scp` values, wherever it lies and whenever it was written.

    Of every file the size counts, and the middle of up to 2000 of them, evenly spread: a corpus is too large to
    be read at every start. A change that keeps all sizes and spares these files moves the statistics.
    """
    step = -(-len(entries) // _PROBED) or 1
    digest = hashlib.sha256()
    for number, entry in enumerate(entries):
        if not entry.endswith("|"):
            digest.update(_probe(entry, number % step == 0))
    return digest.hexdigest()


def _probe(entry: str, inside: bool) -> bytes:
    """Size of a file and some bytes of it; of a part of an ark the bytes after its start."""
    path, offset = ark_offset(entry)
    try:
        size = os.path.getsize(path)
        found = b"" if offset is not None else str(size).encode()
        if inside:
            with open(path, "rb") as stream:
                stream.seek(size // 2 if offset is None else offset)
                found += stream.read(_PROBE)
        return found
    except OSError:  # who reads it will say so
        return b"missing"


def _stats_lines(stats: Path | None) -> list[str]:
    """The numbers in the statistics' files, to four digits: another number of threads adds up in another order."""
    lines = []
    for path in sorted(stats.glob("*/*_stats.npz")) if stats is not None else []:
        with np.load(path) as arrays:
            for name in sorted(arrays.files):
                numbers = " ".join(f"{x:.3e}" for x in np.ravel(arrays[name]))
                lines.append(f"{path.parent.name}/{path.name} {name} {numbers}")
    return lines
