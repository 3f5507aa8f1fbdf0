"""What comes before a vocoder's training: mean and variance of the spectrogram that it reads, a trial of updates."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.audio.features import Features, extract
from espnet_ext.audio.read import read
from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.progress import progress
from espnet_ext.train.data import Item
from espnet_ext.train.dry import Dry, Trial
from espnet_ext.train.experiment import Places, front_end, needs_f0, read_config, read_sounds
from espnet_ext.train.precision import set_precision
from espnet_ext.train.run import make_sampler, new_model, optimisation, plan_schedules
from espnet_ext.train.stats import Moments
from espnet_ext.train.step import Step
from espnet_ext.vocoder.data import made_up_stretches


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
        UserError: if there is no audio, it cannot be read or has another rate than the front end.
    """
    features = front_end(read_config(TASKS["vocoder"], config, overrides))
    audio, moments = read_table(train / "wav.scp"), Moments()
    if not audio:
        raise UserError(f"{train} has no utterance; check the filter's limits")
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


@dataclass
class SoundTrial(Trial):
    """A vocoder, and stretches to try it with: real ones if there are any."""

    def batches(self, size: float, dry: Dry) -> list[list[tuple[str, Item]]]:
        """One batch; all are alike."""
        config, front = self.config, front_end(self.config)
        frames = config["segment_frames"]
        each = frames * front.hop_length / front.fs
        number = size / each if config["batch_type"] == "seconds" else size
        number = max(1, int(number if dry.seconds is None else min(number, dry.seconds / each)))
        if self.data is not None:
            places = self.sampler().batches(1)[0]
            return [[self.data[place] for place in places[:number]]]
        mels, f0 = bool(config["mels"]), needs_f0(config)
        return [made_up_stretches(front, frames, number, mels, f0)]

    def sampler(self) -> Any:
        """What forms the batches of an epoch; of a hundred where there are no data."""
        return _Hundred() if self.data is None else make_sampler(self.config, self.data)


class _Hundred:
    def batches(self, epoch: int) -> list[list[int]]:
        return [[0]] * 100


def dry_vocoder(
    places: Mapping[str, Any], device: str | None, steps: int, seconds: float | None = None
) -> Iterator[str]:
    """Make some updates at full size and say in lines what they cost; nothing is written.

    Args:
        places: of `Places`; without `train` the data are made up.
        device: None = "cuda" where there is one.
        steps: updates.
        seconds: audio in a batch; None = the batch_size of the YAML.

    Raises:
        UserError: for a configuration or data that cannot be trained on.
    """
    trial, dry = _trial(places, choose_device(device)), Dry(steps, seconds)
    batch = trial.batches(trial.config["batch_size"], dry)
    parts = trial.step.model.named_children()
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in parts}
    yield ", ".join(f"{name} {size / 1e6:.2f} M parameters" for name, size in sizes.items() if size)
    front = front_end(trial.config)
    audio = len(batch[0]) * trial.config["segment_frames"] * front.hop_length / front.fs
    kind = "made-up" if trial.data is None else "real"
    yield f"{kind} stretches, {len(batch[0])} in a batch, {audio:.1f} s of audio"
    cost = trial.run(batch, steps)
    yield (
        f"{cost.seconds:.2f} s for an update with the discriminators; peak memory {cost.memory / 1e9:.2f} GB on "
        f"{trial.device}"
    )
    epochs, batches = trial.config["max_epoch"], len(trial.sampler().batches(1))
    if trial.data is None:
        yield f"with --train it is estimated how long {epochs} epochs take"
    else:
        hours = cost.seconds * batches * epochs / 3600
        yield f"about {hours:.1f} h for {epochs} epochs of {batches} batches, validation not counted"


def _trial(places: Mapping[str, Any], device: str) -> SoundTrial:
    """Model, optimisers and data, the discriminators at work from the first update on."""
    task = TASKS["vocoder"]
    config = read_config(task, places["config"], places.get("overrides") or ())
    set_precision(device, config["precision"])
    data = None
    if places.get("train"):
        valid = places.get("valid") or places["train"]
        with tempfile.TemporaryDirectory() as nowhere:
            both = Places(places["config"], places["train"], valid, None, Path(nowhere))
            data = read_sounds(both, config)[0]
    model: Any = new_model(task, config).to(device)
    model.start_discriminators()
    trial = SoundTrial(task, config, device, Step(model, [], [], 0, device), data)
    plan_schedules(config, trial.sampler())
    optimisers, turns = optimisation(task, model, config, device)
    trial.step = Step(
        model, optimisers, turns, config["seed"], device, precision=config["precision"]
    )
    return trial
