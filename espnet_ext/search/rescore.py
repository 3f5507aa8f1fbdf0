"""Lists of hypotheses that CTC made, ranked by every scorer: all tokens are known, so none is searched for.

Letters in shapes: U utterances, W hypotheses of each, L tokens with <eos>, T frames, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.search.beam import BatchSearch
from espnet_ext.search.ctc_decode import UNLIKELY, prefix_search, score_texts
from espnet_ext.search.history import Found, levelled

Texts = Sequence[Sequence[tuple[int, ...]]]


class RescoreSearch:
    """CTC's prefix search, then all scorers of a `BatchSearch` (two passes: Zhang et al. 2020, "U2", section 3.3).

    Args:
        joint: has the scorers, weights and options.
        candidates: see prefix_search.
    """

    def __init__(self, joint: BatchSearch, candidates: int) -> None:
        self.joint, self.candidates, self.options = joint, candidates, joint.options

    @torch.no_grad()
    def __call__(self, encoded: Sequence[Tensor]) -> list[list[Found]]:
        """Hypotheses of each utterance (T, D), best first."""
        heard = [self.joint.log_probs(x[None])[0] for x in encoded]
        how = (self.options.beam_size, self.candidates, self.joint.eos, UNLIKELY)
        texts = [[f.tokens for f in prefix_search(x, *how)] for x in heard]
        parts = scored(self.joint, encoded, texts)
        return [
            self._ranked(own, part, score_texts(x, own))
            for own, part, x in zip(texts, parts, heard, strict=True)
        ]

    def _ranked(
        self,
        texts: Sequence[tuple[int, ...]],
        parts: Sequence[dict[str, float]],
        ctc: Sequence[float],
    ) -> list[Found]:
        options, found = self.options, []
        for text, part, heard in zip(texts, parts, ctc, strict=True):
            if self.joint.ctc_weight:
                part = {**part, "ctc": heard}
            if self.joint.bonus:
                part = {**part, "length_bonus": len(text) + 1.0}
            score = sum(self.joint.weights[name] * value for name, value in part.items())
            found.append(Found(text, score, part))
        found.sort(key=lambda f: -levelled(f.score, len(f.tokens) + 1, options))
        return found[: options.nbest]


def scored(
    joint: BatchSearch, encoded: Sequence[Tensor], texts: Texts
) -> list[list[dict[str, float]]]:
    """What each scorer gives each text with its end, (U, W) of name -> log-probability."""
    device = encoded[0].device
    lengths = torch.tensor([len(x) for x in encoded], device=device)
    padded = pad_sequence(list(encoded), batch_first=True)
    width, most = max(map(len, texts)), max(len(t) for own in texts for t in own) + 1
    wanted = torch.full((len(texts), width, most), joint.eos, device=device)
    counts = torch.zeros(len(texts), width, most, device=device)
    for row, own in enumerate(texts):
        for place, text in enumerate(own):
            wanted[row, place, : len(text)] = torch.tensor(text, dtype=torch.int64)
            counts[row, place, : len(text) + 1] = 1.0
    read = torch.cat((torch.full_like(wanted[:, :, :1], joint.eos), wanted[:, :, :-1]), dim=2)
    origin = torch.zeros_like(wanted[:, :, 0])
    states = {
        name: scorer.reorder(scorer.start(padded, lengths), origin)
        for name, scorer in joint.scorers.items()
    }
    sums = {name: torch.zeros(len(texts), width, device=device) for name in states}
    for step in range(most):
        for name, scorer in joint.scorers.items():
            found, states[name] = scorer.step(read[:, :, step], states[name])
            chosen = found.gather(2, wanted[:, :, step, None])[:, :, 0]
            sums[name] += torch.where(counts[:, :, step] > 0, chosen, 0.0)
    return [
        [
            {name: float(value[row, place]) for name, value in sums.items()}
            for place in range(len(own))
        ]
        for row, own in enumerate(texts)
    ]
