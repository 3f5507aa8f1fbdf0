"""A phase's own SpecAugment did not hear that training had begun again, and warped compared views differently."""

import torch

from espnet_ext.asr.specaug import LateSpecAug
from espnet_ext.train.phases import Curriculum, Phase
from tests.asr.tiny_model import tiny_model
from tests.train.test_loop import Line, Numbers

MASKS = {"apply_time_warp": False, "apply_time_mask": False, "freq_mask_width_range": [3, 4]}


def test_masks_that_begin_late_begin_in_every_epoch_of_a_phase():
    model = Line()
    model.specaug = LateSpecAug(begin=2, **MASKS)
    other = LateSpecAug(begin=2, **MASKS)
    found = Curriculum([Phase("a", 3)], model, [], Numbers([0.0]), [], [other])
    x, lengths = torch.ones(1, 6, 8), torch.tensor([6])
    for epoch, masked in ((1, False), (2, False), (3, True)):
        model.eval()  # as validation leaves it
        found.enter(epoch, 0)
        model.train()
        assert bool((model.specaug(x, lengths)[0] == 0).any()) == masked
        assert int(model.specaug.batches) == epoch


def test_both_views_of_an_utterance_are_warped_alike():
    warp = {"apply_freq_mask": False, "apply_time_mask": False, "time_warp_window": 3}
    conf = {"specaug": "specaug", "specaug_conf": warp}
    model = tiny_model(conf={"cr_ctc_weight": 0.2}, **conf).train()
    other = type(model.specaug)(**warp)
    model.share_warps_of(other)
    Curriculum([Phase("a", 1)], model, [], Numbers([0.0]), [], [other]).enter(1, 0)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    speech, sizes = torch.randn(2, 40, 6), torch.tensor([40, 40])
    text, lengths = torch.tensor([[2, 3], [3, 2]]), torch.tensor([2, 2])
    for _ in range(5):
        model(speech, sizes, text, lengths)
        assert torch.equal(seen[-1][:2], seen[-1][2:])
    assert not all(torch.equal(x, seen[0]) for x in seen)


def test_a_moving_average_begins_again_with_the_weights_of_a_phase(tmp_path):
    from espnet_ext.train.ema import MovingAverage
    from tests.train.test_loop import trainer

    torch.save({"w.weight": torch.tensor([[50.0]])}, tmp_path / "given.pth")
    found = trainer(tmp_path / "exp", sgd=0.0, ema=0.9)
    found.step.average = MovingAverage(found.model, 0.9)
    phases = [Phase("a", 1), Phase("b", 1, init_param=[str(tmp_path / "given.pth")])]
    found.curriculum = Curriculum(phases, found.model, found.step.optimisers, found.train_data)
    found.fit()
    assert torch.load(tmp_path / "exp/2epoch.ema.pth")["w.weight"] == 50.0
