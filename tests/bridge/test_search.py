"""The search around models whose parts differ."""

from __future__ import annotations

import numpy as np

from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text


def test_a_beam_wider_than_the_vocabulary_is_as_wide_as_that(tiny):
    wide = Speech2Text.from_dir(
        tiny.model("asr"), "valid.loss.ave.pth", options=DecodeOptions(beam_size=50, search="stock")
    )
    assert wide.search.beam_size == len(wide.model.token_list)
    assert wide(0.1 * np.sin(np.arange(8000) * 0.5).astype(np.float32))


def test_a_recurrent_decoder_is_searched_one_hypothesis_at_a_time(tiny, tmp_path):
    from espnet_ext.train.run import train_model

    changes = {
        "encoder": "vgg_rnn",
        "encoder_conf": {"num_layers": 1, "hidden_size": 4, "output_size": 4},
        "decoder": "rnn",
        "decoder_conf": {"hidden_size": 4},
        "max_epoch": 1,
    }
    train_model("asr", tiny.places("asr", tmp_path, changes), "cpu")
    recognise = Speech2Text.from_dir(tmp_path, options=DecodeOptions(beam_size=3))
    assert type(recognise.search).__name__ == "BeamSearch"
    assert recognise(0.1 * np.sin(np.arange(16000) * 0.5).astype(np.float32))


def test_ctc_scores_all_tokens_where_the_pre_beam_is_wide(tiny):
    """From the size of the token list on the width makes no difference."""
    samples = 0.1 * np.sin(np.arange(8000) * 0.5).astype(np.float32)
    found = {}
    for ratio in (1.0, 4.0, 40.0):
        given = DecodeOptions(
            beam_size=2, ctc_weight=0.9, lm_weight=0.0, pre_beam_ratio=ratio, search="stock"
        )
        engine = Speech2Text.from_dir(tiny.model("asr"), options=given)
        assert engine.search.do_pre_beam == (ratio == 1.0)
        found[ratio] = engine(samples)[0]
    assert found[4.0] == found[40.0] != found[1.0]
