"""Fine-tuning: other weights by rule, other tokens, frozen parts, low-rank adaptation."""

import zipfile

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.train.initial import freeze, load_initial, matches, parse_rule, rows
from espnet_ext.train.lora import LowRank, add_lora, load_merged, merged_state
from espnet_ext.train.run import train_model


class Small(torch.nn.Module):
    """An encoder, and an output for each token."""

    def __init__(self, tokens=4):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
        self.embed, self.out = torch.nn.Embedding(tokens, 3), torch.nn.Linear(3, tokens)

    def forward(self, x):
        return self.out(self.encoder(x))


def _saved(path, model, **config):
    torch.save(model.state_dict(), path)
    if config:
        (path.parent / "config.yaml").write_text(yaml.safe_dump(config))
    return path


def _equal(model, other, names):
    one, two = model.state_dict(), other.state_dict()
    return [name for name in one if torch.equal(one[name], two[name])] == list(names)


ENCODER = ["encoder.0.weight", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias"]
ALL = [*ENCODER, "embed.weight", "out.weight", "out.bias"]


@pytest.mark.parametrize(
    ("entry", "names"),
    [("{}", ALL), ("{}:encoder", ENCODER), ("{}:encoder.0:encoder.0", ENCODER[:2]),
     ("{}:::encoder.1,out", [*ENCODER[:2], ALL[4]]),
     ({"from": "{}", "exclude": ["*.bias"]}, [ALL[0], ALL[2], ALL[4], ALL[5]]),
     ({"from": "{}", "map": {"encoder": "encoder"}}, ENCODER)],
)  # fmt: skip
def test_what_a_rule_takes_over(tmp_path, entry, names):
    given, model = Small(), Small()
    path = str(_saved(tmp_path / "a.pth", given))
    entry = entry.format(path) if isinstance(entry, str) else {**entry, "from": path}
    load_initial(model, [entry])
    assert _equal(given, model, names)


def test_a_layer_goes_where_the_rule_says(tmp_path):
    given, model = Small(), Small()
    path = str(_saved(tmp_path / "a.pth", given))
    load_initial(model, [{"from": path, "map": {"encoder.0.": "encoder.1."}}])
    assert torch.equal(model.encoder[1].weight, given.encoder[0].weight)
    assert not torch.equal(model.encoder[0].weight, given.encoder[0].weight)


def test_an_experiments_folder_and_a_packed_model(tmp_path):
    given = Small()
    _saved(tmp_path / "valid.acc.ave.pth", given, best_model_criterion=[["valid", "acc", "max"]])
    _saved(tmp_path / "valid.loss.ave.pth", Small())
    _saved(tmp_path / "3epoch.pth", Small())
    model = Small()
    load_initial(model, [str(tmp_path)])
    assert _equal(given, model, ALL)
    meta = {
        "files": {"asr_model_file": "exp/a.pth", "lm_file": "exp/lm.pth"},
        "yaml_files": {"asr_train_config": "exp/config.yaml", "lm_train_config": "x"},
    }
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("meta.yaml", yaml.safe_dump(meta))
        archive.write(tmp_path / "valid.acc.ave.pth", "exp/a.pth")
        archive.writestr("exp/config.yaml", "token_list: [a, b, c, d]\n")
    model = Small(5)
    load_initial(model, [str(tmp_path / "packed.zip")], ["b", "x", "d", "a", "y"])
    assert torch.equal(model.out.weight[[0, 2, 3]], given.out.weight[[1, 3, 0]])
    assert torch.equal(model.encoder[0].weight, given.encoder[0].weight)
    (tmp_path / "valid.acc.ave.pth").unlink()
    (tmp_path / "valid.loss.best.ave.pth").write_bytes(b"")
    with pytest.raises(UserError, match="expected one: name the file"):
        load_initial(model, [str(tmp_path)])


def test_another_vocabulary_without_its_tokens_is_said(tmp_path, caplog):
    path = str(_saved(tmp_path / "a.pth", Small(6)))
    load_initial(Small(4), [path], list("abcd"))
    assert "another shape of embed.weight ((6, 3) for (4, 3))" in caplog.text
    assert "Another vocabulary?" in caplog.text


def test_a_rule_that_fits_nothing_or_is_none(tmp_path):
    path = str(_saved(tmp_path / "a.pth", Small()))
    with pytest.raises(UserError, match=r"no name and shape of .* fits the model"):
        load_initial(Small(), [f"{path}:decoder"])
    with pytest.raises(UserError, match="expected a file's name"):
        parse_rule({"form": path})


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True),
    st.lists(st.sampled_from("abcdefgh"), unique=True),
)
def test_rows_go_by_token(tokens, theirs):
    own, other = -torch.arange(len(tokens)) - 1.0, torch.arange(len(theirs)) + 0.0
    found = rows(own[:, None], other[:, None], tokens, theirs)[:, 0]
    for index, token in enumerate(tokens):
        expected = theirs.index(token) if token in theirs else -index - 1
        assert float(found[index]) == expected


def test_parts_that_stay(tmp_path):
    model = Small()
    assert freeze(model, ["encoder.0", "*.bias"]) == 4
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert names == ["encoder.1.weight", "embed.weight", "out.weight"]
    with pytest.raises(
        UserError, match="found 'encode', which names no parameter; they begin with encoder"
    ):
        freeze(model, ["encode"])
    with pytest.raises(UserError, match="leaves nothing to train"):
        freeze(model, ["*"])
    assert not matches("encoder.10.weight", ["encoder.1"])


def test_adaptation_begins_as_nothing_and_merges_into_what_it_computes():
    torch.manual_seed(0)
    model, x = Small(), torch.randn(5, 3)
    before = model(x)
    assert add_lora(model, {"rank": 2, "targets": ["encoder"], "train": ["out"]}) == 2
    assert torch.equal(model(x), before)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert [n for n in trained if "parametrizations" not in n] == ["out.weight", "out.bias"]
    assert len(trained) == 6
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.01)
    for _ in range(3):
        optimiser.zero_grad()
        model(x).square().sum().backward()
        optimiser.step()
    plain = Small()
    plain.load_state_dict(merged_state(model))
    assert not torch.allclose(plain(x), before)
    assert torch.allclose(plain(x), model(x), atol=1e-6)
    load_merged(model, plain.state_dict())
    assert torch.allclose(plain(x), model(x), atol=1e-6)


def test_the_gradient_of_the_adaptation():
    weight = torch.randn(4, 3, dtype=torch.float64)
    low = LowRank(weight, 2, 3.0).double()
    assert torch.autograd.gradcheck(lambda u, d: weight + low.scale * u @ d, (low.up, low.down))
    assert torch.equal(low(weight), weight)


def test_adaptation_of_nothing_is_refused():
    for conf, words in (
        (
            {"targets": ["encoder", "decoder"]},
            "targets: found 'decoder', which names no linear layer",
        ),
        ({"targets": ["embed"]}, "targets: found 'embed', which names no linear layer"),
        (
            {"train": ["ctc"]},
            "train: found 'ctc', which names no parameter; they begin with encoder",
        ),
        ({"rank": 0}, "rank: found 0, expected a whole number, 1 or more"),
        ({"targets": "encoder"}, "targets: found 'encoder', expected a list of names"),
        ({"rnak": 3}, "unknown key 'rnak'; did you mean rank"),
    ):
        with pytest.raises(UserError, match=words):
            add_lora(Small(), conf)


@pytest.mark.slow
def test_a_recogniser_is_adapted_and_stock_names_stay(tiny, tmp_path):
    weights = tiny.model("asr") / "valid.loss.ave.pth"
    changes = {
        "init_param": [str(weights)],
        "lora": {"rank": 2, "targets": ["encoder"]},
        "ema": 0.9,
    }
    train_model("asr", tiny.places("asr", tmp_path, changes), "cpu")
    given, found = torch.load(weights), torch.load(tmp_path / "valid.acc.ave.pth")
    assert list(found) == list(given) or set(found) == set(given)
    same = {name for name in given if torch.equal(given[name], found[name])}
    assert any(n not in same for n in given if n.startswith("encoder.") and n.endswith("weight"))
    assert all(name in same for name in given if name.startswith("decoder."))
    assert set(torch.load(tmp_path / "valid.acc.ema.pth")) == set(given)
