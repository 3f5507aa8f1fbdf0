"""The tasks: which keys a model's config.yaml has and how a model is built from them.

The keys and their defaults are those of ESPnet's own parsers, so that a config.yaml written by us holds all
that stock `build_model_from_file` reads, and one written by stock ESPnet is read by us.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from espnet_ext.audio.features import hertz
from espnet_ext.bridge.choices import find_class, meant
from espnet_ext.bridge.imports import espnet2
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import read_token_list
from espnet_ext.train.values import Kind
from espnet_ext.vocoder.build import DEFAULTS as VOCODER
from espnet_ext.vocoder.build import KINDS as VOCODER_KINDS
from espnet_ext.vocoder.build import build as build_vocoder

Config = dict[str, Any]

_TEXT: Config = {
    "token_list": None,  # list of tokens, or a file with one a line
    "token_type": "bpe",  # bpe, char, word or phn
    "bpemodel": None,  # sentencepiece model
    "non_linguistic_symbols": None,
    "cleaner": None,
    "g2p": None,
    "use_preprocessor": True,
    "init": None,  # how weights start: xavier_uniform, kaiming_normal, ...; None = torch's way
}

_ASR: Config = {
    **_TEXT,
    "input_size": None,  # None = the front end computes features from the waveform
    "ctc_conf": {},
    "joint_net_conf": None,
    "frontend": "default",
    "frontend_conf": {},
    "specaug": None,
    "specaug_conf": {},
    "normalize": "global_mvn",
    "normalize_conf": {},
    "model": "espnet",
    "model_conf": {},
    "preencoder": None,
    "preencoder_conf": {},
    "encoder": "rnn",
    "encoder_conf": {},
    "postencoder": None,
    "postencoder_conf": {},
    "decoder": None,
    "decoder_conf": {},
    "preprocessor": "default",
    "preprocessor_conf": {},
}

_LM: Config = {
    **_TEXT,
    "lm": "seq_rnn",
    "lm_conf": {},
    "model": "lm",
    "model_conf": {"ignore_id": 0},
    "preprocessor": "default",  # stock ESPnet has this for recognition only
    "preprocessor_conf": {},
}

_TTS: Config = {
    **_TEXT,
    "token_type": "phn",
    "odim": None,  # None = features are computed from the waveform
    "feats_extract": "fbank",
    "feats_extract_conf": {},
    "normalize": "global_mvn",
    "normalize_conf": {},
    "tts": "tacotron2",
    "tts_conf": {},
    "pitch_extract": None,
    "pitch_extract_conf": {},
    "pitch_normalize": None,
    "pitch_normalize_conf": {},
    "energy_extract": None,
    "energy_extract_conf": {},
    "energy_normalize": None,
    "energy_normalize_conf": {},
    "model_conf": {},
    "preprocessor": "default",  # stock ESPnet has this for recognition only
    "preprocessor_conf": {},
}


@dataclass(frozen=True)
class Task:
    """What a task is made of.

    Attributes:
        name: "asr", "lm", "tts" or "gan_tts", also the module in espnet2.tasks; or "vocoder", which is ours alone.
        defaults: every key of a model's configuration with its default.
        build: builds the model from a whole configuration.
        text_pad: the value that pads token ids in a batch (ESPnet's convention per task).
        speaks_as: the task as which a trained model is used; ESPnet's GAN models cannot speak, the same parts in
            its TTS model can, with the same names of weights.
        feats_key: name of the features in `collect_feats`, whose mean and variance normalise the input.
        kinds: of the values of some keys.
    """

    name: str
    defaults: Mapping[str, Any]
    build: Callable[[Config], torch.nn.Module]
    text_pad: int
    feats_key: str | None = None
    speaks_as: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)


def _tokens(config: Config) -> list[str]:
    tokens = config["token_list"]
    if isinstance(tokens, str):
        tokens = config["token_list"] = read_token_list(tokens)
    if not isinstance(tokens, (list, tuple)):
        raise UserError(
            f"token_list: found {type(tokens).__name__}, expected a list of tokens or a file's name"
        )
    return list(tokens)


def _component(task: str, config: Config, key: str, kind: str | None = None, **given: Any) -> Any:
    """Build `config[key]` with `config[key + "_conf"]`; None if the configuration leaves it out.

    A class may have a `complete_conf(conf, token_list)`, which gives its options with what it reads from other files,
    so that the config.yaml of a trained model holds all that it is made from.
    """
    name = config.get(key)
    if name is None:
        return None
    return made(find_class(task, kind or key, name), config, key, given)


def made(cls: Any, config: Config, key: str, given: Config) -> Any:
    """An object of a class that `config[key]` names, with `config[key + "_conf"]`.

    Raises:
        UserError: if these options are not for it.
    """
    conf = config.get(f"{key}_conf") or {}
    try:
        if hasattr(cls, "complete_conf"):
            conf = config[f"{key}_conf"] = cls.complete_conf(conf, config.get("token_list"))
        _check_kinds(cls, conf)
        return cls(**given, **conf)
    except (TypeError, ValueError, AssertionError) as error:
        if _is_a_bug(cls, {**given, **conf}, error):
            raise
        name = config.get(key) or cls.__name__
        raise UserError(
            f"{key}_conf does not fit {key}: {name} ({error}); it was given {sorted(conf)}{meant(cls, error)}"
        ) from error


def _check_kinds(cls: type, conf: Config) -> None:
    """What is to be a number is no text or list. A class may hand options on to those it inherits from.

    Raises:
        ValueError: naming the option.
    """
    kinds: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__init__" in vars(base) and base is not object:
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            kinds |= {p.name: getattr(p.annotation, "__name__", p.annotation) for p in parameters}
    for name, value in conf.items():
        if kinds.get(name) in ("int", "float", "bool") and isinstance(value, (str, list)):
            raise ValueError(f"{name}: found {value!r}, expected {_IN_WORDS[kinds[name]]}")


_IN_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def _is_a_bug(cls: Any, arguments: Config, error: Exception) -> bool:
    """Whether a constructor failed over its own code, whose author needs the traceback, not over the YAML.

    A ValueError speaks of a value. ESPnet's classes assert what a configuration must be.
    """
    if isinstance(error, ValueError) or cls.__module__.partition(".")[0] in ("espnet", "espnet2"):
        return False
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError:
        return False
    # a class may hand its **conf on to another
    return not any(f"unexpected keyword argument '{name}'" in str(error) for name in arguments)


def sampling_rate(task: str, config: Config) -> int | None:
    """Hz that the front end of a configuration is made for; None where it does not say.

    Raises:
        UserError: where it says something that is no rate.
    """
    key, kind = ("frontend", "frontend") if task == "asr" else ("feats_extract", "feats_extractor")
    if config.get(key) is None or config.get("input_size") or config.get("odim"):
        return None
    default = inspect.signature(find_class(task, kind, config[key])).parameters.get("fs")
    found = (config.get(f"{key}_conf") or {}).get("fs", default.default if default else None)
    return None if found is None else hertz(found)


def _initialise(model: torch.nn.Module, config: Config) -> torch.nn.Module:
    if config.get("init") is not None:
        espnet2("torch_utils.initialize").initialize(model, config["init"])
    return model


def _build_asr(config: Config) -> torch.nn.Module:
    """After ESPnet's ASRTask.build_model: front end, SpecAugment, normalisation, encoder, decoder, CTC."""
    tokens = _tokens(config)
    frontend = _component("asr", config, "frontend") if config["input_size"] is None else None
    size = frontend.output_size() if frontend is not None else config["input_size"]
    specaug = _component("asr", config, "specaug")
    normalize = _component("asr", config, "normalize")
    preencoder = _component("asr", config, "preencoder")
    size = preencoder.output_size() if preencoder is not None else size
    encoder = _component("asr", config, "encoder", input_size=size)
    size = encoder.output_size()
    postencoder = _component("asr", config, "postencoder", input_size=size)
    size = postencoder.output_size() if postencoder is not None else size
    decoder, joint_network = _asr_decoder(config, len(tokens), size)
    sizes = {"odim": len(tokens), "encoder_output_size": size}
    ctc = made(espnet2("asr.ctc").CTC, config, "ctc", sizes)
    model = _component(
        "asr",
        config,
        "model",
        vocab_size=len(tokens),
        token_list=tokens,
        frontend=frontend,
        specaug=specaug,
        normalize=normalize,
        preencoder=preencoder,
        encoder=encoder,
        postencoder=postencoder,
        decoder=decoder,
        ctc=ctc,
        joint_network=joint_network,
    )
    return _initialise(model, config)


def _asr_decoder(config: Config, vocabulary: int, encoder_size: int) -> tuple[Any, Any]:
    """The decoder, and the joint network that a transducer needs besides."""
    if config.get("decoder") != "transducer":
        given: Config = {"vocab_size": vocabulary, "encoder_output_size": encoder_size}
        return _component("asr", config, "decoder", **given), None
    decoder = find_class("asr", "decoder", "transducer")(
        vocabulary, embed_pad=0, **(config["decoder_conf"] or {})
    )
    joint = espnet2("asr_transducer.joint_network").JointNetwork
    return decoder, joint(
        vocabulary, encoder_size, decoder.dunits, **(config["joint_net_conf"] or {})
    )


def _build_lm(config: Config) -> torch.nn.Module:
    """After ESPnet's LMTask.build_model."""
    size = len(_tokens(config))
    lm = _component("lm", config, "lm", vocab_size=size)
    return _initialise(_component("lm", config, "model", lm=lm, vocab_size=size), config)


def _build_tts(task: str, model_path: str) -> Callable[[Config], torch.nn.Module]:
    """After ESPnet's TTSTask.build_model and GANTTSTask.build_model, which differ in the model's class."""

    def build(config: Config) -> torch.nn.Module:
        tokens = _tokens(config)
        feats = (
            _component(task, config, "feats_extract", "feats_extractor")
            if config["odim"] is None
            else None
        )
        size = feats.output_size() if feats is not None else config["odim"]
        _share_reduction(config)
        parts = {
            key: _component(task, config, key, kind)
            for key, kind in (
                ("normalize", "normalize"),
                ("pitch_extract", "pitch_extractor"),
                ("energy_extract", "energy_extractor"),
                ("pitch_normalize", "pitch_normalize"),
                ("energy_normalize", "energy_normalize"),
            )
        }
        tts = _component(task, config, "tts", idim=len(tokens), odim=size)
        module, _, name = model_path.partition(":")
        cls = getattr(espnet2(module), name)
        return _initialise(
            cls(feats_extract=feats, tts=tts, **parts, **(config["model_conf"] or {})), config
        )

    return build


def _share_reduction(config: Config) -> None:
    """Pitch and energy are thinned as the mel frames are (as in ESPnet's TTSTask.build_model)."""
    factor = (config["tts_conf"] or {}).get("reduction_factor", 1)
    for key in ("pitch_extract", "energy_extract"):
        if config.get(key) is not None and factor != 1:
            config[f"{key}_conf"] = {"reduction_factor": factor, **(config[f"{key}_conf"] or {})}


TASKS: dict[str, Task] = {
    "asr": Task("asr", _ASR, _build_asr, text_pad=-1, feats_key="feats"),
    "lm": Task("lm", _LM, _build_lm, text_pad=0),
    "tts": Task(
        "tts",
        _TTS,
        _build_tts("tts", "tts.espnet_model:ESPnetTTSModel"),
        text_pad=0,
        feats_key="feats",
    ),
    "gan_tts": Task(
        "gan_tts",
        {**_TTS, "feats_extract": "linear_spectrogram", "normalize": None, "tts": "vits"},
        _build_tts("gan_tts", "gan_tts.espnet_model:ESPnetGANTTSModel"),
        text_pad=0,
        feats_key="feats",
        speaks_as="tts",
    ),
    "vocoder": Task("vocoder", VOCODER, build_vocoder, text_pad=0, kinds=VOCODER_KINDS),
}
