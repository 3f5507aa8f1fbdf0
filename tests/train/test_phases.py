"""A curriculum: its parts of the data, what changes between phases, and that no kill changes it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from espnet_ext.errors import UserError
from espnet_ext.train.config import TRAINING
from espnet_ext.train.loop import Stopped
from espnet_ext.train.phases import Curriculum, Phase, phase_of, read_phases, select
from espnet_ext.train.run import curriculum, phase_sampler, train_model
from tests.train.test_loop import Line, Numbers, trainer, weights


def _phases(*entries, **changes):
    config = {**TRAINING, "phases": [dict(entry) for entry in entries], **changes}
    return read_phases(config), config


def test_epochs_belong_to_phases():
    phases, config = _phases({"name": "a", "epochs": 2}, {"name": "b", "epochs": 1})
    assert config["max_epoch"] == 3
    assert [(p.name, first) for p, first in (phase_of(phases, e) for e in (1, 2, 3, 4))] == [
        ("a", 1),
        ("a", 1),
        ("b", 3),
        ("b", 3),
    ]


@pytest.mark.parametrize(
    ("entry", "words"),
    [({"name": "a"}, "at least name and epochs"), ({"name": "a", "epochs": 0}, "expected 1 or more"),
     ({"name": "a", "epochs": 1, "vocab": 3}, "unknown key 'vocab'; did you mean vocabulary"), ("a", "found 'a'")],
)  # fmt: skip
def test_a_phase_that_is_none_is_refused(entry, words):
    with pytest.raises(UserError, match=words):
        read_phases({**TRAINING, "phases": [entry]})


def test_max_epoch_beside_phases_is_refused():
    with pytest.raises(UserError, match="found 2 epochs in all and max_epoch 7"):
        _phases({"name": "a", "epochs": 2}, max_epoch=7)


@pytest.fixture
def corpus(tmp_path):
    """Four utterances with words, lengths and measures."""
    texts = {"u0": "go go stop", "u1": "go stop", "u2": "go left", "u3": "right left up"}
    (tmp_path / "text").write_text("".join(f"{u} {t}\n" for u, t in texts.items()))
    (tmp_path / "utt2dur").write_text("".join(f"{u} {i + 1}\n" for i, u in enumerate(texts)))
    rows = [f"{u}\t{10 * i}" for i, u in enumerate(texts)]
    (tmp_path / "quality.tsv").write_text("\n".join(["utt\tsnr", *rows]) + "\n")
    data = Numbers([0.0] * 4)
    data.seconds = [1.0, 2.0, 3.0, 4.0]
    data.tokens = [np.array(row) for row in ([2, 2, 3], [2, 3], [2, 4], [5, 4, 6])]
    return data, tmp_path


@pytest.mark.parametrize(
    ("conf", "places"),
    [({}, [0, 1, 2, 3]), ({"rules": ["seconds<=2"]}, [0, 1]), ({"rules": ["snr>=15", "seconds<4"]}, [2]),
     ({"vocabulary": 1}, []), ({"vocabulary": 3}, [0, 1, 2]), ({"vocabulary": 2}, [2]), ({"tokens": 2}, [0, 1]),
     ({"tokens": 3}, [0, 1, 2])],
)  # fmt: skip
def test_what_a_phase_takes(corpus, conf, places):
    """Of equally frequent words (left, stop) the first in the alphabet counts as more frequent."""
    data, folder = corpus
    phase = Phase("x", 1, **conf)
    if places:
        assert select(phase, data, folder) == places
    else:
        with pytest.raises(UserError, match="phase x: found no utterance of 4"):
            select(phase, data, folder)


def test_a_list_of_utterances(corpus):
    data, folder = corpus
    (folder / "mine").write_text("u3 something\n\nu1\nunknown\n")
    assert select(Phase("x", 1, utterances=str(folder / "mine")), data, folder) == [1, 3]
    with pytest.raises(UserError, match="no such file"):
        select(Phase("x", 1, utterances=str(folder / "none")), data, folder)
    with pytest.raises(UserError, match="need a data directory"):
        select(Phase("x", 1, vocabulary=3), data, None)


PHASES = [
    {"name": "clean", "epochs": 2, "tokens": 1, "lr_factor": 2.0},
    {"name": "full", "epochs": 2},
    {"name": "domain", "epochs": 1, "lr_factor": 0.1, "freeze": ["w.bias"]},
]


def phased(folder, **changes):
    """A trainer of `test_loop` with a curriculum; the first phase has the utterances of token 0."""
    phases, config = _phases(*PHASES)
    values = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    found = trainer(
        folder, dropout=0.5, values=values, phases=PHASES, max_epoch=config["max_epoch"], **changes
    )
    found.train_data.tokens = [np.array([i % 3 % 2]) for i in range(8)]
    sampler, selected = phase_sampler(found.config, phases, found.train_data, None)
    found.sampler = sampler
    found.curriculum = Curriculum(phases, found.model, found.step.optimisers, found.train_data)
    assert [len(places) for places in selected] == [5, 8, 8]
    return found


def test_each_phase_has_its_data_rate_and_frozen_parts(tmp_path):
    found = phased(tmp_path, sgd=0.01)
    biases, seen = {}, {}
    forward = found.step.forward

    def watching(batch, extra):
        if found.model.training:
            seen.setdefault(found.progress.at.epoch, []).extend(batch["x"].flatten().tolist())
            biases.setdefault(found.progress.at.epoch, float(found.model.w.bias.detach()))
        return forward(batch, extra)

    found.step.forward = watching
    found.fit()
    assert len(seen[1]) == len(seen[2]) == 5
    assert sorted(seen[3]) == sorted(seen[5]) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    train = [line for line in found.history if line["split"] == "train"]
    assert [line["phase"] for line in train] == ["clean", "clean", "full", "full", "domain"]
    assert [line["lr"] for line in train] == pytest.approx([0.02, 0.02, 0.01, 0.01, 0.001])
    assert float(found.model.w.bias) == biases[5] != biases[4]
    lines = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["phase"] == "domain"


@pytest.mark.parametrize("batches", [2, 7, 12, 19])
def test_stopped_in_any_phase_it_ends_the_same(tmp_path, batches):
    whole = phased(tmp_path / "a")
    whole.fit()
    stopped = phased(tmp_path / "b")
    seen, forward = [], stopped.step.forward

    def counting(batch, extra):
        seen.append(1)
        stopped.stop_asked = len(seen) >= batches
        return forward(batch, extra)

    stopped.step.forward = counting
    with pytest.raises(Stopped):
        stopped.fit()
    resumed = phased(tmp_path / "b")
    resumed.fit()
    assert resumed.progress.at.updates == whole.progress.at.updates
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name])


def test_patience_does_not_end_an_earlier_phase(tmp_path):
    found = phased(tmp_path, sgd=0.0, patience=1)
    found.fit()
    assert {line["phase"] for line in found.history} == {"clean", "full", "domain"}


class Masks(torch.nn.Module):
    """A stand-in for SpecAugment."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x, x_lengths=None):
        self.batches += 1
        return x * self.width, x_lengths


def test_masks_of_a_phase_leave_the_state_as_it_is():
    model = Line()
    model.specaug = Masks(2.0)
    names = list(model.state_dict())
    phases = [Phase("a", 1, augment=False), Phase("b", 1), Phase("c", 1)]
    found = Curriculum(phases, model, [], Numbers([0.0]), [], [None, None, Masks(5.0)])
    x = torch.ones(1)
    for epoch, factor, batches in ((1, 1.0, 0), (2, 2.0, 1), (3, 5.0, 2)):
        found.enter(epoch, 0)
        assert float(model.specaug(x)[0]) == factor and int(model.specaug.batches) == batches
        assert list(model.state_dict()) == names


def test_a_phase_begins_from_weights_only_when_it_begins(tmp_path):
    torch.save({"w.weight": torch.tensor([[7.0]])}, tmp_path / "given.pth")
    model = Line()
    phases = [Phase("a", 1), Phase("b", 2, init_param=[str(tmp_path / "given.pth")])]
    found = Curriculum(phases, model, [], Numbers([0.0]))
    for epoch, batch, weight in ((1, 0, 0.5), (2, 3, 0.5), (3, 0, 0.5), (2, 0, 7.0)):
        found.enter(epoch, batch)
        assert float(model.w.weight) == weight


AUGMENT = {
    "preprocessor": "espnet_ext.train.augment:Augment",
    "preprocessor_conf": {"fs": 8000, "token_drop": 0.5},
}


@pytest.mark.slow
def test_a_recogniser_in_three_phases(tiny, tmp_path):
    """Clean and short with few words, then everything masked more, then fine-tuning; other data starts it anew."""
    phases = [
        {"name": "clean", "epochs": 1, "rules": ["seconds<=1.2"], "augment": False},
        {"name": "full", "epochs": 1, "specaug_conf": {"freq_mask_width_range": [0, 5]}},
        {"name": "fine", "epochs": 1, "lr_factor": 0.1, "freeze": ["encoder"]},
    ]
    given = {k: v for k, v in tiny.base["asr"].items() if k != "max_epoch"}
    places = tiny.places("asr", tmp_path)
    import yaml

    config = tmp_path / "phased.yaml"
    config.write_text(yaml.safe_dump({**given, "phases": phases}))
    train_model("asr", replace(places, config=config), "cpu")
    lines = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines] == [n for n in ("clean", "full", "fine") for _ in "tv"]
    states = [
        torch.load(tmp_path / f"{e}epoch.pth")
        for e in (2, 3)
        if (tmp_path / f"{e}epoch.pth").is_file()
    ]
    if len(states) == 2:
        same = [n for n in states[0] if torch.equal(states[0][n], states[1][n])]
        assert all(n in same for n in states[0] if n.startswith("encoder.") and "batches" not in n)
        assert any(n.startswith("decoder.") and n not in same for n in states[0])


def test_overrides_of_a_phase_reach_the_preprocessor(tiny, tmp_path):
    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.train.run import read_config

    places = tiny.places("asr", tmp_path)
    config = read_config(TASKS["asr"], places.config)
    config.update({"token_list": ["<blank>"], "token_type": "char", "bpemodel": None, **AUGMENT})
    config["non_linguistic_symbols"] = None
    phases = [
        Phase("a", 1, augment=False),
        Phase("b", 1, preprocessor_conf={"token_drop": 0.1}),
        Phase("c", 1, specaug_conf={"freq_mask_width_range": [0, 9]}),
    ]
    found = curriculum(TASKS["asr"], config, phases, Line(), [], Numbers([0.0]))
    first, second, third = found.preprocessors
    assert (first.train, second.train, third.train) == (False, True, True)
    assert second.options != third.options
    assert [mask is None for mask in found.specaugs] == [True, True, False]
