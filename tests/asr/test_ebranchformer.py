"""The E-Branchformer block is ESPnet's, weight by weight; its gate begins open."""

import torch
from espnet.nets.pytorch_backend.nets_utils import get_activation
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.positionwise_feed_forward import (
    PositionwiseFeedForward,
)
from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoderLayer
from espnet2.asr.layers.cgmlp import ConvolutionalGatingMLP

from espnet_ext.asr.attention import SelfAttention
from espnet_ext.asr.ebranchformer import EBranchformerBlock, GatingBranch
from espnet_ext.asr.stream import Context

WIDTH, HEADS, INNER, GATE, KERNEL, MERGE = 8, 2, 12, 20, 5, 3
PAIRS = {
    "first.0": "norm_ff_macaron",
    "first.1": "feed_forward_macaron.w_1",
    "first.4": "feed_forward_macaron.w_2",
    "norm": "norm_mha",
    "attention.project_out": "attn.linear_out",
    "gating.norm": "norm_mlp",
    "gating.widen": "cgmlp.channel_proj1.0",
    "gating.gate_norm": "cgmlp.csgu.norm",
    "gating.depthwise": "cgmlp.csgu.conv",
    "gating.narrow": "cgmlp.channel_proj2",
    "merge": "depthwise_conv_fusion",
    "project": "merge_proj",
    "second.0": "norm_ff",
    "second.1": "feed_forward.w_1",
    "second.4": "feed_forward.w_2",
    "last": "norm_final",
}


def stock():
    """ESPnet's block without positions, its weights far from their start."""
    torch.manual_seed(0)
    forward = [PositionwiseFeedForward(WIDTH, INNER, 0.0, get_activation("swish")) for _ in "ab"]
    layer = EBranchformerEncoderLayer(
        WIDTH,
        MultiHeadedAttention(HEADS, WIDTH, 0.0),
        ConvolutionalGatingMLP(WIDTH, GATE, KERNEL, 0.0, False, "identity"),
        *forward,
        dropout_rate=0.0,
        merge_conv_kernel=MERGE,
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    for module in layer.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5  # ESPnet's is 1e-12
    return layer.eval()


def test_it_is_espnets_block():
    theirs = stock()
    attention = SelfAttention(WIDTH, HEADS)
    ours = EBranchformerBlock(attention, WIDTH, INNER, GATE, KERNEL, MERGE, 0.0).eval()
    given = theirs.state_dict()
    weights = {
        f"{mine}.{part}": given[f"{name}.{part}"]
        for mine, name in PAIRS.items()
        for part in ("weight", "bias")
    }
    for part in ("weight", "bias"):
        parts = [given[f"attn.linear_{letter}.{part}"] for letter in "qkv"]
        weights[f"attention.project_in.{part}"] = torch.cat(parts)
    ours.load_state_dict(weights)  # strict: nothing is left over on our side
    assert len(weights) == len(given) - 4
    x = torch.randn(2, 13, WIDTH)
    with torch.no_grad():
        expected, _ = theirs(x, torch.ones(2, 1, 13, dtype=torch.bool))
        assert torch.allclose(ours(x, Context()), expected, atol=1e-5)


def test_the_gate_begins_open():
    torch.manual_seed(0)
    branch, x = GatingBranch(WIDTH, GATE, KERNEL, 0.0), torch.randn(2, 9, WIDTH)
    half = torch.nn.functional.gelu(branch.widen(branch.norm(x))).chunk(2, dim=-1)[0]
    assert torch.allclose(branch(x, Context()), branch.narrow(half), atol=1e-4)
