"""Cross-attention, flow matching, structural similarity, style: against references of their own."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from espnet_ext.tts.blocks import Block, CrossAttention, Source, Stack
from espnet_ext.tts.flow_matching import REST, flow_loss, solve
from espnet_ext.tts.masks import masked_mean, time_means
from espnet_ext.tts.options import read_options
from espnet_ext.tts.ssim import ssim_loss
from espnet_ext.tts.voices import StyleTokens


def test_cross_attention_turns_by_the_place_in_the_text():
    """Against complex numbers: score = Re(q conj(k) e^{i w (place - token)}), summed over pairs."""
    torch.manual_seed(0)
    attention = CrossAttention(4, 1).eval()
    x, tokens = torch.randn(1, 3, 4), torch.randn(1, 5, 4)
    places = torch.tensor([[0.0, 1.5, 3.2]])
    mask = torch.tensor([[True] * 4 + [False]])
    source = Source(tokens, mask, places)
    with torch.no_grad():
        found = attention(x, source, attention.tables(source))[0].numpy()
        query = attention.query(x)[0].numpy()
        key, value = (part[0].numpy() for part in attention.seen(tokens).chunk(2, -1))
    rates = 10000.0 ** (-np.arange(0, 4, 2) / 4)
    pairs = [z[:, :2] + 1j * z[:, 2:] for z in (query, key)]
    mixed = []
    for i, place in enumerate(places[0].tolist()):
        turned = np.exp(1j * rates * (place - np.arange(4)[:, None]))
        score = (pairs[0][i] * pairs[1][:4].conj() * turned).real.sum(-1) / 2
        weight = np.exp(score - score.max())
        mixed.append((weight / weight.sum()) @ value[:4])
    out = attention.project_out
    wanted = np.stack(mixed) @ out.weight.detach().numpy().T + out.bias.detach().numpy()
    assert np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_a_stack_sees_no_padding(positions):
    torch.manual_seed(0)
    stack = Stack(2, 8, 2, 16, 3, 0.1, positions).eval()
    x, mask = torch.randn(1, 6, 8), torch.tensor([[True] * 4 + [False] * 2])
    alone = stack(x[:, :4], mask[:, :4])
    x[:, 4:] = 9.0
    assert torch.allclose(stack(x, mask)[:, :4], alone, atol=1e-5)
    moved = stack(x[:, [1, 0, 2, 3]], mask[:, :4])
    assert not torch.allclose(moved[:, [1, 0, 2, 3]], alone, atol=1e-3), "order matters"


@pytest.mark.parametrize(("heads", "kernel"), [(3, 3), (2, 4)])
def test_sizes_that_do_not_fit(heads, kernel):
    with pytest.raises(ValueError, match="expected an"):
        Block(8, heads, 16, kernel, 0.1, cross=True)


def test_the_exact_field_has_no_loss_and_ends_where_it_should():
    torch.manual_seed(0)
    target = torch.randn(2, 5, 3)

    def field(place, t):
        along = t[:, None, None]
        start = (place - along * target) / (1 - (1 - REST) * along)
        return target - (1 - REST) * start

    assert float(flow_loss(field, target, torch.ones(2, 5, dtype=torch.bool))) < 1e-6
    assert torch.allclose(solve(field, torch.randn(2, 5, 3), 4), target, atol=1e-3)


def test_flow_loss_sees_no_padding():
    target, mask = torch.zeros(1, 4, 2), torch.tensor([[True, True, False, False]])
    loss = flow_loss(
        lambda place, t: torch.tensor([[[0.0], [0], [1e9], [1e9]]]).expand(1, 4, 2), target, mask
    )
    assert float(loss) < 100


def test_similarity_against_scipy():
    from scipy.ndimage import gaussian_filter

    torch.manual_seed(0)
    a, b = torch.randn(2, 14, 12), torch.randn(2, 14, 12)
    mask = torch.tensor([[True] * 14, [True] * 9 + [False] * 5])
    total, count = 0.0, 0
    for row, length in enumerate((14, 9)):
        x, y = (((v[row].numpy() + 4) / 8) * mask[row].numpy()[:, None] for v in (a, b))
        blur = [
            gaussian_filter(v.astype(float), 1.5, mode="constant", truncate=5 / 1.5)
            for v in (x, y, x * x, y * y, x * y)
        ]
        mx, my, xx, yy, xy = blur
        index = (2 * mx * my + 1e-4) * (2 * (xy - mx * my) + 9e-4)
        index /= (mx**2 + my**2 + 1e-4) * (xx - mx**2 + yy - my**2 + 9e-4)
        total, count = total + (1 - index[:length]).sum(), count + length * 12
    assert float(ssim_loss(a, b, mask)) == pytest.approx(total / count, abs=1e-4)
    assert float(ssim_loss(a, a, mask)) == pytest.approx(0, abs=1e-5)


def test_style_is_of_the_recording_not_of_its_padding():
    torch.manual_seed(0)
    style, mask = StyleTokens(6, 8).eval(), torch.tensor([[True] * 9 + [False] * 3])
    feats = torch.randn(1, 12, 6)
    alone = style(feats[:, :9], mask[:, :9])
    feats[:, 9:] = 50.0
    assert torch.allclose(style(feats, mask), alone, atol=1e-5)
    assert not torch.allclose(style(feats.flip(2), mask), alone, atol=1e-4)


def test_means():
    values = torch.tensor([[1.0, 3.0, 99.0], [5.0, 99.0, 99.0]])
    mask = values < 50
    assert float(masked_mean(values, mask)) == 3
    assert time_means(values, mask).tolist() == [2, 5]
    assert float(masked_mean(values, mask & False)) == 0


def test_options_that_are_none():
    from espnet_ext.tts.text_encoder import EncoderOptions

    assert read_options(EncoderOptions, None, "encoder") == EncoderOptions()
    with pytest.raises(ValueError, match="encoder: found 3, expected options"):
        read_options(EncoderOptions, 3, "encoder")
    with pytest.raises(ValueError, match="blocks: found True, expected a whole number"):
        read_options(EncoderOptions, {"blocks": True}, "encoder")


@pytest.mark.parametrize("wrong", [{"inner": 0}, {"heads": 0}, {"kernel": -1}])
def test_a_block_of_no_size(wrong):
    with pytest.raises(ValueError, match="expected 1 or more of each"):
        Block(8, **{"heads": 2, "inner": 16, "kernel": 3, **wrong}, dropout=0.1)


def test_the_defaults_are_within_their_ranges():
    from espnet_ext.tts.acoustic import AlignmentOptions
    from espnet_ext.tts.adapters import AdapterOptions
    from espnet_ext.tts.contour import ContourOptions
    from espnet_ext.tts.decoder import DecoderOptions
    from espnet_ext.tts.duration import DurationOptions
    from espnet_ext.tts.text_encoder import EncoderOptions

    kinds = (AdapterOptions, AlignmentOptions, ContourOptions, DecoderOptions, DurationOptions)
    for cls in (*kinds, EncoderOptions):
        assert read_options(cls, vars(cls()), "part") == cls()
        unbounded = [f.name for f in fields(cls) if f.type != "bool" and f.type != "str"]
        assert all("range" in f.metadata for f in fields(cls) if f.name in unbounded)
