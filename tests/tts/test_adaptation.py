"""A new voice for a trained model, as egs2/vctk/tts1/conf/adapt_tts.yaml has it: files in, files out."""

import json
import shutil

import pytest
import torch

from espnet_ext.bin.speaker_ids import main as number
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.train.config import load_yaml
from espnet_ext.train.run import train_model
from tests.train.test_feeds import acoustic as changes


@pytest.fixture
def voices(tiny, tmp_path):
    """The tiny corpus as many voices' and as one new one's, who numbers 3."""
    for name in ("old", "new"):
        for split, data in (("train", tiny.train), ("valid", tiny.valid)):
            shutil.copytree(data, tmp_path / name / split)
    for path, spk in (("old/train", 3), ("old/valid", 1), ("new/train", 1), ("new/valid", 1)):
        table = tmp_path / path / "utt2spk"
        utts = [line.split()[0] for line in table.read_text().splitlines()]
        prefix = "a" if path.startswith("old") else "new"
        table.write_text("".join(f"{u} {prefix}{i % spk}\n" for i, u in enumerate(utts)))
    number([str(tmp_path / "old"), "train", "valid", "--train", "train"])
    number([str(tmp_path / "new"), "train", "valid", "--train", "train", "--first", "4"])
    return tmp_path


def train(tiny, voices, name, conf, **more):
    where = {"train": [voices / name / "train"], "valid": [voices / name / "valid"]}
    places = tiny.places("tts", voices / "exp" / name, {**conf, **more}, **where)
    train_model("tts", places, "cpu")
    return places.output_dir


def test_a_new_voice_learns_and_the_others_stay_as_they_are(tiny, voices):
    base = changes(spks=4)
    first = train(tiny, voices, "old", base, max_epoch=2)
    adapted = changes(spks=4, adapters={"width": 4, "like": 1})
    start = {"init_param": [str(first / "valid.mel.ave.pth")], "optim_conf": {"lr": 0.02}}
    start |= {"keep_nbest_models": 3, "weight_decay_groups": False}
    second = train(tiny, voices, "new", adapted, max_epoch=6, **start)
    lines = [json.loads(line) for line in (second / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["split"] == "valid"]
    assert min(losses[-2:]) < losses[0], losses
    options = SynthesisOptions(griffin_lim_iters=1)
    old, new = (
        Text2Speech.from_dir(folder, "valid.mel.ave.pth", options=options)
        for folder in (first, second)
    )
    assert new.model.tts.spks == 5
    own = new("abcd", sids=torch.tensor([4])).mel
    for voice in range(4):
        before, after = (one("abcd", sids=torch.tensor([voice])).mel for one in (old, new))
        assert (before == after).all() and before.shape == after.shape
        assert own.shape != after.shape or not (own == after).all()


def test_the_recipe_adapts_the_model_that_it_trains(repo):
    """All sizes are those of the foundation, of the new voice and of a single one."""
    conf = repo / "egs2/vctk/tts1/conf"
    base, adapt = (load_yaml(conf / f"{name}_tts.yaml") for name in ("train", "adapt"))
    assert "adapters" in adapt["tts_conf"]
    shared = {k: v for k, v in adapt["tts_conf"].items() if k not in ("adapters", "alignment")}
    assert shared == {k: v for k, v in base["tts_conf"].items() if k != "alignment"}
    foundation = load_yaml(repo / "egs2/libritts/tts1/conf/train_tts.yaml")
    target = load_yaml(repo / "egs2/ljspeech/tts1/conf/finetune_tts.yaml")
    for one, other in ((base, adapt), (foundation, target)):
        assert (
            one["tts_conf"] | {"alignment": 0} == other["tts_conf"] | {"alignment": 0}
            or one is base
        )
        fronts = [k for k in one if k.startswith(("feats_", "pitch_", "energy_"))]
        assert fronts and all(one[k] == other[k] for k in fronts)
    assert foundation["tts_conf"]["spks"] == target["tts_conf"]["spks"]
