"""Scores of more language models for lists of hypotheses, and the lists in the order of other weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from espnet_ext.bridge.external import find_nll
from espnet_ext.bridge.search import weights_of
from espnet_ext.errors import UserError
from espnet_ext.inference.nbest import NBest
from espnet_ext.inference.speech2text import DecodeOptions, Hypothesis
from espnet_ext.train.config import check_keys

SCORED = ("ctc_weight", "lm_weight", "ngram_weight", "ilm_weight")
MORE = "more_weights"  # of models that the search does not know: name -> weight


class Rescorer:
    """A language model that scores whole hypotheses.

    Args:
        path: folder of a neural or n-gram model, or an n-gram file.
        device: where it runs.
    """

    def __init__(self, path: str | Path, device: str = "cpu") -> None:
        self.path = path
        self.nll, self.token_list = find_nll(path, device)

    @torch.no_grad()
    def scores(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        """log p of each with its end.

        Raises:
            UserError: if they were written in other tokens.
        """
        for found in hypotheses:
            self._check(found)
        lengths = torch.tensor([len(h.token_ids) for h in hypotheses])
        padded = torch.zeros(len(hypotheses), max(int(lengths.max()), 1), dtype=torch.int64)
        for row, found in zip(padded, hypotheses, strict=True):
            row[: len(found.token_ids)] = torch.tensor(found.token_ids, dtype=torch.int64)
        return (-self.nll(padded, lengths).double().sum(1)).tolist()

    def _check(self, found: Hypothesis) -> None:
        size = len(self.token_list)
        for number, token in zip(found.token_ids, found.tokens, strict=True):
            if number >= size or self.token_list[number] != token:
                has = self.token_list[number] if number < size else f"only {size} tokens"
                raise UserError(
                    f"{self.path}: token {number} is {token!r} in the hypotheses, the language model has {has!r}: "
                    "expected one trained with the same --tokens"
                )


def add_scores(lists: NBest, name: str, rescorer: Rescorer) -> NBest:
    """The lists with a model's scores under `name`, which replace what stood there."""
    found: NBest = {}
    for utt, hypotheses in lists.items():
        scores = rescorer.scores(hypotheses)
        pairs = zip(hypotheses, scores, strict=True)
        found[utt] = [replace(h, scores={**h.scores, name: score}) for h, score in pairs]
    return found


def read_weights_of(config: Mapping[str, Any], where: str) -> tuple[dict[str, float], bool]:
    """The weight of each score, and whether hypotheses are ranked by score per token.

    Args:
        config: of a decoding; beside its keys `more_weights` is known, a weight a name.
        where: its file, for the message.

    Raises:
        UserError: on an unknown key or a value that is no weight.
    """
    check_keys(config, {**vars(DecodeOptions()), MORE: None}, where)
    options = DecodeOptions(**{key: value for key, value in config.items() if key != MORE})
    more = config.get(MORE) or {}
    if options.length_alpha:
        raise UserError(
            f"{where}: found length_alpha: {options.length_alpha}, expected normalize_length or neither: lists are "
            "put in order by score or by score per token"
        )
    if not isinstance(more, Mapping) or not all(isinstance(w, (int, float)) for w in more.values()):
        raise UserError(f"{where}: {MORE}: found {more!r}, expected {{name: number, ...}}")
    return {**weights_of(options), **more}, options.normalize_length


def score_names(lists: NBest) -> list[str]:
    """The scores that every hypothesis has, "length_bonus" (what `penalty` weighs) last.

    Raises:
        UserError: if one lacks a score that another has.
    """
    names = {name for found in lists.values() for h in found for name in h.scores}
    for utt, found in lists.items():
        for hypothesis in found:
            if hypothesis.tokens and (missing := names - set(hypothesis.scores)):
                raise UserError(
                    f"utterance {utt}: {hypothesis.text!r} has no score of {', '.join(sorted(missing))}, others have: "
                    "expected lists of one decoding"
                )
    return [*sorted(names - {"length_bonus"}), "length_bonus"]


def check_weights(config: Mapping[str, Any], lists: NBest) -> None:
    """What a configuration gives weight to, the lists have scores of.

    Raises:
        UserError: if not. What is left to its default may be absent, as in a decoding.
    """
    names = score_names(lists)
    given = [key.removesuffix("_weight") for key in SCORED if config.get(key)]
    given += [name for name, weight in (config.get(MORE) or {}).items() if weight]
    absent = [name for name in given if name not in names]
    if absent and any(h.scores for found in lists.values() for h in found):
        raise UserError(
            f"found no scores of {', '.join(absent)} in the lists, only of {', '.join(names)}: add them with "
            f"--add {absent[0]}=<its model>, or give them no weight"
        )


def part(hypothesis: Hypothesis, name: str) -> float:
    """One score; the length is the tokens and the end, as in ESPnet's search. 0 where there was nothing to hear."""
    if name == "length_bonus":
        return len(hypothesis.token_ids) + 1.0
    return float(hypothesis.scores.get(name, 0.0))


def reorder(lists: NBest, weights: Mapping[str, float], per_token: bool = False) -> NBest:
    """The lists by their score under other weights, best first; a weight without scores does nothing."""
    names = score_names(lists)
    found: NBest = {}
    for utt, hypotheses in lists.items():
        rescored = []
        for h in hypotheses:
            score = sum(weights.get(name, 0.0) * part(h, name) for name in names)
            score = score / (len(h.token_ids) + 1) if per_token else score
            rescored.append(replace(h, score=score if h.scores else h.score))
        found[utt] = sorted(rescored, key=lambda h: h.score, reverse=True)
    return found
