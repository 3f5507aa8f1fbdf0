"""Every family of blocks with every kind of positions: padding, gradients, randomness, tracing."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.encoder import CnnConformerEncoder
from espnet_ext.asr.families import FAMILIES
from espnet_ext.asr.positions import KINDS

PAIRS = [
    *((block, kind) for block in FAMILIES if block != "zipformer" for kind in KINDS),
    ("zipformer", "rotary"),
]


def encoder(**changes):
    """Small, with weights far from their start, so that nothing hides behind a zero."""
    torch.manual_seed(0)
    small = {
        "output_size": 16,
        "num_blocks": 2,
        "attention_heads": 2,
        "linear_units": 24,
        "kernel": 5,
        "strides": (2, 2),
        "channels": 4,
        "longest": 64,
        "resolutions": (1, 3),
    }
    model = CnnConformerEncoder(10, **{**small, **changes}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize(("block", "positions"), PAIRS)
@pytest.mark.parametrize("chunk", [None, 3])
@given(data=st.data())
@settings(deadline=None, max_examples=5)
def test_a_padded_batch_gives_what_each_gives_alone(block, positions, chunk, data):
    if chunk and block == "zipformer":
        return
    chunks = {"left": 1, "decode": chunk} if chunk else None
    model = encoder(block=block, positions=positions, chunk=chunks)
    lengths = data.draw(st.lists(st.integers(1, 90), min_size=2, max_size=3))
    feats = torch.randn(len(lengths), max(lengths), 10) * 3
    for row, length in zip(feats, lengths, strict=True):
        row[length:] = 1e3  # whatever stands in the padding
    with torch.no_grad():
        together, found, _ = model(feats, torch.tensor(lengths))
        assert torch.isfinite(together).all()
        for row, whole, length, size in zip(feats, together, lengths, found.tolist(), strict=True):
            alone, own, _ = model(row[None, :length], torch.tensor([length]))
            assert int(own) == size == alone.shape[1]
            assert torch.allclose(whole[:size], alone[0], atol=1e-4)


@pytest.mark.parametrize(("block", "positions"), PAIRS)
def test_every_weight_gets_the_gradient_of_finite_differences(block, positions):
    small = {"output_size": 8, "num_blocks": 1, "resolutions": (3,), "dropout_rate": 0.0}
    model = encoder(block=block, positions=positions, **small).double().train()
    feats, lengths = torch.randn(2, 17, 10, dtype=torch.double), torch.tensor([17, 6])

    def loss():
        out, sizes, _ = model(feats, lengths)
        inside = torch.arange(out.shape[1]) < sizes[:, None]
        return ((out.square() + out.sin()) * inside[..., None]).sum()

    loss().backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        direction = torch.randn_like(parameter)
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter += step * direction
                values.append(float(loss()))
                parameter -= step * direction
        expected = (values[0] - values[1]) / 2e-6
        found = float((parameter.grad * direction).sum())
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4), name


@pytest.mark.parametrize(("block", "positions"), PAIRS)
def test_order_matters_only_with_positions(block, positions):
    """Frames a chunk of 4 features apart are swapped; kernels of 1 keep convolutions out of it."""
    model = encoder(block=block, positions=positions, kernel=1, merge_kernel=1, resolutions=(1,))
    x = torch.randn(1, 6, 16)
    order = [0, 4, 2, 3, 1, 5]
    lengths = torch.tensor([6])

    def run(frames):
        return model._blocks(model.places(frames, 0), model._whole(frames, lengths), None)[0]

    with torch.no_grad():
        moved, still = run(x[:, order]), run(x)[:, order]
    assert torch.allclose(moved, still, atol=1e-5) == (positions == "none")


@pytest.mark.parametrize("block", FAMILIES)
def test_noise_and_depth_are_for_training_and_follow_the_seed(block):
    noisy = {"stochastic_depth": 0.5, "input_noise": 0.3, "hidden_noise": 0.2, "dropout_rate": 0.0}
    model, plain = encoder(block=block, **noisy), encoder(block=block, dropout_rate=0.0)
    feats, lengths = torch.randn(3, 40, 10), torch.tensor([40, 33, 12])
    with torch.no_grad():
        assert torch.equal(model(feats, lengths)[0], plain(feats, lengths)[0])
        model.train()
        runs = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            runs.append(model(feats, lengths)[0])
    assert torch.equal(runs[0], runs[1]) and not torch.allclose(runs[0], runs[2], atol=1e-2)


@pytest.mark.parametrize(("block", "positions"), PAIRS)
def test_half_precision(block, positions):
    """Both as a mixture and as a whole, it is the same model, roughly; and its gradients are numbers."""
    model = encoder(block=block, positions=positions, dropout_rate=0.0).train()
    feats, lengths = torch.randn(2, 40, 10), torch.tensor([40, 23])
    expected = model(feats, lengths)[0].detach()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(feats, lengths)[0]
    mixed.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    whole = model.bfloat16()(feats.bfloat16(), lengths)[0]
    for found in (mixed, whole):
        error = (found.float() - expected)[:, :5].square().mean() / expected.square().mean()
        assert float(error.detach()) < 0.05


def test_depth_grows_linearly():
    model = encoder(num_blocks=4, stochastic_depth=0.4)
    assert [d.probability for d in model.depth] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_an_utterance_goes_past_every_block_and_others_do_not():
    model = encoder(stochastic_depth=0.999999, dropout_rate=0.0, block="transformer", num_blocks=1)
    feats, lengths = torch.randn(2, 40, 10), torch.tensor([40, 40])
    with torch.no_grad():
        past = model.train()(feats, lengths)[0]
        bare = model.norm(model.subsampling(feats, lengths)[0])
    assert torch.allclose(past, bare)


@pytest.mark.parametrize(("block", "positions"), PAIRS)
def test_a_trace_serves_other_lengths(block, positions):
    model = encoder(block=block, positions=positions).requires_grad_(False)
    feats = torch.randn(2, 37, 10)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(
            lambda x, n: model(x, n)[:2], (feats, torch.tensor([37, 20])), check_trace=False
        )
        for lengths in ([37, 37], [37, 5], [90, 61]):
            feats = torch.randn(2, lengths[0], 10)
            expected = model(feats, torch.tensor(lengths))
            found = traced(feats, torch.tensor(lengths))
            size = int(expected[1].max())
            assert torch.allclose(found[0][:, :size], expected[0], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block": "squeezeformer"}, "block 'squeezeformer', expected one of conformer"),
        ({"positions": "alibi"}, "positions 'alibi', expected one of rotary"),
        ({"block": "e_branchformer", "kernel": 0}, "kernel 0"),
        ({"merge_kernel": 4}, "kernel 4"),
        ({"block": "zipformer", "num_blocks": 3}, "3 blocks and resolutions"),
        ({"block": "zipformer", "attention_heads": 3}, "3 heads"),
        ({"block": "zipformer", "chunk": {}}, "another block"),
        ({"strides": (1, 2), "chunk": {}}, "strides of 2"),
        ({"interctc_layer_idx": [2]}, "numbers from 1 to 1"),
        ({"stochastic_depth": 1.0}, "stochastic depth 1.0"),
        ({"input_noise": -1.0}, "noise -1.0"),
        ({"chunk": {"sizes": []}}, "found chunks"),
        ({"chunk": {"offline_share": 2}}, "found offline_share 2"),
        ({"chunk": {"left": -1}}, "found left -1"),
        ({"chunk": {"size": [8]}}, "'size'.*expected sizes, left"),
        ({"chunk": {"sizes": 8}}, "sizes a list"),
    ],
)
def test_options_that_do_not_fit(change, words):
    with pytest.raises(ValueError, match=words):
        encoder(**change)
