"""The text side of a folder that `export_onnx` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_ext.text.token_features import FeaturePipeline
from espnet_ext.text.tokens import LEXICON_FILE, TextPipeline


def text_of(manifest: Mapping[str, Any], folder: Path) -> TextPipeline:
    """Text to tokens and back."""
    bpemodel = manifest["bpemodel"]
    plain = TextPipeline(
        manifest["token_type"],
        manifest["tokens"],
        bpemodel=None if bpemodel is None else folder / bpemodel,
        g2p=str(folder / LEXICON_FILE) if manifest["g2p"] == LEXICON_FILE else manifest["g2p"],
        cleaner=manifest["cleaner"],
        nlsyms=manifest["symbols"],
    )
    names = tuple(manifest.get("prosody", ()))
    return FeaturePipeline(plain, names) if names else plain
