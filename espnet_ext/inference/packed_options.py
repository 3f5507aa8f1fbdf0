"""The options that a packed recogniser's scores were made with: its own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.inference.options import CTC_ALONE, DecodeOptions
from espnet_ext.train.config import check_keys, load_yaml

#: What meta.yaml calls the YAML of the decoding.
KEY = "decode_config"
#: Options that CTC alone knows, too.
_OF_CTC = ("beam_size", "confidence_scale", "confidence_shift")


def packed_options(files: Mapping[str, str], method: str | None = None) -> DecodeOptions:
    """The options of a decoding that were packed with a model; the usual ones if none were.

    Args:
        files: what `pretrained.find_model` found.
        method: another than theirs; one of CTC alone leaves out what that does not know.

    Raises:
        UserError: for a file that is none, a key that is no option, or phrases that lie in another file: a model from a
            stranger reads none but its own.
    """
    if KEY not in files:
        return DecodeOptions()
    options = read_decoding(files[KEY])
    if isinstance(options.boost, str):  # no file of his who only uses the model
        raise UserError(
            f"{files[KEY]}: found boost: {options.boost!r}, expected a list of phrases in a packed model: pack it again"
        )
    if method in CTC_ALONE:
        return DecodeOptions(**{name: getattr(options, name) for name in _OF_CTC})
    return options


def read_decoding(path: str | Path) -> DecodeOptions:
    """A decoding's YAML.

    Raises:
        UserError: with its name, if it is none, or for a key or value that is no option's.
    """
    found = load_yaml(path)
    check_keys(found, {field.name: None for field in fields(DecodeOptions)}, str(path))
    try:
        return DecodeOptions(**found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def with_phrases(options: DecodeOptions) -> DecodeOptions:
    """The same with the phrases themselves instead of a file's name."""
    return replace(options, boost=tuple(options.phrases()))
