"""LateSpecAug: nothing at first, ESPnet's masks later, and a place in the checkpoint."""

import torch

from espnet_ext.asr.specaug import LateSpecAug

CONF = {
    "apply_time_warp": False,
    "apply_freq_mask": True,
    "freq_mask_width_range": [5, 10],
    "num_freq_mask": 1,
    "apply_time_mask": False,
}


def test_masks_begin_after_so_many_batches():
    augment, x = LateSpecAug(begin=2, **CONF).train(), torch.ones(3, 40, 80)
    lengths = torch.tensor([40, 40, 40])
    masked = [bool((augment(x.clone(), lengths)[0] != x).any()) for _ in range(4)]
    assert masked == [False, False, True, True]


def test_evaluation_does_not_count():
    augment = LateSpecAug(begin=2, **CONF).eval()
    for _ in range(5):
        augment(torch.ones(1, 40, 80), torch.tensor([40]))
    assert int(augment.state_dict()["batches"]) == 0
