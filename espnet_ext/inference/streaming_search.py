"""CTC prefix beam search that goes on from frame to frame, and second thoughts by the attention decoder.

Letters in shapes: S encoder frames, V vocabulary, D width, N hypotheses, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.search.ctc import BLANK
from espnet_ext.search.ctc_decode import NOTHING_SAID, UNLIKELY, Prefix, added, advance


@dataclass(frozen=True)
class Heard:
    """A prefix of what is said.

    Attributes:
        tokens: their numbers.
        score: log-probability that the frames so far say them and nothing else.
    """

    tokens: Prefix
    score: float


class PrefixBeam:
    """CTC prefix beam search that goes on from frame to frame; see search.ctc_decode.prefix_search.

    Args:
        beam: prefixes kept after a frame.
        candidates: most likely tokens of a frame that are tried; blank and repetitions always are.
        least: log-probability of a token below which it is not tried.
        eos: number of <sos/eos>, which is never said; None = there is none.
    """

    def __init__(
        self,
        beam: int = 8,
        candidates: int = 8,
        least: float = UNLIKELY,
        eos: int | None = None,
    ) -> None:
        self.beam, self.candidates, self.least = beam, candidates, least
        self.never = (BLANK, eos)
        self.prefixes = dict(NOTHING_SAID)

    def feed(self, log_probs: np.ndarray) -> None:
        """The next frames (S, V)."""
        for frame in log_probs:
            number = min(self.candidates, len(frame))
            likely = np.argpartition(-frame, number - 1)[:number].tolist()
            tokens = [t for t in likely if t not in self.never and frame[t] > self.least]
            self.prefixes = advance(self.prefixes, frame.tolist(), tokens, self.beam)

    def best(self) -> list[Heard]:
        """The prefixes, most likely first."""
        found = (Heard(prefix, added(*pair)) for prefix, pair in self.prefixes.items())
        return sorted(found, key=lambda heard: -heard.score)


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
