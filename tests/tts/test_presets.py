"""conf/tts: the sizes are those that were specified, and the models learn and speak.

tests/recipes makes an update of each, whole configuration included.
"""

from pathlib import Path

import pytest
import torch

from espnet_ext.train.config import load_yaml

SIZES = [("spec_base", 12, 8, 512, 80), ("spec_large", 24, 16, 1024, 100)]


@pytest.mark.parametrize(("name", "blocks", "heads", "width", "mels"), SIZES)
def test_sizes(repo: Path, name: str, blocks: int, heads: int, width: int, mels: int):
    config = load_yaml(repo / f"conf/tts/{name}.yaml")
    conf = config["tts_conf"]
    encoder = conf["encoder"]
    assert encoder["positions"] == "relative"
    assert encoder["blocks"] == blocks and encoder["heads"] == heads
    assert encoder.get("width", conf["width"]) == width
    assert 2 <= conf["duration"]["layers"] <= 4 and conf["longest"] == 4096
    assert config["feats_extract_conf"]["n_mels"] == mels and 80 <= mels <= 128
    assert config["grad_clip"] == 1.0 and config["optim_conf"]["weight_decay"] == 1e-6


def build(repo: Path, name: str, vocabulary: int):
    from espnet_ext.tts.acoustic import AcousticModel

    config = load_yaml(repo / f"conf/tts/{name}.yaml")
    mels = config["feats_extract_conf"]["n_mels"]
    return AcousticModel(vocabulary, mels, **config["tts_conf"]), mels


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("fast", 3e6, 5e6),
        pytest.param("spec_base", 115e6, 135e6, marks=pytest.mark.slow),
        pytest.param("spec_large", 280e6, 300e6, marks=pytest.mark.slow),
    ],
)
def test_a_preset_learns_and_speaks(repo: Path, name: str, least: float, most: float):
    torch.manual_seed(0)
    model, mels = build(repo, name, 60)
    assert least < sum(p.numel() for p in model.parameters()) < most
    frames = torch.tensor([30, 24])
    voices = {"sids": torch.tensor([[1], [2]])} if model.spks else {}
    loss, _, _ = model(
        torch.randint(1, 59, (2, 5)),
        torch.tensor([5, 4]),
        torch.randn(2, 30, mels),
        frames,
        pitch=5 + torch.rand(2, 30, 1),
        energy=torch.rand(2, 30, 1),
        **voices,
    )
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.zero_grad(set_to_none=True)
    own = {"sids": torch.tensor([1])} if model.spks else {}
    found = model.eval().inference(torch.tensor([2, 3, 4]), **own)
    assert found["feat_gen"].shape == (int(found["duration"].sum()), mels)


def test_a_vocabulary_of_a_hundred_thousand():
    from espnet_ext.tts.acoustic import AcousticModel
    from tests.tts.conftest import SMALL

    model = AcousticModel(100_000, 6, **SMALL).eval()
    assert model.inference(torch.tensor([2, 99_998]))["feat_gen"].isfinite().all()
