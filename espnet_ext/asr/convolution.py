"""Depthwise convolution over time that keeps within chunks, and Conformer's module around it.

Letters in shapes: B batch, T frames, D width, K kernel.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.stream import Context


class Depthwise(nn.Conv1d):
    """One filter a channel, centred on its frame.

    In chunks (Li et al. 2023, dynamic chunk convolution) a frame sees what lies to its left as ever, and zeros
    beyond the end of its own chunk. So the same weights serve whole utterances and streams.

    Args:
        width: D.
        kernel: K, odd.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=width)
        self.reach = kernel // 2

    def forward(self, x: Tensor, context: Context) -> Tensor:  # type: ignore[override]
        """(B, T, D) -> (B, T, D)."""
        if context.speech is not None:
            x = x * context.speech
        if context.stream is not None:
            x = context.stream.join_padded(self, x, self.reach)
            return self._filter(F.pad(x, (0, 0, 0, self.reach)), 0)
        if context.chunk is not None:
            return self._by_chunks(x, context.chunk)
        return self._filter(x, self.reach)

    def _filter(self, x: Tensor, padding: int) -> Tensor:
        """(B, T, D) -> (B, T + 2 padding - K + 1, D).

        A CPU takes a third of the time, and forwards a thirtieth, if channels are seen to lie side by side in
        memory, which only images can say. The sums are the same.
        """
        x = x.transpose(1, 2)
        if x.device.type != "cpu":
            y = F.conv1d(x, self.weight, self.bias, padding=padding, groups=self.groups)
            return y.transpose(1, 2)
        image, weight = x.unsqueeze(2), self.weight.unsqueeze(2)
        y = F.conv2d(image, weight, self.bias, padding=(0, padding), groups=self.groups)
        return y.squeeze(2).transpose(1, 2)

    def _by_chunks(self, x: Tensor, chunk: int) -> Tensor:
        """Each chunk with what lies to its left, as if it were an utterance of its own."""
        batch, length, width = x.shape
        chunks = -(-length // chunk)
        x = F.pad(x, (0, 0, self.reach, chunks * chunk - length))
        windows = x.unfold(1, self.reach + chunk, chunk).flatten(0, 1).transpose(1, 2)
        y = self._filter(F.pad(windows, (0, 0, 0, self.reach)), 0)
        return y.reshape(batch, chunks * chunk, width)[:, :length]


class ConvolutionModule(nn.Module):
    """Conformer's convolution (Gulati et al. 2020, fig. 2), with LayerNorm in place of BatchNorm.

    LayerNorm makes a batch of padded utterances give what each gives alone.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.depthwise = Depthwise(width, kernel)
        self.inner_norm = nn.LayerNorm(width)
        self.narrow = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = self.depthwise(F.glu(self.widen(self.norm(x)), dim=-1), context)
        return self.narrow(F.silu(self.inner_norm(x)))
