"""The configuration of an experiment."""

import pytest
import yaml

from espnet_ext.errors import UserError
from espnet_ext.train.config import (
    check_keys,
    complete,
    load_yaml,
    merge,
    parse_overrides,
    write_config,
)


def test_an_unknown_key_names_the_near_one():
    with pytest.raises(UserError, match="unknown key 'max_epochs'; did you mean max_epoch"):
        check_keys({"max_epochs": 3}, {"max_epoch": 1, "seed": 0}, "x.yaml")
    with pytest.raises(UserError, match="known keys: max_epoch, seed"):
        check_keys({"zzz": 3}, {"max_epoch": 1, "seed": 0}, "x.yaml")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("2E+4", 2e4), ("-1e3", -1e3), ("1.5e-4", 1.5e-4)]
)
def test_numbers_with_exponents_are_numbers(tmp_path, text, value):
    (tmp_path / "x.yaml").write_text(f"optim_conf: {{lr: {text}}}\n")
    assert load_yaml(tmp_path / "x.yaml") == {"optim_conf": {"lr": value}}
    assert parse_overrides([f"optim_conf.lr={text}"]) == {"optim_conf": {"lr": value}}


def test_words_that_begin_like_numbers_stay_words(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1e-3x\nb: e5\nc: '1e-3'\nd: 16k\n")
    assert load_yaml(tmp_path / "x.yaml") == {"a": "1e-3x", "b": "e5", "c": "1e-3", "d": "16k"}


@pytest.mark.parametrize("text", ["a: [1, 2", "- 1\n- 2\n", "a: b: c"])
def test_what_is_not_a_mapping_is_one_line(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=r"x\.yaml") as error:
        load_yaml(tmp_path / "x.yaml")
    assert "\n" not in str(error.value)


def test_a_key_that_stands_twice_is_named_with_its_line(tmp_path):
    (tmp_path / "x.yaml").write_text("a_conf: {b: 1}\nseed: 0\na_conf: {c: 2}\n")
    with pytest.raises(UserError, match=r"'a_conf' twice.*line 3"):
        load_yaml(tmp_path / "x.yaml")
    with pytest.raises(UserError, match=r"--set.*'b' twice"):
        parse_overrides(["a={b: 1, b: 2}"])
    (tmp_path / "x.yaml").write_text("a: &a {b: 1}\nc: {<<: *a, b: 2}\nd: {b: 3}\n")
    assert load_yaml(tmp_path / "x.yaml")["c"] == {"b": 2}


def test_an_empty_file_changes_nothing_and_a_missing_one_is_said(tmp_path):
    (tmp_path / "x.yaml").write_text("# nothing\n")
    assert load_yaml(tmp_path / "x.yaml") == {}
    with pytest.raises(UserError, match="check --config"):
        load_yaml(tmp_path / "y.yaml")


def test_overrides_reach_into_mappings():
    base = {"max_epoch": 40, "encoder_conf": {"width": 8, "blocks": 2}}
    changed = merge(
        base, parse_overrides(["max_epoch=3", "encoder_conf.blocks=5", "speech=[1, 2]"])
    )
    assert changed == {"max_epoch": 3, "encoder_conf": {"width": 8, "blocks": 5}, "speech": [1, 2]}
    assert base["encoder_conf"]["blocks"] == 2


@pytest.mark.parametrize("bad", [["max_epoch"], ["a=1", "a.b=2"], ["a=[1"]])
def test_an_override_that_makes_no_sense_is_refused(bad):
    with pytest.raises(UserError, match="--set"):
        parse_overrides(bad)


def test_a_conf_is_replaced_whole_and_an_empty_one_is_a_mapping():
    defaults = {"model_conf": {"ignore_id": 0}, "seed": 1, "normalize": "global_mvn"}
    assert complete(defaults, {"model_conf": {"a": 1}})["model_conf"] == {"a": 1}
    assert complete(defaults, {"model_conf": None, "normalize": None}) == {
        "model_conf": {},
        "seed": 1,
        "normalize": None,
    }


def test_the_written_configuration_reads_back(tmp_path):
    config = {"b": 1e-5, "a": ["<blank>", "é", "no"], "c": None}
    write_config(tmp_path / "config.yaml", config)
    found = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert found == config and list(found) == ["b", "a", "c"]
