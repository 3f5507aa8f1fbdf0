"""conf/asr: the sizes are those that were specified. tests/recipes builds and steps both models."""

import math
from pathlib import Path

import pytest

from espnet_ext.train.config import load_yaml


@pytest.mark.parametrize(
    ("name", "blocks", "heads", "width", "decoder"),
    [("spec_base", 12, 8, 512, 6), ("spec_large", 18, 12, 768, 12)],
)
def test_sizes(repo: Path, name: str, blocks: int, heads: int, width: int, decoder: int):
    config = load_yaml(repo / f"conf/asr/{name}.yaml")
    conf = config["encoder_conf"]
    found = (conf["num_blocks"], conf["attention_heads"], conf["output_size"])
    assert found == (blocks, heads, width)
    assert 2 <= len(conf["strides"]) <= 4 and math.prod(conf["strides"]) in (4, 6, 8)
    assert config["decoder_conf"]["num_blocks"] == decoder
    assert config["model_conf"]["lsm_weight"] == 0.1
    peak, floor = config["optim_conf"]["lr"], config["scheduler_conf"]["floor"]
    assert peak <= 1e-3 and peak * floor == pytest.approx(1e-5)
