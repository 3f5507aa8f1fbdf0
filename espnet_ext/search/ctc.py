"""CTC prefix scores of all hypotheses and candidates at once.

Watanabe et al. 2017, "Hybrid CTC/Attention Architecture", algorithm 2. With n[t] and b[t] the log-probability that the
first t frames say a prefix and end in its last token or in blank, a token c makes of a prefix

    n'[t+1] = x[t, c] + log(exp n'[t] + exp before[t]),    before = log(exp n + exp b), or b if c is the last token,
    b'[t+1] = x[t, blank] + log(exp b'[t] + exp n'[t]),
    psi(c)  = log sum over t of exp(before[t] + x[t, c]).

psi, which scores a candidate, needs the prefix' own n and b only; n' and b' are made of the few candidates that are
chosen. Both recursions are linear: with X[t] the sum of x before t, n'[t] - X[t] is a cumulative sum, in log space, of
before[s] - X[s], so that no loop over frames is needed. It is done in double precision, where X may be large.

Letters in shapes: U utterances, W hypotheses of each, S candidates of each hypothesis, T frames, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Log-probability of what cannot be.
NEVER = -1e10
BLANK = 0


@dataclass(frozen=True)
class CtcState:
    """What is kept of the hypotheses.

    Attributes:
        whole: log-probability that the first t frames say the prefix, (U, W, T + 1), double.
        blank: the same where the last of them is blank.
        psi: of the prefix, (U, W).
        last: last token, (U, W); -1 at first.
    """

    whole: Tensor
    blank: Tensor
    psi: Tensor
    last: Tensor


@dataclass(frozen=True)
class CtcTable:
    """Frames of several utterances.

    Attributes:
        rows: log-probability of token v in frame t in row u V + v, (U V, T).
        blank: sum of blank's before each frame, (U, T + 1), double.
        size: V.
    """

    rows: Tensor
    blank: Tensor
    size: int


def table(log_probs: Tensor, lengths: Tensor) -> CtcTable:
    """Log-probabilities (U, T, V) of utterances with lengths (U,); behind the end everything is blank."""
    behind = torch.arange(log_probs.shape[1], device=log_probs.device) >= lengths[:, None]
    by_token = log_probs.float().transpose(1, 2).contiguous()
    by_token.masked_fill_(behind[:, None], NEVER)
    by_token[:, BLANK].masked_fill_(behind, 0.0)
    return CtcTable(by_token.flatten(0, 1), _summed(by_token[:, BLANK]), by_token.shape[1])


def _summed(x: Tensor) -> Tensor:
    """(..., T) -> sums before each frame and of all, (..., T + 1), double."""
    return torch.nn.functional.pad(x.double().cumsum(dim=-1), (1, 0))


def start(of: CtcTable) -> CtcState:
    """The empty prefix of each utterance."""
    whole = of.blank[:, None]
    zeros = whole[:, :, 0]
    return CtcState(whole, whole, zeros.float(), torch.full_like(zeros, -1, dtype=torch.int64))


def _rows(of: CtcTable, tokens: Tensor) -> Tensor:
    """Frames of `tokens` (U, ...) -> (U, ..., T)."""
    utterances = torch.arange(len(tokens), device=tokens.device)
    index = tokens + of.size * utterances.view(-1, *[1] * (tokens.dim() - 1))
    return of.rows.index_select(0, index.flatten()).view(*tokens.shape, -1)


def score(
    of: CtcTable, state: CtcState, candidates: Tensor, wanted: Tensor | None = None
) -> Tensor:
    """psi of candidates (U, W, S) -> (U, W, S); blank and <eos> are not scored here.

    Args:
        of, state: the frames, and the hypotheses.
        candidates: tokens.
        wanted: which of them are asked for, (U, W, S); NEVER for the others. None = all.
    """
    if wanted is None:
        wanted = torch.ones_like(candidates, dtype=torch.bool)
    rows, places, numbers = wanted.nonzero(as_tuple=True)
    tokens = candidates[rows, places, numbers]
    heard = of.rows.index_select(0, tokens + of.size * rows)
    hypotheses = rows * candidates.shape[1] + places
    before = state.whole[:, :, :-1].flatten(0, 1).index_select(0, hypotheses)
    if bool((again := tokens == state.last.flatten()[hypotheses]).any()):
        blank = state.blank[:, :, :-1].flatten(0, 1).index_select(0, hypotheses)
        before = torch.where(again[:, None], blank, before)
    found = torch.full(candidates.shape, NEVER, device=candidates.device)
    found[rows, places, numbers] = torch.logsumexp(before.float().add_(heard), dim=-1)
    return found


def end(state: CtcState) -> Tensor:
    """psi of <eos>: that the prefix is all there is, (U, W)."""
    return state.whole[:, :, -1].float()


def advance(
    of: CtcTable, state: CtcState, parents: Tensor, tokens: Tensor, psi: Tensor
) -> CtcState:
    """The state of hypotheses that add a token to one of the others.

    Args:
        of: the frames.
        state: of W hypotheses an utterance.
        parents: which of these each goes on, (U, M).
        tokens: with what, (U, M).
        psi: of these, as `score` gave it, (U, M).
    """
    index = parents[:, :, None].expand(-1, -1, state.whole.shape[2])
    blank = state.blank.gather(1, index)
    repeats = tokens == state.last.gather(1, parents)
    before = torch.where(repeats[:, :, None], blank, state.whole.gather(1, index))
    summed = _summed(_rows(of, tokens))
    label = torch.full_like(before, NEVER)
    sums = torch.logcumsumexp(before[:, :, :-1] - summed[:, :, :-1], dim=-1)
    label[:, :, 1:] = sums + summed[:, :, 1:]
    blanks = of.blank[:, None]
    blank = torch.full_like(before, NEVER)
    sums = torch.logcumsumexp(label[:, :, :-1] - blanks[:, :, :-1], dim=-1)
    blank[:, :, 1:] = sums + blanks[:, :, 1:]
    return CtcState(torch.logaddexp(label, blank), blank, psi, tokens)


def keep(of: CtcTable, state: CtcState, rows: Tensor) -> tuple[CtcTable, CtcState]:
    """The utterances `rows` (M,)."""
    less = of.rows.view(-1, of.size, of.rows.shape[1])[rows].flatten(0, 1)
    parts = (state.whole, state.blank, state.psi, state.last)
    return CtcTable(less, of.blank[rows], of.size), CtcState(*(part[rows] for part in parts))


def _longer(x: Tensor, length: int) -> Tensor:
    """(..., T) with `length` columns: the last again and again, or fewer of those behind the end."""
    more = length - x.shape[-1]
    if more <= 0:
        return x[..., :length]
    return torch.cat((x, x[..., -1:].expand(*x.shape[:-1], more)), dim=-1)


def join_tables(one: CtcTable, two: CtcTable, frames: int) -> CtcTable:
    """Frames of the utterances of both, with `frames` of each: behind the end everything is blank."""
    tables = []
    for of in (one, two):
        by_token = of.rows.view(-1, of.size, of.rows.shape[1])
        if (more := frames - by_token.shape[2]) > 0:
            behind = by_token.new_full((*by_token.shape[:2], more), NEVER)
            behind[:, BLANK] = 0.0
            by_token = torch.cat((by_token, behind), dim=2)
        tables.append(by_token[:, :, :frames].flatten(0, 1))
    blank = torch.cat([_longer(of.blank, frames + 1) for of in (one, two)])
    return CtcTable(torch.cat(tables), blank, one.size)


def join_states(one: CtcState, two: CtcState, width: int, frames: int) -> CtcState:
    """Hypotheses of both, `width` places an utterance, over `frames` frames."""
    parts: list[tuple[Tensor, ...]] = []
    for state in (one, two):
        whole = _longer(state.whole, frames + 1)
        blank = state.blank
        if (more := frames + 1 - blank.shape[2]) > 0:  # behind the end every way ends in blank
            blank = torch.cat((blank, whole[:, :, -1:].expand(-1, -1, more)), dim=2)
        less = width - whole.shape[1]
        grown = (
            torch.nn.functional.pad(x, (0, 0, 0, less), value=NEVER)
            for x in (whole, blank[:, :, : frames + 1])
        )
        psi = torch.nn.functional.pad(state.psi, (0, less), value=NEVER)
        parts.append((*grown, psi, torch.nn.functional.pad(state.last, (0, less), value=-1)))
    return CtcState(*(torch.cat(pair) for pair in zip(*parts, strict=True)))
