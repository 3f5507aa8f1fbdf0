"""Hypotheses that cannot win any more, told before they end.

A log-probability falls with every token, CTC's prefix score too. So a hypothesis that has less than another that has
ended is never better, nor is what descends from it; and as all of that stands behind the better ones in the beam, the
better ones are the same without it (Huang et al. 2017, "When to Finish?", and Meister et al. 2020, "Best-First Beam
Search"). The same holds for less than any whole sentence, wherever that comes from, as long as the search finds
something as good; where it does not, it is done again without. Here the sentence is what CTC hears by itself, scored
in one pass: a model that is sure of itself then goes on with one or two hypotheses instead of ten.

Letters in shapes: U utterances, T frames, D width, L tokens with <eos>, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.search.ctc import BLANK
from espnet_ext.search.ctc_decode import greedy
from espnet_ext.search.scorers import Reader, Scorer

NEG = float("-inf")
#: How much less than the sentence's score a hypothesis may have: sums are rounded otherwise when made in one pass.
_MARGIN = 0.01
#: What gives log-probabilities.
_FALLING = ("decoder", "ctc", "lm", "ngram")


class Ranking(Protocol):
    """How hypotheses are ranked; see SearchOptions."""

    @property
    def normalize_length(self) -> bool: ...

    @property
    def length_alpha(self) -> float: ...


def falls(weights: Mapping[str, float], options: Ranking) -> bool:
    """Whether no token can make a hypothesis better."""
    if options.normalize_length or options.length_alpha or weights.get("length_bonus", 0.0) > 0:
        return False
    others = {n: w for n, w in weights.items() if w and n != "length_bonus"}
    return all(name in _FALLING and weight > 0 for name, weight in others.items())


def greedy_texts(log_probs: Sequence[Tensor], eos: int) -> list[tuple[int, ...]]:
    """What CTC (T, V) hears by itself in each utterance."""
    return [tuple(t for t in greedy(x).tokens if t != eos) for x in log_probs]


def ctc_scores(log_probs: Tensor, lengths: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """log p of each text by CTC (U, T, V), lengths (U,) -> (U,)."""
    sizes = torch.tensor([len(text) for text in texts])
    joined = torch.tensor([t for text in texts for t in text], dtype=torch.int64)
    given = log_probs.float().cpu().transpose(0, 1), joined, lengths.cpu(), sizes
    return -F.ctc_loss(*given, blank=BLANK, reduction="none").to(log_probs.device)


def with_ends(texts: Sequence[Sequence[int]], eos: int, device: Any) -> tuple[Tensor, Tensor]:
    """Texts with <eos> behind them (U, L), more of it behind the shorter ones; and their sizes with one, (U,)."""
    sizes = torch.tensor([len(text) + 1 for text in texts])
    found = torch.full((len(texts), int(sizes.max())), eos)
    for row, text in enumerate(texts):
        found[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
    return found.to(device), sizes.to(device)


def sentence_scores(
    scorer: Scorer, encoded: Tensor, lengths: Tensor, wanted: Tensor, sizes: Tensor
) -> tuple[Tensor, Any]:
    """log p of one sentence of each utterance, (U,), and a state to begin a search with.

    Args:
        scorer: reads the whole at once if it can; the state then knows the sentence.
        encoded, lengths: (U, T, D), (U,).
        wanted, sizes: see `with_ends`.
    """
    read = torch.cat((wanted[:, -1:], wanted[:, :-1]), dim=1)  # the last is <eos>, which is <sos>
    state = scorer.start(encoded, lengths)
    if isinstance(scorer, Reader):
        scores, begin = scorer.read(read, sizes, state)
        found = scores.gather(2, wanted[:, :, None])[:, :, 0]
    else:
        steps = []
        for place in range(read.shape[1]):
            scores, state = scorer.step(read[:, place, None], state)
            steps.append(scores[:, 0].gather(1, wanted[:, place, None])[:, 0])
        found, begin = torch.stack(steps, dim=1), scorer.start(encoded, lengths)
    inside = torch.arange(found.shape[1], device=found.device) < sizes[:, None]
    return torch.where(inside, found, 0.0).sum(dim=1), begin


class Searching(Protocol):
    """What is asked of a BatchSearch."""

    scorers: dict[str, Scorer]
    weights: dict[str, float]
    eos: int


def weighted(
    search: Searching, heard: tuple[Tensor, Tensor, Tensor | None], texts: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """The score of one text of each utterance and its tokens with <eos>, (U,) each; the scorers' states to begin with.

    Args:
        search: with its scorers.
        heard: the encoder's output (U, T, D), its lengths (U,), and CTC's log-probabilities (U, T, V) if it has a say.
        texts: without <sos> and <eos>.
    """
    encoded, lengths, log_probs = heard
    wanted, sizes = with_ends(texts, search.eos, encoded.device)
    total = search.weights.get("length_bonus", 0.0) * sizes
    if log_probs is not None:
        total = total + search.weights["ctc"] * ctc_scores(log_probs, lengths, texts)
    states = {}
    for name, scorer in search.scorers.items():
        found, states[name] = sentence_scores(scorer, encoded, lengths, wanted, sizes)
        total = total + search.weights[name] * found
    return total, sizes, states


def least_scores(
    search: Searching, heard: tuple[Tensor, Tensor, Tensor], bounds: tuple[Tensor, Tensor]
) -> tuple[Tensor, dict[str, Any]]:
    """What a hypothesis must have, (U,): a little less than what CTC hears has; -inf where that is no output.

    Beside it the scorers' states to begin with.

    Args:
        search, heard: see `weighted`.
        bounds: tokens that an output has at least and at most, (U,) each.
    """
    parts = zip(heard[2], heard[1].tolist(), strict=True)
    texts = greedy_texts([x[:length] for x, length in parts], search.eos)
    total, sizes, states = weighted(search, heard, texts)
    fits = (sizes > bounds[0]) & (sizes <= bounds[1]) & total.isfinite()
    return torch.where(fits, total - _MARGIN, NEG), states


@torch.no_grad()
def whole_scores(search: Any, encoded: Tensor, texts: Sequence[Sequence[int]]) -> list[float]:
    """What a BatchSearch would give texts of an utterance (T, D) that end as they stand."""
    many = encoded.expand(len(texts), -1, -1)
    lengths = torch.full((len(texts),), len(encoded), device=encoded.device)
    log_probs = search.log_probs(many) if search.ctc_weight else None
    found: list[float] = weighted(search, (many, lengths, log_probs), texts)[0].tolist()
    return found
