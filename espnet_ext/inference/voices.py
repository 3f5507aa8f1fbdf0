"""What one says of a synthesiser by name: which voice, how fast, which vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.errors import UserError
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.vocoder import Vocoder

#: a speaker's number, the file (.npy) of an outside embedding, or its numbers
Voice = int | str | Path | Sequence[float] | np.ndarray


def length_of(speed: float) -> float:
    """speed_control_alpha of a speed.

    Raises:
        UserError: for one that is no positive number.
    """
    if not 0 < speed < float("inf"):
        raise UserError(f"speed: found {speed:g}, expected a positive number; 2 is twice as fast")
    return 1.0 / speed


def conditions_of_voice(tts: Any, voice: Voice | None) -> dict[str, torch.Tensor]:
    """sids (1,) or spembs (E,) of a voice.

    Args:
        tts: the synthesiser.
        voice: None = none is chosen.

    Raises:
        UserError: if the model has no such voice.
    """
    if voice is None:
        return {}
    if isinstance(voice, int) or (isinstance(voice, str) and voice.isdecimal()):
        speakers = getattr(tts, "spks", None) or 1
        if not 0 <= int(voice) < speakers:
            raise UserError(
                f"voice: found speaker {voice}, expected 0 to {speakers - 1}: the model has {speakers}"
            )
        return {} if speakers == 1 else {"sids": torch.tensor([int(voice)])}
    found = _embedding(voice)
    size = getattr(tts, "spk_embed_dim", None)
    if found.size != size:
        raise UserError(
            f"voice: found an embedding of {found.size} numbers, expected "
            + (f"{size}" if size else "a speaker's number: this model reads no embeddings")
        )
    return {"spembs": torch.from_numpy(found)}


def _embedding(voice: Any) -> np.ndarray:
    """Numbers, or those of a file, (E,) float32."""
    if isinstance(voice, str | Path):
        try:
            voice = np.load(voice, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(
                f"voice: found {str(voice)!r}, which is not read ({error}), expected a speaker's number or a .npy file"
            ) from error
    return np.asarray(voice, dtype=np.float32).reshape(-1)


#: `tts:` of models that were trained with discriminators, which ESPnet's GAN task names
_GAN = {"vits", "jets", "joint_text2wav"}


def task_of(config: str | Path) -> str:
    """Whether a config.yaml is of task tts or of gan_tts, whose defaults are others."""
    import yaml

    with open(config, encoding="utf-8") as stream:
        found = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return "gan_tts" if found.get("tts", "vits") in _GAN else "tts"


def find_vocoder(name: str | Path, device: str, cache: str | Path | None = None) -> Vocoder:
    """A vocoder by its name: a file of weights, a folder, a zip, or one that is fetched.

    Raises:
        UserError: if there is none.
    """
    path = Path(name).expanduser()
    if path.suffix in (".pth", ".pkl") or (path / "config.yml").is_file():
        return Vocoder.from_dir(path, device=device)
    files = find_model(name, "vocoder", cache)
    return Vocoder(files["config"], files["weights"], device=device)
