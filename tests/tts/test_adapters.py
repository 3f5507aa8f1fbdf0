"""New voices beside old ones, which do not change by a bit."""

import copy

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.tts.voices import Who

TEXT = torch.tensor([2, 3, 4, 5, 6])
KINDS = {
    "many voices": {"spks": 3, "pitch": {"level": "frame"}},
    "one voice": {},
    "flows": {"spks": 3, "decoder": {"kind": "flow", "width": 24}},
}


@pytest.fixture(params=KINDS)
def pair(acoustic, request):
    """A model, and the same with adapters for two new voices."""
    torch.manual_seed(3)
    before = acoustic(**KINDS[request.param])
    adapted = acoustic(**KINDS[request.param], adapters={"width": 4, "voices": 2})
    missing, unexpected = adapted.load_state_dict(before.state_dict(), strict=False)
    assert not unexpected and all(name.startswith("adapters.") for name in missing)
    return before, adapted


def speak(model, number, **options):
    torch.manual_seed(0)
    sids = None if number is None else torch.tensor([number])
    with torch.no_grad():
        return model.inference(TEXT, sids=sids, **options)


def test_only_new_voices_learn_and_old_ones_stay_to_the_bit(pair, batch):
    before, adapted = pair
    known = before.spks or 1
    assert adapted.spks == known + 2
    learning = {n for n, p in adapted.named_parameters() if p.requires_grad}
    assert learning == {n for n, _ in adapted.named_parameters() if n.startswith("adapters.")}
    optimiser = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], 0.01)
    batch["sids"] = torch.tensor([[known], [known + 1], [known]])
    losses = []
    for _ in range(12):
        torch.manual_seed(5)
        loss = adapted.train()(**batch)[0]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.97 * losses[0], losses
    adapted.eval()
    for number in range(known):
        old, new = speak(before, number), speak(adapted, number)
        assert old.keys() == new.keys() and all(torch.equal(old[k], new[k]) for k in old)
    mine, other = speak(adapted, known)["feat_gen"], speak(adapted, known + 1)["feat_gen"]
    for one in (speak(before, 0)["feat_gen"], other):
        assert mine.shape != one.shape or not torch.allclose(mine, one, atol=1e-4)


def test_a_new_voice_starts_as_the_one_it_is_like(acoustic):
    before = acoustic(spks=3)
    adapted = acoustic(spks=3, adapters={"width": 4, "like": 2})
    adapted.load_state_dict(before.state_dict(), strict=False)
    assert torch.equal(speak(adapted, 3)["feat_gen"], speak(before, 2)["feat_gen"])


def test_old_and_new_voices_in_one_batch_are_as_each_alone(pair):
    before, adapted = pair
    known = before.spks or 1
    for name, parameter in adapted.adapters.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3) if "up" in name or name == "own" else None
    text, lengths = TEXT.expand(3, -1), torch.tensor([5, 5, 5])
    who = Who(torch.tensor([0, known, known + 1]))
    together = adapted.speak(
        text, lengths, who, noise_scale=0.0
    )  # what is drawn depends on the batch
    for row, number in enumerate((0, known, known + 1)):
        alone = speak(adapted, number, noise_scale=0.0)
        assert torch.equal(alone["duration"], together.durations[row])
        frames = int(together.frames[row])
        assert torch.allclose(alone["feat_gen"], together.mel[row, :frames], atol=1e-4)


def test_a_batch_of_old_voices_alone_trains_nothing(pair, batch):
    _, adapted = pair
    batch["sids"] = torch.zeros(3, 1, dtype=torch.long)
    adapted.train()(**batch)[0].backward()
    grads = [p.grad for p in adapted.adapters.parameters() if p.grad is not None]
    assert grads and all(float(g.abs().max()) == 0 for g in grads)


def test_a_copy_has_adapters_of_its_own(acoustic):
    adapted = acoustic(spks=3, adapters={"width": 4})
    twin = copy.deepcopy(adapted)
    for part in twin.adapters.parts.values():
        torch.nn.init.ones_(part.up.bias)
    assert not torch.equal(speak(twin, 3)["feat_gen"][:4], speak(adapted, 3)["feat_gen"][:4])
    assert torch.equal(speak(twin, 1)["feat_gen"], speak(adapted, 1)["feat_gen"])


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"like": 3}, "found 3, expected a known voice, 0 to 2"),
        ({"width": 0}, "width"),
        ({"depth": 1}, "found 'depth'"),
    ],
)
def test_wrong_options_are_named(acoustic, conf, words):
    with pytest.raises(ValueError, match=words):
        acoustic(spks=3, adapters=conf)


def test_an_unknown_voice_is_said(acoustic):
    adapted = acoustic(spks=3, adapters={"width": 4})
    with pytest.raises(UserError, match="sids: found 4, expected numbers from 0 to 3"):
        speak(adapted, 4)
    with pytest.raises(UserError, match="sids: found none"):
        speak(adapted, None)


def test_training_has_to_know_which_voice_is_new(acoustic, batch):
    """A model of one voice speaks without a number, and could learn nothing from one that is not said."""
    adapted = acoustic(adapters={"width": 4})
    assert torch.equal(speak(adapted, None)["feat_gen"], speak(adapted, 0)["feat_gen"])
    with pytest.raises(UserError, match="sids: found none, expected numbers from 0 to 1"):
        adapted.train()(**batch)
