"""LSTM language model with a residual stream.

In a YAML: `lm: espnet_ext.lm.lstm:LstmLM`.

Letters in shapes: N texts or hypotheses, L tokens, D width, Y layers, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.lm.cached import CachedLM

State = tuple[Tensor, Tensor]  # outputs and cells of all layers, (Y, N, D) each


class LstmLM(CachedLM):
    """LSTM layers beside short cuts, so that more of them do no harm, and one matrix for tokens in and out.

    ESPnet's `seq_rnn` draws its dropout as doubles and stacks each hypothesis' state in Python.

    Args:
        vocab_size: V.
        width: D.
        layers: Y.
        dropout: before each layer and before the output.
        share_embedding: one matrix for tokens that come in and go out (Press & Wolf 2017).
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 512,
        layers: int = 2,
        dropout: float = 0.2,
        share_embedding: bool = True,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, width)
        self.norms: Any = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.layers: Any = nn.ModuleList(
            nn.LSTM(width, width, batch_first=True) for _ in range(layers)
        )
        self.norm, self.dropout = nn.LayerNorm(width), ByteDropout(dropout)
        self.decoder = nn.Linear(width, vocab_size)
        nn.init.normal_(self.embed.weight, std=width**-0.5)
        nn.init.zeros_(self.decoder.bias)
        if share_embedding:
            self.decoder.weight = self.embed.weight

    def _read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Tokens (N, L) and the state before them -> logits (N, L, V) and the state behind them."""
        x = self.embed(tokens) * self.embed.embedding_dim**0.5
        outputs, cells = [], []
        for number, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            before = (
                state[0][number : number + 1].contiguous(),
                state[1][number : number + 1].contiguous(),
            )
            found, (output, cell) = layer(self.dropout(norm(x)), before)
            x = x + found
            outputs.append(output)
            cells.append(cell)
        return self.decoder(self.dropout(self.norm(x))), (torch.cat(outputs), torch.cat(cells))

    def forward(self, input: Tensor, hidden: State | None) -> tuple[Tensor, State]:
        """Tokens (N, L), beginning with <sos>, and a state or None -> logits (N, L, V) and the state behind them."""
        return self._read(input, hidden if hidden is not None else self.start(len(input)))

    def start(self, number: int = 1) -> State:
        """The state of `number` hypotheses before <sos>."""
        zeros = self.embed.weight.new_zeros(len(self.layers), number, self.embed.embedding_dim)
        return zeros, zeros

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a token of each hypothesis: (N,) -> log-probabilities of the next (N, V), and the state."""
        logits, state = self._read(tokens[:, None], state)
        return logits[:, 0].float().log_softmax(dim=-1), state

    def reorder(self, state: State, index: Tensor) -> State:
        """The hypotheses `index` (M,) of a state."""
        return state[0].index_select(1, index), state[1].index_select(1, index)

    def join(self, states: list[tuple[State, int]]) -> State:
        """One state out of hypotheses of several."""
        outputs, cells = ([state[i][:, row] for state, row in states] for i in (0, 1))
        return torch.stack(outputs, dim=1), torch.stack(cells, dim=1)
