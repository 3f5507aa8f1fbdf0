"""What CTC hears by itself: the likeliest token of each frame, or the likeliest text.

Letters in shapes: T frames, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.search.ctc import BLANK
from espnet_ext.search.history import Found

NEG = -math.inf
#: Log-probability of a token in a frame below which a search need not go on with it (one in 160,000).
UNLIKELY = -12.0
Prefix = tuple[int, ...]
#: Prefix -> log-probability of it, ending in blank, and ending in its last token.
Held = dict[Prefix, tuple[float, float]]
NOTHING_SAID: Held = {(): (0.0, NEG)}


def greedy(log_probs: Tensor) -> Found:
    """The likeliest token of each frame (T, V), repetitions and blanks left out (Graves et al. 2006, eq. 4)."""
    best, way = log_probs.max(dim=-1)
    tokens = tuple(t for t in way.unique_consecutive().tolist() if t != BLANK)
    score = float(best.double().sum())
    return Found(tokens, score, {"ctc": score})


def added(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a < b:
        a, b = b, a
    return a if b == NEG else a + math.log1p(math.exp(b - a))


def prefix_search(
    log_probs: Tensor, beam: int, candidates: int, eos: int, least: float = NEG
) -> list[Found]:
    """The likeliest texts, each with the sum of all ways to say it, best first.

    Frame by frame (Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs", algorithm 1), without a language model. Exact where `beam` holds every prefix.

    Args:
        log_probs: (T, V).
        beam: prefixes kept at each frame.
        candidates: likeliest tokens of each frame that a prefix goes on with.
        eos: number of <sos/eos>, which is never said.
        least: log-probability from which on a token is gone on with at all: in most frames, few are.
    """
    spoken = log_probs.double().clone()
    spoken[:, [BLANK, eos]] = NEG
    number = min(candidates, spoken.shape[1])
    rows, likeliest = log_probs.double().tolist(), spoken.topk(number, dim=1)
    tokens = [
        [t for t, score in zip(*pair, strict=True) if score > least]
        for pair in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    ]
    held = dict(NOTHING_SAID)
    for row, likely in zip(rows, tokens, strict=True):
        held = advance(held, row, likely, beam)
    return [Found(p, s, {"ctc": s}) for p, s in ((p, added(*ends)) for p, ends in held.items())]


def advance(held: Held, row: Sequence[float], likely: Sequence[int], beam: int) -> Held:
    """The `beam` likeliest prefixes after one more frame, best first.

    Args:
        held: after the frames before; at first NOTHING_SAID.
        row: the frame's log-probabilities, (V,).
        likely: tokens that a prefix goes on with.
        beam: how many are kept.
    """
    after: dict[Prefix, list[float]] = {}
    for prefix, (blank, token) in held.items():
        whole = added(blank, token)
        same = after.setdefault(prefix, [NEG, NEG])
        same[0] = added(same[0], whole + row[BLANK])
        last = prefix[-1] if prefix else -1
        if prefix:
            same[1] = added(same[1], token + row[last])
        for t in likely:
            longer = after.setdefault((*prefix, t), [NEG, NEG])
            longer[1] = added(longer[1], (blank if t == last else whole) + row[t])
    there = [(prefix, ends) for prefix, ends in after.items() if max(ends) > NEG]
    best = sorted(there, key=lambda item: -added(*item[1]))[:beam]
    return {prefix: (blank, token) for prefix, (blank, token) in best}


def score_texts(log_probs: Tensor, texts: Sequence[Prefix]) -> list[float]:
    """log p of each text by CTC (T, V); -inf for what cannot be said in so few frames."""
    lengths = torch.tensor([len(text) for text in texts])
    joined = torch.tensor([t for text in texts for t in text], dtype=torch.int64)
    frames = torch.full_like(lengths, len(log_probs))
    repeated = log_probs.float().cpu()[:, None].expand(-1, len(texts), -1)
    loss = F.ctc_loss(repeated, joined, frames, lengths, blank=BLANK, reduction="none")
    return (-loss).tolist()


class CtcSearch:
    """CTC alone, with the form of `BatchSearch`.

    Args:
        log_probs: (1, T, D) -> CTC's log-probabilities (1, T, V).
        decode: of these (T, V): hypotheses, best first.
        options: has `nbest`, how many hypotheses are returned, and `beam_size`.
    """

    def __init__(
        self,
        log_probs: Callable[[Tensor], Tensor],
        decode: Callable[[Tensor], list[Found]],
        options: Any,
    ) -> None:
        self.log_probs, self.decode, self.options = log_probs, decode, options

    @torch.no_grad()
    def __call__(self, encoded: Sequence[Tensor]) -> list[list[Found]]:
        """Hypotheses of each utterance (T, D), best first."""
        return [self.decode(self.log_probs(x[None])[0])[: self.options.nbest] for x in encoded]
