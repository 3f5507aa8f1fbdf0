"""The synthesiser that aligns by itself."""

import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.tts.aligned_fastspeech import AlignedFastSpeech


def model(**changes):
    torch.manual_seed(0)
    small = {
        "width": 16,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "encoder_inner": 16,
        "decoder_inner": 16,
    }
    return AlignedFastSpeech(9, 6, **{**small, "binarise_after": 0, **changes}).eval()


def batch(seed=0):
    torch.manual_seed(seed)
    return {
        "text": torch.tensor([[2, 3, 4, 5], [6, 2, 0, 0], [3, 3, 7, 0]]),
        "text_lengths": torch.tensor([4, 2, 3]),
        "feats": torch.randn(3, 20, 6),
        "feats_lengths": torch.tensor([15, 20, 9]),
        "pitch": torch.randn(3, 20, 1),
        "energy": torch.randn(3, 20, 1),
    }


def test_padding_does_not_matter():
    """Whatever stands behind the ends, and however long it is, the losses are the same."""
    speaker, given = model(), batch()
    with torch.no_grad():
        loss, stats, weight = speaker(**given)
        for name in ("feats", "pitch", "energy"):
            for row, length in zip(given[name], given["feats_lengths"].tolist(), strict=True):
                row[length:] = 50.0
            given[name] = torch.nn.functional.pad(given[name], (0, 0, 0, 7), value=-9.0)
        given["text"] = torch.nn.functional.pad(given["text"], (0, 3))
        again, others, _ = speaker(**given)
    assert float(weight) == 3
    for name, value in stats.items():
        assert float(others[name]) == pytest.approx(float(value), abs=1e-5), name
    assert float(again) == pytest.approx(float(loss), abs=1e-5)


def test_a_batch_is_the_weighted_mean_of_its_utterances():
    speaker, given = model(), batch()
    with torch.no_grad():
        _, together, _ = speaker(**given)
        alone = []
        for i in range(3):
            n, t = int(given["text_lengths"][i]), int(given["feats_lengths"][i])
            one = {
                "text": given["text"][i : i + 1, :n],
                "text_lengths": given["text_lengths"][i : i + 1],
            }
            one |= {k: given[k][i : i + 1, :t] for k in ("feats", "pitch", "energy")}
            alone.append(speaker(**one, feats_lengths=given["feats_lengths"][i : i + 1])[1])
    by_frame, by_token = given["feats_lengths"], given["text_lengths"] + 1
    for name, weights in {
        "mel": by_frame,
        "binarise": by_frame,
        "duration": by_token,
        "pitch": by_token,
        "energy": by_token,
        "forward_sum": torch.ones(3),
    }.items():
        mean = sum(float(s[name]) * float(w) for s, w in zip(alone, weights, strict=True)) / float(
            weights.sum()
        )
        assert float(together[name]) == pytest.approx(mean, rel=1e-4), name


def test_the_loss_reaches_every_parameter():
    speaker = model(spks=3, spk_embed_dim=4).train()
    loss, _, _ = speaker(**batch(), sids=torch.tensor([[0], [1], [2]]), spembs=torch.randn(3, 4))
    loss.backward()
    without = [
        n
        for n, p in speaker.named_parameters()
        if p.grad is None or not torch.isfinite(p.grad).all()
    ]
    assert without == []


def test_the_hard_alignment_waits_for_a_soft_one():
    speaker = model(binarise_after=2).train()
    found = [float(speaker(**batch())[1]["binarise"]) for _ in range(3)]
    assert found[0] == 0 and found[1] > 0 and found[2] > 0 and int(speaker.updates) == 3
    speaker.eval()(**batch())
    assert int(speaker.updates) == 3


def test_shapes_and_durations_of_speech():
    speaker = model()
    found = speaker.inference(torch.tensor([2, 3, 4]))
    assert found["duration"].shape == found["pitch"].shape == found["energy"].shape == (4,)
    assert found["duration"].min() >= 1 and found["feat_gen"].shape == (
        int(found["duration"].sum()),
        6,
    )
    assert speaker.inference(torch.tensor([2]), alpha=0.001)["duration"].tolist() == [1, 0]


@pytest.mark.parametrize("bias", [0.5, 1.1, 2.4])
def test_speed(bias):
    """Of short tokens, too, many of which last a frame."""
    speaker, text = model(), torch.arange(40) % 6 + 2
    torch.nn.init.constant_(speaker.duration.out.bias, bias)
    plain = len(speaker.inference(text)["feat_gen"])
    for alpha in (0.5, 0.8, 1.25, 2.0):
        frames = len(speaker.inference(text, alpha=alpha)["feat_gen"])
        assert frames / plain == pytest.approx(alpha, rel=0.03)


def test_without_pitch_and_energy():
    speaker = model(use_pitch=False, use_energy=False)
    given = {k: v for k, v in batch().items() if k not in ("pitch", "energy")}
    assert set(speaker(**given)[1]) == {"loss", "duration", "mel", "forward_sum", "binarise"}
    assert set(speaker.inference(torch.tensor([2]))) == {"feat_gen", "duration"}


def test_voices_differ():
    speaker = model(spks=3, langs=2)
    text, lids = torch.tensor([2, 3]), torch.tensor([1])
    mels = [speaker.inference(text, sids=torch.tensor([s]), lids=lids)["feat_gen"] for s in (0, 1)]
    assert mels[0].shape != mels[1].shape or not torch.allclose(*mels, atol=1e-3)


@pytest.mark.parametrize(
    ("sids", "words"), [(None, "found none"), ([3], "found 3"), ([-1], "found -1")]
)
def test_a_voice_that_is_not_there_is_said(sids, words):
    given = None if sids is None else torch.tensor(sids)
    with pytest.raises(UserError, match=f"sids: {words}, expected numbers from 0 to 2"):
        model(spks=3).inference(torch.tensor([2]), sids=given)


def test_speaker_embeddings_are_asked_for():
    with pytest.raises(UserError, match="no spembs"):
        model(spk_embed_dim=4).inference(torch.tensor([2]))
    assert len(
        model(spk_embed_dim=4).inference(torch.tensor([2]), spembs=torch.randn(4))["feat_gen"]
    )


def test_more_tokens_than_frames():
    given = {**batch(), "feats_lengths": torch.tensor([15, 20, 3])}
    with pytest.raises(UserError, match="4 tokens in 3 mel frames"):
        model()(**given)


@pytest.mark.parametrize("part", ["encoder.norm", "duration.out", "pitch.out", "out"])
def test_broken_weights_are_no_speech(part):
    speaker = model()
    torch.nn.init.constant_(speaker.get_submodule(part).bias, float("nan"))
    with pytest.raises(UserError, match="found NaN or infinity"):
        speaker.inference(torch.tensor([2, 3, 4]))


def test_speech_longer_than_the_context_is_said():
    speaker = model(longest=100)
    torch.nn.init.constant_(speaker.duration.out.bias, 9.0)
    with pytest.raises(UserError, match="utterance of 1207 mel frames, expected at most 100"):
        speaker.inference(torch.tensor([2, 3]))


def test_teacher_forcing_gives_what_training_compares():
    """A recording's timing, pitch and energy: as many frames as it has, at the distance that the loss says."""
    speaker, given = model(), batch()
    one = {name: given[name][:1] for name in ("text", "text_lengths", "feats_lengths")}
    tracks = {name: given[name][:1, :15] for name in ("feats", "pitch", "energy")}
    with torch.no_grad():
        stats = speaker(**one, **tracks)[1]
    alone = {name: track[0] for name, track in tracks.items()}
    found = speaker.inference(given["text"][0], **alone, use_teacher_forcing=True)
    assert found["feat_gen"].shape == (15, 6) and int(found["duration"].sum()) == 15
    distance = (found["feat_gen"] - tracks["feats"][0]).abs().mean()
    assert float(distance) == pytest.approx(float(stats["mel"]), abs=1e-5)
    with pytest.raises(UserError, match="found no feats"):
        speaker.inference(torch.tensor([2]), use_teacher_forcing=True)


@pytest.mark.slow
def test_it_learns_durations_that_it_never_saw():
    """Each token has its own mel; after some updates the alignment finds how long each one was."""
    torch.manual_seed(0)
    speaker = model(use_pitch=False, use_energy=False, dropout=0.0, binarise_after=200).train()
    mels, lasts = 2 * torch.randn(9, 6), torch.tensor([0, 0, 3, 14, 5, 11, 8, 4, 6])
    optimiser = torch.optim.Adam(speaker.parameters(), 3e-3)
    for _ in range(300):
        texts = torch.stack([torch.randperm(6)[:5] + 2 for _ in range(8)])
        rows = [
            torch.cat([mels[t].expand(int(lasts[t]), -1) for t in [*text.tolist(), 8]])
            for text in texts
        ]
        lengths = torch.tensor([len(r) for r in rows])
        feats = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        loss, _, _ = speaker(
            texts, torch.full((8,), 5), feats + 0.05 * torch.randn_like(feats), lengths
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    speaker.eval()(texts, torch.full((8,), 5), feats, lengths)
    found, true = speaker.aligner.attn.sum(1), torch.cat((lasts[texts], lasts[8].expand(8, 1)), 1)
    even = lengths[:, None] / 6
    assert (found - true).abs().mean() < 0.3 * (even - true).abs().mean()
