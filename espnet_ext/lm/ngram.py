"""A back-off n-gram model over tokens, looked up for many hypotheses and all tokens at once.

A model is a tree: the children of a node are the tokens seen after it, and the node of a history without its first
token is its suffix. Nodes are numbered level by level and, on a level, by (parent, token), so that the children of
a node are neighbours and one sorted list of keys finds any child.

Letters in shapes: V tokens, K nodes, B hypotheses.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, refuse_bomb
from espnet_ext.lm import NGRAM_FILE

LN10 = float(np.log(10.0))
NEVER = (
    -99.0 * LN10
)  # what ARPA files write for a token that is never predicted: finite, so that 0 * NEVER is 0

#: Logarithm of a probability that is 1 but for the digits that files keep.
_ROUNDED = 1e-5


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by (parent, token).

    Attributes:
        parents: where the n-gram without its last token stands on the level below; (K,) int64, zeros for order 1.
        tokens: last token; (K,) int64, V stands for the start of a sentence.
        logp: natural logarithm of the probability of the last token after the others, (K,) float64.
        backoff: natural logarithm of the weight of the shorter history where a token is not listed after this
            n-gram, (K,) float64; zeros for the highest order.
    """

    parents: np.ndarray
    tokens: np.ndarray
    logp: np.ndarray
    backoff: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Ngram:
    """A back-off model: p(w | h) = p(hw) where hw is listed, else backoff(h) p(w | h without its first token).

    Attributes:
        token_list: of the recogniser, V tokens; the last one, <sos/eos>, is the end of a sentence here.
        levels: one an order; the first holds every token in the order of ids and, at V, the sentence's start.
    """

    token_list: tuple[str, ...]
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        """Longest n-gram."""
        return len(self.levels)

    @property
    def sizes(self) -> list[int]:
        """N-grams of each order."""
        return [len(level) for level in self.levels]


def save_ngram(path: str | Path, model: Ngram) -> None:
    """Write a model as .npz, whole or not at all."""
    arrays = {"token_list": np.array(model.token_list, dtype=np.str_)}
    for order, level in enumerate(model.levels, 1):
        kinds = {"parents": np.int64, "tokens": np.int32, "logp": np.float32, "backoff": np.float32}
        arrays |= {f"{k}.{order}": getattr(level, k).astype(t) for k, t in kinds.items()}
    with atomic_open(path, "wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def load_ngram(path: str | Path, token_list: list[str] | tuple[str, ...] | None = None) -> Ngram:
    """Read a model: a folder with ngram.npz in it, such a file, or an ARPA file of ours or anybody's.

    Args:
        path: the folder or file; `.arpa` and `.arpa.gz` are read as ARPA.
        token_list: of the recogniser. A model over other tokens is refused; an ARPA file needs it.

    Raises:
        UserError: if there is no such model, it is broken, or it is one over other tokens.
    """
    path = Path(path)
    path = path / NGRAM_FILE if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: no such n-gram model: run ngram_train, or correct the path")
    if path.suffix != ".npz":
        from espnet_ext.lm.arpa import read_arpa

        if token_list is None:
            raise UserError(f"{path}: an ARPA file needs a token list beside it, found none")
        return _checked(path, read_arpa(path, token_list))
    model = _checked(path, _read_npz(path))
    if token_list is not None and model.token_list != tuple(token_list):
        raise UserError(
            f"{path}: a model over {len(model.token_list)} tokens, expected one over the recogniser's "
            f"{len(token_list)}, in their order: train it with the same --tokens"
        )
    return model


def _read_npz(path: Path) -> Ngram:
    try:
        refuse_bomb(path)
        with np.load(path, allow_pickle=False) as found:
            tokens = tuple(found["token_list"].tolist())
            order = sum(name.startswith("tokens.") for name in found.files)
            levels = [
                Level(
                    found[f"parents.{n}"].astype(np.int64),
                    found[f"tokens.{n}"].astype(np.int64),
                    found[f"logp.{n}"].astype(np.float64),
                    found[f"backoff.{n}"].astype(np.float64),
                )
                for n in range(1, order + 1)
            ]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: not a whole n-gram model ({error}): train it again") from error
    return Ngram(tokens, tuple(levels))


def _checked(path: Path, model: Ngram) -> Ngram:
    """The model, with NEVER for -inf.

    Raises:
        UserError: if a figure is none, or the tables do not fit each other.
    """
    size, below, levels = len(model.token_list), 1, list[Level]()
    for order, level in enumerate(model.levels, 1):
        columns = (level.parents, level.tokens, level.logp, level.backoff)
        logp, backoff = (np.where(np.isneginf(x), NEVER, x) for x in columns[2:])
        keys = level.parents * (size + 1) + level.tokens
        fits = {len(column) for column in columns} == {len(level)} and (
            len(level) == size + 1 if order == 1 else bool((np.diff(keys) > 0).all())
        )
        inside = [(level.parents, below - 1), (level.tokens, size)]
        fits = fits and all(not len(x) or 0 <= x.min() <= x.max() <= top for x, top in inside)
        if not (fits and np.isfinite(logp).all() and np.isfinite(backoff).all()):
            raise UserError(
                f"{path}: found {order}-grams that do not fit the shorter ones, or figures that are none (NaN, "
                "infinite), expected a back-off model: train or fetch it again"
            )
        below = len(level)
        levels.append(Level(level.parents, level.tokens, logp, backoff))
    if not levels:
        raise UserError(f"{path}: found no n-grams, expected a back-off model: train it again")
    return Ngram(model.token_list, tuple(levels))


class NgramLookup:
    """Probabilities of a model for a batch of hypotheses, in tensors.

    A history is the number of a node: the longest end of it that the model knows. `start` gives that of an empty
    sentence, `advance` that of one token more.

    Args:
        model: what to look up in.
        device: where the tables lie.
    """

    def __init__(self, model: Ngram, device: str | torch.device = "cpu") -> None:
        self.size, self.order = len(model.token_list), model.order
        sizes = model.sizes
        first = np.cumsum([0, *sizes])  # number of each level's first node
        self.root = int(first[-1])  # the empty history: above the tokens, numbered behind all
        parents = [np.full(sizes[0], -1), *(p.parents + f for p, f in _pairs(model, first))]
        tokens = np.concatenate([level.tokens for level in model.levels])
        every = np.concatenate(parents)
        keys = every * (self.size + 1) + tokens
        suffixes = _suffixes(keys, every, tokens, sizes, self.size, self.root)
        children = np.searchsorted(every, np.arange(self.root + 1))
        children[self.root] = self.root  # the root's children are the first V + 1 nodes, kept apart

        def tensor(array: np.ndarray, kind: torch.dtype) -> Tensor:
            return torch.as_tensor(array, dtype=kind, device=device)

        logp = np.concatenate([level.logp for level in model.levels])
        backoff = np.concatenate(
            [*(level.backoff for level in model.levels[:-1]), np.zeros(sizes[-1] + 1)]
        )
        self.keys, self.tokens = tensor(keys, torch.int64), tensor(tokens, torch.int64)
        self.suffix = tensor(suffixes, torch.int64)
        self.first = tensor(np.append(children, self.root), torch.int64)
        self.logp, self.backoff = tensor(logp, torch.float32), tensor(backoff, torch.float32)
        self.unigrams = self.logp[: self.size].clone()
        self.longest = int(first[-2])  # nodes from here on are no history: the order ends there
        self.levels = first.tolist()

    def to(self, device: str | torch.device) -> NgramLookup:
        """The same tables elsewhere; changes this object."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def falls(self) -> bool:
        """Whether no token has a probability above 1 anywhere, as broken weights of back-off would give it one."""
        listed = torch.full((self.root + 1,), -torch.inf, device=self.keys.device)
        parents = self.keys[self.levels[1] :] // (self.size + 1)
        listed.scatter_reduce_(0, parents, self.logp[self.levels[1] :], "amax")
        most = listed.clone()  # no less than the greatest after a history
        most[self.root] = self.unigrams.max()
        for begin, end in itertools.pairwise(self.levels[:-1]):
            backed = self.backoff[begin:end] + most[self.suffix[begin:end]]
            most[begin:end] = torch.maximum(listed[begin:end], backed)
        doubtful = (most[: self.longest] > _ROUNDED).nonzero()[:, 0]
        if bool(most[self.root] > _ROUNDED):
            return False
        # what is listed hides what would be backed off to
        return all(bool((self.scores(some) <= _ROUNDED).all()) for some in doubtful.split(1024))

    def start(self, batch: int = 1) -> Tensor:
        """Histories (B,) of sentences that have only begun."""
        start = self.size if self.order > 1 else self.root
        return torch.full((batch,), start, device=self.keys.device)

    def scores(self, histories: Tensor) -> Tensor:
        """log p(w | history) for every token w: (B,) -> (B, V); <blank> has NEVER."""
        chain = [histories]
        while bool((chain[-1] != self.root).any()):
            chain.append(self.suffix[chain[-1]])
        found = self.unigrams.expand(len(histories), -1).clone()
        for nodes in reversed(chain[:-1]):  # the longest history has the last word
            found += self.backoff[nodes, None]
            rows, children = self._children(nodes)
            found[rows, self.tokens[children]] = self.logp[children]
        return found

    def _children(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """All children of nodes (B,): their rows in the batch and their numbers."""
        begin, counts = self.first[nodes], self.first[nodes + 1] - self.first[nodes]
        rows = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), counts)
        ends = counts.cumsum(0)
        within = torch.arange(len(rows), device=nodes.device) - (ends - counts)[rows]
        return rows, begin[rows] + within

    def _child(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The node of `tokens` after `nodes`, -1 where there is none; (B,), (B,) -> (B,)."""
        keys = nodes * (self.size + 1) + tokens
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        found = torch.where(self.keys[place] == keys, place, -1)
        return torch.where(nodes == self.root, tokens, found)

    def step(self, histories: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """log p(token | history) and the histories with these tokens: (B,), (B,) -> (B,), (B,)."""
        nodes, total = histories, torch.zeros(len(histories), device=histories.device)
        child = self._child(nodes, tokens)
        while bool((child < 0).any()):
            missed = child < 0
            total = torch.where(missed, total + self.backoff[nodes], total)
            nodes = torch.where(missed, self.suffix[nodes], nodes)
            child = self._child(nodes, tokens)
        total = total + self.logp[child]
        while bool((too_long := (child >= self.longest) & (child != self.root)).any()):
            child = torch.where(too_long, self.suffix[child], child)
        return total, child

    def advance(self, histories: Tensor, tokens: Tensor) -> Tensor:
        """Histories with one token more: (B,), (B,) -> (B,)."""
        return self.step(histories, tokens)[1]

    def nll(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """-log p of each token of sentences and of their end: (B, T), (B,) -> (B, T + 1), 0 behind the end."""
        found = torch.zeros(tokens.shape[0], tokens.shape[1] + 1)
        histories, end = self.start(len(tokens)), self.size - 1
        for place in range(tokens.shape[1] + 1):
            inside = place < lengths
            token = (
                tokens[:, place] if place < tokens.shape[1] else tokens.new_full(lengths.shape, end)
            )
            logp, histories = self.step(histories, torch.where(inside, token, end))
            found[:, place] = -logp.cpu()
        return found.masked_fill(torch.arange(found.shape[1]) > lengths.cpu()[:, None], 0.0)


def _pairs(model: Ngram, first: np.ndarray) -> list[tuple[Level, int]]:
    """Each level above the first with the number of the first node of the one below it."""
    return list(zip(model.levels[1:], first.tolist(), strict=False))


def _suffixes(
    keys: np.ndarray,
    parents: np.ndarray,
    tokens: np.ndarray,
    sizes: list[int],
    size: int,
    root: int,
) -> np.ndarray:
    """Node of each history without its first token; where a (foreign) model lacks it, of the next shorter one.

    Returns:
        (K + 1,), the root's own being the root.
    """
    found = np.full(root + 1, root)
    begin = sizes[0]
    for count in sizes[1:]:
        nodes = slice(begin, begin + count)
        above, token = found[parents[nodes]], tokens[nodes]
        while True:
            wanted = above * (size + 1) + token
            place = np.minimum(np.searchsorted(keys, wanted), root - 1)
            child = np.where(keys[place] == wanted, place, -1)
            child = np.where(above == root, token, child)
            if (child >= 0).all():
                break
            above = np.where(child < 0, found[above], above)
        found[nodes] = child
        begin += count
    return found
