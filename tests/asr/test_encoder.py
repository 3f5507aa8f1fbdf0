"""The encoder: padding, lengths, gradients, positions."""

import itertools

import pytest
import torch

from espnet_ext.asr.attention import RotaryAttention
from espnet_ext.asr.encoder import CnnConformerEncoder
from espnet_ext.asr.positions import rotary_table, rotate


def encoder(**changes):
    torch.manual_seed(0)
    small = {
        "output_size": 16,
        "num_blocks": 2,
        "attention_heads": 2,
        "linear_units": 24,
        "kernel": 5,
    }
    return CnnConformerEncoder(10, **{**small, **changes}).eval()


@pytest.mark.parametrize("kernel", [5, 0])
@pytest.mark.parametrize("strides", [(2, 2), (2, 3), (2, 2, 2), (1, 2)])
def test_a_padded_batch_gives_what_each_gives_alone(kernel, strides):
    model = encoder(kernel=kernel, strides=strides)
    lengths = torch.tensor([57, 1, 23, 40])
    feats = torch.randn(4, 57, 10) * 3
    feats[1, 1:] = 1e3  # whatever stands in the padding
    with torch.no_grad():
        together, found, _ = model(feats, lengths)
        for place, (length, size) in enumerate(zip(lengths.tolist(), found.tolist(), strict=True)):
            alone, own, _ = model(feats[place : place + 1, :length], torch.tensor([length]))
            assert int(own) == size == alone.shape[1]
            assert torch.allclose(together[place, :size], alone[0], atol=1e-5)


@pytest.mark.parametrize("strides", [(1,), (2,), (2, 2), (2, 3), (3, 3), (2, 2, 2), (1, 2)])
def test_lengths_are_those_of_the_output(strides):
    model = encoder(strides=strides, num_blocks=1)
    factor = 1
    for stride in strides:
        factor *= stride
    for frames in [*range(1, 30), 100]:
        with torch.no_grad():
            out, lengths, _ = model(torch.zeros(1, frames, 10), torch.tensor([frames]))
        assert out.shape == (1, int(lengths), 16)
        assert abs(int(lengths) - frames / factor) < 1.001


@pytest.mark.parametrize("kernel", [3, 0])
def test_gradients_are_those_of_finite_differences(kernel):
    model = (
        encoder(kernel=kernel, num_blocks=1, output_size=4, linear_units=4, dropout_rate=0.0)
        .double()
        .train()
    )
    feats, lengths = torch.randn(2, 9, 10, dtype=torch.double), torch.tensor([9, 6])

    def loss():
        out, sizes, _ = model(feats, lengths)
        inside = torch.arange(out.shape[1]) < sizes[:, None]
        return (out.square() * inside[..., None]).sum() + (out.sin() * inside[..., None]).sum()

    loss().backward()
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        place = int(torch.randint(parameter.numel(), ()))
        flat, step = parameter.data.view(-1), 1e-6
        keep = float(flat[place])
        values = []
        for sign in (1, -1):
            flat[place] = keep + sign * step
            with torch.no_grad():
                values.append(float(loss()))
        flat[place] = keep
        expected = (values[0] - values[1]) / (2 * step)
        assert float(parameter.grad.view(-1)[place]) == pytest.approx(
            expected, rel=1e-4, abs=1e-6
        ), name


def test_rotary_scores_depend_on_the_distance_only():
    query, key = torch.randn(8), torch.randn(8)
    table = rotary_table(40, 8, torch.device("cpu"))
    at = [rotate(x.expand(1, 1, 40, 8), table)[0, 0] for x in (query, key)]
    scores = at[0] @ at[1].T
    for distance in (-7, 0, 3):
        along = scores.diagonal(distance)
        assert torch.allclose(along, along[0].expand_as(along), atol=1e-4)
    assert not torch.allclose(scores.diagonal(1)[0], scores.diagonal(5)[0], atol=1e-3)
    assert torch.allclose(at[0].norm(dim=-1), query.norm().expand(40), atol=1e-5)


def test_attention_moved_in_time_gives_the_same():
    torch.manual_seed(0)
    attention, x = RotaryAttention(8, 2).eval(), torch.randn(1, 6, 8)
    table = rotary_table(16, 4, torch.device("cpu"))
    with torch.no_grad():
        near, far = (attention(x, None, tuple(t[s : s + 6] for t in table)) for s in (0, 10))
    assert torch.allclose(near, far, atol=1e-5)


def test_the_mask_hides_and_the_order_matters():
    torch.manual_seed(0)
    attention, x = RotaryAttention(8, 2).eval(), torch.randn(1, 6, 8)
    table = rotary_table(6, 4, torch.device("cpu"))
    mask = torch.tensor([True] * 4 + [False] * 2)[None, None, None]
    changed = x.clone()
    changed[:, 4:] = 7.0
    with torch.no_grad():
        assert torch.allclose(
            attention(x, mask, table)[:, :4], attention(changed, mask, table)[:, :4]
        )
        swapped = attention(x[:, [1, 0, 2, 3, 4, 5]], None, table)
        assert not torch.allclose(attention(x, None, table)[:, 5], swapped[:, 5], atol=1e-4)


def test_layer_drop_leaves_out_blocks_in_training_only():
    model = encoder(layer_drop=0.99, dropout_rate=0.0)
    feats, lengths = torch.randn(1, 20, 10), torch.tensor([20])
    with torch.no_grad():
        whole = model(feats, lengths)[0]
        model.train()
        torch.manual_seed(0)
        dropped = model(feats, lengths)[0]
        bare = model.norm(model.subsampling(feats, lengths)[0])
    assert torch.allclose(dropped, bare) and not torch.allclose(whole, bare, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "words"), [({"kernel": 4}, "odd"), ({"attention_heads": 3}, "heads")]
)
def test_sizes_that_do_not_fit(change, words):
    with pytest.raises(ValueError, match=words):
        encoder(**change)


def test_permutations_of_a_batch_permute_the_result():
    model, lengths = encoder(), torch.tensor([30, 12, 25])
    feats = torch.randn(3, 30, 10)
    with torch.no_grad():
        out = model(feats, lengths)[0]
        for order in itertools.permutations(range(3)):
            moved, sizes, _ = model(feats[list(order)], lengths[list(order)])
            for row, place, size in zip(moved, order, sizes.tolist(), strict=True):
                assert torch.allclose(row[:size], out[place, :size], atol=1e-5)
