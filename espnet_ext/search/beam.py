"""Joint CTC/attention beam search over several utterances at once.

What it finds is what stock ESPnet's BatchBeamSearch finds for each utterance with the same options, to the rounding of
its sums (Watanabe et al. 2017). An utterance that is done leaves the batch.

Letters in shapes: U utterances, W hypotheses of each (the most that one has), M those of the next step, S candidates of
each hypothesis, T frames, D width, V vocabulary, K scorers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.search import ctc
from espnet_ext.search.bound import falls, least_scores
from espnet_ext.search.history import Found, History, Step
from espnet_ext.search.scorers import Scorer

NEG = float("-inf")
#: End detection (Watanabe et al. 2017, eq. 50): so many lengths in a row whose best is so much worse than the best.
_LENGTHS, _WORSE = 3, -10.0


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        beam_size: hypotheses kept at each step.
        pre_beam: candidates of each hypothesis that CTC scores; the vocabulary's size or more = all.
        maxlenratio: longest output as a share of the frames; 0 = as many as frames, and hypotheses end by themselves;
            < 0 = that many tokens.
        minlenratio: shortest output likewise.
        normalize_length: rank by score per token.
        length_alpha: rank by score divided by a power of the length; see history.levelled.
        nbest: hypotheses returned.
        bounded: leave out what cannot win any more (see search.bound), and go on until nothing can; else hypotheses
            go on until stock's end detection finds them hopeless.
    """

    beam_size: int
    pre_beam: int
    maxlenratio: float = 0.0
    minlenratio: float = 0.0
    normalize_length: bool = False
    length_alpha: float = 0.0
    nbest: int = 1
    bounded: bool = True


@dataclass
class _Batch:
    """Utterances on their way; row numbers change when one leaves.

    Attributes:
        rows: which of the given utterances each row is, (U,).
        states: of the scorers.
        frames, ctc: what CTC knows, if it has a weight.
        tokens: last token of each hypothesis, (U, W).
        score: (U, W); -inf where there is no hypothesis.
        shortest, longest: tokens that an output may have, (U,).
        best: scores of the best that have ended, as many as are returned, best first, (U, N).
        least: what a hypothesis must have more than, (U,); see search.bound.
        ended: best score of those that ended at each of the last steps, the latest last, each (U,).
    """

    rows: Tensor
    states: dict[str, Any]
    frames: ctc.CtcTable | None
    ctc: ctc.CtcState | None
    tokens: Tensor
    score: Tensor
    shortest: Tensor
    longest: Tensor
    best: Tensor
    least: Tensor
    ended: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class _Chosen:
    """The next hypotheses, best first, each (U, M).

    Attributes:
        parents: whom they go on.
        tokens: with what.
        score: weighted sum; -inf where there is none.
        psi: CTC's log-probability of all of it, or None.
        parts: what each scorer gave the token, (U, M, K).
    """

    parents: Tensor
    tokens: Tensor
    score: Tensor
    psi: Tensor | None
    parts: Tensor

    def of(self, rows: Tensor) -> _Chosen:
        """Of the utterances `rows`."""
        psi = None if self.psi is None else self.psi[rows]
        return _Chosen(
            self.parents[rows], self.tokens[rows], self.score[rows], psi, self.parts[rows]
        )


class BatchSearch:
    """Searches utterances together.

    Args:
        scorers: by the name of their weight.
        weights: of the scorers, of "ctc" and of "length_bonus"; those of 0 have no part.
        log_probs: (1, T, D) -> CTC's log-probabilities (1, T, V); not asked without a weight.
        eos: number of <sos/eos>.
        options: how to search.
    """

    def __init__(
        self,
        scorers: Mapping[str, Scorer],
        weights: Mapping[str, float],
        log_probs: Callable[[Tensor], Tensor],
        eos: int,
        options: SearchOptions,
    ) -> None:
        self.scorers = {name: s for name, s in scorers.items() if weights.get(name)}
        self.weights, self.log_probs = dict(weights), log_probs
        self.eos, self.options = eos, options
        self.ctc_weight = weights.get("ctc", 0.0)
        self.bonus = weights.get("length_bonus", 0.0)
        self.bounded = options.bounded and falls(self.weights, options)

    @property
    def names(self) -> list[str]:
        """Of the parts of a score."""
        more = {"ctc": self.ctc_weight, "length_bonus": self.bonus}
        return [*self.scorers, *(name for name, weight in more.items() if weight)]

    @torch.no_grad()
    def __call__(self, encoded: Sequence[Tensor]) -> list[list[Found]]:
        """Hypotheses of each utterance, best first; none where nothing ended.

        Args:
            encoded: the encoder's output of each, (T, D), T >= 1.
        """
        found = self._search(encoded, self.options.minlenratio, self.bounded)
        ratio = self.options.minlenratio
        while ratio >= 0.1 and any(not f for f in found):  # as stock: try again, it may be shorter
            ratio = max(0.0, ratio - 0.1)
            empty = [number for number, f in enumerate(found) if not f]
            again = self._search([encoded[number] for number in empty], ratio, self.bounded)
            for number, f in zip(empty, again, strict=True):
                found[number] = f
        return found

    def _search(
        self, encoded: Sequence[Tensor], minlenratio: float, guess: bool
    ) -> list[list[Found]]:
        """`guess`: nothing is looked at that has less than what CTC hears by itself; see search.bound."""
        batch = self._begin(encoded, minlenratio, guess)
        history, number, least = History(len(encoded), self.names), 0, batch.least.tolist()
        while len(batch.rows):
            chosen = self._step(batch)
            self._settle(batch, chosen, history, number)
            number += 1
        found = history.best(self.options.nbest, self.options, self.eos)
        lost = [
            n for n, f in enumerate(found) if least[n] > NEG and (not f or f[0].score < least[n])
        ]
        if lost:
            again = self._search([encoded[number] for number in lost], minlenratio, False)
            for number, f in zip(lost, again, strict=True):
                found[number] = f
        return found

    # -- the beginning -------------------------------------------------------------------------------------------

    def _begin(self, encoded: Sequence[Tensor], minlenratio: float, guess: bool) -> _Batch:
        device = encoded[0].device
        lengths = torch.tensor([len(x) for x in encoded], device=device)
        padded = pad_sequence(list(encoded), batch_first=True)
        number, most = len(encoded), self.options.maxlenratio
        shortest = torch.tensor([_shortest(len(x), minlenratio) for x in encoded], device=device)
        longest = torch.tensor([_longest(len(x), most) for x in encoded], device=device)
        least = torch.full((number,), NEG, device=device)
        frames = state = None
        if self.ctc_weight:
            parts = [self.log_probs(x[None])[0] for x in encoded]
            log_probs = pad_sequence(parts, batch_first=True)
            frames = ctc.table(log_probs, lengths)
            state = ctc.start(frames)
            if guess and self.options.nbest == 1:
                least = least_scores(self, (padded, lengths, log_probs), (shortest, longest))
        return _Batch(
            rows=torch.arange(number, device=device),
            states={name: s.start(padded, lengths) for name, s in self.scorers.items()},
            frames=frames,
            ctc=state,
            tokens=torch.full((number, 1), self.eos, device=device),
            score=torch.zeros(number, 1, device=device),
            shortest=shortest,
            longest=longest,
            best=torch.full((number, self.options.nbest), NEG, device=device),
            least=least,
        )

    # -- a token more --------------------------------------------------------------------------------------------

    def _step(self, batch: _Batch) -> _Chosen:
        """The best continuations of all hypotheses of each utterance."""
        scores = {}
        for name, scorer in self.scorers.items():
            scores[name], batch.states[name] = scorer.step(batch.tokens, batch.states[name])
        full = self._weighted(batch, scores)
        if batch.ctc is None:
            return self._choose(batch, full + batch.score[:, :, None], None, None, scores)
        assert batch.frames is not None
        candidates = self._candidates(full)
        psi = torch.cat(
            (ctc.score(batch.frames, batch.ctc, candidates), ctc.end(batch.ctc)[:, :, None]), dim=2
        )
        eos = torch.full_like(candidates[:, :, :1], self.eos)
        forbidden = (candidates == ctc.BLANK) | (candidates == self.eos)
        forbidden = F.pad(forbidden, (0, 1)) | (psi < ctc.NEVER / 2)
        candidates = torch.cat((candidates, eos), dim=2)
        joint = full.gather(2, candidates) + self.ctc_weight * (psi - batch.ctc.psi[:, :, None])
        joint = (joint + batch.score[:, :, None]).masked_fill_(forbidden, NEG)
        return self._choose(batch, joint, candidates, psi, scores)

    def _weighted(self, batch: _Batch, scores: Mapping[str, Tensor]) -> Tensor:
        """What all but CTC say of each token, (U, W, V)."""
        if not scores:
            assert batch.frames is not None
            shape = (*batch.tokens.shape, batch.frames.size)
            return torch.full(shape, self.bonus, device=batch.tokens.device)
        total: Any = 0.0
        for name, found in scores.items():
            total = total + self.weights[name] * found
        return total + self.bonus if self.bonus else total

    def _candidates(self, full: Tensor) -> Tensor:
        """The tokens that CTC scores, (U, W, S)."""
        size = full.shape[2]
        if self.options.pre_beam >= size or not self.scorers:
            return torch.arange(size, device=full.device).expand(*full.shape[:2], -1)
        return full.topk(self.options.pre_beam, dim=2, sorted=False).indices

    def _choose(
        self,
        batch: _Batch,
        joint: Tensor,
        candidates: Tensor | None,
        psi: Tensor | None,
        scores: Mapping[str, Tensor],
    ) -> _Chosen:
        """The best of `joint` (U, W, S) in each utterance; `candidates` name the tokens, None = all."""
        flat, size = joint.flatten(1), joint.shape[2]
        score, place = flat.topk(min(self.options.beam_size, flat.shape[1]), dim=1)
        parents = place // size
        tokens = place % size if candidates is None else candidates.flatten(1).gather(1, place)
        psi = None if psi is None else psi.flatten(1).gather(1, place)
        return _Chosen(
            parents, tokens, score, psi, self._parts(batch, parents, tokens, psi, scores)
        )

    def _parts(
        self,
        batch: _Batch,
        parents: Tensor,
        tokens: Tensor,
        psi: Tensor | None,
        scores: Mapping[str, Tensor],
    ) -> Tensor:
        """What each scorer gave the chosen tokens, in the order of `names`, (U, M, K)."""
        found = []
        for values in scores.values():
            found.append(values.flatten(1).gather(1, parents * values.shape[2] + tokens))
        if psi is not None and batch.ctc is not None:
            found.append(psi - batch.ctc.psi.gather(1, parents))
        if self.bonus:
            found.append(torch.ones_like(parents, dtype=torch.float32))
        return torch.stack(found, dim=2)

    # -- what has ended, and what goes on --------------------------------------------------------------------------

    def _settle(self, batch: _Batch, chosen: _Chosen, history: History, number: int) -> None:
        """Note what was chosen, take out what ended, and make the batch ready for the next step."""
        lives = chosen.score > NEG
        last = number + 1 >= batch.longest
        ends = lives & ((chosen.tokens == self.eos) | last[:, None])
        counts = ends & (number >= batch.shortest)[:, None]
        score = torch.where(counts, chosen.score, NEG)
        batch.ended = [*batch.ended[-_LENGTHS - 1 :], score.amax(dim=1)]
        batch.best = torch.cat((batch.best, score), dim=1).topk(batch.best.shape[1], dim=1).values
        goes_on = lives & ~ends
        if self.bounded:
            goes_on &= chosen.score > torch.maximum(batch.best[:, -1], batch.least)[:, None]
        done = last | ~goes_on.any(dim=1) | self._end_detected(batch)
        widest = max(int(goes_on[~done].sum(dim=1).amax()), 1) if not bool(done.all()) else 0
        going = goes_on.byte().argsort(dim=1, descending=True, stable=True)[:, :widest]
        noted = (
            batch.rows,
            chosen.parents,
            chosen.tokens,
            chosen.score,
            counts,
            chosen.parts,
            last,
            going,
        )
        history.add(Step(*(x.cpu().numpy() for x in noted)))
        if bool(done.any()):
            rows = (~done).nonzero()[:, 0]
            self._leave(batch, rows)
            chosen, going, goes_on = chosen.of(rows), going[rows], goes_on[rows]
        if len(batch.rows):
            self._go_on(batch, chosen, going, goes_on)

    def _end_detected(self, batch: _Batch) -> Tensor:
        """Whether longer hypotheses have become hopeless, (U,).

        Stock counts <sos> and <eos> as tokens: it looks at what ended two steps ago and before.
        """
        best = batch.best[:, 0]
        if self.bounded or self.options.maxlenratio != 0.0 or len(batch.ended) < _LENGTHS + 2:
            return torch.zeros_like(best, dtype=torch.bool)
        scores = torch.stack(batch.ended[:_LENGTHS])
        return ((scores > NEG) & (scores - best < _WORSE)).all(dim=0)

    def _leave(self, batch: _Batch, rows: Tensor) -> None:
        """Only the utterances `rows` stay."""
        batch.rows = batch.rows[rows]
        if not len(rows):
            return
        for name, scorer in self.scorers.items():
            batch.states[name] = scorer.keep(batch.states[name], rows)
        if batch.frames is not None and batch.ctc is not None:
            batch.frames, batch.ctc = ctc.keep(batch.frames, batch.ctc, rows)
        batch.shortest, batch.longest = batch.shortest[rows], batch.longest[rows]
        batch.best, batch.least = batch.best[rows], batch.least[rows]
        batch.ended = [score[rows] for score in batch.ended]

    def _go_on(self, batch: _Batch, chosen: _Chosen, going: Tensor, goes_on: Tensor) -> None:
        """The hypotheses `going` (U, W) of the chosen become those of the batch."""
        parents, batch.tokens = chosen.parents.gather(1, going), chosen.tokens.gather(1, going)
        batch.score = torch.where(goes_on, chosen.score, NEG).gather(1, going)
        for name, scorer in self.scorers.items():
            batch.states[name] = scorer.reorder(batch.states[name], parents)
        if batch.frames is not None and batch.ctc is not None and chosen.psi is not None:
            psi = chosen.psi.gather(1, going)
            batch.ctc = ctc.advance(batch.frames, batch.ctc, parents, batch.tokens, psi)


def _longest(frames: int, ratio: float) -> int:
    if ratio < 0:
        return -int(ratio)
    return max(1, int(ratio * frames)) if ratio else frames


def _shortest(frames: int, ratio: float) -> int:
    return -int(ratio) if ratio < 0 else int(ratio * frames)
