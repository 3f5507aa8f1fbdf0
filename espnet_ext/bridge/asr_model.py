"""ESPnet's hybrid CTC/attention model, for ours to be a kind of.

Imported without `prepare`: a stock process that loads our model keeps its own way of importing.
"""

from __future__ import annotations

from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.torch_utils.device_funcs import force_gatherable

__all__ = ["ESPnetASRModel", "force_gatherable"]
