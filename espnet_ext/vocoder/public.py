"""Vocoders that others have trained: ParallelWaveGAN's files, and the vocoder inside an ESPnet joint_text2wav model.

ParallelWaveGAN leaves `checkpoint-<N>steps.pkl` (model.generator and more), `config.yml` and `stats.h5` or `stats.npy`
in one folder. Its spectrograms are those of `feats_extract: fbank`: base-10 logarithms of amplitudes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_ext.errors import UserError
from espnet_ext.vocoder.build import DEFAULTS, generator

Config = dict[str, Any]
State = dict[str, Tensor]

#: Their names of what the front end is made of -> ours.
_FRONT = {
    "sampling_rate": "fs",
    "fft_size": "n_fft",
    "hop_size": "hop_length",
    "win_length": "win_length",
    "window": "window",
    "num_mels": "n_mels",
    "fmin": "fmin",
    "fmax": "fmax",
}
#: Their generators -> ours.
_KINDS = {
    "HiFiGANGenerator": "hifigan",
    "hifigan_generator": "hifigan",
    "ParallelWaveGANGenerator": "parallel_wavegan",
    "parallel_wavegan_generator": "parallel_wavegan",
}
#: Options that ours take under a name, by generator.
_TAKEN = {
    "hifigan": {
        "channels": "channels",
        "kernel_size": "kernel_size",
        "global_channels": "global_channels",
        "bias": "bias",
        "upsample_scales": "upsample_scales",
        "upsample_kernel_sizes": "upsample_kernel_sizes",
        "upsample_kernal_sizes": "upsample_kernel_sizes",  # so in files from before they corrected it
        "resblock_kernel_sizes": "resblock_kernel_sizes",
        "resblock_dilations": "resblock_dilations",
        "use_additional_convs": "use_additional_convs",
    },
    "parallel_wavegan": {
        "layers": "layers",
        "stacks": "stacks",
        "residual_channels": "residual_channels",
        "gate_channels": "gate_channels",
        "skip_channels": "skip_channels",
        "aux_context_window": "context",
        "upsample_scales": "upsample_scales",
    },
}
#: Options that have one value here, and those that change nothing once it is trained (None).
_FIXED: dict[str, dict[str, Any]] = {
    "hifigan": {
        "out_channels": 1,
        "nonlinear_activation": "LeakyReLU",
        "nonlinear_activation_params": {"negative_slope": 0.1},
        "use_causal_conv": False,
        "use_weight_norm": None,
        "in_channels": None,
    },
    "parallel_wavegan": {
        "in_channels": 1,
        "out_channels": 1,
        "kernel_size": 3,
        "bias": True,
        "use_causal_conv": False,
        "upsample_conditional_features": True,
        "upsample_net": "ConvInUpsampleNetwork",
        "freq_axis_kernel_size": 1,
        "interpolate_mode": "nearest",
        "nonlinear_activation": [None, {}],
        "nonlinear_activation_params": {},
        "dropout": None,
        "use_weight_norm": None,
        "aux_channels": None,
    },
}
_STRIDES = [2, 2, 4, 4, 1]  # of our multi-scale discriminator
_INSIDE = "tts.generator.vocoder."  # where a joint_text2wav model has its vocoder


def is_public(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is one that `from_public` reads."""
    return "generator_params" in config or config.get("tts") == "joint_text2wav"


def from_public(
    config: Mapping[str, Any], state: Mapping[str, Any], stats: Path | None = None
) -> tuple[Config, State]:
    """A vocoder of our own that computes the same.

    Args:
        config: theirs.
        state: of their weights' file.
        stats: mean and scale of ParallelWaveGAN's spectrograms, .h5 or .npy.

    Returns:
        Configuration and weights, as our own training leaves them (weights as directions and lengths), with those of
        the discriminators that are like ours.

    Raises:
        UserError: for a generator that is none of ours.
    """
    joint = config.get("tts") == "joint_text2wav"
    made = _from_joint(config) if joint else _from_wavegan(config)
    bins = int(made["feats_extract_conf"].get("n_mels", 80))
    mean, std = _inner_statistics(state, bins) if joint else read_statistics(stats, bins)
    weights = with_lengths(_joined(_generator_weights(state)), generator(made).state_dict())
    batches = torch.zeros((), dtype=torch.int64)
    found = {f"generator.{name}": tensor for name, tensor in weights.items()}
    found |= _judges((config.get("tts_conf") or {}) if joint else config, state)
    return made, {"mean": mean, "std": std, "batches": batches, **found}


def _from_wavegan(config: Mapping[str, Any]) -> Config:
    front = {ours: config[name] for name, ours in _FRONT.items() if name in config}
    name = config.get("generator_type", "ParallelWaveGANGenerator")
    return _configuration(name, config["generator_params"], front)


def _from_joint(config: Mapping[str, Any]) -> Config:
    conf = config.get("tts_conf") or {}
    name = conf.get("vocoder_type", "hifigan_generator")
    return _configuration(
        name, conf.get("vocoder_params") or {}, config.get("feats_extract_conf") or {}
    )


def _configuration(name: str, params: Mapping[str, Any], front: Mapping[str, Any]) -> Config:
    if name not in _KINDS:
        raise UserError(f"generator: found {name}, expected one of {', '.join(_KINDS)}")
    kind, given = _KINDS[name], dict(params)
    inner = given.pop("upsample_params", None) or {}
    given |= {key: value for key, value in inner.items() if key not in given}
    taken, fixed = _TAKEN[kind], _FIXED[kind]
    for key, value in given.items():
        wanted = fixed.get(key)
        right = value == wanted or (isinstance(wanted, list) and value in wanted)
        if key not in taken and not (key in fixed and (wanted is None or right)):
            raise UserError(
                f"{name}: found {key}: {value}, expected {wanted if key in fixed else 'no such option'}; such a "
                "generator is none of ours"
            )
    conf = {ours: given[theirs] for theirs, ours in taken.items() if theirs in given}
    plain = {"normalize": None, "discriminators": {}, "generator": kind, "generator_conf": conf}
    return {**DEFAULTS, **plain, "feats_extract_conf": dict(front)}


def _generator_weights(state: Mapping[str, Any]) -> State:
    """The generator's part of a file: of a whole model, of a training, or all of it."""
    if isinstance(state.get("generator"), Mapping):
        return dict(state["generator"])
    for prefix in (_INSIDE, "generator."):
        part = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        if part:
            return part
    return dict(state)


def _judges(config: Mapping[str, Any], state: Mapping[str, Any]) -> State:
    """The discriminators that ours are like, for a training that goes on."""
    whole = "tts.discriminator."
    given = state.get("discriminator")
    if not isinstance(given, Mapping):
        given = {n.removeprefix(whole): t for n, t in state.items() if n.startswith(whole)}
    scale = (config.get("discriminator_params") or {}).get("scale_discriminator_params") or {}
    # other strides have weights of the same shapes
    alike = list(scale.get("downsample_scales", _STRIDES)) == _STRIDES
    kinds = ("mpd.", "msd.") if alike else ("mpd.",)
    found = {f"discriminator.{n}": t for n, t in given.items() if n.startswith(kinds)}
    first = "discriminator.msd.discriminators.0."
    if f"{first}layers.0.0.weight_g" in found:  # where ours has spectral normalisation
        return {name: tensor for name, tensor in found.items() if not name.startswith(first)}
    return found


def _joined(state: State) -> State:
    """ParallelWaveGAN's two last convolutions of a layer as the one that ESPnet and we have."""
    found = dict(state)
    for name in state:
        if ".conv1x1_skip." in name:
            out = name.replace("conv1x1_skip", "conv1x1_out")
            found[out] = torch.cat(
                [state[out], found.pop(name)]
            )  # channels come out in dimension 0
    return found


_NEWER = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}  # fmt: skip


def with_lengths(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> State:
    """Weights under the names of `own`, whether they are whole, or direction and length in torch's old or new way.

    Raises:
        UserError: if names or shapes differ otherwise.
    """
    found: State = {}
    for name, tensor in state.items():
        for newer, older in _NEWER.items():
            name = name.replace(newer, older)
        if name not in own and f"{name}_g" in own:
            found[f"{name}_v"] = tensor
            found[f"{name}_g"] = torch.norm_except_dim(tensor, 2, 0)
        else:
            found[name] = tensor
    odd = sorted(set(found) ^ set(own)) or [n for n in own if own[n].shape != found[n].shape]
    if odd:
        raise UserError(
            f"weights of another generator: found a difference in {odd[0]} ({len(odd)} in all), expected those of the "
            "configuration beside them"
        )
    return found


def read_statistics(path: Path | None, bins: int) -> tuple[Tensor, Tensor]:
    """ParallelWaveGAN's mean and scale, (bins,) each; 0 and 1 where there are none.

    Raises:
        UserError: for another number of bins.
    """
    import numpy as np

    if path is None:
        logging.warning(
            "vocoder: found no stats.h5 or stats.npy beside the weights: spectrograms are not normalised"
        )
        return torch.zeros(bins), torch.ones(bins)
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r") as file:
            both = [file[name][()] for name in ("mean", "scale")]
    else:
        both = list(np.load(path)[:2])
    mean, scale = (torch.from_numpy(np.asarray(x, np.float32).reshape(-1)) for x in both)
    if len(mean) != bins or len(scale) != bins:
        raise UserError(
            f"{path}: found {len(mean)} means, expected {bins}, as num_mels of config.yml says"
        )
    return mean, scale


def _inner_statistics(state: Mapping[str, Any], bins: int) -> tuple[Tensor, Tensor]:
    """Of an ESPnet model that normalises its spectrograms, from its own weights."""
    mean, std = (state.get(f"normalize.{name}") for name in ("mean", "std"))
    if mean is None or std is None:
        return torch.zeros(bins), torch.ones(bins)
    return mean.float(), std.float()


def newest_checkpoint(folder: Path) -> Path:
    """The checkpoint of ParallelWaveGAN's folder with the most steps.

    Raises:
        UserError: if there is none.
    """
    found = [*folder.glob("*.pkl"), *folder.glob("*.pth")]
    if not found:
        raise UserError(
            f"{folder}: found config.yml and no weights, expected checkpoint-<N>steps.pkl"
        )
    return max(found, key=_steps)


def _steps(path: Path) -> tuple[int, str]:
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else -1, path.name


def statistics_beside(folder: Path) -> Path | None:
    """stats.h5 or stats.npy of a folder."""
    return next(
        (folder / name for name in ("stats.h5", "stats.npy") if (folder / name).is_file()), None
    )
