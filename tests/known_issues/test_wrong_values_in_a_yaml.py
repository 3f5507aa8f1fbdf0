"""A wrong value or name in a YAML was ignored, or ended in a traceback hours later; a name has a suggestion."""

import pytest
import torch

from espnet_ext.bridge.choices import meant
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.train.config import TRAINING
from espnet_ext.train.experiment import preprocessor, read_config
from espnet_ext.train.phases import Curriculum, Phase, read_phases
from espnet_ext.train.values import KINDS, check_values
from tests.train.test_loop import Line, Numbers, trainer


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("not_finite", "stopp", "expected skip or stop"), ("accum_grad", 0, "a whole number, 1 or more"),
     ("batch_size", "60 s", "a number above 0"), ("max_epoch", 2.5, "a whole number"), ("ema", 1.5, "between 0 and 1"),
     ("freeze", "encoder", "a list of names"), ("trackers", "tensorboard", "a list of names"),
     ("best_model_criterion", [["valid", "loss"]], "min or max"), ("best_model_criterion", [], "min or max"),
     ("best_model_criterion", [["valid", "acc", "maximum"]], "min or max"), ("fsdp", "yes please", "true or false"),
     ("init_param", "a.pth", r"a list such as \[a, b\]"), ("patience", "none", "or null"), ("lora", 8, "key: value"),
     ("keep_nbest_models", [5, 10], "1 or more"), ("num_workers", -1, "0 or more"), ("optim_conf", 3, "key: value")],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_named(tmp_path, key, value, words):
    import yaml

    (tmp_path / "a.yaml").write_text(yaml.safe_dump({key: value}))
    with pytest.raises(UserError, match=rf"a\.yaml: {key}: found .*{words}"):
        read_config(TASKS["asr"], tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [("tts_conf=3", "tts_conf: found 3, expected `key: value` lines"),
     ("feats_extract_conf=[1]", r"feats_extract_conf: found \[1\], expected `key: value`"),
     ("tts_conf.encoder.prosody=stres", "encoder.prosody: found 'stres', expected some of pos"),
     ("tts_conf.encoder=3", "encoder: found 3, expected options"),
     ("tts_conf.alignment=3", "alignment: found 3, expected options"),
     ("tts_conf.decoder.inner=0", "decoder.inner: found 0, expected a whole number, 1 or more")],
)  # fmt: skip
def test_a_part_of_a_synthesiser_that_cannot_be_is_named(tiny, tmp_path, change, words):
    from espnet_ext.train.run import train_model

    model = {"tts": "espnet_ext.tts.acoustic:AcousticModel", "tts_conf": {"width": 16}}
    normalised = dict.fromkeys(("pitch_normalize", "energy_normalize"))
    places = tiny.places("tts", tmp_path, {**model, **normalised}, overrides=[change])
    with pytest.raises(UserError, match=words):
        train_model("tts", places, "cpu")


def test_the_defaults_are_right():
    check_values(TRAINING, KINDS, "")
    assert set(KINDS) < set(TRAINING)


@pytest.mark.parametrize(
    ("entry", "words"),
    [({"freeze": "encoder"}, "freeze: found 'encoder', expected a list"), ({"augment": "no"}, "expected true or false"),
     ({"rules": "snr>=20"}, "rules: found"), ({"lr_factor": "0.1x"}, "a number above 0"),
     ({"vocabulary": 0}, "1 or more"), ({"preprocessor_conf": {"speed": 1}}, "expected a preprocessor that it is for"),
     ({"specaug_conf": {"num_time_mask": 1}}, "expected a specaug in the YAML")],
)  # fmt: skip
def test_a_phase_that_would_not_do_what_it_says(entry, words):
    with pytest.raises(UserError, match=rf"phases, number 1 \(a\): .*{words}"):
        read_phases({**TRAINING, "phases": [{"name": "a", "epochs": 1, **entry}]})


def test_other_weights_in_a_phase_beside_lora():
    phases = [{"name": "a", "epochs": 1, "init_param": ["a.pth"]}]
    with pytest.raises(UserError, match="init_param beside lora"):
        read_phases({**TRAINING, "phases": phases, "lora": {"rank": 2}})


@pytest.mark.parametrize(
    ("freeze", "words"), [(["encoder"], "names no parameter"), (["w", "*.bias"], "leaves nothing to train")]
)  # fmt: skip
def test_what_rests_in_a_phase_is_looked_at_when_training_begins(tmp_path, freeze, words):
    found = trainer(tmp_path)
    phases = [Phase("a", 1), Phase("b", 1, freeze=freeze)]
    with pytest.raises(UserError, match=f"phase b: freeze: found .*{words}"):
        Curriculum(phases, found.model, found.step.optimisers, Numbers([0.0]))


@pytest.mark.parametrize(
    ("key", "conf", "words"),
    [("encoder_conf", {"layer_dorp": 0.1}, "did you mean layer_drop"),
     ("model_conf", {"ctc_weigth": 0.3}, "did you mean ctc_weight"),
     ("model_conf", {"too_shrot": "skip"}, "did you mean too_short"),
     ("optim_conf", {"wieght_decay": 0.1}, "did you mean weight_decay"),
     ("decoder_conf", {"num_bloks": 1}, "did you mean num_blocks"),
     ("sampler_conf", {"noize": 1}, "did you mean noise"),
     ("scheduler_conf", {"warmup": 3}, "did you mean warmup_steps")],
)  # fmt: skip
def test_a_key_on_the_second_level_has_a_suggestion(tiny, tmp_path, key, conf, words):
    from espnet_ext.train.run import train_model

    changed = {**tiny.base["asr"].get(key, {}), **conf}
    changed = conf if key == "scheduler_conf" else changed
    ours = {"model": "espnet_ext.asr.model:HybridModel"}
    with pytest.raises(UserError, match=words):
        train_model("asr", tiny.places("asr", tmp_path, {**ours, key: changed}), "cpu")


def test_what_is_not_about_names_has_none():
    assert meant(Line, TypeError("unsupported operand")) == ""
    assert meant(torch.optim.SGD, TypeError("an unexpected keyword argument 'momentun'")).endswith(
        "momentum?"
    )


def test_a_preprocessor_with_a_wrong_option(tmp_path):
    config = dict.fromkeys(("token_type", "bpemodel", "non_linguistic_symbols"))
    config |= {"preprocessor": "espnet_ext.asr.preprocess:TextBatches", "token_list": ["<blank>"]}
    with pytest.raises(
        UserError, match=r"preprocessor_conf does not fit preprocessor.*did you mean text"
    ):
        preprocessor({**config, "preprocessor_conf": {"text": "a", "texst": "b"}}, True)
