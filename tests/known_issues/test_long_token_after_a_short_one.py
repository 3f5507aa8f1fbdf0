"""Past bug: after a token of an eighth of a frame, which got one, a token of 1.25 frames got none."""

import torch

from espnet_ext.tts.duration import whole_frames


def test_the_long_token_has_the_frame():
    assert whole_frames(torch.tensor([[0.125, 1.25]]), torch.ones(1, 2).bool()).tolist() == [[0, 1]]


def test_an_utterance_has_a_frame():
    assert whole_frames(torch.tensor([[0.1, 0.1]]), torch.ones(1, 2).bool()).tolist() == [[1, 0]]
