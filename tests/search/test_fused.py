"""Decoders with a language model inside (deep and cold fusion) in the search over several utterances."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from espnet_ext.asr.fusion_decoder import ColdFusionDecoder, DeepFusionDecoder
from espnet_ext.bridge.batched import batch_search
from espnet_ext.bridge.search import Others, beam_search
from espnet_ext.inference.options import DecodeOptions
from tests.search import models
from tests.search.models import EOS, SIZE, TOKENS, WIDTH

LMS = {
    "ours": {"lm": "espnet_ext.lm.transformer:TransformerLM", "lm_conf": {"width": 12, "heads": 2, "layers": 1}},
    "lstm": {"lm": "espnet_ext.lm.lstm:LstmLM", "lm_conf": {"width": 12, "layers": 1}},
}  # fmt: skip


@pytest.mark.parametrize("kind", [DeepFusionDecoder, ColdFusionDecoder])
@pytest.mark.parametrize("lm", list(LMS))
@torch.no_grad()
def test_the_best_is_stocks(kind, lm):
    inside = {"attention_heads": 2, "linear_units": 12, "num_blocks": 1}
    decoder = models.random_weights(kind(SIZE, WIDTH, decoder_conf=inside, **LMS[lm]), seed=5)
    asr = SimpleNamespace(
        decoder=decoder, ctc=models.ears(), token_list=TOKENS, sos=EOS, eos=EOS, parameters=decoder.parameters
    )  # fmt: skip
    options = DecodeOptions(beam_size=4, ctc_weight=0.3, lm_weight=0.4, maxlenratio=1.0)
    others = Others(lm=models.language_model("stock"))
    ours = batch_search(asr, others, options)
    assert ours is not None and not ours.flows
    stock = beam_search(asr, others, options, "cpu")
    encoded = models.speech([11, 4, 8])
    for (best, *_), x in zip(ours(encoded), encoded, strict=True):
        (expected, *_) = stock(x=x, maxlenratio=1.0)
        assert best.score == pytest.approx(float(expected.score), abs=1e-3)
        assert list(best.tokens) == [t for t in expected.yseq.tolist() if t != EOS]
