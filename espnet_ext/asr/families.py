"""The families of encoder blocks, and which options make sense together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from espnet_ext.asr.attention import SelfAttention, make_attention
from espnet_ext.asr.blocks import Block
from espnet_ext.asr.ebranchformer import EBranchformerBlock
from espnet_ext.asr.positions import KINDS
from espnet_ext.asr.zipformer import make_stacks

FAMILIES = ("conformer", "transformer", "e_branchformer", "zipformer")


@dataclass(frozen=True)
class Family:
    """What the blocks of an encoder are; see `CnnConformerEncoder` for each field.

    Raises:
        ValueError: for a family, positions or a kernel that there are none of.
    """

    block: str
    positions: str
    width: int
    heads: int
    inner: int
    kernel: int
    dropout: float
    attention_dropout: float
    gate: int
    merge_kernel: int
    resolutions: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, known in (("block", FAMILIES), ("positions", KINDS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"found {name} {getattr(self, name)!r}, expected one of {', '.join(known)}"
                )
        for kernel in (self.kernel, self.merge_kernel):
            if kernel and kernel % 2 == 0:
                raise ValueError(f"found kernel {kernel}, expected an odd number or 0")
        if not (self.kernel or self.block in ("conformer", "transformer")):
            raise ValueError(f"found kernel 0, expected an odd number for block {self.block}")

    @property
    def ends_normalised(self) -> bool:
        """Whether each block's output has passed a norm, so that the encoder needs no other."""
        return self.kernel > 0 and self.block != "transformer"

    def make(self, number: int) -> Sequence[nn.Module]:
        """So many blocks; Zipformer's come in stacks."""
        if self.block == "zipformer":
            sizes = (self.width, self.heads, self.inner, self.kernel, self.dropout)
            return make_stacks(number, self.resolutions, *sizes)
        return [self._block() for _ in range(number)]

    def _block(self) -> nn.Module:
        attention = self.attention()
        if self.block != "e_branchformer":
            kernel = self.kernel if self.ends_normalised else 0
            return Block(attention, self.width, self.inner, kernel, self.dropout)
        kernels = (self.kernel, self.merge_kernel)
        gate = self.gate or self.inner
        return EBranchformerBlock(attention, self.width, self.inner, gate, *kernels, self.dropout)

    def attention(self) -> SelfAttention:
        """The attention of one block."""
        return make_attention(self.positions, self.width, self.heads, self.attention_dropout)
