"""More epochs of the last phase, or leaving out what `not_finite: stop` had named, began a training anew."""

import torch

from espnet_ext.train.config import TRAINING
from espnet_ext.train.identity import fingerprint


def _of(**changes):
    return fingerprint({**TRAINING, **changes}, torch.nn.Linear(1, 1))


def _phases(*epochs):
    return [{"name": name, "epochs": number} for name, number in zip("abc", epochs, strict=False)]


def test_the_last_phase_may_last_longer():
    whole = _of(phases=_phases(2, 3), max_epoch=5)
    assert _of(phases=_phases(2, 30), max_epoch=32) == whole
    others = [_phases(3, 3), _phases(2), _phases(2, 3, 1)]
    assert len({whole, *(_of(phases=phases) for phases in others)}) == 4


def test_what_follows_on_nan_changes_no_epoch():
    assert _of(not_finite="stop") == _of(not_finite="skip")
