"""Keep what a model looked at, for the report: attention of some validation utterances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from espnet_ext.files import atomic_open
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.data import Collate, Utterances


def _attention(model: torch.nn.Module) -> np.ndarray | None:
    """The last attention over the input that `model` computed; None if it keeps none.

    ESPnet's attention modules leave their weights in an attribute `attn` of shape (1, heads, out, in), our
    aligner its path as (1, frames, tokens).

    Returns:
        (heads, out, in) of a recogniser, (1, tokens, frames) of a synthesiser.
    """
    found = [
        (name, module.attn)
        for name, module in model.named_modules()
        if name.endswith(("src_attn", "aligner"))
        and isinstance(getattr(module, "attn", None), torch.Tensor)
    ]
    if not found:
        return None
    name, last = found[-1]
    attention = last[0].detach().cpu().float().numpy()
    return attention.T[None] if name.endswith("aligner") else attention


@torch.no_grad()
def save_attention(
    model: torch.nn.Module,
    data: Utterances,
    collate: Collate,
    folder: Path,
    number: int,
    pipeline: TextPipeline,
    device: str = "cpu",
) -> None:
    """Write `attention.npz`: for the first `number` utterances their attention and `<id>.tokens`."""
    model.eval()
    arrays: dict[str, np.ndarray] = {}
    for index in range(min(number, len(data))):
        ids, batch = collate([data[index]])
        model(**{name: tensor.to(device) for name, tensor in batch.items()})
        attention = _attention(model)
        if attention is not None:
            arrays[ids[0]] = attention
            arrays[f"{ids[0]}.tokens"] = np.array(
                # what a number says besides the token (text.token_features) lies above the list's length
                [pipeline.token_list[i % len(pipeline)] for i in data.tokens[index]]
            )
    if arrays:
        with atomic_open(folder / "attention.npz", "wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
