"""A vocoder's ONNX graph speaks as torch does, at sizes that it was not written with."""

import pytest
import torch

from espnet_ext.audio.features import Features
from espnet_ext.errors import UserError
from espnet_ext.export.onnx_graph import Graph, quantise, write_graph
from espnet_ext.export.onnx_vocoder import vocoder_graph
from espnet_ext.inference.onnx_session import Session
from espnet_ext.inference.onnx_vocoder import GraphVocoder
from espnet_ext.vocoder.harmonic import HarmonicVocos
from espnet_ext.vocoder.hifigan import HiFiGAN, ISTFTNet
from espnet_ext.vocoder.model import VocoderModel
from espnet_ext.vocoder.parallel_wavegan import ParallelWaveGAN
from espnet_ext.vocoder.vocos import Vocos

onnx = pytest.importorskip("onnx", reason="the extra espnet_ext[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra espnet_ext[onnx] is not installed")

MELS = 6
BLOCKS = {"channels": 16, "resblock_kernel_sizes": (3, 5), "resblock_dilations": ((1, 3), (1, 2))}
GATES = {"layers": 4, "stacks": 2, "residual_channels": 8, "gate_channels": 12, "skip_channels": 6}
FRAMES = {"n_fft": 24, "width": 16, "inner": 24, "blocks": 2}
MADE = {
    "hifigan": lambda: HiFiGAN(MELS, 8, upsample_scales=(4, 2), **BLOCKS),
    "hifigan, odd factors": lambda: HiFiGAN(MELS, 15, upsample_scales=(5, 3), **BLOCKS),
    "istftnet": lambda: ISTFTNet(MELS, 8, istft_n_fft=16, upsample_scales=(2,), **BLOCKS),
    "vocos": lambda: Vocos(MELS, 8, **FRAMES),
    "vocos, a hop that does not divide": lambda: Vocos(MELS, 10, **FRAMES),
    "harmonic": lambda: HarmonicVocos(MELS, 8, 8000, pitch_width=8, **FRAMES),
    "parallel_wavegan": lambda: ParallelWaveGAN(MELS, 8, upsample_scales=(4, 2), **GATES),
}


def model(kind):
    torch.manual_seed(0)
    generator = MADE[kind]()
    for name, parameter in generator.named_parameters():
        if name.endswith("weight_g"):  # loud enough to see a difference
            parameter.data.fill_(1.0)
    front = Features(kind="logmel", fs=8000, n_fft=24, hop_length=8, n_mels=MELS)
    mean, std = torch.randn(MELS), torch.rand(MELS) + 0.5
    return VocoderModel(generator, None, front, mean, std).eval()


def noise_of(generator, frames):
    """What the generator draws by itself."""
    if isinstance(generator, HarmonicVocos):
        return generator._random(torch.zeros(1, generator.n_fft // 2 + 1, frames))
    return generator._noise(torch.zeros(1, MELS, frames * generator.hop_length))


@pytest.mark.parametrize("kind", sorted(MADE))
def test_any_batch_and_length_sounds_as_in_torch(kind, tmp_path):
    generator = model(kind).generator
    graph, facts = vocoder_graph(model(kind))
    assert write_graph(graph, tmp_path) <= 1e-4
    whole = model(kind)
    session = Session(tmp_path / "vocoder.onnx", threads=1)
    mel = 3 * torch.randn(2, 17, MELS)
    given = {"mel": mel.numpy()}
    if facts["noise"]:
        given["noise"] = noise_of(generator, 17).expand(2, -1, -1).numpy()
    (found,) = session(**given)
    for row in range(2):
        expected = whole.vocode(mel[row])
        assert expected.std() > 1e-5 and found[row].shape == expected.shape
        assert torch.allclose(torch.from_numpy(found[row]), expected, atol=1e-4)
    names = {node.op_type for node in onnx.load(str(tmp_path / "vocoder.onnx")).graph.node}
    assert not names & {"DFT", "STFT", "Loop"}  # nothing that a small runtime lacks


@pytest.mark.parametrize("kind", ["hifigan", "hifigan, odd factors"])
def test_pieces_side_by_side_sound_as_the_whole(kind, tmp_path):
    graph, facts = vocoder_graph(model(kind))
    write_graph(graph, tmp_path)
    session = Session(tmp_path / "vocoder.onnx", threads=1)
    for frames in (3, 40, 97, 301):
        mel = (3 * torch.randn(frames, MELS)).numpy()
        (whole,) = session(mel=mel[None])[0]
        for pieces in (1, 2, 3, 7):
            found = GraphVocoder(session, facts, pieces)(mel).numpy()
            assert found.shape == whole.shape and abs(found - whole).max() <= 1e-5
    fewer = {**facts, "reach": 1}  # so it is looked at
    assert abs(GraphVocoder(session, fewer, 2)(mel).numpy() - whole).max() > 1e-4


def test_int8_is_of_learnt_products_only(tmp_path):
    graph, _ = vocoder_graph(model("vocos"))
    write_graph(graph, tmp_path)
    made = quantise(tmp_path / "vocoder.onnx", tmp_path / "vocoder.int8.onnx")
    assert made == 2 * FRAMES["blocks"] + 1
    mel = torch.randn(1, 30, MELS)
    (exact,) = Session(tmp_path / "vocoder.onnx", 1)(mel=mel.numpy())
    (rough,) = Session(tmp_path / "vocoder.int8.onnx", 1)(mel=mel.numpy())
    assert 0 < abs(rough - exact).max() < 0.1 * abs(exact).max()


def test_a_generator_of_another_kind():
    other = model("vocos")
    other.generator = torch.nn.Conv1d(MELS, 1, 1)
    with pytest.raises(UserError, match="found Conv1d, which is not written as ONNX"):
        vocoder_graph(other)


class Fixed(torch.nn.Module):
    """Its code asks for a size once and for all."""

    def forward(self, x):
        return x * torch.ones(int(x.shape[1]))


def test_a_size_that_became_a_constant_is_found(tmp_path):
    x = torch.randn(1, 5)
    graph = Graph("fixed", Fixed(), {"x": x}, ["y"], {"x": {1: "n"}}, [{"x": torch.randn(1, 7)}])
    with pytest.raises(UserError, match="fixed: found a graph that gives"):
        write_graph(graph, tmp_path)
    assert list(tmp_path.iterdir()) == []
