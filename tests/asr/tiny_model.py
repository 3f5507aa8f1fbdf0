"""A recogniser of a few hundred weights on made-up features, for tests of the model and its objectives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.train.config import complete

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "<sos/eos>"]
OURS = "espnet_ext.asr.model:HybridModel"


def tiny_model(model: str = OURS, conf: dict[str, Any] | None = None, **changes: Any) -> Any:
    """In training mode, without dropout; `conf` goes to model_conf."""
    torch.manual_seed(0)
    found = {
        "token_list": TOKENS,
        "input_size": 6,
        "normalize": None,
        "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
        "encoder_conf": {
            "output_size": 8,
            "num_blocks": 1,
            "attention_heads": 2,
            "linear_units": 8,
            "kernel": 3,
            "strides": [2],
            "channels": 2,
            "dropout_rate": 0.0,
        },
        "decoder": "transformer",
        "decoder_conf": {
            "attention_heads": 2,
            "linear_units": 8,
            "num_blocks": 1,
            "dropout_rate": 0.0,
            "positional_dropout_rate": 0.0,
        },
        "model": model,
        "model_conf": {"ctc_weight": 0.3, "lsm_weight": 0.1, **(conf or {})},
        **changes,
    }
    return TASKS["asr"].build(complete(TASKS["asr"].defaults, found)).train()


def tiny_batch(
    seed: int = 1, dtype: torch.dtype = torch.float32, extra: bool = False
) -> dict[str, torch.Tensor]:
    """Three utterances of features and tokens; `extra`: with speakers, phones and sentences without sound."""
    torch.manual_seed(seed)
    more = {
        "sids": torch.tensor([[2], [0], [1]]),
        "phones": torch.tensor([[1, 2, 2], [3, -1, -1], [1, 3, -1]]),
        "phones_lengths": torch.tensor([3, 1, 2]),
        "lm_text": torch.tensor([[2, 4], [3, -1], [4, 4]]),
        "lm_text_lengths": torch.tensor([2, 1, 2]),
    }
    return {
        "speech": torch.randn(3, 21, 6, dtype=dtype),
        "speech_lengths": torch.tensor([21, 15, 18]),
        "text": torch.tensor([[2, 3, 3, 4], [4, 2, -1, -1], [3, 2, 4, -1]]),
        "text_lengths": torch.tensor([4, 2, 3]),
        **(more if extra else {}),
    }


def total(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The loss, a scalar; dropout and masks are the same at each call."""
    torch.manual_seed(7)
    return model(**{name: tensor.clone() for name, tensor in batch.items()})[0].sum()


def check_gradient(model: Any, batch: dict[str, torch.Tensor], step: float = 1e-6) -> None:
    """Of each parameter along a random direction, against a central difference; all in double precision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", lambda x: x)  # CTC rounds to single precision
        _check_gradient(model, batch, step)


def _check_gradient(model: Any, batch: dict[str, torch.Tensor], step: float) -> None:
    model.zero_grad()
    total(model, batch).backward()
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        direction = torch.randn_like(parameter)
        found = 0.0 if parameter.grad is None else float((parameter.grad * direction).sum())
        values = []
        with torch.no_grad():
            for sign in (1, -2):
                parameter += sign * step * direction
                values.append(float(total(model, batch)))
            parameter += step * direction
        expected = (values[0] - values[1]) / (2 * step)
        assert abs(found - expected) <= 1e-4 * max(1.0, abs(expected)), (name, found, expected)
