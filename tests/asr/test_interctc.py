"""Intermediate and self-conditioned CTC in ESPnet's own model, the way its encoders do it."""

import pytest
import torch

from espnet_ext.bridge.tasks import TASKS, Config
from tests.asr.test_families import encoder

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "<sos/eos>"]


def model(conditioning=False, weight=0.5, cls="espnet_ext.asr.encoder:CnnConformerEncoder", **conf):
    """ESPnet's model of two blocks with an intermediate loss after the first."""
    torch.manual_seed(0)
    ours = {"linear_units": 16, "kernel": 3, "channels": 4}
    conf = {**(ours if "CnnConformer" in cls else {}), **conf}
    config: Config = {
        **TASKS["asr"].defaults,
        "token_list": TOKENS,
        "input_size": 12,
        "normalize": None,
        "encoder": cls,
        "encoder_conf": {
            "output_size": 8,
            "attention_heads": 2,
            "num_blocks": 2,
            "dropout_rate": 0.0,
            "interctc_layer_idx": [1],
            "interctc_use_conditioning": conditioning,
            **conf,
        },
        "model_conf": {"ctc_weight": 1.0, "interctc_weight": weight},
    }
    return TASKS["asr"].build(config)


def batch():
    torch.manual_seed(1)
    text = torch.tensor([[2, 3, 4, 2], [4, 3, -1, -1]])
    lengths, speech = torch.tensor([60, 41]), torch.randn(2, 60, 12)
    return {
        "speech": speech,
        "speech_lengths": lengths,
        "text": text,
        "text_lengths": torch.tensor([4, 2]),
    }


@pytest.mark.parametrize("block", ["conformer", "transformer", "e_branchformer", "zipformer"])
@pytest.mark.parametrize("conditioning", [False, True])
def test_espnets_model_trains_on_it(block, conditioning):
    asr = model(conditioning, block=block, resolutions=(1, 2))
    loss, stats, _ = asr(**batch())
    loss.backward()
    middle, last = float(stats["loss_interctc_layer1"]), float(stats["loss_ctc"])
    assert float(loss.detach()) == pytest.approx(0.5 * middle + 0.5 * last, rel=1e-5)
    assert all(p.grad is not None for p in asr.encoder.blocks[0].parameters())
    if conditioning:
        assert asr.encoder.conditioning_layer.weight.grad.abs().sum() > 0


def test_outputs_have_the_shape_of_a_stock_encoders():
    stock = model(cls="conformer", linear_units=16, normalize_before=True, input_layer="conv2d")
    feats, lengths = torch.randn(2, 60, 12), torch.tensor([60, 41])
    for asr in (stock.eval(), model().eval()):
        (out, middle), sizes, state = asr.encoder(feats, lengths)
        assert [layer for layer, _ in middle] == [1] and state is None
        assert middle[0][1].shape == out.shape == (2, int(sizes.max()), 8)


def test_the_middle_is_the_normalised_output_of_that_block():
    asr = encoder(block="transformer", num_blocks=3, interctc_layer_idx=[1, 2])
    feats, lengths = torch.randn(1, 40, 10), torch.tensor([40])
    with torch.no_grad():
        (out, middle), _, _ = asr(feats, lengths)
        asr.interctc_layer_idx, asr.blocks, asr.depth = [], asr.blocks[:2], asr.depth[:2]
        assert torch.allclose(asr(feats, lengths)[0], middle[1][1])
    assert not torch.allclose(out, middle[1][1], atol=1e-2)


def test_conditioning_changes_what_follows():
    asr = model(conditioning=True).eval()
    feats, lengths = torch.randn(1, 40, 12), torch.tensor([40])
    with torch.no_grad():
        (one, middle), _, _ = asr.encoder(feats, lengths, ctc=asr.ctc)
        asr.encoder.conditioning_layer.weight.mul_(3)
        (two, same), _, _ = asr.encoder(feats, lengths, ctc=asr.ctc)
    assert torch.equal(middle[0][1], same[0][1]) and not torch.allclose(one, two, atol=1e-3)
    with pytest.raises(ValueError, match="found no CTC"):
        asr.encoder(feats, lengths)


def test_a_stream_is_conditioned_too():
    asr = model(conditioning=True, chunk={"left": 1, "decode": 3}).eval()
    feats, pieces = torch.randn(1, 50, 12), []
    stream = asr.encoder.start_stream(3)
    for piece in feats.split(12, dim=1):
        out, stream = asr.encoder.forward_chunk(piece, stream, asr.ctc)
        pieces.append(out)
    with torch.no_grad():
        (whole, _), _, _ = asr.encoder(feats, torch.tensor([50]), ctc=asr.ctc)
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
