"""Augmentation through the trainer's data pipeline, for each task."""

import numpy as np
import pytest

from espnet_ext.bridge.choices import find_class
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.augment import Augment
from espnet_ext.train.data import Collate, loader, read_data_dir, read_text

CONF = {"speed": 1.0, "noise": 1.0, "volume": 0.5, "fs": 8000}


@pytest.fixture(scope="module")
def pipeline(tiny):
    return TextPipeline.from_dir(tiny.tokens)


def augmented(tiny, pipeline, epoch, order, workers, **conf):
    data = read_data_dir(tiny.train, pipeline)
    data.preprocessor, data.seed = Augment(True, **{**CONF, **conf}), (0, epoch)
    batches = [[data.ids.index(utt)] for utt in order]
    found = {}
    for ids, batch in loader(data, batches, Collate(-1), workers):
        found[ids[0]] = batch["speech"][0].numpy(), batch["text"][0].numpy()
    return found


def test_the_same_whatever_the_order_and_the_number_of_workers(tiny, pipeline):
    ids = read_data_dir(tiny.train, pipeline).ids[:5]
    first = augmented(tiny, pipeline, 1, ids, 0)
    for order, workers in ((ids[::-1], 0), (ids[::-1], 2), (ids[2:4], 1)):
        for utt, (speech, _) in augmented(tiny, pipeline, 1, order, workers).items():
            assert (speech == first[utt][0]).all()
    other = augmented(tiny, pipeline, 2, ids, 0)
    assert all(
        len(other[u][0]) != len(first[u][0]) or (other[u][0] != first[u][0]).any() for u in ids
    )


def test_an_utterance_draws_the_same_in_a_smaller_set(tiny, pipeline):
    whole, part = read_data_dir(tiny.train, pipeline), read_data_dir(tiny.train, pipeline)
    part.ids = part.ids[3:]
    part.tokens = part.tokens[3:]
    for data in (whole, part):
        data.preprocessor, data.seed = Augment(True, **CONF), (0, 1)
    assert (whole[5][1]["speech"] == part[2][1]["speech"]).all()


def test_validation_data_is_left_alone(tiny, pipeline):
    data = read_data_dir(tiny.valid, pipeline)
    plain = data[0][1]["speech"]
    data.preprocessor = Augment(False, **CONF)
    assert (data[0][1]["speech"] == plain).all()


def test_language_models_lose_tokens(tiny, pipeline):
    data = read_text([tiny.train / "text"], pipeline)
    plain = [data[k][1]["text"] for k in range(len(data))]
    data.preprocessor = Augment(True, token_unk=0.5, token_list=["<blank>", "<unk>"])
    found = [data[k][1]["text"] for k in range(len(data))]
    assert all(len(a) == len(b) for a, b in zip(plain, found, strict=True))
    changed = np.concatenate(found) != np.concatenate(plain)
    assert 0.2 < changed.mean() < 0.8 and (np.concatenate(found)[changed] == 1).all()


def test_pitch_computed_beforehand_does_not_go_with_another_speed():
    item = {"speech": np.ones(800, np.float32), "text": np.ones(2, np.int64), "pitch": np.ones(9)}
    with pytest.raises(UserError, match="found speed or pitch beside pitch"):
        Augment(True, fs=8000, speed=1.0)("u1", dict(item))
    Augment(True, fs=8000, volume=1.0)("u1", dict(item))


def test_a_yaml_names_it_by_its_path():
    assert find_class("asr", "preprocessor", "espnet_ext.train.augment:Augment") is Augment


@pytest.mark.slow
@pytest.mark.parametrize("task", ["asr", "tts", "lm"])
def test_every_task_trains_with_it(tiny, task, tmp_path):
    from espnet_ext.train.run import train_model

    conf = {"token_unk": 0.2} if task == "lm" else {"fs": 8000, "volume": 1.0, "noise": 1.0}
    changes = {
        "preprocessor": "espnet_ext.train.augment:Augment",
        "preprocessor_conf": conf,
        "max_epoch": 1,
        "best_model_criterion": [["valid", "loss", "min"]],
    }
    assert train_model(task, tiny.places(task, tmp_path / task, changes), "cpu")
