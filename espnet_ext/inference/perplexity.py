"""How well a language model predicts a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_ext.bridge.load import load_model, text_pipeline
from espnet_ext.lm.ngram import Ngram, NgramLookup
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.data import Collate, loader, read_text
from espnet_ext.train.sampler import BucketSampler


def _exp(x: float) -> float:
    return math.exp(min(x, 700.0))  # an untrained model's words would overflow


@torch.no_grad()
def perplexity(
    config: Path, weights: Path, files: Sequence[Path], device: str = "cpu"
) -> dict[str, Any]:
    """Perplexity per token (the end of a sentence counts) and per word.

    Args:
        config, weights: of the language model.
        files: Kaldi text files.
        device: where it runs.

    Returns:
        "perplexity", "word_perplexity", "tokens", "words", "utterances", "nll" (natural logarithm, summed).
    """
    model, settings = load_model("lm", config, weights, device)

    def nll(text: Tensor, lengths: Tensor) -> Tensor:
        return model.nll(text.to(device), lengths.to(device))[0]

    return _figures(nll, files, text_pipeline(settings))


def ngram_perplexity(model: Ngram, files: Sequence[Path], pipeline: TextPipeline) -> dict[str, Any]:
    """The same of an n-gram model; `pipeline` makes its tokens."""
    return _figures(NgramLookup(model).nll, files, pipeline)


def _figures(
    nll: Callable[[Tensor, Tensor], Tensor], files: Sequence[Path], pipeline: TextPipeline
) -> dict[str, Any]:
    """`nll` takes tokens (B, T) and lengths (B,) and gives (B, T + 1), 0 behind the end of a sentence."""
    data = read_text(files, pipeline)
    batches = BucketSampler(data.lengths("tokens"), 4000).batches(1, shuffle=False)
    total = tokens = 0.0
    for _, batch in loader(data, batches, Collate(text_pad=0), 0):
        total += float(nll(batch["text"], batch["text_lengths"]).double().sum())
        tokens += float((batch["text_lengths"] + 1).sum())
    words = sum(len(pipeline.text(ids.tolist()).split()) + 1 for ids in data.tokens)
    return {
        "perplexity": _exp(total / tokens),
        "word_perplexity": _exp(total / words),
        "tokens": int(tokens),
        "words": words,
        "utterances": len(data),
        "nll": total,
    }
