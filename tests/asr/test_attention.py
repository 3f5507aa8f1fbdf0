"""Relative attention is ESPnet's; sinusoids and learned positions are what they say."""

import math

import pytest
import torch
from espnet.nets.pytorch_backend.transformer.attention import RelPositionMultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.embedding import (
    PositionalEncoding,
    RelPositionalEncoding,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.attention import RelativeAttention, RotaryAttention, SelfAttention
from espnet_ext.asr.positions import Absolute, Learned, relative_table, sinusoids, skew
from espnet_ext.asr.stream import Stream
from espnet_ext.errors import UserError

CPU = torch.device("cpu")


def twins(heads, width):
    """ESPnet's relative attention and ours with the same weights."""
    torch.manual_seed(heads)
    stock = RelPositionMultiHeadedAttention(heads, width, 0.0).eval()
    ours = RelativeAttention(width, heads).eval()
    with torch.no_grad():
        parts = (stock.linear_q, stock.linear_k, stock.linear_v)
        ours.project_in.weight.copy_(torch.cat([p.weight for p in parts]))
        ours.project_in.bias.copy_(torch.cat([p.bias for p in parts]))
        ours.project_out.load_state_dict(stock.linear_out.state_dict())
        ours.project_position.weight.copy_(stock.linear_pos.weight)
        ours.content_bias.copy_(stock.pos_bias_u)
        ours.position_bias.copy_(stock.pos_bias_v)
    return stock, ours


@given(st.integers(1, 40), st.sampled_from([(1, 4), (2, 8), (4, 32)]), st.booleans())
@settings(deadline=None, max_examples=20)
def test_relative_attention_is_espnets(length, sizes, padded):
    heads, width = sizes
    stock, ours = twins(heads, width)
    x = torch.randn(2, length, width)
    mask = torch.ones(2, 1, length, dtype=torch.bool)
    if padded:
        mask[1, :, (length + 1) // 2 :] = False
    encoding = RelPositionalEncoding(width, 0.0)
    table = encoding(x)[1]
    with torch.no_grad():
        expected = stock(x, x, x, table, mask)
        found = ours(x, mask[:, None], ours.table(length, length, CPU))
    assert torch.allclose(found, expected, atol=1e-5)


def test_relative_attention_has_espnets_gradients():
    stock, ours = twins(2, 8)
    x, mask = torch.randn(2, 7, 8), torch.ones(2, 1, 7, dtype=torch.bool)
    mask[0, :, 5:] = False
    goal = torch.randn(2, 7, 8)
    (stock(x, x, x, RelPositionalEncoding(8, 0.0)(x)[1], mask) * goal).sum().backward()
    (ours(x, mask[:, None], ours.table(7, 7, CPU)) * goal).sum().backward()
    pairs = [
        (stock.linear_pos.weight, ours.project_position.weight),
        (stock.pos_bias_u, ours.content_bias),
        (stock.pos_bias_v, ours.position_bias),
        (stock.linear_q.weight, ours.project_in.weight[:8]),
    ]
    for theirs, mine in pairs[:3]:
        assert torch.allclose(theirs.grad, mine.grad, atol=1e-5)
    assert torch.allclose(stock.linear_q.weight.grad, ours.project_in.weight.grad[:8], atol=1e-5)


@given(st.integers(1, 6), st.integers(0, 6))
@settings(deadline=None, max_examples=20)
def test_skew_puts_each_distance_where_it_belongs(queries, past):
    keys = queries + past
    distances = torch.arange(keys - 1, -queries - 1, -1.0).expand(1, 1, queries, -1).contiguous()
    query = torch.arange(past, keys)[:, None]
    assert torch.equal(skew(distances, keys)[0, 0], (query - torch.arange(keys)).float())


def test_the_relative_table_has_the_sinusoids_of_distances():
    table = relative_table(2, 3, 4, CPU)
    assert torch.allclose(table[0], sinusoids(torch.tensor([2]), 4)[0])
    assert torch.allclose(
        table[3], torch.tensor([-math.sin(1), math.cos(1), -math.sin(0.01), math.cos(0.01)])
    )


def test_absolute_positions_are_espnets_sinusoids():
    stock = PositionalEncoding(16, 0.0)
    x = torch.randn(1, 30, 16)
    stock.extend_pe(x)
    assert torch.allclose(Absolute()(x, 0) - x, stock.pe[:, :30], atol=1e-5)
    assert torch.allclose(Absolute()(x, 7)[:, :3] - x[:, :3], stock.pe[:, 7:10], atol=1e-5)


def test_learned_positions_end_somewhere():
    learned, x = Learned(10, 4), torch.randn(1, 4, 4)
    assert torch.equal(learned(x, 6) - x, (x + learned.vectors[6:]) - x)
    with pytest.raises(UserError, match="11 encoder frames, expected at most 10"):
        learned(x, 7)


@pytest.mark.parametrize("cls", [SelfAttention, RotaryAttention, RelativeAttention])
@pytest.mark.parametrize("left", [None, 0, 5])
def test_a_stream_remembers_keys_and_values(cls, left):
    """Three pieces one after the other are the rows of the whole that see as far."""
    torch.manual_seed(0)
    attention, x = cls(8, 2).eval(), torch.randn(2, 12, 8)
    stream, pieces = Stream(4, left), []
    number = torch.arange(12)
    reach = 12 if left is None else left
    start = number // 4 * 4
    seen = (number < start[:, None] + 4) & (number >= start[:, None] - reach)
    with torch.no_grad():
        whole = attention(x, seen[None, None], attention.table(12, 12, CPU))
        for begin in (0, 4, 8):
            table = attention.table(4, stream.past + 4, CPU)
            pieces.append(attention(x[:, begin : begin + 4], None, table, stream))
            stream.position += 4
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
