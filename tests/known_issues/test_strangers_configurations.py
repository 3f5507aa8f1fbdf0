"""A downloaded config.yaml once named any class of any package, any file, and a model of any size."""

import sys

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.bridge import trust
from espnet_ext.bridge.hook import import_class
from espnet_ext.bridge.load import load_model, read_model_config
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.bridge.weights import read_weights
from espnet_ext.errors import UserError
from espnet_ext.inference.streaming import StreamingSpeech2Text
from espnet_ext.lm.ngram import load_ngram
from tests.bin.test_stream import CONFIG

META = {
    "files": {"asr_model_file": "exp/asr/a.pth"},
    "yaml_files": {"asr_train_config": "exp/asr/config.yaml"},
}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return TASKS["asr"].build({**TASKS["asr"].defaults, **CONFIG}).state_dict()


@pytest.fixture
def model(tmp_path, weights):
    """Writes a packed model's folder; returns where its configuration lies."""

    def make(meta=True, **changes):
        config = tmp_path / "model/exp/asr/config.yaml"
        config.parent.mkdir(parents=True)
        if meta:
            (tmp_path / "model/meta.yaml").write_text(yaml.safe_dump(META))
        config.write_text(yaml.safe_dump({**CONFIG, **changes}))
        torch.save(weights, config.parent / "a.pth")
        return config

    return make


def load(config):
    return load_model("asr", config, config.parent / "a.pth")


def evil(folder, monkeypatch):
    """A module that would be imported, and leaves a trace."""
    (folder / "evil_module.py").write_text(
        "from espnet_ext.asr.encoder import CnnConformerEncoder as Encoder\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "evil_module", raising=False)


@pytest.mark.parametrize("key", ["encoder", "frontend", "specaug", "decoder", "model"])
def test_classes_of_other_packages_are_not_even_imported(model, tmp_path, monkeypatch, key):
    evil(tmp_path, monkeypatch)
    config = model(**{key: "evil_module:Encoder"})
    with pytest.raises(
        UserError,
        match=r"names evil_module:Encoder, expected classes of espnet, espnet2, espnet_ext",
    ):
        load(config)
    assert "evil_module" not in sys.modules


def test_ones_own_models_and_trusted_packages_are_free(model, tmp_path, monkeypatch):
    evil(tmp_path, monkeypatch)
    config = model(encoder="evil_module:Encoder")
    monkeypatch.setenv("ESPNET_EXT_TRUST", "another, evil_module")
    load(config)
    monkeypatch.delenv("ESPNET_EXT_TRUST")
    with pytest.raises(UserError, match="ESPNET_EXT_TRUST=evil_module"):
        load(config)
    (tmp_path / "model/meta.yaml").unlink()  # as a training leaves it
    load(config)
    assert import_class("evil_module:Encoder")  # nothing stays forbidden


def test_a_snapshot_of_hugging_face_is_a_strangers_without_meta(model, tmp_path):
    config = model(meta=False, encoder="os:system")
    place = tmp_path / "hub/models--user--name/snapshots/0a1b"
    place.parent.mkdir(parents=True)
    (tmp_path / "model/exp/asr").rename(place)
    assert trust.home_of(place / config.name) == place
    with pytest.raises(UserError, match="names os:system"):
        StreamingSpeech2Text.from_dir(place, "a.pth")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {trace}']",
        "encoder: !!python/name:os.system",
        "encoder: !!python/object/new:os.system ['touch {trace}']",
        "- a list",
        "just words",
        "a: [1, 2",
        "\x00",
        "[" * 3000,
    ],
)
@pytest.mark.parametrize("meta", [True, False])
def test_only_plain_yaml_is_read(model, tmp_path, text, meta):
    config = model(meta)
    config.write_text(text.format(trace=tmp_path / "trace"))
    with pytest.raises(UserError, match="expected the plain YAML"):
        read_model_config("asr", config)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"token_list": "/etc/passwd"},
        {"token_list": "../../../secret.txt"},
        {"token_list": "secret.txt"},
        {"bpemodel": "../../../secret.txt", "token_type": "bpe"},
        {"non_linguistic_symbols": "/etc/hostname"},
        {"g2p": "../../../secret.txt"},
        {"normalize_conf": {"stats_file": "../../../secret.txt"}},
        {"encoder_conf": {"more": [{"pretrained": "/etc/passwd"}]}},
        {"frontend_conf": {"path_or_url": "https://somewhere.example/evil.pt"}},
        {"frontend_conf": {"path": "../../../secret.txt"}},
    ],
)
def test_files_elsewhere_are_not_read(model, tmp_path, monkeypatch, changes):
    (tmp_path / "secret.txt").write_text("<blank>\na\n<sos/eos>\n")
    monkeypatch.chdir(tmp_path)
    config = model(**changes)
    with pytest.raises(UserError, match=r"expected (one of the model's own|nothing outside)"):
        load(config)


def test_files_of_its_own_are_found(model, tmp_path, monkeypatch):
    config = model(
        token_list="data/tokens.txt", normalize_conf={"stats_file": str(tmp_path / "model/a.npz")}
    )
    (tmp_path / "model/data").mkdir()
    (tmp_path / "model/data/tokens.txt").write_text("\n".join(CONFIG["token_list"]))
    (tmp_path / "model/a.npz").write_bytes(b"")
    monkeypatch.chdir("/")
    found = read_model_config("asr", config)
    assert found["token_list"] == str(tmp_path / "model/data/tokens.txt")
    assert found["normalize_conf"]["stats_file"] == str(tmp_path / "model/a.npz")


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder_conf": {**CONFIG["encoder_conf"], "num_blocks": 10**6}},
            "num_blocks: 1000000, expected at most 1,000",
        ),
        ({"encoder_conf": {**CONFIG["encoder_conf"], "linear_units": 10**12}}, "expected at most"),
        (
            {"encoder_conf": {**CONFIG["encoder_conf"], "linear_units": 9_000_000}},
            "beside a file of",
        ),
        ({"frontend_conf": {"n_fft": 10**9}}, "n_fft: 1000000000, expected at most 65,536"),
        ({"encoder_conf": [1, 2]}, "expected options by name"),
    ],
)
def test_huge_models_are_refused_before_they_are_made(model, changes, message):
    with pytest.raises(UserError, match=message):
        load(model(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder_conf": {"output_size": -1}},
        {"encoder_conf": {"num_blocks": {"a": 1}}},
        {"encoder": None},
        {"init": "nowhere"},
        {"init": 5},
        {"bpemodel": [1]},
        {"g2p": 5},
        {"cleaner": [["a"]]},
        {"token_list": [1, 2]},
        {"input_size": "x"},
    ],
)
def test_damaged_ones_are_told(model, changes):
    with pytest.raises(UserError, match=r"makes no model|expected a text"):
        load(model(**changes))


def test_a_bomb_of_aliases_is_refused(model):
    config = model()
    text = config.read_text()
    for place in ("postencoder_conf: {a: *a8}", "postencoder: *a8", "init: *a8"):
        config.write_text(ALIASES + text + place + "\n")
        with pytest.raises(UserError, match="more than 500,000 values"):
            load(config)


def test_tables_and_weights_that_swell_are_refused(model, tmp_path):
    """A thousandth of it on the disk: 120 MB of zeros."""
    config = model(normalize="global_mvn", normalize_conf={"stats_file": "stats.npz"})
    np.savez_compressed(tmp_path / "model/stats.npz", sum=np.zeros(15_000_000))
    with pytest.raises(UserError, match=r"stats\.npz: found 120,000,"):
        load(config)
    for read in (load_ngram, read_weights):
        with pytest.raises(UserError, match="expected at most 200 times"):
            read(tmp_path / "model/stats.npz")


def test_what_runs_fetched_code_in_training_is_left_out(tmp_path):
    config = {"tts_conf": {"plot_pred_mos": True, "tts_type": "vits"}}
    trust.check_options(config, tmp_path / "config.yaml", tmp_path)
    assert config["tts_conf"] == {"tts_type": "vits"}
