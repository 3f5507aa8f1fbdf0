"""Mean and variance of the mel spectrogram that a vocoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from espnet_ext.audio.features import Features, extract
from espnet_ext.audio.read import read
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.progress import progress
from espnet_ext.train.experiment import front_end, read_config
from espnet_ext.train.stats import Moments


def vocoder_stats(
    config: Path, train: Path, output_dir: Path, overrides: Sequence[str] = ()
) -> Path:
    """Write `<output_dir>/train/feats_stats.npz`, in the layout of ESPnet's GlobalMVN.

    Args:
        config: the experiment's YAML.
        train: formatted data directory.
        output_dir: receives the statistics.
        overrides: "key=value" changes to the YAML.

    Returns:
        The file.

    Raises:
        UserError: if audio cannot be read or has another rate than the front end.
    """
    features = front_end(read_config(TASKS["vocoder"], config, overrides))
    audio, moments = read_table(train / "wav.scp"), Moments()
    for utt, entry in progress(audio.items(), len(audio), "statistics"):
        moments.add(_mel(utt, entry, features))
    path = output_dir / "train/feats_stats.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    moments.save(path)
    return path


def _mel(utt: str, entry: str, features: Features) -> np.ndarray:
    samples, rate = read(entry, utt)
    if rate != features.fs:
        raise UserError(
            f"utterance {utt}: found audio at {rate} Hz, expected {features.fs} Hz as feats_extract_conf says: format "
            "the audio with --fs, or change the YAML"
        )
    return extract([samples[:, 0]], features)[0]
