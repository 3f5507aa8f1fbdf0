"""What a decoder inherits from ESPnet, so that what looks for it (beam search, plots of attention) finds ours.

Imported without `prepare`: a stock process that loads our model keeps its own way of importing.
"""

from __future__ import annotations

try:
    from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
    from espnet.nets.scorer_interface import BatchScorerInterface
except ModuleNotFoundError:  # newer ESPnet
    from espnet2.legacy.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
    from espnet2.legacy.nets.scorer_interface import BatchScorerInterface

__all__ = ["BatchScorerInterface", "MultiHeadedAttention"]
