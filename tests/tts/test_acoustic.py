"""The acoustic model: its losses, its controls, and what it makes of wild input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.tts.voices import Who

BY_FRAME = {"pitch": {"level": "frame"}, "energy": {"level": "frame"}}
MANY = {"spks": 3, "langs": 2, "spk_embed_dim": 4, "use_gst": True}
KINDS = {
    "by token": {},
    "by frame": BY_FRAME,
    "flows": {"duration": {"kind": "flow"}, "decoder": {"kind": "flow", "width": 24}},
    "many voices": {**MANY, "decoder": {"ssim_weight": 0.5, "cross": False}},
}


def voices(conf):
    if "spks" not in conf:
        return {}
    numbers = {"sids": torch.tensor([[0], [1], [2]]), "lids": torch.tensor([[0], [1], [1]])}
    return {**numbers, "spembs": torch.ones(3, 4)}


def test_minus_one_voice_is_espnets_word_for_none(acoustic):
    speaker = acoustic(spks=-1, langs=-1)
    assert speaker.spks is None and speaker.langs is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_reaches_every_parameter(acoustic, batch, kind):
    speaker = acoustic(**KINDS[kind]).train()
    loss, stats, weight = speaker(**batch, **voices(KINDS[kind]))
    loss.backward()
    assert int(weight) == 3 and float(stats["loss"]) == pytest.approx(
        sum(float(v) for k, v in stats.items() if k != "loss"), rel=1e-5
    )
    lost = [
        n for n, p in speaker.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert lost == []


@pytest.mark.parametrize("kind", ["by token", "by frame", "many voices"])
def test_padding_does_not_matter(acoustic, batch, kind):
    """Whatever stands behind the ends, and however long it is, the losses are the same."""
    speaker = acoustic(**KINDS[kind])
    with torch.no_grad():
        before = speaker(**batch, **voices(KINDS[kind]))[1]
        for name, wild in (("feats", 50.0), ("pitch", 5.0), ("energy", 90.0)):
            for row, length in zip(batch[name], batch["feats_lengths"].tolist(), strict=True):
                row[length:] = wild
            batch[name] = torch.nn.functional.pad(batch[name], (0, 0, 0, 7), value=8.0)
        batch["text"] = torch.nn.functional.pad(batch["text"], (0, 3))
        after = speaker(**batch, **voices(KINDS[kind]))[1]
    for name, value in before.items():
        assert float(after[name]) == pytest.approx(float(value), abs=1e-5), name


def test_durations_from_outside(acoustic, batch):
    speaker = acoustic(alignment={"learned": False})
    batch["durations"] = torch.tensor([[3, 0, 6, 4, 2], [9, 6, 5, 0, 0], [4, 3, 2, 0, 0]])
    stats = speaker(**batch)[1]
    assert "forward_sum" not in stats and stats["loss"].isfinite()
    batch["durations"][1, 0] = 8
    with pytest.raises(UserError, match="durations of 19 frames for an utterance of 20"):
        speaker(**batch)
    del batch["durations"]
    with pytest.raises(UserError, match="no durations"):
        speaker(**batch)


# -- synthesis ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["by token", "by frame", "many voices"])
def test_several_at_once_are_as_each_alone(acoustic, kind):
    speaker = acoustic(**KINDS[kind])
    texts = [torch.tensor([2, 3, 4, 5, 2]), torch.tensor([6]), torch.tensor([3, 3, 7])]
    lengths = torch.tensor([5, 1, 3])
    given = {"feats": torch.randn(3, 12, 6), **voices(KINDS[kind])} if "voices" in kind else {}
    heard = torch.arange(12) < torch.tensor([[12], [9], [5]])
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    together = speaker.speak(padded, lengths, Who(**given, heard=heard))
    for row, text in enumerate(texts):
        own = {name: value[row] for name, value in given.items()}
        if own:
            own["feats"] = own["feats"][heard[row]]
        alone = speaker.inference(text, **own)
        frames = int(together.frames[row])
        assert torch.equal(alone["duration"], together.durations[row, : len(text) + 1])
        assert torch.allclose(alone["feat_gen"], together.mel[row, :frames], atol=1e-4)
        assert not together.mel[row, frames:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_of_speech(acoustic, kind):
    speaker = acoustic(**KINDS[kind])
    own = {"sids": torch.tensor([1]), "lids": torch.tensor([0])} if "voices" in kind else {}
    own |= {"spembs": torch.ones(4), "feats": torch.randn(30, 6)} if own else {}
    found = speaker.inference(torch.tensor([2, 3, 4]), **own)
    frames = int(found["duration"].sum())
    assert found["feat_gen"].shape == (frames, 6) and found["feat_gen"].isfinite().all()
    assert len(found["duration"]) == 4
    assert len(found["pitch"]) == len(found["energy"]) == (frames if "frame" in kind else 4)


def test_what_flows_draw_depends_on_the_seed_and_the_spread(acoustic):
    speaker, text = acoustic(**KINDS["flows"]), torch.tensor([2, 3, 4, 5, 6, 7])

    def mel(seed, **options):
        torch.manual_seed(seed)
        return speaker.inference(text, **options)["feat_gen"]

    def same(a, b):
        return a.shape == b.shape and torch.equal(a, b)

    assert same(mel(0), mel(0)) and not same(mel(0), mel(1))
    still = {"noise_scale": 0.0, "noise_scale_dur": 0.0}
    assert same(mel(0, **still), mel(1, **still))


# -- controls ----------------------------------------------------------------------------------------------------

LONG = torch.arange(200) % 7 + 1


@given(st.floats(0.5, 2.0))
@settings(max_examples=8, deadline=None)
def test_speed_is_what_was_asked_for(speed):
    """Durations of one random text, whose predictor says anything between a frame and a second."""
    from espnet_ext.tts.duration import whole_frames

    torch.manual_seed(3)
    lengths = (6 * torch.rand(1, 60)).exp().clamp(max=80)
    mask = torch.ones(1, 60, dtype=torch.bool)
    plain, found = (whole_frames(lengths * a, mask) for a in (1.0, 1 / speed))
    assert float(found.sum() * speed / plain.sum()) == pytest.approx(1, abs=0.03)
    assert int(plain.min()) >= 1 and int(found.min()) >= 0


@pytest.mark.parametrize("kind", ["by token", "by frame"])
def test_controls_move_what_they_say(acoustic, kind):
    speaker = acoustic(**KINDS[kind])
    plain = speaker.inference(LONG)
    for alpha in (0.5, 0.8, 1.25, 2.0):
        frames = len(speaker.inference(LONG, alpha=alpha)["feat_gen"])
        assert frames / len(plain["feat_gen"]) == pytest.approx(alpha, rel=0.03)
    for semitones in (-6.0, 6.0):
        moved = speaker.inference(LONG, pitch_shift=semitones)["pitch"]
        voiced = plain["pitch"] > 0
        assert voiced.any() and torch.equal(voiced, moved > 0)
        up = 12 / torch.log(torch.tensor(2.0)) * (moved - plain["pitch"])[voiced]
        assert torch.allclose(up, torch.full_like(up, semitones), atol=1e-3)
    louder = speaker.inference(LONG, energy_factor=1.5)["energy"]
    assert torch.allclose(louder, 1.5 * plain["energy"], rtol=1e-4)
    changed = speaker.inference(LONG, pitch_shift=6.0)["feat_gen"]
    assert not torch.allclose(changed, plain["feat_gen"], atol=1e-3)


@pytest.mark.parametrize("kind", ["by token", "by frame"])
def test_controls_reach_single_tokens(acoustic, kind):
    speaker, some = acoustic(**KINDS[kind]), torch.zeros(len(LONG))
    some[50:60] = 1
    plain = speaker.inference(LONG)
    slow = speaker.inference(LONG, alpha=1 + some)["duration"]
    assert float(slow[50:60].sum() / plain["duration"][50:60].sum()) == pytest.approx(2, rel=0.05)
    assert (slow - plain["duration"])[:50].abs().max() == 0
    high = speaker.inference(LONG, pitch_shift=(4 * some).tolist())["pitch"]
    at = torch.arange(len(LONG) + 1)
    if "frame" in kind:
        at = torch.repeat_interleave(at, plain["duration"])
    inside, voiced = (at >= 50) & (at < 60), plain["pitch"] > 0
    moved = (high - plain["pitch"]).abs() > 0.1
    assert torch.equal(moved, inside & voiced)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": [1.0, 2.0]}, "alpha: found 2 values, expected one, or one for each of 3 tokens"),
        ({"alpha": 0.0}, "alpha: found 0, expected 0.05 to 20"),
        ({"pitch_shift": float("nan")}, "pitch_shift: found nan"),
        ({"energy_factor": [1.0, -1.0, 1.0]}, "energy_factor: found -1"),
        ({"use_teacher_forcing": True}, "found no feats"),
    ],
)
def test_controls_out_of_range_are_said(acoustic, options, words):
    with pytest.raises(UserError, match=words):
        acoustic().inference(torch.tensor([2, 3, 4]), **options)


@pytest.mark.parametrize("learned", [True, False])
def test_teacher_forcing_gives_what_training_compares(acoustic, batch, learned):
    """A recording's timing, pitch and energy: as many frames as it has, at the distance that the loss says."""
    speaker = acoustic(alignment={"learned": learned})
    one = {name: batch[name][:1] for name in ("text", "text_lengths", "feats_lengths")}
    tracks = {name: batch[name][:1, :15] for name in ("feats", "pitch", "energy")}
    tracks |= {} if learned else {"durations": torch.tensor([[3, 4, 1, 5, 2]])}
    with torch.no_grad():
        stats = speaker(**one, **tracks)[1]
    alone = {name: track[0] for name, track in tracks.items()}
    found = speaker.inference(batch["text"][0], **alone, use_teacher_forcing=True)
    assert found["feat_gen"].shape == (15, 6) and int(found["duration"].sum()) == 15
    distance = (found["feat_gen"] - tracks["feats"][0]).abs().mean()
    assert float(distance) == pytest.approx(float(stats["mel"]), abs=1e-5)


# -- wild input --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_any_tokens_are_spoken(tokens):
    from espnet_ext.tts.acoustic import AcousticModel
    from tests.tts.conftest import SMALL

    torch.manual_seed(len(tokens))
    found = AcousticModel(9, 6, **SMALL).eval().inference(torch.tensor(tokens))
    assert found["feat_gen"].isfinite().all() and len(found["feat_gen"]) < 400 * len(tokens) + 400


@pytest.mark.parametrize(
    ("conf", "text", "more", "words"),
    [
        ({}, [], {}, "a text of no tokens"),
        ({}, [2, 9], {}, "found token 9, expected numbers from 0 to 8"),
        ({}, [2, -1], {}, "found token -1"),
        ({}, [2] * 10_000, {}, "10000 tokens, expected at most 4096"),
        ({"longest": 40}, [2] * 30, {}, r"utterance of \d+ mel frames, expected at most 40"),
        ({"spks": 3}, [2], {}, "sids: found none, expected numbers from 0 to 2"),
        ({"spks": 3}, [2], {"sids": torch.tensor([3])}, "sids: found 3"),
        ({"langs": 2}, [2], {"lids": torch.tensor([-1])}, "lids: found -1"),
        ({"spk_embed_dim": 4}, [2], {}, "found no spembs, expected 4 numbers"),
        ({"spk_embed_dim": 4}, [2], {"spembs": torch.ones(5)}, "spembs of 5 numbers, expected 4"),
        ({"use_gst": True}, [2], {}, "no recording"),
    ],
)
def test_what_cannot_be_spoken_is_said(acoustic, conf, text, more, words):
    with pytest.raises(UserError, match=words):
        acoustic(**conf).inference(torch.tensor(text, dtype=torch.int64), **more)


def test_a_duration_that_explodes_ends(acoustic):
    speaker = acoustic()
    torch.nn.init.constant_(speaker.adaptor.duration.layers[-1].bias, 1e9)
    assert speaker.inference(torch.tensor([2, 3]))["duration"].tolist() == [400, 400, 400]


@pytest.mark.parametrize("kind", ["by token", "by frame", "flows"])
@pytest.mark.parametrize("forced", [False, True])
def test_broken_weights_are_no_speech(acoustic, kind, forced):
    """Wherever they are, and with a recording's timing, too."""
    speaker, recording, unheard = acoustic(**KINDS[kind]), {}, ("aligner.",)
    if forced:
        recording = {"feats": torch.randn(20, 6), "pitch": torch.full((20, 1), 5.0)}
        recording |= {"energy": torch.ones(20, 1), "use_teacher_forcing": True}
        predictors = (f"adaptor.contours.{name}.predictor." for name in ("pitch", "energy"))
        unheard += ("adaptor.duration.", *predictors)
    one_of_each = {n.rpartition(".")[0]: (n, p) for n, p in speaker.named_parameters()}
    for name, weight in one_of_each.values():
        if name.startswith(unheard):
            continue
        with torch.no_grad():
            before, weight[...] = weight.clone(), float("nan")
            with pytest.raises(UserError, match="found NaN or infinity"):
                speaker.inference(torch.tensor([2, 3]), **recording)
            weight[...] = before


def test_training_refuses_what_it_cannot_align(acoustic, batch):
    with pytest.raises(UserError, match="4 tokens in 3 mel frames"):
        acoustic()(**{**batch, "feats_lengths": torch.tensor([15, 20, 3])})
    with pytest.raises(UserError, match="20 mel frames, expected at most 16"):
        acoustic(longest=16)(**batch)


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("pitch", lambda p: p - 5, "pitch_normalize: null"),
        ("pitch", lambda p: p.exp(), "use_log_f0: true"),
        ("energy", lambda e: e - 1, "energy_normalize: null"),
        ("energy", lambda e: None, "found no energy in the data"),
    ],
)
def test_contours_that_were_normalised_are_refused(acoustic, batch, name, wrong, words):
    with pytest.raises(UserError, match=words):
        acoustic().train()(**{**batch, name: wrong(batch[name])})


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"encoder": {"block": 3}}, "encoder: found 'block', expected some of blocks"),
        ({"decoder": {"kind": "lstm"}}, "decoder.kind: found 'lstm', expected transformer, flow"),
        ({"pitch": {"level": "word"}}, "pitch.level: found 'word', expected token, frame"),
        ({"duration": {"layers": 9}}, "duration.layers: found 9, expected a whole number, 2 to 4"),
        ({"encoder": {"dropout": "0.1"}}, "encoder.dropout: found '0.1', expected a number"),
        ({"encoder": {"positions": "learned"}}, "encoder.positions: found 'learned'"),
        ({"encoder": {"prosody": "stres"}}, "prosody: found 'stres', expected some of"),
        ({"encoder": {"prosody_dropout": 3}}, "encoder.prosody_dropout: found 3, .* 0 to 1"),
        ({"decoder": {"postnet_width": 0}}, "decoder.postnet_width: found 0, .* 1 or more"),
        ({"decoder": {"inner": 0}}, "decoder.inner: found 0, .* 1 or more"),
        ({"decoder": {"kind": "flow", "steps": 0}}, "decoder.steps: found 0, .* 1 or more"),
        ({"decoder": {"ssim_weight": -1}}, "decoder.ssim_weight: found -1, .* 0 or more"),
        ({"decoder": {"ssim_weight": float("inf")}}, "decoder.ssim_weight: found inf"),
        ({"decoder": {"heads": 0}}, "decoder.heads: found 0, .* 1 or more"),
        ({"decoder": {"dropout": 1.0}}, "decoder.dropout: found 1.0, .* 0 to 0.99"),
        ({"pitch": {"reach": 0}}, "pitch.reach: found 0, .* 0.1 or more"),
        ({"pitch": {"reach": float("nan")}}, "pitch.reach: found nan"),
        ({"pitch": {"layers": -1}}, "pitch.layers: found -1, .* 0 or more"),
        ({"pitch": {"bins": 1}}, "pitch.bins: found 1, .* 2 or more"),
        ({"duration": {"kind": "flow", "steps": 0}}, "duration.steps: found 0"),
        ({"alignment": {"weight": -0.5}}, "alignment.weight: found -0.5"),
        ({"width": 0}, "tts_conf.width: found 0, expected a whole number, 1 or more"),
        ({"spk_embed_dim": -4}, "tts_conf.spk_embed_dim: found -4"),
    ],
)
def test_wrong_options_are_named(acoustic, conf, words):
    with pytest.raises(ValueError, match=words):
        acoustic(**conf)
