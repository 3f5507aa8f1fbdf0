"""A trained vocoder that speaks mel spectrograms, and copy-synthesis of recordings with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.asr.packed import pack
from espnet_ext.audio.features import Features, extract
from espnet_ext.audio.mel import mel_filters
from espnet_ext.audio.read import load
from espnet_ext.bridge.device import choose_device
from espnet_ext.bridge.trust import check_options, home_of, read_yaml, refuse_larger, stranger
from espnet_ext.bridge.weights import read_weights
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, write_text
from espnet_ext.inference.graph_hifigan import quicken
from espnet_ext.inference.griffin_lim import GriffinLim
from espnet_ext.inference.shares import Share, run_key, share_of
from espnet_ext.progress import progress
from espnet_ext.vocoder.build import DEFAULTS, build, features
from espnet_ext.vocoder.norm import remove_weight_norm
from espnet_ext.vocoder.public import from_public, is_public, newest_checkpoint, statistics_beside

WEIGHTS = "valid.mel.best.pth"
#: What a synthesiser's front end and its vocoder have to share.
SHARED = ("fs", "n_fft", "hop_length", "width", "n_mels", "window", "power", "log_base", "htk")


class Vocoder:
    """Log-mel spectrogram -> waveform.

    Args:
        config, weights: config.yaml and .pth of a vocoder's training; or config.yml and checkpoint of ParallelWaveGAN,
            with stats.h5 or stats.npy beside them; or config.yaml and .pth of ESPnet's joint_text2wav.
        device: "cpu", "cuda", ...

    Attributes:
        features: of the mel spectrograms that it reads.

    Raises:
        UserError: if a file is missing or they do not fit each other.
    """

    def __init__(self, config: str | Path, weights: str | Path, device: str = "cpu") -> None:
        self.files, self.device = [config, weights], choose_device(device)
        found, state = read_vocoder(config, weights)
        stats = statistics_beside(Path(weights).parent)
        if stats is not None:
            self.files.append(stats)
        # statistics come with the weights, and nobody judges any more
        settings = {**found, "normalize": None, "discriminators": {}}
        with stranger(home := home_of(config)):
            self.features = features(settings)
            if home is not None:
                refuse_larger(build, settings, weights)
            model = build(settings)
        own = model.state_dict()
        found = {name: t for name, t in state.items() if not name.startswith("discriminator.")}
        if {n: t.shape for n, t in found.items()} != {n: t.shape for n, t in own.items()}:
            odd = sorted(set(found) ^ set(own)) or [
                n for n in own if own[n].shape != found[n].shape
            ]
            raise UserError(
                f"{weights} does not fit the generator of {config}: found a difference in {odd[0]} ({len(odd)} in "
                "all), expected the weights of the same training"
            )
        model.load_state_dict(found)
        remove_weight_norm(model)
        self.model = model.to(self.device).eval()
        if getattr(quicken(self.model.generator), "fast", None) is None:
            pack(self.model.generator)

    @classmethod
    def from_dir(cls, folder: str | Path, weights: str | None = None, **more: Any) -> Vocoder:
        """Use what the training stage left in `exp/...`, or others' checkpoint.

        Args:
            folder: of the training; or one file of weights, with its configuration beside it.
            weights: name of a file in the folder; None = those that were best.
        """
        return cls(*vocoder_files(Path(folder), weights), **more)

    @cached_property
    def identity(self) -> str:
        """What its speech depends on besides the spectrogram: a hash of the files."""
        return run_key(self.files)

    def __call__(self, mel: Tensor) -> Tensor:
        """Log-mel spectrogram (F, M) as `features` computes it -> waveform (F * hop,), float32 on the CPU."""
        return self.model.vocode(mel).cpu()

    def check(self, theirs: Features) -> None:
        """Warn of a synthesiser whose range of frequencies is another one.

        Raises:
            UserError: if its spectrograms cannot be read at all.
        """
        for name in SHARED:
            mine, other = getattr(self.features, name), getattr(theirs, name)
            if mine != other:
                raise UserError(
                    f"the synthesiser's feats_extract_conf has {name} = {other}, the vocoder's {mine}: expected the "
                    "same; train the vocoder with the synthesiser's feats_extract_conf"
                )
        for name in ("fmin", "fmax"):
            mine, other = getattr(self.features, name), getattr(theirs, name)
            if mine != other:
                logging.warning("vocoder: %s is %s, the synthesiser's %s", name, mine, other)


def vocoder_files(place: Path, weights: str | None = None) -> tuple[Path, Path]:
    """Configuration and weights of a folder, or of a file of weights.

    Raises:
        UserError: if ParallelWaveGAN's folder has no weights.
    """
    folder = place.parent if place.is_file() else place
    config = folder / "config.yaml"
    if not config.is_file() and (folder / "config.yml").is_file():
        config = folder / "config.yml"
    if place.is_file():
        return config, place
    if weights is None and config.suffix == ".yml":
        return config, newest_checkpoint(folder)
    return config, folder / (weights or _best(config))


def _best(config: Path) -> str:
    """The file of the epoch that was best by the training's first criterion."""
    criteria = _read_yaml(config).get("best_model_criterion") if config.is_file() else None
    return f"{criteria[0][0]}.{criteria[0][1]}.best.pth" if criteria else WEIGHTS


def _read_yaml(path: str | Path) -> dict[str, Any]:
    found, home = read_yaml(Path(path)), home_of(path)
    if home is not None:
        check_options(found, Path(path), home)
    return found


def read_vocoder(
    config: str | Path, weights: str | Path
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a vocoder's model is built from, and its weights; statistics come with the weights.

    Raises:
        UserError: if a file is missing, or the configuration is no vocoder's.
    """
    if not Path(config).is_file():
        raise UserError(f"{config}: no such file, expected a trained vocoder's config.yaml")
    found = _read_yaml(config)
    if is_public(found):
        stats = statistics_beside(Path(weights).parent)
        return from_public(found, read_weights(weights), stats)
    if "generator" not in found:
        raise UserError(
            f"{config}: found no `generator:`, expected a trained vocoder's config.yaml"
        )
    return {key: found.get(key, default) for key, default in DEFAULTS.items()}, read_weights(
        weights
    )


def import_vocoder(place: Path, output: Path) -> Path:
    """Rewrite another's checkpoint as our own training leaves one.

    Args:
        place: see `Vocoder.from_dir`.
        output: receives config.yaml and the weights.

    Returns:
        The weights' file.

    Raises:
        UserError: if it cannot be read.
    """
    import yaml

    vocoder = Vocoder.from_dir(place)  # so that what does not fit is said now
    config, state = read_vocoder(*vocoder.files[:2])
    criteria = {"best_model_criterion": [["valid", "mel", "min"]]}
    write_text(output / "config.yaml", yaml.safe_dump({**config, **criteria}, sort_keys=False))
    with atomic_open(output / WEIGHTS, "wb") as stream:
        torch.save(state, stream)
    return output / WEIGHTS


def griffin_lim(front: Features, iterations: int) -> GriffinLim:
    """The way without a trained vocoder, for the same spectrograms."""
    filters = mel_filters(
        front.fs, front.n_fft, front.n_mels, front.fmin or 0.0, front.fmax, front.htk
    )
    return GriffinLim(
        torch.from_numpy(filters.T.copy()),
        front.n_fft,
        front.hop_length,
        front.width,
        log_base=front.log_base,
        iterations=iterations,
        window=front.window,
    )


def copy_synthesis(
    vocoder: Any,
    front: Features,
    data: Path,
    sets: Sequence[str],
    output: Path,
    job: int,
    jobs: int,
    key: str,
    table: str = "",
) -> None:
    """Speak this job's share of each set's recordings again from their mel spectrograms.

    Args:
        vocoder: (F, M) -> (T,).
        front: what computes the spectrograms.
        data: directory of the sets' data directories.
        sets: their names.
        output: receives `SET/{wav/UTT.wav,wav.scp}`.
        job, jobs: the share.
        key: what the speech depends on besides the recordings.
        table: of a set, with spectrograms of others, "mels.scp" for instance; "" = those of the recordings.
    """
    for name in sets:
        entries = sorted(read_table(data / name / (table or "wav.scp")).items())
        share = Share(output / name, run_key([], key, entries), job, jobs)
        wanted, spoken = share_of(entries, job, jobs), dict[str, str]()
        for utt, entry in progress(wanted, len(wanted), f"vocode {name}"):
            mel = _matrix(entry) if table else _mel(utt, entry, front)
            wave = np.clip(vocoder(torch.from_numpy(mel)).numpy(), -1.0, 1.0)
            path = share.folder / "wav" / f"{utt}.wav"
            _write(path, wave, front.fs)
            spoken[utt] = str(path)
        share.write({"wav.scp": spoken})


def _mel(utt: str, entry: str, front: Features) -> np.ndarray:
    samples, rate = load(entry)
    if rate != front.fs:
        raise UserError(
            f"utterance {utt}: found audio at {rate} Hz, expected {front.fs} Hz, the vocoder's"
        )
    return extract([samples.astype(np.float32)], replace(front, kind="logmel"))[0]


def _matrix(entry: str) -> np.ndarray:
    import kaldiio

    return np.array(kaldiio.load_mat(entry), dtype=np.float32)


def _write(path: Path, wave: np.ndarray, rate: int) -> None:
    import soundfile

    with atomic_open(path, "wb") as stream:
        soundfile.write(stream, wave, rate, format="WAV", subtype="PCM_16")
