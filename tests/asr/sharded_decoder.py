"""Loss and gradients of a recogniser whole and spread by `fsdp: true`, in one process of its own."""

import sys

import torch
from torch import distributed

from espnet_ext.train.sharded import shard

CONF = {"attention_heads": 2, "linear_units": 12, "num_blocks": 2, "share_embedding": True}
STILL = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}


def main() -> None:
    from tiny_model import tiny_batch, tiny_model  # beside this file, which is a program

    distributed.init_process_group(
        "gloo", init_method=f"file://{sys.argv[1]}", rank=0, world_size=1
    )
    decoder = "espnet_ext.asr.decoder:CachedTransformerDecoder"
    conf = {"ctc_weight": {"from": 1.0, "to": 0.2, "updates": 4}}
    models = [
        tiny_model(conf=conf, decoder=decoder, decoder_conf={**CONF, **STILL}) for _ in range(2)
    ]
    shard(models[1], "cpu", 1)
    losses = []
    for model in models:
        for _ in range(2):
            loss = model(**tiny_batch())[0]
            loss.backward()
            losses.append(float(loss.detach()))
    assert len({round(loss, 4) for loss in losses}) == 1, losses
    assert [int(model.updates) for model in models] == [1, 1]
    whole = dict(models[0].named_parameters())
    for name, parameter in models[1].named_parameters():
        gradient = parameter.grad.full_tensor()
        assert torch.allclose(gradient, whole[name].grad, atol=1e-4), name
    distributed.destroy_process_group()
    print("the same")


if __name__ == "__main__":
    main()
