"""The hybrid model: as stock without options, and each option's formula and gradient."""

import pytest
import torch
from torch.nn import functional as F

from tests.asr.tiny_model import check_gradient, tiny_batch, tiny_model

CONFORMER = {
    "encoder": "conformer",
    "encoder_conf": {
        "output_size": 8,
        "attention_heads": 2,
        "linear_units": 8,
        "num_blocks": 2,
        "cnn_module_kernel": 3,
        "input_layer": "linear",
        "dropout_rate": 0.0,
        "positional_dropout_rate": 0.0,
        "interctc_layer_idx": [1],
        "interctc_use_conditioning": True,
    },
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("conf", "changes"),
    [
        ({}, {}),
        ({"ctc_weight": 0.0}, {}),
        ({"ctc_weight": 1.0}, {}),
        ({"length_normalized_loss": True, "lsm_weight": 0.0}, {}),
        ({"lang_token_id": 3}, {}),
        ({"interctc_weight": 0.4}, CONFORMER),
        ({}, {"specaug": "specaug", "specaug_conf": {"time_mask_width_range": [0, 5]}}),
    ],
)
def test_without_options_it_is_stocks_model(conf, changes, training):
    ours = tiny_model(conf=conf, **changes)
    stock = tiny_model("espnet", conf, **changes)
    assert ours.load_state_dict(stock.state_dict())
    found = []
    for model in (ours, stock):
        model.train(training)
        torch.manual_seed(5)
        found.append(model(**tiny_batch()))
    (loss, stats, weight), (expected, wanted, size) = found
    assert torch.allclose(loss, expected, rtol=1e-5)
    wanted, stats = ({k: v for k, v in s.items() if v is not None} for s in (wanted, stats))
    assert torch.equal(weight, size) and set(stats) == set(wanted)
    for name, value in wanted.items():
        assert torch.allclose(stats[name], value, rtol=1e-5), name
    if training:
        loss.sum().backward()
        expected.sum().backward()
        for (name, mine), theirs in zip(ours.named_parameters(), stock.parameters(), strict=True):
            assert (mine.grad is None) == (theirs.grad is None), name
            assert mine.grad is None or torch.allclose(mine.grad, theirs.grad, atol=1e-5), name


MASKS = {
    "specaug": "specaug",
    "specaug_conf": {
        "apply_time_warp": True,
        "time_warp_window": 3,
        "apply_freq_mask": False,
        "time_mask_width_range": [2, 6],
        "num_time_mask": 2,
    },
}


def test_cr_ctc_is_its_formula():
    model = tiny_model(conf={"cr_ctc_weight": 0.2, "ctc_weight": 1.0}, **MASKS)
    seen = []
    model.encoder.register_forward_hook(lambda module, given, out: seen.append((given, out)))
    loss, stats, weight = model(**tiny_batch())
    (feats, _), (out, sizes, _) = seen[0]
    assert feats.shape == (6, 21, 6) and not torch.equal(feats[:3], feats[3:])
    log_probs = model.ctc.log_softmax(out).detach().double()
    text, number = tiny_batch()["text"], tiny_batch()["text_lengths"]
    ctc, apart = 0.0, 0.0
    for row in range(6):
        mine, other = (log_probs[r, : sizes[r]] for r in (row, (row + 3) % 6))
        apart += float((other.exp() * (other - mine)).sum()) / 6
        target = text[row % 3, : number[row % 3]]
        ctc += float(F.ctc_loss(mine, target, sizes[row], number[row % 3], reduction="sum")) / 6
    assert apart > 1e-3
    assert float(stats["loss_cr_ctc"]) == pytest.approx(apart, rel=1e-4)
    assert float(stats["loss_ctc"]) == pytest.approx(ctc, rel=1e-4)
    assert loss.item() == pytest.approx(ctc + 0.2 * apart, rel=1e-4)
    assert int(weight) == 3


def test_both_views_are_warped_alike():
    unmasked = {**MASKS["specaug_conf"], "apply_time_mask": False}
    model = tiny_model(conf={"cr_ctc_weight": 0.2}, specaug="specaug", specaug_conf=unmasked)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    model(**tiny_batch())
    assert torch.equal(seen[0][:3], seen[0][3:])
    assert not torch.allclose(seen[0][:3], tiny_batch()["speech"], atol=1e-3)
    model.eval()(**tiny_batch())  # one view outside training, as it is
    assert torch.equal(seen[1], tiny_batch()["speech"])


@pytest.mark.parametrize(
    "conf", [{"cr_ctc_weight": 0.2}, {"cr_ctc_weight": 0.7, "ctc_weight": 1.0}]
)
def test_the_gradient_of_cr_ctc(conf):
    """The targets of the divergence are constants to the gradient, so those of each view are held fixed."""
    model, batch = tiny_model(conf=conf, **MASKS).double(), tiny_batch(dtype=torch.double)
    held = []
    plain = torch.roll

    def roll(x, *more, **most):
        if not held:
            held.append(plain(x, *more, **most).detach())
        return held[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("espnet_ext.asr.objectives.consistency.torch.roll", roll)
        patch.setattr(model, "specaug", _FixedMasks())
        check_gradient(model, batch)


class _FixedMasks(torch.nn.Module):
    """Another mask for each copy, the same at each call."""

    def forward(self, x, lengths):
        x = x.clone()
        x[:3, 4:7], x[3:, 9:12] = 0, 0
        return x, lengths


def test_two_views_cost_nothing_when_the_weight_is_0():
    sizes = []
    for weight in (0.0, 0.2):
        model = tiny_model(conf={"cr_ctc_weight": weight}, **MASKS)
        model.encoder.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
        _, stats, _ = model(**tiny_batch())
        assert ("loss_cr_ctc" in stats) == bool(weight)
    assert sizes == [3, 6]


def test_a_schedule_changes_the_weight_and_goes_on_after_a_resume():
    conf = {"ctc_weight": {"from": 1.0, "to": 0.2, "updates": 4}}
    model = tiny_model(conf=conf)
    found = []
    for _ in range(6):
        found.append(model.weight("ctc"))
        loss, stats, _ = model(**tiny_batch())
        expected = found[-1] * stats["loss_ctc"] + (1 - found[-1]) * stats["loss_att"]
        assert loss.item() == pytest.approx(float(expected), rel=1e-5)
        again = tiny_model(conf=conf)
        again.load_state_dict(model.state_dict())
        assert again.weight("ctc") == model.weight("ctc")
    assert found == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2])
    fresh = tiny_model(conf=conf).eval()
    assert fresh.weight("ctc") == fresh.ctc_weight == 0.2
    assert int(fresh.updates) == 0 and fresh(**tiny_batch()) and int(fresh.updates) == 0
    assert "updates" not in tiny_model().state_dict()
