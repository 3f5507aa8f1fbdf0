"""CTC prefix beam search that goes on from frame to frame, and second thoughts by the attention decoder.

Letters in shapes: S encoder frames, V vocabulary, D width, N hypotheses, L tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

BLANK = 0
NEVER = -math.inf
Prefix = tuple[int, ...]


@dataclass(frozen=True)
class Heard:
    """A prefix of what is said.

    Attributes:
        tokens: their numbers.
        score: log-probability that the frames so far say them and nothing else.
    """

    tokens: Prefix
    score: float


def _plus(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))


class PrefixBeam:
    """CTC prefix beam search (Hannun et al. 2014, algorithm 1, without language model).

    Args:
        beam: prefixes kept after a frame.
        candidates: most likely tokens of a frame that are tried; blank and repetitions always are.
        least: log-probability of a token below which it is not tried.
    """

    def __init__(self, beam: int = 8, candidates: int = 8, least: float = -12.0) -> None:
        self.beam, self.candidates, self.least = beam, candidates, least
        #: prefix -> log-probability of it, ending in blank, and ending in its last token
        self.prefixes: dict[Prefix, tuple[float, float]] = {(): (0.0, NEVER)}

    def feed(self, log_probs: np.ndarray) -> None:
        """The next frames (S, V)."""
        for frame in log_probs:
            self._step(frame)

    def _step(self, frame: np.ndarray) -> None:
        number = min(self.candidates, len(frame))
        likely = np.argpartition(-frame, number - 1)[:number].tolist()
        tokens = [(t, float(frame[t])) for t in likely if t != BLANK and frame[t] > self.least]
        blank = float(frame[BLANK])
        found: dict[Prefix, list[float]] = {}
        for prefix, (in_blank, in_token) in self.prefixes.items():
            whole = _plus(in_blank, in_token)
            _add(found, prefix, 0, whole + blank)
            if prefix:
                _add(found, prefix, 1, in_token + float(frame[prefix[-1]]))
            for token, score in tokens:
                before = in_blank if prefix and prefix[-1] == token else whole
                _add(found, (*prefix, token), 1, before + score)
        ranked = sorted(found.items(), key=lambda item: -_plus(*item[1]))[: self.beam]
        self.prefixes = {prefix: (pair[0], pair[1]) for prefix, pair in ranked}

    def best(self) -> list[Heard]:
        """The prefixes, most likely first."""
        found = (Heard(prefix, _plus(*pair)) for prefix, pair in self.prefixes.items())
        return sorted(found, key=lambda heard: -heard.score)


def _add(found: dict[Prefix, list[float]], prefix: Prefix, place: int, score: float) -> None:
    if score == NEVER:
        return
    pair = found.setdefault(prefix, [NEVER, NEVER])
    pair[place] = _plus(pair[place], score)


def agreed(heard: Sequence[Heard], margin: float) -> Prefix:
    """The beginning that the best prefix has in common with all that are at most `margin` worse.

    >>> agreed([Heard((4, 5, 6), -1.0), Heard((4, 5), -1.5), Heard((7,), -9.0)], 3.0)
    (4, 5)
    """
    best = heard[0]
    common = len(best.tokens)
    for other in heard[1:]:
        if best.score - other.score <= margin:
            pairs = zip(best.tokens[:common], other.tokens, strict=False)
            same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(other.tokens))
            common = min(common, same)
    return best.tokens[:common]


@torch.no_grad()
def rescored(
    decoder: Any, encoded: Tensor, heard: Sequence[Heard], eos: int, ctc_weight: float
) -> list[Heard]:
    """Prefixes by CTC and attention together, best first (second pass of Zhang et al. 2020, U2).

    Args:
        decoder: ESPnet's or ours, in evaluation.
        encoded: (S, D).
        heard: from CTC.
        eos: number of <sos/eos>.
        ctc_weight: share of CTC, 0 to 1.
    """
    ends = [torch.tensor((eos, *h.tokens, eos)) for h in heard]
    texts = pad_sequence(ends, batch_first=True, padding_value=eos).to(encoded.device)
    sizes = torch.tensor([len(end) - 1 for end in ends], device=encoded.device)
    memory = encoded[None].expand(len(heard), -1, -1)
    frames = torch.full_like(sizes, len(encoded))
    logits = decoder(memory, frames, texts[:, :-1], sizes)[0]
    scores = logits.float().log_softmax(dim=-1).gather(2, texts[:, 1:, None])[:, :, 0]
    there = torch.arange(scores.shape[1], device=scores.device) < sizes[:, None]
    by_decoder = scores.masked_fill(~there, 0.0).sum(dim=1).tolist()
    found = [
        Heard(h.tokens, ctc_weight * h.score + (1 - ctc_weight) * said)
        for h, said in zip(heard, by_decoder, strict=True)
    ]
    return sorted(found, key=lambda one: -one.score)
