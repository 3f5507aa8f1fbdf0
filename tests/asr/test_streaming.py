"""A stream, chunk by chunk, gives what the whole utterance gives under the chunks' mask."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.chunks import Chunks, attention_mask, chunk_mask
from espnet_ext.asr.convolution import Depthwise
from espnet_ext.asr.positions import KINDS
from espnet_ext.asr.stream import Context
from tests.asr.test_families import encoder

STREAMING = ("conformer", "transformer", "e_branchformer")


def streamed(model, feats, chunk, left, ctc=None):
    """All of (B, T, F), piece by piece."""
    stream, outs = model.start_stream(chunk, left), []
    for piece in feats.split(chunk * model.subsampling.factor, dim=1):
        out, stream = model.forward_chunk(piece, stream, ctc)
        outs.append(out)
    return torch.cat(outs, dim=1)


def whole(model, feats, chunk, left, ctc=None):
    """All of (B, T, F) at once, under the mask."""
    model.chunks, model.decoding_chunk = replace(model.chunks, left=left), chunk
    with torch.no_grad():
        out = model(feats, torch.full((len(feats),), feats.shape[1]), ctc=ctc)[0]
    return out[0] if isinstance(out, tuple) else out


@pytest.mark.parametrize("block", STREAMING)
@pytest.mark.parametrize("positions", KINDS)
@given(
    length=st.integers(1, 150),
    chunk=st.integers(1, 9),
    left=st.one_of(st.none(), st.integers(0, 3)),
    strides=st.sampled_from([(2, 2), (2, 3), (2, 2, 2), (3,)]),
)
@settings(deadline=None, max_examples=8)
def test_a_stream_is_the_masked_whole(block, positions, length, chunk, left, strides):
    model = encoder(block=block, positions=positions, strides=strides, chunk={"left": left})
    feats = torch.randn(2, length, 10)
    expected = whole(model, feats, chunk, left)
    found = streamed(model, feats, chunk, left)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("block", STREAMING)
def test_a_frame_sees_nothing_beyond_its_chunk(block):
    """Nor its gradient: what comes later changes nothing of the chunks before."""
    model = encoder(block=block, chunk={"left": None, "decode": 2})
    feats = torch.randn(1, 48, 10)
    changed = feats.clone()
    changed[:, 16:] += 5.0
    with torch.no_grad():
        one, two = (model(x, torch.tensor([48]))[0] for x in (feats, changed))
    assert torch.equal(one[:, :4], two[:, :4]) and not torch.allclose(one[:, 4:6], two[:, 4:6])


def test_one_chunk_for_all_is_the_whole_utterance():
    for block in STREAMING:
        model = encoder(block=block, chunk={"left": None})
        feats = torch.randn(2, 60, 10)
        assert torch.allclose(
            whole(model, feats, 15, None), whole(model, feats, None, None), atol=1e-5
        )


def test_a_stream_can_go_back():
    """The state given is left as it was."""
    model, feats = encoder(chunk={}), torch.randn(1, 48, 10)
    _, stream = model.forward_chunk(feats[:, :16], model.start_stream(4))
    first, _ = model.forward_chunk(feats[:, 16:32], stream)
    model.forward_chunk(feats[:, 32:], stream)
    again, _ = model.forward_chunk(feats[:, 16:32], stream)
    assert torch.equal(first, again)


def test_pieces_that_are_too_long_or_come_after_the_end():
    model = encoder(chunk={})
    with pytest.raises(ValueError, match="found 17 frames"):
        model.forward_chunk(torch.randn(1, 17, 10), model.start_stream(4))
    _, stream = model.forward_chunk(torch.randn(1, 15, 10), model.start_stream(4))
    with pytest.raises(ValueError, match="has ended"):
        model.forward_chunk(torch.randn(1, 16, 10), stream)
    with pytest.raises(ValueError, match="no zipformer"):
        encoder(block="zipformer").start_stream(4)


def test_memory_does_not_grow():
    model, stream = encoder(chunk={"left": 2}), None
    stream = model.start_stream(3)
    sizes = []
    for _ in range(8):
        _, stream = model.forward_chunk(torch.randn(1, 12, 10), stream)
        sizes.append(sum(x.shape.numel() for x in stream.frames.values()))
    assert len(set(sizes[2:])) == 1 and stream.position == 24


@given(st.integers(1, 30), st.integers(1, 12), st.sampled_from([1, 3, 9]))
@settings(deadline=None, max_examples=20)
def test_convolution_in_chunks_is_that_of_each_chunk_with_its_past(length, chunk, kernel):
    torch.manual_seed(0)
    layer, x = Depthwise(4, kernel), torch.randn(2, length, 4)
    with torch.no_grad():
        found = layer(x, Context(chunk=chunk))
        for start in range(0, length, chunk):
            end = min(length, start + chunk)
            alone = layer(x[:, :end], Context())[:, start:end]
            assert torch.allclose(found[:, start:end], alone, atol=1e-5)


@given(st.integers(1, 20), st.integers(1, 7), st.one_of(st.none(), st.integers(0, 3)))
def test_the_mask_says_who_sees_whom(length, chunk, left):
    mask = chunk_mask(length, chunk, left, torch.device("cpu"))
    for query in range(length):
        for key in range(length):
            behind = query // chunk - key // chunk
            assert bool(mask[query, key]) == (behind >= 0 and (left is None or behind <= left))


def test_a_row_of_padding_still_sees_itself():
    speech = torch.tensor([[True] * 6, [True] + [False] * 5])[..., None]
    mask = attention_mask(speech, chunk_mask(6, 2, 0, torch.device("cpu")))
    assert mask.any(-1).all() and mask.shape == (2, 1, 6, 6)
    assert not mask[1, 0, 0, 1] and mask[0, 0, 0, 1]


def test_batches_draw_every_size_and_the_whole_as_often_as_asked():
    chunks = Chunks(sizes=[4, 8, 16], offline_share=0.4)
    torch.manual_seed(0)
    drawn = [chunks.draw() for _ in range(3000)]
    assert drawn.count(None) / 3000 == pytest.approx(0.4, abs=0.04)
    for size in (4, 8, 16):
        assert drawn.count(size) / 3000 == pytest.approx(0.2, abs=0.03)


def test_a_resumed_generator_draws_the_same():
    model = encoder(chunk={"sizes": [1, 2, 3], "left": 1, "offline_share": 0.2}).train()
    feats, lengths = torch.randn(2, 60, 10), torch.tensor([60, 41])

    def steps():
        return [model(feats, lengths)[0].sum().item() for _ in range(6)]

    state = torch.get_rng_state()
    first = steps()
    torch.set_rng_state(state)
    assert steps() == first and len(set(first)) > 1


def test_every_chunk_size_trains_with_finite_gradients():
    for block in STREAMING:
        for size in (1, 3, 40):
            chunk = {"sizes": [size], "left": 0, "offline_share": 0.0}
            model = encoder(block=block, positions="relative", chunk=chunk).train()
            out, _, _ = model(torch.randn(3, 50, 10), torch.tensor([50, 21, 1]))
            out.square().mean().backward()
            assert all(torch.isfinite(p.grad).all() for p in model.parameters())
