"""What one says of a synthesiser by name: which voice, how fast, which vocoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.read import load
from espnet_ext.bridge.trust import read_yaml
from espnet_ext.errors import UserError
from espnet_ext.export.archive import META
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.speech import LENGTHS
from espnet_ext.inference.vocoder import Vocoder, vocoder_files
from espnet_ext.tts.inputs import known_numbers

#: a speaker's number, the file (.npy) of an outside embedding, or its numbers; a recording's file whose style is taken
Voice = int | str | Path | Sequence[float] | np.ndarray
_KINDS = {"sids": "speakers' numbers", "spembs": "embeddings", "speech": "recordings"}


def length_of(speed: float) -> float:
    """speed_control_alpha of a speed.

    Raises:
        UserError: for one that no speech has.
    """
    low, high = LENGTHS
    if not 1 / high <= speed <= 1 / low:
        raise UserError(
            f"speed: found {speed:g}, expected {1 / high:g} to {1 / low:g}; 2 is twice as fast"
        )
    return 1.0 / speed


def conditions_of_voice(
    tts: Any,
    voice: Voice | Sequence[Voice] | None,
    rate: int,
    language: str | int | None = None,
    languages: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, torch.Tensor]:
    """sids (1,), spembs (E,), speech (S,) and lids (1,), as far as a voice and a language say them.

    Args:
        tts: the synthesiser.
        voice: one, or several for a model that wants, say, a speaker's number and an embedding; None = none is chosen.
        rate: of the model, Hz.
        language: a name or number; None = none is chosen.
        languages: number of each that has a name.

    Raises:
        UserError: if the model has no such voice or language.
    """
    found: dict[str, torch.Tensor] = {}
    for one in _voices(voice):
        mine = _of_one(tts, one, rate)
        twice = next((name for name in mine if name in found), None)
        if twice:
            raise UserError(f"voice: found two {_KINDS[twice]}, expected one of each kind")
        found |= mine
    return found if language is None else {**found, "lids": _language(tts, language, languages)}


def _voices(voice: Any) -> list[Any]:
    """Several voices, or the one; a list of nothing but numbers is an embedding."""
    if voice is None:
        return []
    several = isinstance(voice, list | tuple) and any(
        isinstance(one, str | Path | list | tuple) or getattr(one, "ndim", 0) for one in voice
    )
    return list(voice) if several else [voice]


def _of_one(tts: Any, voice: Voice, rate: int) -> dict[str, torch.Tensor]:
    """What one voice says; nothing where it is the only one."""
    if isinstance(voice, int) or (isinstance(voice, str) and voice.isdecimal()):
        speakers = getattr(tts, "spks", None) or 1
        if not 0 <= int(voice) < speakers:
            raise UserError(
                f"voice: found speaker {voice}, expected 0 to {speakers - 1}: the model has {speakers}"
            )
        return {} if speakers == 1 else {"sids": torch.tensor([int(voice)])}
    recording = isinstance(voice, str | Path) and Path(voice).suffix != ".npy"
    if getattr(tts, "use_gst", False) and recording:
        return {"speech": torch.from_numpy(load(str(voice), rate)[0])}
    found = _embedding(voice)
    size = getattr(tts, "spk_embed_dim", None)
    if found.size != size:
        raise UserError(
            f"voice: found an embedding of {found.size} numbers, expected "
            + (f"{size}" if size else "a speaker's number: this model reads no embeddings")
        )
    return {"spembs": torch.from_numpy(found)}


def _language(tts: Any, language: str | int, names: Mapping[str, int]) -> torch.Tensor:
    """Its number, (1,).

    Raises:
        UserError: if the model has no such language.
    """
    known, asked = getattr(tts, "langs", None), str(language)
    if not known:
        raise UserError(
            f"language: found {asked}, expected none: the model knows of one only, leave it out"
        )
    number = names.get(asked, int(asked) if asked.isdecimal() else known)
    if not 0 <= number < known:
        raise UserError(f"language: found {asked}, expected {_languages(known, names)}")
    return torch.tensor([number])


def _languages(known: int, names: Mapping[str, int]) -> str:
    """What a language may be, in words."""
    numbers = f"a number from 0 to {known - 1}"
    return f"{', '.join(names)}, or {numbers}" if names else f"{numbers}: the model has no names"


def _embedding(voice: Any) -> np.ndarray:
    """Numbers, or those of a file, (E,) float32."""
    try:
        if isinstance(voice, str | Path):
            voice = np.load(voice, allow_pickle=False)
        found = np.asarray(voice, dtype=np.float32).reshape(-1)
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise UserError(
            f"voice: found {str(voice)[:200]!r}, which is not read ({error}), expected a speaker's number or a "
            ".npy file of an embedding"
        ) from error
    if not np.isfinite(found).all():
        raise UserError("voice: found NaN or infinity in the embedding, expected numbers")
    return found


def as_conditions(
    tts: Any, given: Mapping[str, Any], languages: Mapping[str, int] = MappingProxyType({})
) -> dict[str, torch.Tensor]:
    """Who speaks, as a model's `inference` is told.

    Args:
        tts: the synthesiser.
        given: sids, lids (a number each), spembs (E numbers), speech (samples (S,) at the model's rate, whose style is
            taken); tensors or what makes one.
        languages: number of each that has a name, for messages.

    Returns:
        sids (1,), lids (1,), spembs (E,), speech (S,).

    Raises:
        UserError: for another name, what is no number or none of the model's, or what the model cannot do without.
    """
    found = {name: _tensor(name, value) for name, value in given.items() if value is not None}
    langs = getattr(tts, "langs", None)
    if langs and "lids" not in found:
        raise UserError(
            f"found no language (lids), expected {_languages(langs, languages)}: say it with --language, `language` "
            "in Python, or utt2lid of a data directory"
        )
    # ESPnet's need a number of each kind that they have; ours know when they can do without
    every = type(tts).__module__.startswith("espnet2.")
    for name, known in (("sids", "spks"), ("lids", "langs")):
        number = getattr(tts, known, None)
        if number and (every or name in found):
            known_numbers(found.get(name), number, name)
    size, there = getattr(tts, "spk_embed_dim", None), found.get("spembs")
    if size and (there is None or len(there) != size):
        what = "no spembs" if there is None else f"spembs of {len(there)} numbers"
        raise UserError(
            f"found {what}, expected {size} numbers, the embedding of a speaker: a .npy file by --voice, "
            "besides the speaker's number where the model has numbers, too"
        )
    if getattr(tts, "use_gst", False) and "speech" not in found:
        raise UserError(
            "found no recording, expected one whose style is to be taken: give `speech`, its samples"
        )
    return found


def _tensor(name: str, value: Any) -> torch.Tensor:
    """(1,) int64 of a number, (E,) float32 of others."""
    if name not in ("sids", "lids", "spembs", "speech"):
        raise UserError(f"found {name}, expected sids, lids, spembs or speech")
    number = name in ("sids", "lids")
    try:
        found = torch.as_tensor(value).reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        found = torch.zeros(0)
    if not len(found) or (number and (len(found) > 1 or found.is_floating_point())):
        raise UserError(
            f"{name}: found {str(value)[:60]}, expected {'a whole number' if number else 'numbers'}"
        )
    return found.to(torch.int64 if number else torch.float32)


#: `tts:` of models that were trained with discriminators, which ESPnet's GAN task names
_GAN = {"vits", "jets", "joint_text2wav"}


def task_of(config: str | Path) -> str:
    """Whether a config.yaml is of task tts or of gan_tts, whose defaults are others."""
    found = read_yaml(Path(config))
    return "gan_tts" if found.get("tts", "vits") in _GAN else "tts"


def find_vocoder(name: str | Path, device: str, cache: str | Path | None = None) -> Vocoder:
    """A vocoder by its name: a file of weights, a folder, a zip, or one that is fetched.

    Raises:
        UserError: if there is none.
    """
    path = Path(name).expanduser()
    trained = (path / "config.yaml").is_file() and not (path / META).is_file()
    if path.suffix in (".pth", ".pkl") or (path / "config.yml").is_file() or trained:
        return Vocoder.from_dir(path, device=device)
    files = find_model(name, "vocoder", cache)
    return Vocoder(files["config"], files["weights"], device=device)


def vocoder_of(
    files: Mapping[str, str], asked: str | Path | None, device: str, cache: str | Path | None
) -> Vocoder | None:
    """The vocoder that is asked for, else the one that was packed with a synthesiser, by us or by stock ESPnet.

    Args:
        files: of the synthesiser, see `find_model`.
        asked: see `find_vocoder`.
        device, cache: see there.

    Raises:
        UserError: if the one asked for is nowhere, or its files do not fit each other.
    """
    weights = files.get("vocoder_weights") or files.get("vocoder_file")
    if asked is not None or weights is None:
        return None if asked is None else find_vocoder(asked, device, cache)
    config = files.get("vocoder_config") or vocoder_files(Path(weights))[0]
    return Vocoder(config, weights, device=device)
