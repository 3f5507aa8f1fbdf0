"""What scores a hypothesis besides the recogniser, as ESPnet's beam search asks for it.

Language models, n-grams, and the language model that sits in a decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_ext.bridge.imports import legacy
from espnet_ext.bridge.load import load_model
from espnet_ext.errors import UserError
from espnet_ext.lm import NGRAM_FILE
from espnet_ext.lm.ngram import NgramLookup, load_ngram

LM_WEIGHTS = "valid.loss.ave.pth"
_Single: Any = legacy("nets.scorer_interface").ScorerInterface
_Batched: Any = legacy("nets.scorer_interface").BatchScorerInterface


class NgramScorer(torch.nn.Module, _Batched):  # type: ignore[misc]
    """An n-gram model in the search: every token of every hypothesis in one look-up.

    The state of a hypothesis is its history, 0-dimensional int64; None before <sos>.
    """

    def __init__(self, lookup: NgramLookup) -> None:
        super().__init__()
        self.lookup = lookup

    def _apply(self, *args: Any, **options: Any) -> Any:
        """Tables go where the search goes."""
        super()._apply(*args, **options)
        self.lookup.to(args[0](torch.zeros(0)).device)
        return self

    def batch_score(self, ys: Tensor, states: list[Any], xs: Tensor) -> tuple[Tensor, list[Any]]:
        """Prefixes (B, L), states of B hypotheses, anything -> (B, V), states."""
        if states[0] is None:
            histories = self.lookup.start(len(ys))
            for tokens in ys[:, 1:].T:  # a search may begin with a prompt
                histories = self.lookup.advance(histories, tokens)
        else:
            histories = self.lookup.advance(torch.stack(states), ys[:, -1])
        return self.lookup.scores(histories), list(histories)

    def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        """A prefix (L,), its state, anything -> (V,), state."""
        scores, states = self.batch_score(y[None], [state], x)
        return scores[0], states[0]


class DecoderAlone(torch.nn.Module):
    """The decoder with nothing to hear, which leaves the language model inside it (ILME, Meng et al. 2021).

    What the encoder gives is replaced by one frame of zeros: attention over it is the same for every query.

    Args:
        decoder: scores one hypothesis at a time, or several.
    """

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    @staticmethod
    def _silence(x: Tensor) -> Tensor:
        """(..., T, D) -> (..., 1, D), zeros."""
        return torch.zeros_like(x[..., :1, :])

    def init_state(self, x: Tensor) -> Any:
        return self.decoder.init_state(self._silence(x))

    def batch_init_state(self, x: Tensor) -> Any:
        return self.decoder.batch_init_state(self._silence(x))

    def select_state(self, state: Any, i: int, new_id: int | None = None) -> Any:
        return self.decoder.select_state(state, i, new_id)

    def final_score(self, state: Any) -> float:
        return float(self.decoder.final_score(state))

    def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, Any]:
        """A prefix (L,), its state, the encoder's output (T, D) -> (V,), state."""
        scores, state = self.decoder.score(y, state, self._silence(x))
        return scores, state


class _SingleAlone(DecoderAlone, _Single):  # type: ignore[misc]
    """Of a decoder that scores one hypothesis at a time."""


class _BatchedAlone(DecoderAlone, _Batched):  # type: ignore[misc]
    """Of a decoder that scores several."""

    def batch_score(self, ys: Tensor, states: list[Any], xs: Tensor) -> tuple[Tensor, list[Any]]:
        """Prefixes (B, L), states, the encoder's output (B, T, D) -> (B, V), states."""
        scores, states = self.decoder.batch_score(ys, states, self._silence(xs))
        return scores, states


def decoder_alone(decoder: Any) -> DecoderAlone:
    """The scorer of the language model inside a decoder, for as many hypotheses at once as the decoder takes."""
    return (_BatchedAlone if isinstance(decoder, _Batched) else _SingleAlone)(decoder)


def neural_scorer(
    config: str | Path, weights: str | Path | None, token_list: Sequence[str], device: str = "cpu"
) -> Any:
    """The AbsLM of a trained language model.

    Raises:
        UserError: if it is one over other tokens.
    """
    model, settings = load_model("lm", config, weights, device)
    if list(settings["token_list"]) != list(token_list):
        raise UserError(
            f"{config}: a language model over {len(settings['token_list'])} tokens, expected one over the "
            f"recogniser's {len(token_list)}, in their order: train it with the same --tokens"
        )
    return model.lm


def _is_neural(path: Path) -> bool:
    return (path / "config.yaml").is_file() and not (path / NGRAM_FILE).is_file()


def find_scorer(path: str | Path, token_list: Sequence[str], device: str = "cpu") -> Any:
    """A language model by its folder (neural or n-gram) or n-gram file.

    Raises:
        UserError: if there is none, or it is one over other tokens.
    """
    path = Path(path)
    if _is_neural(path):
        return neural_scorer(path / "config.yaml", path / LM_WEIGHTS, token_list, device)
    return NgramScorer(NgramLookup(load_ngram(path, tuple(token_list)), device))


def scorer_files(path: str | Path) -> list[Path]:
    """The files that a language model is made of."""
    path = Path(path)
    if _is_neural(path):
        return [path / "config.yaml", path / LM_WEIGHTS]
    return [path / NGRAM_FILE if path.is_dir() else path]


def find_nll(
    path: str | Path, device: str = "cpu"
) -> tuple[Callable[[Tensor, Tensor], Tensor], list[str]]:
    """What scores whole sentences, and its tokens; the model is a folder (neural or n-gram) or an n-gram file.

    Returns:
        a function of tokens (B, T) and lengths (B,) that gives -log p of each token and of the end, (B, T + 1), 0
        behind it.

    Raises:
        UserError: if there is no such model.
    """
    path = Path(path)
    if not _is_neural(path):
        ngram = load_ngram(path)
        return NgramLookup(ngram, device).nll, list(ngram.token_list)
    model, settings = load_model("lm", path / "config.yaml", path / LM_WEIGHTS, device)

    def nll(tokens: Tensor, lengths: Tensor) -> Tensor:
        return model.nll(tokens.to(device), lengths.to(device))[0]

    return nll, list(settings["token_list"])
