"""What a synthesiser, ours or stock ESPnet's, can be told of how to speak."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn


def options_of(tts: Any) -> set[str]:
    """The options of a synthesiser's `inference`."""
    return set(inspect.signature(_acoustic(tts).inference).parameters)


def tells_durations(tts: Any) -> bool:
    """Whether it tells when it speaks which token."""
    acoustic = _acoustic(tts)
    return hasattr(getattr(acoustic, "generator", acoustic), "duration_predictor")


def _acoustic(tts: Any) -> Any:
    """The synthesiser; of stock ESPnet's joint_text2wav, which hands all options on, the part that reads the text."""
    parts = getattr(tts, "generator", None)
    return parts["text2mel"] if isinstance(parts, nn.ModuleDict) and "text2mel" in parts else tts
