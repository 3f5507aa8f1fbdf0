"""Joint CTC/attention beam search over several utterances at once.

What it finds is what stock ESPnet's BatchBeamSearch finds for each utterance with the same options, to the rounding of
its sums (Watanabe et al. 2017), or better where stock's end detection ends too early (see SearchOptions.bounded). An
utterance that is done leaves the batch.

Letters in shapes: U utterances, W hypotheses of each (the most that one has), M those of the next step, S candidates of
each hypothesis, T frames, D width, V vocabulary, K scorers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.search import ctc
from espnet_ext.search.bound import falls, least_scores
from espnet_ext.search.history import Found, History, Step
from espnet_ext.search.scorers import Scorer, can_join
from espnet_ext.search.state import Batch, join, keep

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

    @property
    def flows(self) -> bool:
        """Whether utterances may come while others are searched."""
        return all(can_join(scorer) for scorer in self.scorers.values())

    @torch.no_grad()
    def __call__(
        self, encoded: Sequence[Tensor], most: int = 0, kept: dict[int, list[Found]] | None = None
    ) -> list[list[Found]]:
        """Hypotheses of each utterance, best first; none where nothing ended.

        Args:
            encoded: the encoder's output of each, (T, D), T >= 1.
            most: frames that are searched at once, padding included: who is done makes room for who waits, where the
                scorers allow it (see `flows`). 0 = all at once.
            kept: receives what is found as soon as it is; utterances in it are left alone.
        """
        found = {} if kept is None else kept
        ratio = self.options.minlenratio
        self._find({n: x for n, x in enumerate(encoded) if n not in found}, ratio, most, found)
        while ratio >= 0.1 and any(not f for f in found.values()):  # as stock: it may be shorter
            ratio = max(0.0, ratio - 0.1)
            self._find({n: encoded[n] for n, f in found.items() if not f}, ratio, most, found)
        return [found[n] for n in range(len(encoded))]

    def _find(
        self, wanted: Mapping[int, Tensor], ratio: float, most: int, found: dict[int, list[Found]]
    ) -> None:
        """Search utterances; those with less than what CTC hears by itself again, without asking for it."""
        again, guess = wanted, self.bounded and self.options.nbest == 1
        while again:
            again, guess = self._search(again, ratio, most, found, guess), False

    def _search(
        self,
        wanted: Mapping[int, Tensor],
        ratio: float,
        most: int,
        found: dict[int, list[Found]],
        guess: bool,
    ) -> dict[int, Tensor]:
        """Search utterances, the longest first, as many at a time as there is room for.

        Returns:
            Those with less than was asked for, which are not in `found`.
        """
        order = sorted(wanted, key=lambda n: -len(wanted[n]))
        history, begun, hopes = History(len(order), self.names), 0, list[float]()
        batch: Batch | None = None
        lost = {}
        while begun < len(order) or batch is not None:
            room = self._room(batch, [len(wanted[n]) for n in order[begun:]], most)
            if not room:
                batch, done = self._advanced(batch, history)
            else:
                some = [wanted[n] for n in order[begun : begun + room]]
                come = self._begin(some, ratio, guess)
                come.rows += begun
                begun, hopes = begun + room, hopes + come.least.tolist()
                fresh, done = self._advanced(come, history)
                if batch is not None and fresh is not None:
                    batch = join(batch, fresh, self.scorers)
                else:
                    batch = fresh if batch is None else batch
            for row in done:
                own = history.best(row, self.options.nbest, self.options, self.eos)
                if hopes[row] > NEG and (not own or own[0].score < hopes[row]):
                    lost[order[row]] = wanted[order[row]]
                else:
                    found[order[row]] = own
        return lost

    def _room(self, batch: Batch | None, lengths: Sequence[int], most: int) -> int:
        """How many of those that wait may come; few who leave are no reason to begin."""
        if not lengths or (batch is not None and not (most and self.flows)):
            return 0
        if not most:
            return len(lengths)
        there, longest = 0, lengths[0]
        if batch is not None:
            there, longest = len(batch.rows), max(longest, int(batch.lengths.max()))
        fit = max(1, most // longest)
        least = 1 if batch is None else max(1, fit // 4)
        return min(fit - there, len(lengths)) if fit - there >= least else 0

    # -- the beginning -------------------------------------------------------------------------------------------

    def _begin(self, encoded: Sequence[Tensor], ratio: float, guess: bool) -> Batch:
        device, number = encoded[0].device, len(encoded)
        padded = pad_sequence(list(encoded), batch_first=True)
        sizes, most = [len(x) for x in encoded], self.options.maxlenratio
        lengths = torch.tensor(sizes, device=device)
        shortest = torch.tensor([_shortest(size, ratio) for size in sizes], device=device)
        longest = torch.tensor([_longest(size, most) for size in sizes], device=device)
        none = torch.full((number, 1), NEG, device=device)
        least, frames, state, states = none[:, 0], None, None, dict[str, Any]()
        if self.ctc_weight:
            # one by one: graphs in int8 choose their scale by all that they are given
            parts = [self.log_probs(x[None])[0] for x in encoded]
            log_probs = pad_sequence(parts, batch_first=True)
            frames = ctc.table(log_probs, lengths)
            state = ctc.start(frames)
            if guess:
                heard = padded, lengths, log_probs
                least, states = least_scores(self, heard, (shortest, longest))
        return Batch(
            rows=torch.arange(number, device=device),
            lengths=lengths,
            states=states or {n: s.start(padded, lengths) for n, s in self.scorers.items()},
            frames=frames,
            ctc=state,
            tokens=torch.full((number, 1), self.eos, device=device),
            score=torch.zeros(number, 1, device=device),
            ages=torch.zeros(number, dtype=torch.int64, device=device),
            shortest=shortest,
            longest=longest,
            best=none.expand(-1, self.options.nbest),
            least=least,
            ended=none.expand(-1, _LENGTHS + 2),
        )

    # -- a token more --------------------------------------------------------------------------------------------

    def _step(self, batch: Batch) -> _Chosen:
        """The best continuations of all hypotheses of each utterance."""
        scores, live = {}, batch.score > NEG
        for name, scorer in self.scorers.items():
            more = (live,) if getattr(scorer, "packs", False) else ()
            scores[name], batch.states[name] = scorer.step(batch.tokens, batch.states[name], *more)
        full = self._weighted(batch, scores)
        if batch.ctc is None:
            return self._choose(batch, full + batch.score[:, :, None], None, None, scores)
        assert batch.frames is not None
        candidates = self._candidates(full)
        said = full.gather(2, candidates)
        wanted = (candidates != ctc.BLANK) & (candidates != self.eos) & live[:, :, None]
        if self.bounded:
            wanted &= said + batch.score[:, :, None] > batch.floor[:, :, None]
        psi = ctc.score(batch.frames, batch.ctc, candidates, wanted)
        psi = torch.cat((psi, ctc.end(batch.ctc)[:, :, None]), dim=2)
        said = torch.cat((said, full[:, :, self.eos, None]), dim=2)
        candidates = F.pad(candidates, (0, 1), value=self.eos)
        joint = said + self.ctc_weight * (psi - batch.ctc.psi[:, :, None])
        joint = (joint + batch.score[:, :, None]).masked_fill_(psi < ctc.NEVER / 2, NEG)
        return self._choose(batch, joint, candidates, psi, scores)

    def _weighted(self, batch: Batch, scores: Mapping[str, Tensor]) -> Tensor:
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
        batch: Batch,
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
        batch: Batch,
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

    def _advanced(self, batch: Batch | None, history: History) -> tuple[Batch | None, list[int]]:
        """After a step: the batch, None if everybody has left it, and the rows of those who have."""
        assert batch is not None
        chosen = self._step(batch)
        lives = chosen.score > NEG
        last = batch.ages + 1 >= batch.longest
        ends = lives & ((chosen.tokens == self.eos) | last[:, None])
        counts = ends & (batch.ages >= batch.shortest)[:, None]
        score = torch.where(counts, chosen.score, NEG)
        batch.ended = torch.cat((batch.ended[:, 1:], score.amax(dim=1, keepdim=True)), dim=1)
        batch.best = torch.cat((batch.best, score), dim=1).topk(batch.best.shape[1], dim=1).values
        batch.ages = batch.ages + 1
        goes_on = lives & ~ends
        if self.bounded:
            goes_on &= chosen.score > batch.floor
        done = last | ~goes_on.any(dim=1) | self._end_detected(batch)
        stays = ~done
        widest = int((goes_on & stays[:, None]).sum(dim=1).amax())
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
        left: list[int] = batch.rows[done].tolist()
        if left:
            rows = stays.nonzero()[:, 0]
            batch = keep(batch, rows, self.scorers)
            chosen, going, goes_on = chosen.of(rows), going[rows], goes_on[rows]
        if not len(batch.rows):
            return None, left
        self._go_on(batch, chosen, going, goes_on)
        return batch, left

    def _end_detected(self, batch: Batch) -> Tensor:
        """Whether longer hypotheses have become hopeless, (U,).

        Stock counts <sos> and <eos> as tokens: it looks at what ended two steps ago and before.
        """
        if self.bounded or self.options.maxlenratio != 0.0:
            return torch.zeros_like(batch.rows, dtype=torch.bool)
        scores, best = batch.ended[:, :_LENGTHS], batch.best[:, :1]
        return ((scores > NEG) & (scores - best < _WORSE)).all(dim=1)

    def _go_on(self, batch: Batch, chosen: _Chosen, going: Tensor, goes_on: Tensor) -> None:
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
