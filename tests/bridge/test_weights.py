"""What a file of weights lacks or has too much is said; code in it is not run."""

import os
import pickle

import pytest
import torch

from espnet_ext.bridge.load import find_file, load_model, read_model_config, text_pipeline
from espnet_ext.bridge.weights import load_weights, read_weights
from espnet_ext.errors import UserError


@pytest.fixture
def model():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def _save(path, state):
    torch.save(state, path)
    return path


def test_missing_unexpected_and_other_shapes_are_named(model, tmp_path):
    state = model.state_dict()
    del state["1.bias"]
    state["2.weight"], state["0.weight"] = torch.zeros(1), torch.zeros(5, 2)
    with pytest.raises(UserError) as error:
        load_weights(model, _save(tmp_path / "w.pth", state))
    for words in (
        "other shapes: 0.weight is (5, 2), expected (3, 2)",
        "missing: 1.bias",
        "not in the model: 2.weight",
    ):
        assert words in str(error.value)


def test_without_strict_only_shapes_count(model, tmp_path, caplog):
    state = model.state_dict()
    del state["1.bias"]
    state["more"] = torch.zeros(1)
    before = model[1].bias.detach().clone()
    assert load_weights(model, _save(tmp_path / "w.pth", state), strict=False) == (
        ["1.bias"],
        ["more"],
    )
    assert "missing: 1.bias" in caplog.text and torch.equal(model[1].bias, before)
    state["0.weight"] = torch.zeros(5, 2)
    with pytest.raises(UserError, match="other shapes"):
        load_weights(model, _save(tmp_path / "w.pth", state), strict=False)


def test_many_names_are_counted(tmp_path):
    big = torch.nn.Sequential(*[torch.nn.Linear(1, 1) for _ in range(10)])
    with pytest.raises(UserError, match=r"missing: .*, \.\.\. \(20 in all\)"):
        load_weights(big, _save(tmp_path / "w.pth", {}))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("how", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_code_in_a_file_is_not_run(tmp_path, how):
    how({"w": Evil(str(tmp_path / "ran"))}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="not a readable weights file"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_a_broken_file_is_said_in_one_line(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match="not a readable weights file") as error:
        read_weights(tmp_path / "w.pth")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_bare_tensor(tmp_path):
    with pytest.raises(UserError, match="train the model first"):
        read_weights(tmp_path / "w.pth")
    with pytest.raises(UserError, match="found a Tensor, expected named tensors"):
        read_weights(_save(tmp_path / "w.pth", torch.zeros(3)))


def test_training_states_hold_weights_too(model, tmp_path):
    path = _save(tmp_path / "checkpoint.pth", {"model": model.state_dict(), "epoch": 3})
    assert load_weights(model, path) == ([], [])


def test_a_files_name_counts_from_above_the_config(tmp_path, monkeypatch):
    (tmp_path / "recipe/exp/asr").mkdir(parents=True)
    (tmp_path / "recipe/exp/stats.npz").write_text("")
    config = tmp_path / "recipe/exp/asr/config.yaml"
    monkeypatch.chdir(tmp_path)
    assert find_file("exp/stats.npz", config) == str(tmp_path / "recipe/exp/stats.npz")
    (tmp_path / "other/exp").mkdir(parents=True)
    for name in ("stats.npz", "more.npz"):
        (tmp_path / "other/exp" / name).write_text("")
    monkeypatch.chdir(tmp_path / "other")
    assert find_file("exp/stats.npz", config) == str(tmp_path / "recipe/exp/stats.npz")
    assert find_file("exp/more.npz", config) == "exp/more.npz"
    assert find_file(str(config.parent), config) == str(config.parent)
    with pytest.raises(UserError, match=r"config\.yaml names exp/other\.npz, which is neither"):
        find_file("exp/other.npz", config)


@pytest.mark.parametrize("task", ["asr", "tts"])
def test_a_model_loads_from_anywhere(tiny, tmp_path, monkeypatch, task):
    folder = tiny.model(task)
    monkeypatch.chdir(tmp_path)
    model, _ = load_model(task, folder / "config.yaml", folder / "valid.loss.ave.pth")
    assert all(
        torch.isfinite(t).all() for t in model.state_dict().values() if t.is_floating_point()
    )


def test_the_wrong_weights_are_refused(tiny):
    with pytest.raises(UserError, match=r"does not fit the model of its config\.yaml"):
        load_model(
            "asr", tiny.model("asr") / "config.yaml", tiny.model("lm") / "valid.loss.ave.pth"
        )


@pytest.mark.parametrize("given", ["list", "file"])
def test_symbols_that_stay_whole(tiny, tmp_path, given):
    config = read_model_config("lm", tiny.model("lm") / "config.yaml")
    config["token_list"] = ["<blank>", "<unk>", "a", "<noise>", "<sos/eos>"]
    (tmp_path / "symbols").write_text("<noise>\n")
    config["non_linguistic_symbols"] = ["<noise>"] if given == "list" else str(tmp_path / "symbols")
    assert text_pipeline(config).ids("a<noise>a") == [2, 3, 2]
