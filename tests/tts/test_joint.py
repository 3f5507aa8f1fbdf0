"""Text to waveform in one model: what is cut belongs together, and learning reaches every part."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.audio.features import Features, extract
from espnet_ext.errors import UserError
from espnet_ext.train.initial import load_initial
from espnet_ext.tts.joint import JointModel
from espnet_ext.tts.joint_generator import Decoded, Text2Wave, open_acoustic_model
from espnet_ext.tts.joint_windows import Windows, choose_windows
from espnet_ext.vocoder.model import VocoderModel
from espnet_ext.vocoder.vocos import Vocos
from tests.tts.conftest import SMALL

FRONT = {"fs": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 20, "fmin": 60, "fmax": 3800}
VOCOS = {"n_fft": 320, "width": 16, "inner": 32, "blocks": 1}
HIFIGAN = {"version": "v3", "channels": 16, "upsample_scales": [8, 5, 2]}
JUDGES = {
    "mpd": {"periods": [2, 3], "channels": 2, "largest": 8},
    "msd": {"scales": 1, "channels": 16, "largest": 16},
    "mrd": {"channels": 2, "resolutions": [[128, 32]]},
}


class Echo(torch.nn.Module):
    """A generator that says of each sample which frame it was made from."""

    needs_f0 = True

    def __init__(self, in_channels: int, hop_length: int, rate: int):
        super().__init__()
        self.hop = hop_length

    def forward(self, x, f0=None):
        """The first channel (B, S) as (B, 1, S * hop)."""
        self.heard = f0
        return x[:, :1].repeat_interleave(self.hop, dim=2)

    def f0_loss(self, x, f0):
        """None."""
        return x.mean() * 0


def make(seed: int = 0, **changes) -> JointModel:
    torch.manual_seed(seed)
    conf = {"generator": "vocos", "generator_conf": VOCOS, "discriminators": JUDGES}
    return JointModel(9, 20, FRONT, **{"acoustic": SMALL, "segment_size": 8, **conf, **changes})


def sentences(seed: int = 1) -> dict:
    """Two utterances, the second shorter."""
    torch.manual_seed(seed)
    pitch = 4.5 + torch.rand(2, 21, 1)
    pitch[:, 5:8] = 0
    speech = 0.1 * torch.randn(2, 1600)
    speech[1, 1120:] = 0
    return {
        "text": torch.tensor([[2, 3, 4, 5], [6, 2, 0, 0]]),
        "text_lengths": torch.tensor([4, 2]),
        "feats": torch.randn(2, 21, 20),
        "feats_lengths": torch.tensor([21, 15]),
        "speech": speech,
        "speech_lengths": torch.tensor([1600, 1120]),
        "pitch": pitch,
        "energy": torch.rand(2, 21, 1),
    }


# -- windows -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    samples=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    size=st.integers(1, 12),
    hop=st.integers(1, 9),
    random=st.booleans(),
    seed=st.integers(0, 99),
)
def test_frames_pitch_and_samples_of_a_window_belong_together(samples, size, hop, random, seed):
    """Frame k says k, sample n says n // hop; behind the end of what is too short there is silence."""
    lengths = torch.tensor(samples)
    frames = lengths // hop + 1
    index = torch.arange(int(frames.max()) * hop)
    speech = torch.where(index < lengths[:, None], index // hop + 1, 0)
    mel = torch.arange(int(frames.max())) + 1
    mel = torch.where(mel <= frames[:, None], mel, 0)[..., None]
    torch.manual_seed(seed)
    found = choose_windows(frames, lengths, size, hop, random)
    seen, heard = found.of_frames(mel)[..., 0], found.of_wave(speech)
    assert seen.shape == (len(samples), size) and heard.shape == (len(samples), size * hop)
    whole = lengths >= size * hop
    assert torch.equal(heard[whole], seen[whole].repeat_interleave(hop, dim=1))
    assert (found.starts[~whole] == 0).all() and (seen[whole] > 0).all()
    inside = heard[~whole] > 0
    assert torch.equal(heard[~whole][inside], seen[~whole].repeat_interleave(hop, dim=1)[inside])


def test_windows_are_drawn_anywhere_within_and_lie_in_the_middle_for_validation():
    torch.manual_seed(0)
    frames, samples = torch.full((4000,), 14), torch.full((4000,), 1300)  # 13 frames of 100 samples
    starts = choose_windows(frames, samples, 10, 100).starts
    assert starts.unique().tolist() == [0, 1, 2, 3]
    assert int(torch.bincount(starts).min()) > 800
    assert (choose_windows(frames, samples, 10, 100, random=False).starts == 1).all()


def test_a_frame_of_the_front_end_is_where_the_window_has_its_samples():
    """A click is loudest in the frame whose samples begin with it, before and after cutting."""
    speech, at = torch.zeros(1, 2400), 17
    speech[0, at * 80] = 1.0
    mel = torch.from_numpy(extract([speech[0].numpy()], Features(**{**FRONT, "power": 1}))[0])[None]
    window = Windows(torch.tensor([11]), 12, 80)
    assert int(window.of_frames(mel)[0].sum(-1).argmax()) == at - 11
    assert int(window.of_wave(speech)[0].argmax()) == (at - 11) * 80


def test_the_generator_gets_the_windows_frames_and_pitch():
    model = open_acoustic_model(9, 20, SMALL)
    both = Text2Wave(model, "hidden", "tests.tts.test_joint:Echo", {}, FRONT)
    index = torch.arange(30.0)
    hidden = index[None, :, None].expand(2, -1, 16) + torch.tensor([0.0, 100.0])[:, None, None]
    made = Decoded(hidden, torch.zeros(2, 30, 20), torch.ones(2, 30, dtype=torch.bool))
    windows = Windows(torch.tensor([3, 20]), 6, 80)
    f0 = windows.of_frames(100 + hidden[..., 0])
    read, wave = both.window(made, windows, f0)
    frame = (torch.arange(30 * 80) // 80)[None] + torch.tensor([[0.0], [100.0]])
    assert torch.equal(wave[:, 0], windows.of_wave(frame))
    assert torch.equal(both.waves.heard, read[:, 0] + 100)


# -- learning ----------------------------------------------------------------------------------------------------

KINDS = {
    "hidden": {},
    "mel": {"reads": "mel"},
    "hifigan": {"generator": "hifigan", "generator_conf": HIFIGAN},
    "istftnet": {
        "generator": "istftnet",
        "generator_conf": {"version": "v3", "channels": 16, "upsample_scales": [5, 4]},
    },
    "harmonic": {"generator": "harmonic", "generator_conf": {**VOCOS, "pitch_width": 16}},
    "many voices": {"spks": 3, "spk_embed_dim": 4, "use_gst": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_learning_reaches_every_part(kind):
    model, batch = make(**KINDS[kind]).train(), sentences()
    if kind == "many voices":
        batch |= {"sids": torch.tensor([[0], [2]]), "spembs": torch.ones(2, 4)}
    judged = model(**batch, forward_generator=False)
    judged["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad.isfinite().all() for p in model.discriminator.parameters())
    found = model(**batch)
    assert (judged["optim_idx"], found["optim_idx"]) == (1, 0)
    parameters = dict(model.generator.named_parameters())
    found["loss"].backward(inputs=list(parameters.values()))
    lost = [n for n, p in parameters.items() if p.grad is None or not p.grad.isfinite().all()]
    assert lost == []
    stats = found["stats"]
    assert stats["loss"] == found["loss"].detach() and int(found["weight"]) == 2
    w, terms = model.losses, {n: float(v) for n, v in stats.items() if n != "loss"}
    weights = {"wave_mel": w.mel, "wave_feature": w.feature, "wave_adversarial": w.adversarial}
    total = sum(weights.get(name, 1.0) * value for name, value in terms.items())
    assert float(stats["loss"]) == pytest.approx(total, rel=1e-5)
    assert ("f0" in stats) == (kind == "harmonic")


def test_the_waveforms_loss_teaches_the_text_encoder():
    model = make(acoustic_weight=0.0, discriminators={})
    model(**sentences())["loss"].backward()
    parts = dict(model.generator.acoustic.named_parameters())
    for name in ("encoder.embed.weight", "decoder.trunk.stack.norm.weight"):
        assert parts[name].grad.abs().sum() > 0
    assert model.discriminator is None
    assert model._kept is None  # no second turn will take it


def test_one_utterance_is_learned_by_heart():
    """Its own mel spectrogram and pitch are those of the front end."""
    time = torch.arange(1600) / 8000
    speech = 0.3 * torch.sin(6.2832 * 220 * time) + 0.2 * torch.sin(6.2832 * 880 * time)
    front = Features(**{**FRONT, "power": 1, "log_base": 10})
    mel = torch.from_numpy(extract([speech.numpy()], front)[0])[None]
    batch = {name: value[:1] for name, value in sentences().items()}
    batch |= {"speech": speech[None], "feats": (mel + 2) / 2}
    model = make(discriminators={"mpd": JUDGES["mpd"]}, losses={"discriminator_start": 30})
    sides = [
        torch.optim.Adam(part.parameters(), 3e-3) for part in (model.discriminator, model.generator)
    ]
    seen: list[dict[str, float]] = []
    for step in range(60):
        torch.manual_seed(step)
        model.begin_update(step)
        for optimiser, first in zip(sides, (False, True), strict=True):
            found = model(**batch, forward_generator=first)
            optimiser.zero_grad()
            found["loss"].backward(inputs=optimiser.param_groups[0]["params"])
            optimiser.step()
        seen.append({name: float(value) for name, value in found["stats"].items()})
    for name in ("mel", "wave_mel"):
        assert seen[-1][name] < 0.6 * seen[0][name]
    assert ["wave_adversarial" in stats for stats in seen] == 30 * [False] + 30 * [True]


def test_discriminators_start_after_updates_not_batches():
    model, batch = make(losses={"discriminator_start": 2}), sentences()
    started = []
    for done in range(4):
        model.begin_update(done)
        for _ in range(2):
            started.append("wave_adversarial" in model(**batch)["stats"])
    assert started == [False] * 4 + [True] * 4


def test_asking_twice_is_counted_once():
    """With the outputs kept or not, the acoustic model's counters see a batch once, and windows are the same."""
    batch, found = sentences(), []
    for kept in (True, False):
        model = make().train()
        model.cache_generator_outputs = kept
        for first in (False, True):
            torch.manual_seed(3)
            answer = model(**batch, forward_generator=first)
        found.append((answer["loss"], dict(model.generator.acoustic.named_buffers())))
    assert torch.equal(found[0][0], found[1][0])
    assert int(found[0][1]["updates"]) == 1
    assert all(torch.equal(found[0][1][name], found[1][1][name]) for name in found[0][1])


# -- speech ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hidden", "mel", "hifigan", "harmonic"])
def test_it_speaks_and_obeys(kind):
    model, text = make(**KINDS[kind]).eval(), torch.tensor([2, 3, 4, 5])
    found = model.inference(text)
    frames = int(found["duration"].sum())
    assert found["wav"].shape == (80 * frames,) and found["wav"].isfinite().all()
    assert found["feat_gen"].shape == (frames, 20) and len(found["pitch"]) == 5
    assert torch.equal(found["wav"], model.inference(text)["wav"])
    slow = model.inference(text, alpha=2.0)
    assert len(slow["wav"]) == pytest.approx(2 * len(found["wav"]), rel=0.1)
    for control in ({"pitch_shift": 6.0}, {"energy_factor": 2.0}):
        other = model.inference(text, **control)["wav"]
        assert len(other) == len(found["wav"]) and not torch.allclose(other, found["wav"])


def test_it_follows_a_recording():
    batch, model = sentences(), make().eval()
    given = {name: batch[name][0] for name in ("feats", "pitch", "energy")}
    found = model.inference(batch["text"][0], **given, use_teacher_forcing=True)
    assert int(found["duration"].sum()) == 21 and found["wav"].shape == (21 * 80,)


def test_trained_parts_speak_together_as_they_did_apart(tmp_path):
    """Though they were trained with spectrograms normalised in different ways."""

    def whole(tts):
        outer = torch.nn.Module()
        outer.tts, outer.normalize = tts, torch.nn.Module()
        for name, value in (("mean", torch.randn(20)), ("std", 1 + torch.rand(20))):
            outer.normalize.register_buffer(name, value)
        return outer

    from espnet_ext.tts.acoustic import AcousticModel

    torch.manual_seed(0)
    synthesiser = whole(AcousticModel(9, 20, **SMALL)).eval()
    judge = make().discriminator
    front = Features(**{**FRONT, "power": 1, "log_base": 10})
    vocoder = VocoderModel(
        Vocos(20, 80, **VOCOS), judge, front, torch.randn(20), 1 + torch.rand(20)
    ).eval()
    for name, model in (("acoustic", synthesiser), ("vocoder", vocoder)):
        torch.save(model.state_dict(), tmp_path / f"{name}.pth")
    joint = whole(make(seed=5, reads="mel")).eval()
    own = {"mean": "own_mean", "std": "own_std"}
    read = {"mean": "read_mean", "std": "read_std"}
    under = "tts.generator."
    load_initial(
        joint,
        [
            {
                "from": str(tmp_path / "acoustic.pth"),
                "map": {
                    "tts.": f"{under}acoustic.",
                    **{f"normalize.{old}": under + new for old, new in own.items()},
                },
            },
            {
                "from": str(tmp_path / "vocoder.pth"),
                "map": {
                    "generator.": f"{under}waves.",
                    "discriminator.": "tts.discriminator.",
                    **{old: under + new for old, new in read.items()},
                },
            },
        ],
    )
    text = torch.tensor([2, 3, 4, 5])
    mel = synthesiser.tts.inference(text)["feat_gen"]
    mel = mel * synthesiser.normalize.std + synthesiser.normalize.mean
    found = joint.tts.inference(text)["wav"]
    assert torch.allclose(found, vocoder.vocode(mel), atol=1e-5) and found.abs().max() > 1e-3
    for name, value in judge.state_dict().items():
        assert torch.equal(joint.tts.discriminator.state_dict()[name], value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acoustic": {**SMALL, "decoder": {"kind": "flow"}}}, "expected transformer"),
        ({"acoustic": {**SMALL, "encoder": {"block": 1}}}, "found 'block'"),
        ({"acoustic": {**SMALL, "spks": 3}}, "acoustic: found spks, expected .* in tts_conf"),
        ({"generator": "waveglow", "generator_conf": {}}, "likelihood"),
        ({"generator_conf": {"widht": 1}}, "widht"),
        ({"losses": {"mell": 1.0}}, "mell"),
        ({"losses": {"mel": "45"}}, "losses: mel: found '45', expected a number"),
        ({"losses": {"discriminator_start": -1}}, "discriminator_start: found -1"),
        ({"acoustic": 3}, "acoustic: found 3, expected options"),
        ({"reads": "waves"}, "hidden, mel"),
        ({"segment_size": 1}, "more than half of n_fft"),
        ({"discriminators": {"mbd": {}}}, "mpd, msd, mrd"),
        ({"features": {**FRONT, "n_mels": 24}}, "features: \\*front"),
    ],
)
def test_a_wrong_configuration_is_said(changes, words):
    conf = {"acoustic": SMALL, "segment_size": 8, "generator": "vocos", "generator_conf": VOCOS}
    with pytest.raises((UserError, ValueError), match=words):
        JointModel(9, 20, **{"features": FRONT, **conf, **changes})


def test_a_generator_that_reads_pitch_asks_for_it():
    model, batch = make(**KINDS["harmonic"], acoustic={**SMALL, "pitch": {"level": "none"}}), None
    batch = {name: value for name, value in sentences().items() if name != "pitch"}
    with pytest.raises(UserError, match="pitch_extract"):
        model(**batch)
