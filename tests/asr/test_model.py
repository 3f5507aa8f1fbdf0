"""The hybrid model: as stock without options, and each option's formula and gradient."""

import copy

import pytest
import torch
from torch.nn import functional as F

from espnet_ext.errors import UserError
from tests.asr.tiny_model import check_gradient, tiny_batch, tiny_model, total

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


DROPOUT = {"attention_heads": 2, "linear_units": 8, "num_blocks": 2, "dropout_rate": 0.3}
CACHED = {"decoder": "espnet_ext.asr.decoder:CachedTransformerDecoder", "decoder_conf": DROPOUT}
MIDDLE = {
    "encoder_conf": {
        "output_size": 8,
        "num_blocks": 2,
        "attention_heads": 2,
        "linear_units": 8,
        "kernel": 3,
        "strides": [2],
        "channels": 2,
        "dropout_rate": 0.0,
        "interctc_layer_idx": [1],
    }
}
SPEAKER = {"speaker_weight": 0.5, "speakers": 2, "speaker_mode": "helpful"}
PHONE = {"phone_weight": 0.4, "phones": 4}
#: Option, what else changes, the share of the loss that it has.
OPTIONS = {
    "rdrop": ({"rdrop_weight": 0.8}, CACHED, 0.7 * 0.8),
    "rdrop_ctc": ({"rdrop_ctc_weight": 0.8}, {}, 0.3 * 0.8),
    "guided_attention": ({"guided_attention_weight": 2.0}, CACHED, 0.7 * 2.0),
    "lm_text": ({"lm_text_weight": 0.6}, {}, 0.6),
    "speaker": (SPEAKER, {}, 0.5),
    "phone": (PHONE, {}, 0.4),
    "regularisation": ({"regularisation_weight": 0.1}, {}, 0.1),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_gradient_of_an_option(name):
    conf, changes, _ = OPTIONS[name]
    if name == "rdrop_ctc":  # it wants two dropouts in the encoder
        changes = {"encoder_conf": {**MIDDLE["encoder_conf"], "dropout_rate": 0.3}}
    model = tiny_model(conf=conf, **changes).double()
    batch = tiny_batch(dtype=torch.double, extra=True)
    check_gradient(model, batch)
    assert float(model(**batch)[1][f"loss_{name}"]) > 1e-4


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_adds_its_share_to_the_loss_and_nothing_outside_training(name):
    conf, changes, share = OPTIONS[name]
    model, batch = tiny_model(conf=conf, **changes), tiny_batch(extra=True)
    loss, stats, weight = model(**batch)
    rest = 0.3 * stats["loss_ctc"] + 0.7 * stats["loss_att"]
    assert loss.item() == pytest.approx(float(rest + share * stats[f"loss_{name}"]), rel=1e-5)
    assert int(weight) == 3
    plain = tiny_model(**changes).eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    assert torch.allclose(model.eval()(**batch)[0], plain(**batch)[0])


@pytest.mark.parametrize("name", OPTIONS)
def test_weight_0_turns_an_option_off(name):
    conf, changes, _ = OPTIONS[name]
    model = tiny_model(conf={**conf, f"{name}_weight": 0}, **changes)
    plain = tiny_model(**changes)
    assert list(model.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(model.state_dict())
    batch = tiny_batch(extra=True)
    assert torch.equal(total(model, batch), total(plain, batch))
    assert f"loss_{name}" not in model(**batch)[1]


@pytest.mark.parametrize("decoder", ["stock", "ours"])
def test_guided_attention_teaches_the_diagonal(decoder):
    changes = CACHED if decoder == "ours" else {}
    model = tiny_model(conf={"guided_attention_weight": 100.0}, **changes)
    step, found = torch.optim.Adam(model.parameters(), 0.03), []
    for _ in range(15):
        step.zero_grad()
        loss, stats, _ = model(**tiny_batch())
        loss.sum().backward()
        step.step()
        found.append(float(stats["loss_guided_attention"]))
    assert found[-1] < 0.7 * found[0]
    if decoder == "ours":
        copy.deepcopy(model)  # no part of a graph is left in it


def test_an_adversary_turns_the_encoders_gradient_round():
    found = []
    for mode in ("helpful", "adversarial"):
        conf = {"speaker_weight": 0.5, "speakers": 2, "speaker_mode": mode}
        model = tiny_model(conf=conf)
        at = tiny_batch(extra=True)
        total(model, at).backward()
        plain = tiny_model()
        plain.load_state_dict(model.state_dict(), strict=False)
        total(plain, at).backward()
        hybrid = dict(plain.named_parameters())
        found.append(
            {
                name: p.grad - (hybrid[name].grad if name in hybrid else 0)
                for name, p in model.named_parameters()
            }
        )
    for name, helpful in found[0].items():
        sign = 1 if name.startswith("speaker_head") else -1
        assert torch.allclose(found[1][name], sign * helpful, atol=1e-6), name
    assert found[0]["encoder.subsampling.layers.0.weight"].abs().max() > 1e-5


def test_phones_may_be_heard_in_a_middle_layer():
    conf = {**PHONE, "phone_layer": 1, "cr_ctc_weight": 0.2, "interctc_weight": 0.3}
    model, seen = tiny_model(conf=conf, **MIDDLE), []
    model.phone_head.register_forward_pre_hook(lambda module, given: seen.append(given))
    model.encoder.register_forward_hook(lambda module, given, out: seen.append(out))
    _, stats, _ = model(**tiny_batch(extra=True))
    (out, middle), lengths, _ = seen[0]
    assert torch.equal(seen[1][0], middle[0][1]) and len(out) == 6
    log_probs = model.phone_head.out(middle[0][1]).log_softmax(-1).transpose(0, 1)
    batch = tiny_batch(extra=True)
    phones, number = batch["phones"].repeat(2, 1), batch["phones_lengths"].repeat(2)
    expected = F.ctc_loss(log_probs, phones, lengths, number, reduction="sum") / 6
    assert float(stats["loss_phone"]) == pytest.approx(expected.item(), rel=1e-5)
    assert "loss_interctc_layer1" in stats


def test_all_options_at_once_double_the_batch_once():
    conf = {key: value for conf, _, _ in OPTIONS.values() for key, value in conf.items()}
    del conf["rdrop_ctc_weight"]
    model = tiny_model(conf={**conf, "cr_ctc_weight": 0.2}, **CACHED, **MASKS)
    sizes = []
    model.encoder.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    loss, stats, weight = model(**tiny_batch(extra=True))
    assert sizes == [6] and int(weight) == 3 and bool(torch.isfinite(loss))
    assert {f"loss_{name}" for name in OPTIONS if name != "rdrop_ctc"} <= set(stats)
    model.eval()(**tiny_batch())  # validation data need not have it all


def test_a_short_utterance_of_a_doubled_batch_is_named_once():
    from espnet_ext.asr.objectives.feasible import TooShortForCTC

    batch = tiny_batch()
    batch["speech_lengths"] = torch.tensor([21, 2, 18])
    with pytest.raises(TooShortForCTC) as found:
        tiny_model(conf={"cr_ctc_weight": 0.2})(**batch)
    assert found.value.indices == [1]


@pytest.mark.parametrize(
    ("conf", "lacks", "words"),
    [
        (SPEAKER, "sids", "speaker_weight.*speaker_ids"),
        (PHONE, "phones", "phone_weight.*PhoneTargets"),
        ({"lm_text_weight": 1.0}, "lm_text", "lm_text_weight.*TextBatches"),
        ({**SPEAKER, "speakers": 1}, None, "speakers: found 1"),
        ({**PHONE, "phones": 3}, None, "phones: found id 3"),
        ({**PHONE, "phone_layer": 4}, None, "phone_layer: found 4"),
    ],
)
def test_a_batch_that_lacks_something_is_said(conf, lacks, words):
    batch = tiny_batch(extra=True)
    for name in [key for key in batch if lacks and key.startswith(lacks)]:
        del batch[name]
    with pytest.raises(UserError, match=words):
        tiny_model(conf=conf)(**batch)


def test_speakers_that_are_not_of_the_training_data_are_left_out():
    model, batch = tiny_model(conf=SPEAKER), tiny_batch(extra=True)
    batch["sids"] = torch.zeros(3, 1, dtype=torch.int64)
    assert "loss_speaker" not in model(**batch)[1]
    batch["sids"][0] = 3
    with pytest.raises(UserError, match="found id 3, expected 1 to 2"):
        model(**batch)


def test_a_schedule_changes_the_weight_and_goes_on_after_a_resume():
    conf = {"ctc_weight": {"from": 1.0, "to": 0.2, "updates": 4}}
    model = tiny_model(conf=conf)
    found = []
    for _ in range(6):
        loss, stats, _ = model(**tiny_batch())
        found.append(model.weight("ctc"))
        expected = found[-1] * stats["loss_ctc"] + (1 - found[-1]) * stats["loss_att"]
        assert loss.item() == pytest.approx(float(expected), rel=1e-5)
        again = tiny_model(conf=conf)
        again.load_state_dict(model.state_dict())
        assert again.weight("ctc") == found[-1]
        model = again
    assert found == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2])
    fresh = tiny_model(conf=conf).eval()
    assert fresh.weight("ctc") == fresh.ctc_weight == 0.2
    assert int(fresh.updates) == 0 and fresh(**tiny_batch()) and int(fresh.updates) == 0
    assert "updates" not in tiny_model().state_dict()


def test_who_trains_says_how_many_updates_are_done():
    """From then on batches are not counted, and nobody else's weights matter."""
    model = tiny_model(conf={"ctc_weight": {"from": 1.0, "to": 0.2, "updates": 4}})
    found = []
    for done in (0, 1, 1, 3):
        model.begin_update(done)
        model(**tiny_batch())
        found.append((model.weight("ctc"), int(model.updates)))
    assert found == [(1.0, 1), (0.8, 2), (0.8, 2), (pytest.approx(0.4), 4)]
    tiny_model().begin_update(3)  # has nothing that changes


def test_batches_that_are_added_up_are_one_update():
    model = tiny_model(conf={"cr_ctc_weight": {"from": 0, "to": 0.2, "updates": 3}})
    step, counted = torch.optim.SGD(model.parameters(), 0.01), []
    for _ in range(3):
        step.zero_grad()
        for _ in range(2):
            model(**tiny_batch())[0].sum().backward()
            counted.append(int(model.updates))
        step.step()
    assert counted == [1, 1, 2, 2, 3, 3]
