"""Importing from ESPnet in two seconds instead of sixteen, and wherever a version keeps its modules.

Stock ESPnet imports every class of a task before it builds one of them, and typeguard compiles each decorated
function a second time. We import the one class that a configuration names (see `choices`) and leave the
functions undecorated.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from espnet_ext.audio.mel import mel_filters
from espnet_ext.errors import UserError


def _plain(function: Any = None, **options: Any) -> Any:
    """A `typechecked` that leaves the function as it is."""
    return function if function is not None else _plain


@cache
def prepare() -> None:
    """Make ESPnet cheap to import in this process; call it before the first import from espnet2.

    Only ESPnet's own modules are meant, but typeguard has one global name; other packages in a training or
    decoding process lose nothing but their run-time type checks.
    """
    import typeguard

    typeguard.typechecked = _plain  # type: ignore[assignment]
    # torch.cuda.amp.autocast in ESPnet, pkg_resources in pyworld: nothing that the person running it can mend
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"espnet2?\.")
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    # once a forward of a recurrent model, which works
    logging.getLogger().addFilter(lambda record: "not tracable" not in str(record.msg))
    with contextlib.redirect_stdout(io.StringIO()):  # it prints that flash_attn is not installed
        _legacy("nets.pytorch_backend.transformer.attention")
    # its one use of librosa, which would import numba and half of scipy
    log_mel: Any = importlib.import_module("espnet2.layers.log_mel")
    log_mel.librosa = SimpleNamespace(filters=SimpleNamespace(mel=mel_filters))


def espnet2(name: str) -> ModuleType:
    """Import `espnet2.<name>`."""
    prepare()
    return importlib.import_module(f"espnet2.{name}")


def legacy(name: str) -> ModuleType:
    """Import `espnet.<name>`, which newer ESPnet keeps as `espnet2.legacy.<name>`."""
    prepare()
    return _legacy(name)


def _legacy(name: str) -> ModuleType:
    for package in ("espnet", "espnet2.legacy"):
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if not f"{package}.{name}".startswith(str(error.name)):
                raise
    raise UserError(
        f"ESPnet has no module {name}: espnet 202511 is expected; run tools/setup.sh --check"
    )


@cache
def espnet2_folder() -> Path:
    """Where the package espnet2 lies, found without importing it.

    Raises:
        UserError: if ESPnet is not installed.
    """
    spec = importlib.util.find_spec("espnet2")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"ESPnet is not installed for {sys.executable}: run tools/setup.sh")
    return Path(spec.submodule_search_locations[0])
