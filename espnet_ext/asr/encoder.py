"""CNN front end + blocks of four families, light enough for a CPU, for whole utterances and for streams.

Letters in shapes: B batch, T feature frames, S = about T / subsampling, F features, D model width, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor, nn

from espnet_ext.asr.attention import SelfAttention
from espnet_ext.asr.chunks import Chunks, attention_mask, chunk_mask
from espnet_ext.asr.dropout import Noise, StochasticDepth, checked
from espnet_ext.asr.families import Family
from espnet_ext.asr.positions import make_places
from espnet_ext.asr.stream import Context, Stream, length_mask
from espnet_ext.asr.subsampling import ConvSubsampling

Middle = list[tuple[int, Tensor]]


def _initialise(module: nn.Module) -> None:
    """Glorot weights and no bias: torch's own start leaves attention a hundredth of what passes beside it."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias) if module.bias is not None else None


class CnnConformerEncoder(AbsEncoder):
    """Convolutional subsampling, then Conformer, Transformer, E-Branchformer or Zipformer-type blocks.

    Args:
        input_size: F, features a frame.
        output_size: D.
        num_blocks: encoder blocks.
        attention_heads: heads of each.
        linear_units: inner width of the feed-forward parts.
        kernel: of the depthwise convolution, odd; 0 for plain Transformer blocks.
        strides: of the convolutional front end; their product is the subsampling.
        channels: of the front end's layers.
        dropout_rate: of inner and outer activations.
        attention_dropout_rate: of attention weights; 0 lets a CPU use its fused kernel.
        layer_drop: probability of leaving out a block of each batch in training (Fan et al. 2019).
        block: conformer, transformer, e_branchformer or zipformer.
        positions: rotary, relative (Transformer-XL), absolute (sinusoidal), learned or none. Zipformer blocks have
            relative ones of their own.
        longest: encoder frames that learned positions reach.
        gate_units: width of E-Branchformer's gated branch; 0 for linear_units.
        merge_kernel: of E-Branchformer's merge, odd.
        resolutions: of Zipformer's stacks, frames that become one; each has as many of the blocks.
        stochastic_depth: probability of an utterance to go past the last block in training; it grows linearly
            from the first (Huang et al. 2016).
        input_noise: deviation of the noise on features in training (normalised ones have about 1).
        hidden_noise: deviation of the noise before each block in training (LayerNorm gives about 1).
        interctc_layer_idx: blocks (Zipformer: stacks), counted from 1, whose normalised output intermediate CTC sees.
        interctc_use_conditioning: add what it predicts to the next block's input (Nozaki & Komatsu 2021).
        chunk: `Chunks` as a mapping, for dynamic chunk training and streaming; None for whole utterances.

    Attributes:
        conditioning_layer: V -> D; the model around the encoder puts it there if interctc_use_conditioning.
        decoding_chunk: encoder frames in a chunk outside training; None for whole utterances.

    Raises:
        ValueError: for an even kernel, a width that the heads do not divide, or an option out of its range.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int = 144,
        num_blocks: int = 8,
        attention_heads: int = 4,
        linear_units: int = 576,
        kernel: int = 15,
        strides: Sequence[int] = (2, 2),
        channels: int = 32,
        dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.0,
        layer_drop: float = 0.0,
        block: str = "conformer",
        positions: str = "rotary",
        longest: int = 2048,
        gate_units: int = 0,
        merge_kernel: int = 3,
        resolutions: Sequence[int] = (1, 2, 4, 2),
        stochastic_depth: float = 0.0,
        input_noise: float = 0.0,
        hidden_noise: float = 0.0,
        interctc_layer_idx: Sequence[int] = (),
        interctc_use_conditioning: bool = False,
        chunk: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        family = Family(
            block=block,
            positions=positions,
            width=output_size,
            heads=attention_heads,
            inner=linear_units,
            kernel=kernel,
            dropout=dropout_rate,
            attention_dropout=attention_dropout_rate,
            gate=gate_units,
            merge_kernel=merge_kernel,
            resolutions=tuple(resolutions),
        )
        self._output_size, self.layer_drop = output_size, checked("layer_drop", layer_drop)
        self.subsampling = ConvSubsampling(
            input_size, output_size, tuple(strides), channels, dropout_rate
        )
        self.blocks = nn.ModuleList(family.make(num_blocks))
        self.norm = nn.Identity() if family.ends_normalised else nn.LayerNorm(output_size)
        self.apply(_initialise)
        self.places = make_places(positions, longest, output_size)
        self._randomise(stochastic_depth, input_noise, hidden_noise)
        self._intermediate(interctc_layer_idx, interctc_use_conditioning)
        self._streaming(chunk, block)

    def _randomise(self, depth: float, input_noise: float, hidden_noise: float) -> None:
        number = len(self.blocks)
        self.depth = nn.ModuleList(StochasticDepth(depth * (n + 1) / number) for n in range(number))
        self.input_noise, self.hidden_noise = Noise(input_noise), Noise(hidden_noise)

    def _intermediate(self, layers: Sequence[int], conditioning: bool) -> None:
        self.interctc_layer_idx, self.interctc_use_conditioning = list(layers), conditioning
        self.conditioning_layer: nn.Module | None = None
        if layers and not 0 < min(layers) <= max(layers) < len(self.blocks):
            raise ValueError(
                f"found interctc_layer_idx {list(layers)}, expected numbers from 1 to {len(self.blocks) - 1}"
            )

    def _streaming(self, chunk: Mapping[str, Any] | None, block: str) -> None:
        self.can_stream = block != "zipformer" and min(self.subsampling.strides) >= 2
        self.chunks = None if chunk is None else Chunks.read(chunk)
        self.decoding_chunk = self.chunks.decode if self.chunks else None
        if chunk is not None and not self.can_stream:
            raise ValueError(
                f"found chunk with block {block} and strides {self.subsampling.strides}, expected another block than "
                "zipformer and strides of 2 or more"
            )

    def output_size(self) -> int:
        """D."""
        return self._output_size

    def forward(
        self,
        xs_pad: Tensor,
        ilens: Tensor,
        prev_states: Tensor | None = None,
        ctc: Any = None,
    ) -> tuple[Tensor | tuple[Tensor, Middle], Tensor, None]:
        """Features (B, T, F) and lengths (B,) -> (B, S, D), lengths (B,) and no state.

        With interctc_layer_idx the first is (output, [(layer, its output), ...]).

        Args:
            xs_pad: anything may stand beyond an utterance's length.
            ilens: 1 or more each.
            prev_states: not used.
            ctc: ESPnet's CTC, for interctc_use_conditioning.
        """
        x, lengths = self.subsampling(self.input_noise(xs_pad), ilens)
        x, middle = self._blocks(self.places(x, 0), self._whole(x, lengths), ctc)
        return ((x, middle) if self.interctc_layer_idx else x), lengths, None

    def _whole(self, x: Tensor, lengths: Tensor) -> Context:
        """For whole utterances (B, S, D)."""
        length = x.shape[1]
        mask = length_mask(lengths, length)
        # what is exported has to serve any batch; asking a tensor would also fix the answer there
        exported = torch.jit.is_tracing() or torch.compiler.is_compiling()
        speech = mask[..., None] if exported or not bool(mask.all()) else None
        chunk = self._chunk()
        left = self.chunks.left if self.chunks else None
        within = None if chunk is None else chunk_mask(length, chunk, left, x.device)
        attend = attention_mask(speech, within)
        return Context(self._positions(length, length, x.device), attend, speech, chunk)

    def _chunk(self) -> int | None:
        if self.training:
            return self.chunks.draw() if self.chunks else None
        return self.decoding_chunk

    def _positions(self, queries: int, keys: int, device: torch.device) -> Any:
        attention = getattr(self.blocks[0], "attention", None)
        if not isinstance(attention, SelfAttention):
            return None
        return attention.table(queries, keys, device)

    def _blocks(self, x: Tensor, context: Context, ctc: Any) -> tuple[Tensor, Middle]:
        """(B, S, D) -> (B, S, D) and what intermediate CTC sees."""
        middle: Middle = []
        for number, (block, depth) in enumerate(zip(self.blocks, self.depth, strict=True), 1):
            if not self._left_out():
                x = depth(x, block(self.hidden_noise(x), context))
            if number in self.interctc_layer_idx:
                middle.append((number, self.norm(x)))
                x = self._conditioned(x, middle[-1][1], ctc)
        return self.norm(x), middle

    def _left_out(self) -> bool:
        return self.training and self.layer_drop > 0 and float(torch.rand(())) < self.layer_drop

    def _conditioned(self, x: Tensor, seen: Tensor, ctc: Any) -> Tensor:
        """Self-conditioning: x and what CTC makes of the layer's output."""
        if not self.interctc_use_conditioning:
            return x
        if ctc is None or self.conditioning_layer is None:
            raise ValueError(
                "found no CTC, expected one for interctc_use_conditioning: call encoder(x, lengths, ctc=model.ctc) "
                "of a model"
            )
        return x + self.conditioning_layer(ctc.softmax(seen))

    # -- streams ----------------------------------------------------------------------------------------------------

    def start_stream(self, chunk: int, left: int | None = None) -> Stream:
        """A stream at its beginning.

        Args:
            chunk: encoder frames worked on at a time: subsampling.factor times as many feature frames.
            left: chunks before its own that a frame attends to; None for those of training.

        Raises:
            ValueError: for an encoder that cannot stream.
        """
        if not self.can_stream or chunk < 1:
            raise ValueError(
                f"found a stream of chunks of {chunk}, expected 1 or more, no zipformer and strides of 2 or more"
            )
        left = self.chunks.left if left is None and self.chunks else left
        return Stream(chunk, None if left is None else chunk * left)

    @torch.no_grad()
    def forward_chunk(self, x: Tensor, stream: Stream, ctc: Any = None) -> tuple[Tensor, Stream]:
        """The next features (B, T, F) of a stream -> (B, S, D) and the stream after them.

        Together the outputs are those of `forward` with decoding_chunk = stream.chunk in evaluation. All utterances
        of a batch have the same length. The given stream is left as it was.

        Args:
            x: stream.chunk * subsampling.factor frames; fewer end the stream.
            stream: from `start_stream` or the call before.
            ctc: as for `forward`.

        Raises:
            ValueError: for too many frames, none, or a stream that has ended.
        """
        frames = stream.chunk * self.subsampling.factor
        if stream.ended or not 0 < x.shape[1] <= frames:
            raise ValueError(
                f"found {x.shape[1]} frames for a stream that {'has ended' if stream.ended else 'goes on'}, "
                f"expected 1 to {frames}, fewer than {frames} only at its end"
            )
        stream = replace(stream, frames=dict(stream.frames), ended=x.shape[1] < frames)
        y = self.subsampling.forward_chunk(x, stream)
        length = y.shape[1]
        y = self.places(y, stream.position)
        table = self._positions(length, stream.past + length, x.device)
        y, _ = self._blocks(y, Context(table, stream=stream), ctc)
        stream.position += length
        return y, stream
