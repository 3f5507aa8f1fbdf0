"""What a YAML gives to a component that it does not take is named, with what would do."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.train.experiment import read_config


def build(repo: Path, **changes: Any) -> Any:
    config = read_config(TASKS["asr"], repo / "egs2/commonvoice/asr1/conf/debug_asr.yaml")
    for key, value in changes.items():
        config[key] = {**config[key], **value}
    config |= {"token_list": ["<blank>", "<unk>", "a", "b", "<sos/eos>"], "normalize": None}
    return TASKS["asr"].build(config)


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("encoder", {"widht": 3}, "'widht'"),
        ("encoder", {"kernel": "31"}, "kernel: found '31', expected a whole number"),
        ("encoder", {"strides": [2, "a"]}, "found strides (2, 'a'), expected"),
        ("encoder", {"layer_drop": 2}, "found layer_drop 2, expected 0 <= p < 1"),
        ("decoder", {"layer_drop_rate": -1}, "found layer_drop_rate -1"),
        ("model", {"cr_ctc_wieght": 0.2}, "'cr_ctc_wieght'"),
        ("model", {"lsm_weight": "x"}, "lsm_weight: found 'x', expected a number"),
        ("model", {"speaker_weight": 0.1, "speakers": "two"}, "speakers: found 'two'"),
        ("ctc", {"dropout": 1}, "'dropout'"),
    ],
)
def test_options_that_are_none(repo: Path, key: str, change: dict[str, Any], said: str):
    with pytest.raises(UserError) as found:
        build(repo, **{f"{key}_conf": change})
    assert str(found.value).startswith(f"{key}_conf does not fit {key}") and said in str(
        found.value
    )


def test_middle_layers_that_nobody_hands_out(repo: Path):
    with pytest.raises(UserError, match=r"expected encoder_conf: {interctc_layer_idx: \[...\]}"):
        build(repo, encoder_conf={"interctc_layer_idx": []})


def test_two_views_without_masks(repo: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        build(repo, model_conf={"cr_ctc_weight": 0.2})
    assert "found no specaug" in caplog.text and "rdrop_ctc_weight" in caplog.text
