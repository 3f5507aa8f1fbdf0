"""Of a model spread by `fsdp: true` a layer that one process leaves out by lot is one that the others wait for."""

import pytest
import torch

from espnet_ext.asr.decoder import CachedTransformerDecoder
from espnet_ext.asr.encoder import CnnConformerEncoder
from espnet_ext.errors import UserError
from espnet_ext.train.config import TRAINING
from espnet_ext.train.sharded import check

SIZE = {"output_size": 8, "num_blocks": 2, "attention_heads": 2, "linear_units": 8, "channels": 4}


def _model(layer_drop=0.0, decoder_drop=0.0, **encoder):
    model = torch.nn.Module()
    model.encoder = CnnConformerEncoder(20, layer_drop=layer_drop, **SIZE, **encoder)
    conf = {"attention_heads": 2, "linear_units": 8, "num_blocks": 2}
    model.decoder = CachedTransformerDecoder(9, 8, layer_drop_rate=decoder_drop, **conf)
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [((0.1, 0.0), "encoder_conf: layer_drop: 0.1 beside"), ((0.0, 0.2), "decoder_conf: layer_drop: 0.2 beside")],
)  # fmt: skip
def test_layers_that_are_left_out_are_refused(model, words):
    with pytest.raises(UserError, match=f"fsdp: found {words}"):
        check(TRAINING, "asr", _model(*model))


def test_espnets_own_layers_are_refused():
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

    model = torch.nn.Module()
    conf = {"output_size": 8, "attention_heads": 2, "linear_units": 8, "num_blocks": 2}
    model.encoder = ConformerEncoder(20, stochastic_depth_rate=0.3, **conf)
    with pytest.raises(UserError, match=r"encoder_conf: stochastic_depth_rate: 0\.3"):
        check(TRAINING, "asr", model)


def test_what_keeps_all_weights_in_use_is_welcome():
    """Our stochastic depth computes a block and then leaves out utterances."""
    check(TRAINING, "asr", _model(stochastic_depth=0.3))


def test_a_vocoder_with_discriminators_is_refused():
    with pytest.raises(UserError, match="found a GAN beside"):
        check(TRAINING, "vocoder", torch.nn.Linear(1, 1))
