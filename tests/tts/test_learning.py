"""What a trained model does with its controls, measured in the spectrogram that it makes.

The voice is made up: each token has its own bin, pitch moves a hump by one bin a semitone, loudness lifts some bins by
the logarithm of the amplitude. Pitch and loudness of a token are random, so that only the contours tell them.
"""

import pytest
import torch

from espnet_ext.tts.acoustic import AcousticModel
from espnet_ext.tts.contour import FLOOR, SEMITONE

TOKENS, LONGEST = 9, torch.tensor([0, 4, 3, 9, 5, 8, 7, 6, 4])
HUMP, LOUD, OWN = slice(0, 40), slice(40, 43), 43


def utterances(number):
    """A batch of the made-up voice, durations included."""
    text = torch.randint(1, TOKENS - 1, (number, 6))
    ids = torch.cat((text, torch.full((number, 1), TOKENS - 1)), 1)
    durations = LONGEST[ids]
    semitones, loudness = 16 * torch.rand(ids.shape) - 8, (2 * torch.rand(ids.shape) - 1).exp()
    rows = [
        torch.repeat_interleave(torch.stack((i.float(), s, a), 1), d, 0)
        for i, s, a, d in zip(ids, semitones, loudness, durations, strict=True)
    ]
    lengths = torch.tensor([len(row) for row in rows])
    tokens, height, loud = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).unbind(-1)
    feats = torch.zeros(*tokens.shape, OWN + TOKENS)
    feats[..., HUMP] = 3 * torch.exp(-(torch.arange(40) - 20 - height[..., None]).square() / 8)
    feats[..., LOUD] = (loud + FLOOR).log()[..., None]
    feats.scatter_(2, OWN + tokens.long()[..., None], 2.0)
    return {
        "text": text,
        "text_lengths": torch.full((number,), 6),
        "feats": feats,
        "feats_lengths": lengths,
        "durations": durations,
        "pitch": (5 + SEMITONE * height)[..., None],
        "energy": loud[..., None],
    }


@pytest.fixture(scope="module", params=["token", "frame"])
def learned(request):
    torch.manual_seed(0)
    contour = {"level": request.param, "layers": 1, "bins": 64, "updates": 20}
    part = {"blocks": 1, "inner": 64, "kernel": 3, "dropout": 0.0}
    model = AcousticModel(
        TOKENS,
        OWN + TOKENS,
        width=32,
        encoder=part,
        decoder={**part, "postnet": 0},
        pitch=contour,
        energy=contour,
        alignment={"learned": False},
    ).train()
    optimiser = torch.optim.Adam(model.parameters(), 4e-3)
    # without smaller and smaller steps the last updates stray, and rounding would decide what was learnt
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 400)
    for _ in range(400):
        loss, stats, _ = model(**utterances(12))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rates.step()
    assert float(stats["mel"]) < 0.12
    return model.eval()


TEXT = torch.tensor([3, 5, 1, 6, 7, 3, 5, 4])


def hump(found):
    """Mean place of the pitch's hump in each frame, in bins = semitones."""
    weight = found["feat_gen"][:, HUMP].clamp(min=0.3) - 0.3
    return (weight * torch.arange(40.0)).sum(-1) / weight.sum(-1)


@pytest.mark.slow
def test_pitch_moves_by_semitones(learned):
    plain = hump(learned.inference(TEXT))
    for semitones in (-6.0, -3.0, 3.0, 6.0):
        moved = hump(learned.inference(TEXT, pitch_shift=semitones)) - plain
        assert float(moved.mean()) == pytest.approx(semitones, abs=0.5)


@pytest.mark.slow
def test_energy_moves_by_its_factor(learned):
    plain = learned.inference(TEXT)["feat_gen"][:, LOUD]
    for factor in (0.6, 1.6):
        moved = learned.inference(TEXT, energy_factor=factor)["feat_gen"][:, LOUD] - plain
        wanted = float(torch.tensor(factor).log())
        assert float(moved.mean()) == pytest.approx(wanted, abs=0.12)


@pytest.mark.slow
def test_durations_are_learned_and_follow_the_speed(learned):
    plain = learned.inference(TEXT)["duration"]
    wanted = LONGEST[torch.cat((TEXT, torch.tensor([TOKENS - 1])))]
    assert (plain - wanted).abs().max() <= 1
    for speed in (0.5, 0.8, 1.25, 2.0):
        total = int(learned.inference(TEXT, alpha=1 / speed)["duration"].sum())
        assert total * speed / int(plain.sum()) == pytest.approx(1, abs=0.03)


@pytest.mark.slow
def test_one_word_alone_is_raised(learned):
    shift = torch.zeros(len(TEXT))
    shift[3:5] = 5.0
    plain, found = learned.inference(TEXT), learned.inference(TEXT, pitch_shift=shift)
    moved = hump(found) - hump(plain)
    at = torch.repeat_interleave(torch.arange(len(TEXT) + 1), plain["duration"])
    inside = (at == 3) | (at == 4)
    assert float(moved[inside].mean()) == pytest.approx(5, abs=0.7)
    assert float(moved[(at < 2) | (at > 5)].abs().mean()) < 0.5
