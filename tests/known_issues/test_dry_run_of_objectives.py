"""`--dry_steps` of a recogniser with further objectives ended with what their batches lacked."""

from pathlib import Path

import pytest

from espnet_ext.train.dry import Dry, dry_run

OBJECTIVES = {
    "ctc_weight": 0.3,
    "lm_text_weight": 0.1,
    "phone_weight": 0.1,
    "phones": 7,
    "speaker_weight": 0.1,
    "speakers": 3,
    "report_cer": False,
    "report_wer": False,
}
CONF = {"model": "espnet_ext.asr.model:HybridModel", "model_conf": OBJECTIVES}


def test_without_data(tiny, tmp_path):
    """Statistics that are there do not help a model that has no tokens."""
    places = tiny.places("asr", tmp_path, CONF, train=(), tokens=Path("no-such-directory"))
    assert "s for an update" in list(dry_run("asr", places, "cpu", Dry(vocabulary=9)))[2]


def test_with_data_and_its_preprocessor(tiny, tmp_path):
    (tmp_path / "text").write_text("s1 abcd\ns2 dcba\n")
    text = {"preprocessor": "espnet_ext.asr.preprocess:TextBatches"}
    text["preprocessor_conf"] = {"text": str(tmp_path / "text")}
    model = {**CONF, "model_conf": {k: OBJECTIVES[k] for k in ("ctc_weight", "lm_text_weight")}}
    lines = list(dry_run("asr", tiny.places("asr", tmp_path, {**model, **text}), "cpu", Dry()))
    assert "h for 2 epochs of" in lines[-1]
    with pytest.raises(Exception, match="found a batch without 'lm_text'"):
        list(dry_run("asr", tiny.places("asr", tmp_path, model), "cpu", Dry()))
