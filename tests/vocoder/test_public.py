"""Checkpoints of others give their waveform: ParallelWaveGAN's layout, and the vocoder in ESPnet's joint_text2wav."""

from __future__ import annotations

import copy

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_ext.bin import tts_synthesize, vocode, vocoder_import
from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.inference.vocoder import Vocoder
from espnet_ext.vocoder.discriminators import Discriminators
from espnet_ext.vocoder.public import from_public

FRONT = {"sampling_rate": 8000, "fft_size": 256, "hop_size": 32, "win_length": None, "window": "hann"}  # fmt: skip
FRONT |= {"num_mels": 10, "fmin": 60, "fmax": 3800, "format": "hdf5", "rank": 0}
HIFIGAN = {
    "in_channels": 10,
    "out_channels": 1,
    "channels": 16,
    "kernel_size": 7,
    "upsample_scales": [8, 4],
    "upsample_kernel_sizes": [16, 8],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilations": [[1, 3], [1, 2]],
    "use_additional_convs": True,
    "bias": True,
    "nonlinear_activation": "LeakyReLU",
    "nonlinear_activation_params": {"negative_slope": 0.1},
    "use_weight_norm": True,
}
WAVEGAN = {
    "in_channels": 1,
    "out_channels": 1,
    "kernel_size": 3,
    "layers": 4,
    "stacks": 2,
    "residual_channels": 8,
    "gate_channels": 12,
    "skip_channels": 6,
    "aux_channels": 10,
    "aux_context_window": 2,
    "dropout": 0.0,
    "use_weight_norm": True,
    "upsample_net": "ConvInUpsampleNetwork",
    "upsample_params": {"upsample_scales": [8, 4]},
}


def loud(module):
    """The module with weights that are heard."""
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        if name.endswith("weight_g"):
            parameter.data.fill_(1.0)
        else:
            parameter.data.normal_(0.0, 0.3)
    return module.eval()


def add_judges(path, judges):
    """Discriminators that were trained with it, the second kind with strides of its own."""
    whole = torch.load(path, weights_only=True)
    whole["model"]["discriminator"] = judges.state_dict()
    torch.save(whole, path)
    config = yaml.safe_load((path.parent / "config.yml").read_text())
    scale = {"scale_discriminator_params": {"downsample_scales": [4, 4, 4, 4, 1]}}
    (path.parent / "config.yml").write_text(yaml.dump({**config, "discriminator_params": scale}))


@pytest.fixture
def theirs():
    module = pytest.importorskip("espnet2.gan_tts.hifigan.hifigan")
    return loud(module.HiFiGANGenerator(**HIFIGAN))


def write(folder, generator, params=HIFIGAN, stats="h5", **changes):
    """ParallelWaveGAN's files; the statistics' mean and scale."""
    folder.mkdir(exist_ok=True)
    kind = "ParallelWaveGANGenerator" if "aux_channels" in params else "HiFiGANGenerator"
    config = {**FRONT, "generator_type": kind, "generator_params": params, **changes}
    (folder / "config.yml").write_text(yaml.dump(config))
    state = {"generator": generator.state_dict(), "discriminator": {}}
    optimizer = torch.optim.AdamW(generator.parameters()).state_dict()
    whole = {"model": state, "optimizer": {"generator": optimizer}, "steps": 20, "epochs": 1}
    torch.save(whole, folder / "checkpoint-20steps.pkl")
    mean, scale = np.linspace(-3, 0, 10), np.linspace(0.5, 2, 10)
    if stats == "npy":
        np.save(folder / "stats.npy", np.stack([mean, scale]))
    elif stats == "h5":
        import h5py

        with h5py.File(folder / "stats.h5", "w") as file:
            file["mean"], file["scale"] = mean, scale
    return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()


@pytest.mark.parametrize("stats", ["h5", "npy", None])
@pytest.mark.parametrize("norm", ["lengths", "folded", "newer"])
def test_hifigan(theirs, tmp_path, stats, norm):
    mel = torch.randn(15, 10)
    if norm == "folded":
        theirs.remove_weight_norm()
    mean, scale = write(tmp_path, theirs, stats=stats)
    if stats is None:
        mean, scale = torch.zeros(10), torch.ones(10)
    if norm == "newer":
        rename(tmp_path / "checkpoint-20steps.pkl")
    with torch.inference_mode():
        expected = theirs(((mel - mean) / scale).T[None])[0, 0]
    found = Vocoder.from_dir(tmp_path)
    assert found.features.hop_length == 32 and found.features.fmax == 3800
    assert expected.std() > 1e-3 and torch.allclose(found(mel), expected, atol=1e-5)


def rename(path):
    """Weights under the names that torch's newer weight normalisation gives."""
    whole = torch.load(path, weights_only=True)
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        state = whole["model"]["generator"]
        whole["model"]["generator"] = {
            n.replace(old, f"parametrizations.weight.{new}"): t for n, t in state.items()
        }
    torch.save(whole, path)


@pytest.mark.parametrize("apart", [False, True])
def test_parallel_wavegan(tmp_path, apart):
    """ESPnet has one last convolution in a layer, ParallelWaveGAN two: `apart`."""
    module = pytest.importorskip("espnet2.gan_tts.parallel_wavegan.parallel_wavegan")
    params = {k: v for k, v in WAVEGAN.items() if k not in ("upsample_net", "dropout")}
    theirs = loud(module.ParallelWaveGANGenerator(**params))
    mean, scale = write(tmp_path, theirs, WAVEGAN)
    if apart:
        take_apart(tmp_path / "checkpoint-20steps.pkl")
    ours = Vocoder.from_dir(tmp_path / "checkpoint-20steps.pkl")
    mel, noise = torch.randn(9, 10), torch.randn(1, 1, 9 * 32)
    with torch.inference_mode():
        expected = theirs(((mel - mean) / scale).T[None], noise)
        found = ours.model.generator(ours.model.normalised(mel.T[None]), noise=noise)
    assert expected.std() > 1e-3 and torch.allclose(found, expected, atol=1e-5)


def take_apart(path):
    """Channels for the next layer and for the sum in weights of their own."""
    whole = torch.load(path, weights_only=True)
    state = whole["model"]["generator"]
    for name in [name for name in state if ".conv1x1_out." in name]:
        both = state[name]
        state[name] = both[:8].clone()
        state[name.replace("conv1x1_out", "conv1x1_skip")] = both[8:].clone()
    torch.save(whole, path)


@pytest.mark.parametrize("params", [HIFIGAN, WAVEGAN], ids=["hifigan", "parallel_wavegan"])
def test_their_own_reader_agrees(tmp_path, params):
    """Runs where the package parallel_wavegan can be imported, which nothing else here needs."""
    models = pytest.importorskip("parallel_wavegan.models", exc_type=ImportError)
    utils = pytest.importorskip("parallel_wavegan.utils", exc_type=ImportError)
    name = "HiFiGANGenerator" if params is HIFIGAN else "ParallelWaveGANGenerator"
    write(tmp_path, loud(getattr(models, name)(**copy.deepcopy(params))), params)
    theirs = utils.load_model(str(tmp_path / "checkpoint-20steps.pkl")).eval()
    ours, mel, noise = Vocoder.from_dir(tmp_path), torch.randn(15, 10), torch.randn(480)
    with torch.inference_mode():
        if params is HIFIGAN:
            expected, found = theirs.inference(mel, normalize_before=True)[:, 0], ours(mel)
        else:
            expected = theirs.inference(mel, noise[:, None], normalize_before=True)[:, 0]
            given = ours.model.normalised(mel.T[None])
            found = ours.model.generator(given, noise=noise[None, None])[0, 0]
    assert expected.std() > 1e-3 and torch.allclose(found, expected, atol=1e-5)


def test_inside_a_joint_model(theirs, tmp_path):
    conf = {"vocoder_type": "hifigan_generator", "vocoder_params": HIFIGAN}
    front = {"fs": 8000, "n_fft": 256, "hop_length": 32, "n_mels": 10, "fmin": 60, "fmax": 3800}
    config = {"tts": "joint_text2wav", "tts_conf": conf, "feats_extract": "fbank"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "feats_extract_conf": front}))
    state = {f"tts.generator.vocoder.{n}": t for n, t in theirs.state_dict().items()}
    more = {"normalize.mean": torch.full((10,), -1.0), "normalize.std": torch.full((10,), 2.0)}
    text = {"tts.generator.text2mel.encoder.weight": torch.zeros(3)}
    torch.save({**state, **more, **text}, tmp_path / "train.total_count.best.pth")
    mel = torch.randn(15, 10)
    with torch.inference_mode():
        expected = theirs(((mel + 1) / 2).T[None])[0, 0]
    found = Vocoder.from_dir(tmp_path / "train.total_count.best.pth")(mel)
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_newest_checkpoint_is_used(theirs, tmp_path):
    write(tmp_path, theirs)
    (tmp_path / "checkpoint-20steps.pkl").rename(tmp_path / "checkpoint-100steps.pkl")
    (tmp_path / "checkpoint-99steps.pkl").write_text("older")
    Vocoder.from_dir(tmp_path)
    with pytest.raises(UserError, match="not a readable weights file"):
        Vocoder.from_dir(tmp_path, "checkpoint-99steps.pkl")


def test_it_becomes_ours(theirs, tmp_path):
    """Rewritten in our own layout it speaks the same, and a training can begin with it."""
    theirs.remove_weight_norm()
    write(tmp_path / "theirs", theirs)
    judges = {"mpd": {"channels": 2, "largest": 4}, "msd": {"channels": 16, "largest": 16}}
    add_judges(tmp_path / "theirs/checkpoint-20steps.pkl", Discriminators(judges))
    made = str(tmp_path / "ours")
    assert vocoder_import.main([str(tmp_path / "theirs"), "--output_dir", made]) == 0
    mel = torch.randn(15, 10)
    expected, found = (Vocoder.from_dir(tmp_path / name)(mel) for name in ("theirs", "ours"))
    assert torch.allclose(found, expected, atol=1e-6)
    from espnet_ext.train.initial import load_initial
    from espnet_ext.vocoder.build import build

    config = yaml.safe_load((tmp_path / "ours/config.yaml").read_text())
    model = build({**config, "discriminators": judges})
    before = model.discriminator.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    load_initial(model, [made])
    model.eval()
    for name, tensor in model.discriminator.state_dict().items():
        # other strides: see discriminator_params
        assert torch.equal(tensor, before[name]) != name.startswith("mpd."), name
    assert torch.allclose(model.vocode(mel), expected, atol=1e-5)


@pytest.mark.parametrize("official", [True, False])
def test_scales_are_taken_over_whole_or_not_at_all(official):
    """JETS and VITS have weight normalisation on the first scale, where ours has spectral: none of it fits."""
    module = pytest.importorskip("espnet2.gan_tts.hifigan.hifigan")
    params = {"channels": 16, "max_downsample_channels": 16, "downsample_scales": [2, 2, 4, 4, 1]}
    scales = module.HiFiGANMultiScaleDiscriminator(
        scales=2, discriminator_params=params, follow_official_norm=official
    )
    vocoder = module.HiFiGANGenerator(**HIFIGAN)
    state = {f"tts.generator.vocoder.{n}": t for n, t in vocoder.state_dict().items()}
    state |= {f"tts.discriminator.msd.{n}": t for n, t in scales.state_dict().items()}
    conf = {
        "vocoder_params": HIFIGAN,
        "discriminator_params": {"scale_discriminator_params": params},
    }
    front = {"fs": 8000, "n_fft": 256, "hop_length": 32, "n_mels": 10}
    config = {"tts": "joint_text2wav", "tts_conf": conf, "feats_extract_conf": front}
    found = from_public(config, state)[1]
    ours = Discriminators({"msd": {"scales": 2, "channels": 16, "largest": 16}}).state_dict()
    taken = {name for name in ours if f"discriminator.{name}" in found}
    whole = set(ours) if official else {n for n in ours if n.startswith("msd.discriminators.1.")}
    assert taken == whole and len(found) == len(taken) + 3 + len(vocoder.state_dict())


def test_recordings_are_spoken_with_it(theirs, tmp_path):
    """The command takes the checkpoint; the statistics' file is part of what its speech depends on."""
    write(tmp_path / "voc", theirs)
    data = tmp_path / "data/set"
    data.mkdir(parents=True)
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).normal(size=2000), 8000)
    (data / "wav.scp").write_text(f"a {tmp_path}/a.wav\n")
    checkpoint = tmp_path / "voc/checkpoint-20steps.pkl"
    options = ["--model_dir", str(checkpoint), "--output_dir", str(tmp_path / "out")]
    assert vocode.main([str(tmp_path / "data"), "set", *options]) == 0
    wave, rate = soundfile.read(tmp_path / "out/set/wav/a.wav")
    assert rate == 8000 and len(wave) == (2000 // 32 + 1) * 32 and wave.std() > 1e-3
    before = Vocoder.from_dir(checkpoint).identity
    write(tmp_path / "voc", theirs, stats=None)
    (tmp_path / "voc/stats.h5").unlink()
    assert Vocoder.from_dir(checkpoint).identity != before


def test_a_synthesiser_speaks_with_it(tiny, tmp_path):
    """`tts_synthesize --vocoder` takes the checkpoint, whose spectrograms are the model's."""
    module = pytest.importorskip("espnet2.gan_tts.hifigan.hifigan")
    sizes = {"in_channels": 20, "upsample_scales": [5, 4, 4], "upsample_kernel_sizes": [10, 8, 8]}
    params, checkpoint = {**HIFIGAN, **sizes}, tmp_path / "voc/checkpoint-20steps.pkl"
    theirs = loud(module.HiFiGANGenerator(**params))
    write(tmp_path / "voc", theirs, params, stats=None, num_mels=20, hop_size=80)
    data = [str(tiny.valid.parent), "valid", "--model_dir", str(tiny.model("tts"))]
    given = ["--vocoder", str(checkpoint), "--output_dir", str(tmp_path / "out")]
    assert tts_synthesize.main([*data, *given]) == 0
    mel = kaldiio.load_mat(read_table(tmp_path / "out/valid/feats.scp")["valid-00"])
    wave, rate = soundfile.read(tmp_path / "out/valid/wav/valid-00.wav")
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(mel.copy()).T[None])[0, 0].clamp(-1, 1)
    assert rate == 8000 and np.allclose(wave, expected.numpy(), atol=1e-4)  # 16 bits


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator_type": "MelGANGenerator"}, "MelGANGenerator, expected one of"),
        ({"generator_params": {**HIFIGAN, "use_causal_conv": True}}, "use_causal_conv: True"),
        ({"generator_params": {**HIFIGAN, "out_channels": 4}}, "out_channels: 4, expected 1"),
        ({"generator_params": {**HIFIGAN, "surprise": 4}}, "surprise: 4, expected no such"),
        ({"generator_params": {**HIFIGAN, "channels": 32}}, "another generator"),
        ({"num_mels": 12}, "found 10 means, expected 12"),
    ],
)
def test_what_is_not_ours_is_said(theirs, tmp_path, changes, words):
    write(tmp_path, theirs, **changes)
    with pytest.raises(UserError, match=words):
        Vocoder.from_dir(tmp_path)


def test_a_file_that_runs_code_is_refused(theirs, tmp_path):
    write(tmp_path, theirs)
    torch.save({"model": print}, tmp_path / "checkpoint-30steps.pkl")
    with pytest.raises(UserError, match="not a readable weights file"):
        Vocoder.from_dir(tmp_path)
    (tmp_path / "checkpoint-30steps.pkl").unlink()
    (tmp_path / "checkpoint-20steps.pkl").unlink()
    with pytest.raises(UserError, match="no weights"):
        Vocoder.from_dir(tmp_path)
