"""The decoder's graphs as a scorer of the batched search.

Letters in shapes: U utterances, W hypotheses of each, N = U W, T encoder frames, D width, H heads, C width of a head,
Y layers, t tokens read so far, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from espnet_ext.inference.onnx_session import Session


@dataclass(frozen=True)
class DecoderPast:
    """What the decoder has read and heard.

    Attributes:
        past: keys and values of the tokens, (Y, 2, N, H, t, C).
        memory: of the encoder's output, (Y, 2, U, H, T, C).
        lengths: (U,).
        width: W.
    """

    past: np.ndarray
    memory: np.ndarray
    lengths: np.ndarray
    width: int


class OnnxDecoderScorer:
    """A `search.scorers.Scorer`.

    Args:
        memory: the graph that projects the encoder's output.
        decoder: the graph that reads a token.
    """

    def __init__(self, memory: Session, decoder: Session) -> None:
        self.memory, self.decoder = memory, decoder

    def start(self, encoded: Tensor, lengths: Tensor) -> DecoderPast:
        """One hypothesis an utterance, before <sos>: (U, T, D), (U,)."""
        (memory,) = self.memory(encoded=encoded.numpy())
        layers, two, utterances, heads, _, head = memory.shape
        past = np.zeros((layers, two, utterances, heads, 0, head), dtype=np.float32)
        return DecoderPast(past, memory, lengths.numpy(), 1)

    def step(self, tokens: Tensor, state: DecoderPast) -> tuple[Tensor, DecoderPast]:
        """Tokens (U, W) -> log-probabilities of the next (U, W, V), and the state."""
        log_probs, past = self.decoder(
            tokens=tokens.numpy(), past=state.past, memory=state.memory, lengths=state.lengths
        )
        return torch.from_numpy(log_probs), replace(state, past=past, width=tokens.shape[1])

    def reorder(self, state: DecoderPast, parents: Tensor) -> DecoderPast:
        """Hypotheses that go on from `parents` (U, W), numbers within their utterance."""
        rows = parents.numpy() + state.width * np.arange(len(parents))[:, None]
        past = state.past.take(rows.reshape(-1), axis=2)
        return replace(state, past=past, width=parents.shape[1])

    def keep(self, state: DecoderPast, rows: Tensor) -> DecoderPast:
        """The utterances `rows` (M,)."""
        kept = rows.numpy()
        hypotheses = (kept[:, None] * state.width + np.arange(state.width)).reshape(-1)
        return replace(
            state,
            past=state.past.take(hypotheses, axis=2),
            memory=state.memory.take(kept, axis=2),
            lengths=state.lengths[kept],
        )
