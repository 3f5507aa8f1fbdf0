"""Two sides in turn: several batches of an update teach the same as one large batch."""

from __future__ import annotations

import pytest
import torch

from espnet_ext.audio.features import Features
from espnet_ext.train.monitor import Averages
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.state import Position
from espnet_ext.train.step import Step
from espnet_ext.vocoder.discriminators import Discriminators
from espnet_ext.vocoder.model import Losses, VocoderModel
from espnet_ext.vocoder.vocos import Vocos
from tests.tts.conftest import SMALL
from tests.tts.test_joint import FRONT, JUDGES, VOCOS, make

CONFIG = {
    "grad_clip": -1,
    "scheduler": None,
    "scheduler2": None,
    "optim": "sgd",
    "optim_conf": {"lr": 0.01},
    "optim2": "sgd",
    "optim2_conf": {"lr": 0.1},  # so that it matters which side has made its step
}


def vocoder():
    """A small vocoder and four stretches."""
    torch.manual_seed(0)
    front = Features(**{**FRONT, "power": 1, "log_base": 10})
    model = VocoderModel(Vocos(20, 80, **VOCOS), Discriminators(JUDGES), front, losses=Losses())
    return model, {"speech": 0.1 * torch.randn(4, 256 + 12 * 80)}


def joint():
    """A joint model and four utterances that are one window long, so that nothing is drawn."""
    still = {"dropout": 0.0}
    fixed = {"layers": 1, "bins": 32, "dropout": 0.0, "updates": 0}
    acoustic = {
        **SMALL,
        **{name: {**SMALL[name], **still} for name in ("encoder", "decoder")},
        "decoder": {**SMALL["decoder"], **still, "postnet": 0},
        **{"pitch": fixed, "energy": fixed, "duration": still},
    }
    model = make(acoustic=acoustic, segment_size=20)
    torch.manual_seed(1)
    return model, {
        "text": torch.randint(1, 8, (4, 5)),
        "text_lengths": torch.full((4,), 5),
        "feats": torch.randn(4, 21, 20),
        "feats_lengths": torch.full((4,), 21),
        "speech": 0.1 * torch.randn(4, 1600),
        "speech_lengths": torch.full((4,), 1600),
        "pitch": 4.5 + torch.rand(4, 21, 1),
        "energy": torch.rand(4, 21, 1),
    }


class Caching(torch.nn.Module):
    """A GAN that keeps its outputs as ESPnet's do: whatever the next batch is."""

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)
        self.cache_generator_outputs, self._cache = True, None

    def forward(self, x, forward_generator=True):
        """Losses as of least squares."""
        reused = self._cache is not None and self.cache_generator_outputs
        made = self._cache if reused else self.generator(x)
        self._cache = made if self.cache_generator_outputs and not reused else None
        if forward_generator:
            loss = (1 - self.discriminator(made)).square().mean() + (made - x).abs().mean()
        else:
            loss = self.discriminator(made.detach()).square().mean()
            loss = loss + (1 - self.discriminator(x)).square().mean()
        return {"loss": loss, "stats": {}, "weight": torch.ones(1)}


def caching():
    """It, and four rows."""
    torch.manual_seed(0)
    return Caching(), {"x": torch.randn(4, 3)}


def trained(build, batches, updates=2, precision="fp32"):
    """Weights after some updates of so many batches each, which are the same utterances together."""
    model, whole = build()
    sides = (model.generator, ""), (model.discriminator, "2")
    config = {**CONFIG, "precision": precision}
    optimisers = [Optimiser(part.parameters(), config, suffix) for part, suffix in sides]
    turns = [({"forward_generator": False}, 1), ({"forward_generator": True}, 0)]
    step = Step(model.train(), optimisers, turns, seed=0, precision=precision)
    parts = zip(*(value.chunk(batches) for value in whole.values()), strict=True)
    made = [
        ([f"u{n}" for n in range(4 // batches)], dict(zip(whole, part, strict=True)))
        for part in parts
    ]
    at = Position()
    for _ in range(updates):
        step.update(at, range(batches), iter(made), Averages())
    return model


@pytest.mark.parametrize("build", [vocoder, joint, caching])
def test_several_batches_teach_what_one_does(build):
    one, two, start = trained(build, 1), trained(build, 2), build()[0]
    before, after = dict(start.named_parameters()), dict(one.named_parameters())
    for name, found in two.named_parameters():
        assert torch.allclose(found, after[name], rtol=0, atol=1e-6), name
    for part in ("generator.", "discriminator."):
        moved = [not torch.equal(before[n], after[n]) for n in before if n.startswith(part)]
        assert sum(moved) > 0.9 * len(moved)


def test_outputs_are_kept_where_the_second_turn_follows_at_once():
    """The generator is asked once a batch when an update has one, and twice when it has several."""
    for batches, expected in ((1, 2), (2, 8)):
        asked = []

        def counted(asked=asked):
            model, whole = vocoder()
            model.generator.register_forward_hook(lambda *_: asked.append(1))
            return model, whole

        trained(counted, batches)
        assert len(asked) == expected


def test_spectral_norms_are_estimated_once_an_update():
    judge = Discriminators({"msd": JUDGES["msd"]}).train()
    vectors = [b for n, b in judge.named_buffers() if n.endswith("weight_u")]
    wave = torch.randn(2, 1, 400)

    def known():
        return [v.clone() for v in vectors]

    def same(a, b):
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    first = known()
    judge(wave)
    assert not same(first, known())  # nobody says what an update is: as torch does
    judge.begin_update(0)
    second = known()
    judge(wave)
    assert same(second, known())
    judge.begin_update(1)
    assert not same(second, known())
    judge.train().begin_update(2)
    third = known()
    judge(wave)
    assert same(third, known()) and judge.training
    judge.eval().begin_update(3)
    assert same(third, known())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_sides_compute_with_the_bits_asked_for(precision):
    seen = {}

    def watched():
        model, whole = joint()
        watch = {
            "generator": model.generator.waves.backbone.embed,
            "discriminator": model.discriminator.mpd.discriminators[0].output_conv,
            "acoustic": model.generator.acoustic.decoder.out,
        }
        for name, layer in watch.items():
            layer.register_forward_hook(lambda m, i, o, name=name: seen.update({name: o.dtype}))
        return model, whole

    model = trained(watched, 2, precision=precision)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    assert seen == dict.fromkeys(("generator", "discriminator", "acoustic"), kind)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())
