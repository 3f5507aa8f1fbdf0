"""Used from another recipe's folder a model took that recipe's statistics, which have the same relative name."""

import shutil

import numpy as np
import torch
import yaml

from espnet_ext.bridge.load import load_model


def test_a_models_own_statistics(tiny, tmp_path, monkeypatch):
    trained, name = tiny.model("asr"), "exp/stats/train/feats_stats.npz"
    model_dir = shutil.copytree(trained, tmp_path / "mine/exp/asr")
    config = yaml.safe_load((model_dir / "config.yaml").read_text())
    own = config["normalize_conf"]["stats_file"]
    config["normalize_conf"]["stats_file"] = name
    (model_dir / "config.yaml").write_text(yaml.safe_dump(config))
    for recipe in ("mine", "other"):
        (tmp_path / recipe / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own, tmp_path / recipe / name)
    with np.load(own) as arrays:
        np.savez(tmp_path / "other" / name, **{**arrays, "sum": arrays["sum"] + 1e4})
    monkeypatch.chdir(tmp_path / "other")
    expected, _ = load_model("asr", trained / "config.yaml", None)
    found, _ = load_model("asr", model_dir / "config.yaml", None)
    assert torch.equal(found.normalize.mean, expected.normalize.mean)
