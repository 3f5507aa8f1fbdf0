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
        looked: how much all tokens of each hypothesis looked at each frame, (U, W, T); None where nobody asks.
    """

    past: np.ndarray
    memory: np.ndarray
    lengths: np.ndarray
    width: int
    looked: Tensor | None = None


class OnnxDecoderScorer:
    """A `search.scorers.Scorer`.

    Args:
        memory: the graph that projects the encoder's output.
        decoder: the graph that reads a token.
        threshold: frames that its tokens together looked at more than that are covered; None = nobody asks.

    Attributes:
        gain: by how many frames the last token read made each hypothesis' coverage grow, (U, W).
    """

    def __init__(self, memory: Session, decoder: Session, threshold: float | None = None) -> None:
        self.memory, self.decoder, self.threshold = memory, decoder, threshold
        self.gain: Tensor | None = None

    def start(self, encoded: Tensor, lengths: Tensor) -> DecoderPast:
        """One hypothesis an utterance, before <sos>: (U, T, D), (U,)."""
        (memory,) = self.memory(encoded=encoded.numpy())
        layers, two, utterances, heads, _, head = memory.shape
        past = np.zeros((layers, two, utterances, heads, 0, head), dtype=np.float32)
        looked = None
        if self.threshold is not None:
            looked = torch.zeros(utterances, 1, encoded.shape[1])
        return DecoderPast(past, memory, lengths.numpy(), 1, looked)

    def step(self, tokens: Tensor, state: DecoderPast) -> tuple[Tensor, DecoderPast]:
        """Tokens (U, W) -> log-probabilities of the next (U, W, V), and the state."""
        log_probs, past, *more = self.decoder(
            tokens=tokens.numpy(), past=state.past, memory=state.memory, lengths=state.lengths
        )
        looked = None
        if state.looked is not None and self.threshold is not None:
            looked = state.looked + torch.from_numpy(more[0])
            grown = (looked > self.threshold).sum(dim=2) - (state.looked > self.threshold).sum(
                dim=2
            )
            self.gain = grown.float()
        after = replace(state, past=past, width=tokens.shape[1], looked=looked)
        return torch.from_numpy(log_probs), after

    def reorder(self, state: DecoderPast, parents: Tensor) -> DecoderPast:
        """Hypotheses that go on from `parents` (U, W), numbers within their utterance."""
        rows = parents.numpy() + state.width * np.arange(len(parents))[:, None]
        past = state.past.take(rows.reshape(-1), axis=2)
        looked = state.looked
        if looked is not None:
            looked = looked.gather(1, parents[:, :, None].expand(-1, -1, looked.shape[2]))
        return replace(state, past=past, width=parents.shape[1], looked=looked)

    def keep(self, state: DecoderPast, rows: Tensor) -> DecoderPast:
        """The utterances `rows` (M,)."""
        kept = rows.numpy()
        hypotheses = (kept[:, None] * state.width + np.arange(state.width)).reshape(-1)
        return replace(
            state,
            past=state.past.take(hypotheses, axis=2),
            memory=state.memory.take(kept, axis=2),
            lengths=state.lengths[kept],
            looked=None if state.looked is None else state.looked[rows],
        )


class OnnxDecoderAlone(OnnxDecoderScorer):
    """The decoder with nothing to hear: one frame of zeros (see bridge.external.DecoderAlone)."""

    def start(self, encoded: Tensor, lengths: Tensor) -> DecoderPast:
        return super().start(torch.zeros_like(encoded[:, :1]), torch.ones_like(lengths))
