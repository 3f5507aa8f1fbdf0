"""A vocoder from its configuration."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from espnet_ext.audio.features import Features, features_of_model
from espnet_ext.bridge.hook import check_base, import_class
from espnet_ext.errors import UserError
from espnet_ext.train.values import MAPPING, TEXT, Kind, one_of, optional, whole
from espnet_ext.vocoder.discriminators import Discriminators
from espnet_ext.vocoder.model import Losses, VocoderModel
from espnet_ext.vocoder.options import made

#: `generator:` of a YAML -> its class; "package.module:Class" names any other.
GENERATORS = {
    "hifigan": "espnet_ext.vocoder.hifigan:HiFiGAN",
    "istftnet": "espnet_ext.vocoder.hifigan:ISTFTNet",
    "vocos": "espnet_ext.vocoder.vocos:Vocos",
    "parallel_wavegan": "espnet_ext.vocoder.parallel_wavegan:ParallelWaveGAN",
    "harmonic": "espnet_ext.vocoder.harmonic:HarmonicVocos",
    "wavenet": "espnet_ext.vocoder.wavenet:WaveNet",
    "waveglow": "espnet_ext.vocoder.waveglow:WaveGlow",
}

#: Keys of a vocoder's configuration with their defaults.
DEFAULTS: dict[str, Any] = {
    "feats_extract": "fbank",
    "feats_extract_conf": {},  # as in the synthesiser's YAML, whose mel spectrograms it is to read
    "normalize": "global_mvn",  # or none, or null
    "normalize_conf": {},
    "generator": "hifigan",  # see GENERATORS
    "generator_conf": {},  # without in_channels and hop_length, which follow from feats_extract_conf
    "discriminators": {"mpd": {}, "msd": {}},  # mpd, msd, mrd with their options; {} = none
    "model_conf": {},  # weights of the losses, see espnet_ext/vocoder/model.py
    "segment_frames": 32,  # of a stretch that training sees
    "segments_per_utterance": 1,  # in an epoch
    "mels": False,  # condition on mels.scp of the data directories (an acoustic model's), not on the recordings' own;
    # or on SET/mels.scp of a directory made by tts_synthesize --teacher_forced
}

#: What kind of value each of them has; parts say it of their own options.
KINDS: dict[str, Kind] = {
    "feats_extract_conf": optional(MAPPING),
    "normalize": optional(one_of("none", "global_mvn")),
    "normalize_conf": MAPPING,
    "generator": TEXT,
    "generator_conf": optional(MAPPING),
    "discriminators": optional(MAPPING),
    "model_conf": optional(MAPPING),
    "segment_frames": whole(1),
    "segments_per_utterance": whole(1),
    "mels": Kind("true, false or a directory", lambda x: isinstance(x, (bool, str))),
}


def features(config: dict[str, Any]) -> Features:
    """The front end of a configuration."""
    return features_of_model({key: config[key] for key in ("feats_extract", "feats_extract_conf")})


def generator_class(config: dict[str, Any]) -> Any:
    """The generator's class.

    Raises:
        UserError: for a name that is neither known nor a dotted path, or no torch.nn.Module.
    """
    name = config["generator"]
    path = GENERATORS.get(name, name)
    if ":" not in str(path):
        raise UserError(
            f"generator: found {name!r}, expected one of {', '.join(GENERATORS)} or package.module:Class"
        )
    return check_base("generator", path, import_class(path), nn.Module)


def generator(config: dict[str, Any]) -> nn.Module:
    """The generator of a configuration.

    Raises:
        UserError: if its options do not fit.
    """
    cls, conf, front = generator_class(config), config["generator_conf"], features(config)
    given: dict[str, Any] = {"rate": front.fs} if needs_f0(config) else {}
    given |= {"in_channels": front.n_mels, "hop_length": front.hop_length}
    found: nn.Module = made(f"generator_conf of {config['generator']}", cls, conf, **given)
    return found


def needs_f0(config: dict[str, Any]) -> bool:
    """Whether the generator is trained with F0."""
    return getattr(generator_class(config), "needs_f0", False)


def build(config: dict[str, Any]) -> VocoderModel:
    """The whole model of a configuration.

    Raises:
        UserError: if parts do not fit.
    """
    mean, std = _statistics(config)
    speaker = generator(config)
    judge = _judge(config, speaker)
    losses = made("model_conf", Losses, config["model_conf"])
    return VocoderModel(speaker, judge, features(config), mean, std, losses)


def _judge(config: dict[str, Any], speaker: nn.Module) -> Discriminators | None:
    """The discriminators; none for a generator with a likelihood, which cannot use them.

    Raises:
        UserError: if it is asked for some of one's own. The default ones nobody may have asked for.
    """
    wanted = config["discriminators"] or {}
    if hasattr(speaker, "loss"):
        if wanted and wanted != DEFAULTS["discriminators"]:
            raise UserError(
                f"discriminators: found {', '.join(wanted)}, expected {{}}: generator: {config['generator']} learns by "
                "its likelihood, and no discriminator would be used"
            )
        return None
    return Discriminators(wanted) if wanted else None


def _statistics(config: dict[str, Any]) -> tuple[Any, Any]:
    """Mean and standard deviation of each mel bin, (M,); none where they come with the weights.

    Raises:
        UserError: if they are of something else.
    """
    import numpy as np

    path = (config.get("normalize_conf") or {}).get("stats_file")
    if config.get("normalize") != "global_mvn" or path is None:
        return None, None
    with np.load(path) as found:
        count, total, squares = found["count"], found["sum"], found["sum_square"]
    bins = features(config).n_mels
    if total.shape != (bins,):
        what = f"{total.shape[0]} mel bins" if total.ndim else "no spectrogram"
        raise UserError(
            f"{path}: found the mean of {what}, expected of {bins}, as feats_extract_conf says: run vocoder_stats again"
        )
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-20))
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()
