"""From a YAML and data to a model; what is wrong with either is said before training."""

import shutil
import sys

import pytest
import torch
import yaml

from espnet_ext.bridge.load import load_model
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.train.precision import set_precision
from espnet_ext.train.run import read_config, train_model


@pytest.mark.parametrize("task", ["asr", "lm", "tts"])
def test_training_leaves_a_model_that_loads(tiny, task):
    folder = tiny.model(task)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["token_list"][-1] == "<sos/eos>" and config["token_type"] == "char"
    model, _ = load_model(task, folder / "config.yaml", folder / "valid.loss.ave.pth")
    assert not model.training
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 4


def test_attention_is_kept_for_the_report(tiny):
    import numpy as np

    for task, utts in (("asr", 3), ("tts", 3)):
        with np.load(tiny.model(task) / "attention.npz") as arrays:
            assert len(arrays.files) == 2 * utts
            for utt in ("valid-00", "valid-02"):
                tokens = len(arrays[f"{utt}.tokens"])
                heads, out, frames = arrays[utt].shape
                assert out == tokens + 1 and frames > out and heads == (2 if task == "asr" else 1)


def test_an_unknown_key_stops_the_run_before_it_begins(tiny, tmp_path):
    with pytest.raises(UserError, match="unknown key 'encoder_config'; did you mean encoder_conf"):
        train_model("asr", tiny.places("asr", tmp_path, {"encoder_config": {}}))
    assert not (tmp_path / "config.yaml").exists()


def test_a_component_that_does_not_take_its_conf_is_named(tiny, tmp_path):
    for conf, words in (({"blocks": 3}, "blocks"), ({"kernel": 4}, "kernel 4")):
        changed = {**tiny.base["asr"]["encoder_conf"], **conf}
        with pytest.raises(UserError, match=f"encoder_conf does not fit encoder.*{words}"):
            train_model("asr", tiny.places("asr", tmp_path, {"encoder_conf": changed}))


@pytest.mark.parametrize("key", ["optim", "scheduler"])
def test_an_optimiser_that_does_not_take_its_conf_is_named(tiny, tmp_path, key):
    with pytest.raises(UserError, match=f"{key}_conf .* does not fit {key}"):
        train_model(
            "lm",
            tiny.places(
                "lm",
                tmp_path,
                {key: "sgd" if key == "optim" else "warmuplr", f"{key}_conf": {"warmth": 3}},
            ),
        )


def test_overrides_change_the_yaml(tiny, tmp_path):
    places = tiny.places("asr", tmp_path)
    config = read_config(TASKS["asr"], places.config, ["max_epoch=9", "encoder_conf.num_blocks=3"])
    assert config["max_epoch"] == 9 and config["encoder_conf"]["num_blocks"] == 3
    assert config["encoder_conf"]["kernel"] == 5 and config["grad_clip"] == 1.0


@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize("task", ["asr", "lm"])
def test_no_data_is_said(tiny, tmp_path, split, task):
    empty = shutil.copytree(getattr(tiny, split), tmp_path / "data")
    for table in empty.iterdir():
        if table.is_file():
            table.write_text("")
    where = [empty / "text"] if task == "lm" else [empty]
    with pytest.raises(UserError, match="has no utterance"):
        train_model(task, tiny.places(task, tmp_path / "x", **{split: where}))


def test_two_directories_are_refused_not_half_used(tiny, tmp_path):
    with pytest.raises(
        UserError, match="expected one directory: put them together with combine_data"
    ):
        train_model("asr", tiny.places("asr", tmp_path, train=[tiny.train, tiny.valid]))


def test_statistics_have_to_be_there(tiny, tmp_path):
    with pytest.raises(UserError, match="run collect_stats first"):
        train_model("asr", tiny.places("asr", tmp_path, stats_dir=tmp_path))


def test_more_tokens_than_frames(tiny, tmp_path):
    """A synthesiser stops with the utterance's sizes; CTC gives such an utterance no loss and goes on."""
    data = shutil.copytree(tiny.train, tmp_path / "data")
    lines = (data / "text").read_text().splitlines()
    lines[0] = lines[0].split()[0] + " " + "abcd" * 40
    (data / "text").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"found an utterance of 161 tokens in \d+ mel frames"):
        train_model(
            "tts", tiny.places("tts", tmp_path / "tts", train=[data], stats_dir=tiny.stats("tts"))
        )
    (tmp_path / "tts_stats").mkdir()
    train_model("asr", tiny.places("asr", tmp_path / "asr", {"max_epoch": 1}, train=[data]))
    state = torch.load(tmp_path / "asr" / "1epoch.pth")
    assert all(
        torch.isfinite(tensor).all() for tensor in state.values() if tensor.is_floating_point()
    )


def test_another_yaml_sets_the_old_run_aside_and_the_new_one_keeps_its_config(tiny, tmp_path):
    train_model("lm", tiny.places("lm", tmp_path))
    first = (tmp_path / "1epoch.pth").read_bytes()
    train_model("lm", tiny.places("lm", tmp_path, {"seed": 5}))
    assert (tmp_path / "before-1" / "1epoch.pth").read_bytes() == first
    assert yaml.safe_load((tmp_path / "before-1" / "config.yaml").read_text())["seed"] == 0
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seed"] == 5


@pytest.mark.parametrize(
    "changes", [{"max_epoch": 3}, {"keep_nbest_models": 1}, {"num_workers": 1}]
)
def test_what_does_not_change_an_epoch_resumes(tiny, tmp_path, capsys, changes):
    train_model("lm", tiny.places("lm", tmp_path))
    train_model("lm", tiny.places("lm", tmp_path, changes))
    assert "resuming at epoch 3" in capsys.readouterr().out
    assert not (tmp_path / "before-1").exists()


def test_other_data_does_not_resume(tiny, tmp_path, capsys):
    train_model("lm", tiny.places("lm", tmp_path))
    train_model("lm", tiny.places("lm", tmp_path, train=[tiny.valid / "text"]))
    assert "resuming" not in capsys.readouterr().out and (tmp_path / "before-1").is_dir()


def test_weights_to_start_from(tiny, tmp_path):
    weights = tiny.model("lm") / "valid.loss.ave.pth"
    train_model(
        "lm", tiny.places("lm", tmp_path, {"init_param": [str(weights)], "optim_conf": {"lr": 0.0}})
    )
    given, found = torch.load(weights), torch.load(tmp_path / "1epoch.pth")
    assert all(torch.equal(given[name], found[name]) for name in given)
    with pytest.raises(UserError, match="no name and shape"):
        train_model("lm", tiny.places("lm", tmp_path, {"init_param": [f"{weights}:encoder"]}))


MINE = """
import numpy as np
import torch
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.asr.specaug.specaug import SpecAug
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from espnet2.train.preprocessor import AbsPreprocessor
from espnet_ext.asr.encoder import CnnConformerEncoder
from espnet_ext.tts.aligned_fastspeech import AlignedFastSpeech

USED = []

class Frontend(DefaultFrontend):
    pass
class Specaug(SpecAug):
    pass
class Encoder(CnnConformerEncoder):
    pass
class Decoder(TransformerDecoder):
    pass
class Model(ESPnetASRModel):
    pass
class Tts(AlignedFastSpeech):
    pass
class Optim(torch.optim.AdamW):
    def step(self, *args, **kwargs):
        USED.append("optim")
        return super().step(*args, **kwargs)
class Scheduler(AbsBatchStepScheduler):
    def __init__(self, optim, keep):
        self.optim, self.keep, self.steps = optim, keep, 0
    def step(self, epoch=None):
        USED.append("scheduler")
        self.steps += 1
        self.optim.param_groups[0]["lr"] *= self.keep
    def state_dict(self):
        return {"steps": self.steps}
    def load_state_dict(self, state):
        self.steps = state["steps"]
class Sampler:
    def __init__(self, lengths, batch_size, seed, pairs):
        self.number = len(lengths)
    def batches(self, epoch):
        USED.append("sampler")
        return [[i, i + 1] for i in range(0, self.number, 2)]
class Preprocessor(AbsPreprocessor):
    def __init__(self, train, token_type, token_list, bpemodel, non_linguistic_symbols, gain):
        super().__init__(train)
        self.gain = gain
    def __call__(self, uid, data):
        USED.append("preprocessor")
        return {**data, "speech": self.gain * data["speech"] * np.float32(np.random.uniform(0.5, 1))}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "users_module.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_module", raising=False)
    yield lambda: sys.modules["users_module"].USED
    sys.modules.pop("users_module", None)


def test_a_users_own_modules_train_by_their_paths(tiny, tmp_path, mine):
    kinds = [
        "frontend",
        "specaug",
        "encoder",
        "decoder",
        "model",
        "optim",
        "scheduler",
        "sampler",
        "preprocessor",
    ]
    changes = {kind: f"users_module:{kind.title()}" for kind in kinds}
    changes |= {
        "scheduler_conf": {"keep": 0.5},
        "sampler_conf": {"pairs": True},
        "preprocessor_conf": {"gain": 0.5},
    }
    train_model("asr", tiny.places("asr", tmp_path / "x", {**changes, "max_epoch": 1}))
    model, _ = load_model("asr", tmp_path / "x/config.yaml", tmp_path / "x/valid.loss.ave.pth")
    parts = {
        type(m).__name__
        for m in (model, model.frontend, model.specaug, model.encoder, model.decoder)
    }
    assert parts == {"Model", "Frontend", "Specaug", "Encoder", "Decoder"}
    assert {"optim", "scheduler", "sampler", "preprocessor"} == set(mine())


def test_a_users_synthesiser(tiny, tmp_path, mine):
    train_model(
        "tts", tiny.places("tts", tmp_path / "x", {"tts": "users_module:Tts", "max_epoch": 1})
    )
    model, _ = load_model("tts", tmp_path / "x/config.yaml", tmp_path / "x/valid.mel.ave.pth")
    assert type(model.tts).__name__ == "Tts"


@pytest.mark.parametrize(
    ("task", "key", "base"),
    [("asr", "encoder", "AbsEncoder"), ("asr", "decoder", "AbsDecoder"), ("asr", "model", "AbsESPnetModel"),
     ("asr", "frontend", "AbsFrontend"), ("asr", "preprocessor", "AbsPreprocessor"), ("tts", "tts", "AbsTTS"),
     ("lm", "lm", "AbsLM"), ("lm", "optim", "Optimizer")],
)  # fmt: skip
def test_a_class_of_the_wrong_family_is_refused(tiny, tmp_path, mine, task, key, base):
    wrong = {key: "users_module:Sampler", f"{key}_conf": {}}
    with pytest.raises(UserError, match=f"users_module:Sampler is not a {base}"):
        train_model(task, tiny.places(task, tmp_path / "x", wrong))


@pytest.mark.parametrize(
    ("key", "path", "words"),
    [("encoder", "no_such_module:A", "no module named 'no_such_module'"), ("encoder", "users_module:Aa", "has no 'Aa'"),
     ("encoder", "conformr", "expected one of conformer"), ("encoder", 3, "found 3, expected a name"),
     ("optim", "adamm", "expected one of adam"), ("sampler", "users_module:Sampler", "sampler_conf does not fit")],
)  # fmt: skip
def test_a_name_that_means_nothing_is_explained(tiny, tmp_path, mine, key, path, words):
    with pytest.raises(UserError, match=words):
        train_model("asr", tiny.places("asr", tmp_path / "x", {key: path}))


def test_products_are_in_tf32_on_a_gpu_alone():
    before = torch.get_float32_matmul_precision()
    try:
        set_precision("cpu")
        assert torch.get_float32_matmul_precision() == before
        set_precision("cuda:0")
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
