"""Decoders and language models as the batched search reads them, stock ESPnet's and ours: bare weights.

What has another build (other layers, another order of its parts) is not read; the search around stock's classes
takes it then.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espnet_ext.search.weights import Affine, Cross, Layer, Norm, Stack


def _name(part: Any) -> str:
    """Module and class, without the two places where versions of ESPnet keep the same."""
    kind = type(part)
    module = kind.__module__.replace("espnet2.legacy.", "espnet.")
    return f"{module}:{kind.__qualname__}"


_DECODERS = (
    "espnet2.asr.decoder.transformer_decoder:TransformerDecoder",
    "espnet_ext.asr.decoder:CachedTransformerDecoder",
)
_LM = "espnet2.lm.transformer_lm:TransformerLM"
_OUR_LM = "espnet_ext.lm.transformer:TransformerLM"
_POSITIONS = {
    "espnet.nets.pytorch_backend.transformer.embedding:PositionalEncoding": "sinusoids",
    "torch.nn.modules.container:Sequential": "none",
}
_ATTENTION = (
    "espnet.nets.pytorch_backend.transformer.attention:MultiHeadedAttention",
    "espnet_ext.asr.decoder_layers:CachedAttention",
)
_PLAIN_FEED = (
    "espnet.nets.pytorch_backend.transformer.positionwise_feed_forward:PositionwiseFeedForward"
)


def _affine(part: Any, scale: float = 1.0) -> Affine:
    bias = None if part.bias is None else part.bias.detach() * scale
    return Affine(part.weight.detach() * scale if scale != 1.0 else part.weight.detach(), bias)


def _joined(*parts: Affine) -> Affine:
    """Several of one input, as one."""
    biases = [torch.zeros(len(p.weight)).to(p.weight) if p.bias is None else p.bias for p in parts]
    return Affine(torch.cat([p.weight for p in parts]), torch.cat(biases))


def _norm(part: Any) -> Norm:
    return Norm(part.weight.detach(), part.bias.detach(), part.eps)


def _inward(attention: Any) -> Affine:
    scale = float(attention.d_k) ** -0.5
    return _joined(
        _affine(attention.linear_q, scale), _affine(attention.linear_k), _affine(attention.linear_v)
    )


def _cross(layer: Any) -> Cross:
    attention = layer.src_attn
    query = _affine(attention.linear_q, float(attention.d_k) ** -0.5)
    memory = _joined(_affine(attention.linear_k), _affine(attention.linear_v))
    return Cross(_norm(layer.norm2), query, memory, _affine(attention.linear_out))


def _feed(part: Any) -> tuple[Affine, Affine]:
    if isinstance(part, torch.nn.ModuleDict):
        return _affine(part["w_1"]), _affine(part["w_2"])
    return _affine(part.w_1), _affine(part.w_2)


def _layer(layer: Any) -> Layer:
    crosses = hasattr(layer, "src_attn")
    return Layer(
        _norm(layer.norm1),
        _inward(layer.self_attn),
        _affine(layer.self_attn.linear_out),
        _cross(layer) if crosses else None,
        _norm(layer.norm3 if crosses else layer.norm2),
        *_feed(layer.feed_forward),
    )


def _is_usual(layer: Any) -> bool:
    """Norms first, nothing concatenated, ESPnet's plain attention and feed-forward."""
    attentions = [getattr(layer, n) for n in ("self_attn", "src_attn") if hasattr(layer, n)]
    feed = layer.feed_forward
    plain = isinstance(feed, torch.nn.ModuleDict) or (
        _name(feed) == _PLAIN_FEED and isinstance(feed.activation, torch.nn.ReLU)
    )
    return (
        getattr(layer, "normalize_before", True)
        and not getattr(layer, "concat_after", False)
        and getattr(layer, "sequential_attn", None) is None
        and plain
        and all(_name(a) in _ATTENTION for a in attentions)
        and all(
            isinstance(getattr(a, "q_norm", None), (torch.nn.Identity, type(None)))
            for a in attentions
        )
    )


def read_decoder(decoder: Any) -> Stack | None:
    """The weights of an attention decoder; None if it is none of those known here."""
    if _name(decoder) not in _DECODERS or decoder.output_layer is None:
        return None
    ours = _name(decoder) == _DECODERS[1]
    first, places = decoder.embed[0], decoder.embed[1]
    known = ours or (
        len(decoder.embed) == 2
        and isinstance(first, torch.nn.Embedding)
        and _POSITIONS.get(_name(places)) == "sinusoids"
        and decoder.normalize_before
    )
    if not known or not all(_is_usual(layer) for layer in decoder.decoders):
        return None
    return Stack(
        first.weight.detach() * first.embedding_dim**0.5,
        decoder.decoders[0].self_attn.h,
        tuple(_layer(layer) for layer in decoder.decoders),
        _norm(decoder.after_norm),
        _affine(decoder.output_layer),
        "rotary" if ours and decoder.rotary else "sinusoids",
    )


def read_lm(lm: Any) -> Stack | None:
    """The weights of a Transformer language model; None if it is none of those known here."""
    if _name(lm) == _OUR_LM:
        return _our_lm(lm)
    if _name(lm) != _LM:
        return None
    encoder = lm.encoder
    positions = _POSITIONS.get(_name(encoder.embed[-1]))
    if positions is None or not encoder.normalize_before:
        return None
    layers = [encoder.encoders[i] for i in range(len(encoder.encoders))]
    if not layers or not all(_is_usual(layer) for layer in layers):
        return None
    return Stack(
        _stock_vectors(lm, positions),
        layers[0].self_attn.h,
        tuple(_layer(layer) for layer in layers),
        _norm(encoder.after_norm),
        _affine(lm.decoder),
        positions,
        hides_blank=True,
    )


def _stock_vectors(lm: Any, positions: str) -> Tensor:
    """What each token brings into the first layer, (V, D): nothing in it depends on the others."""
    with torch.no_grad():
        x = lm.embed.weight
        for part in lm.encoder.embed[:-1]:
            if not isinstance(part, torch.nn.Dropout):
                x = part(x)
        return x * (x.shape[1] ** 0.5 if positions == "sinusoids" else 1.0)


def _our_layer(layer: Any, head_width: int) -> Layer:
    query, key, value = (
        Affine(w, b)
        for w, b in zip(
            layer.project_in.weight.detach().chunk(3),
            layer.project_in.bias.detach().chunk(3),
            strict=True,
        )
    )
    scale = float(head_width) ** -0.5
    inward = _joined(Affine(query.weight * scale, query.bias * scale), key, value)  # type: ignore[operator]
    feed = layer.feed
    return Layer(
        _norm(layer.norm),
        inward,
        _affine(layer.project_out),
        None,
        _norm(feed[0]),
        _affine(feed[1]),
        _affine(feed[4]),
    )


def _our_lm(lm: Any) -> Stack | None:
    if not len(lm.layers):
        return None
    return Stack(
        lm.embed.weight.detach() * lm.embed.embedding_dim**0.5,
        lm.layers[0].heads,
        tuple(_our_layer(layer, lm.head_width) for layer in lm.layers),
        _norm(lm.norm),
        _affine(lm.decoder),
        "rotary",
        silu=True,
    )


class StockRecurrence:
    """Stock's recurrent language model with a state that a search can start, step and reorder.

    Args:
        lm: a SequentialRNNLM.
    """

    def __init__(self, lm: Any) -> None:
        self.lm = lm

    def start(self, number: int = 1) -> Any:
        """None: torch begins with zeros."""
        return None

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a token of each hypothesis (N,) -> log-probabilities of the next (N, V), and the state."""
        logits, state = self.lm(tokens[:, None], state)
        return logits[:, 0].float().log_softmax(dim=-1), state

    def reorder(self, state: Any, index: Tensor) -> Any:
        """The hypotheses `index` (M,)."""
        if isinstance(state, tuple):
            return tuple(part.index_select(1, index) for part in state)
        return None if state is None else state.index_select(1, index)
