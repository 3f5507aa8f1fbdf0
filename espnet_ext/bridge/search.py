"""Stock ESPnet's joint CTC/attention beam search around models that we loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from espnet_ext.bridge.imports import legacy
from espnet_ext.errors import UserError


def _search_class(scorers: Iterable[Any]) -> Any:
    """Recurrent decoders score one hypothesis at a time."""
    interface = legacy("nets.scorer_interface")
    batched = (interface.BatchScorerInterface, interface.BatchPartialScorerInterface)
    if all(isinstance(scorer, batched) for scorer in scorers):
        return legacy("nets.batch_beam_search").BatchBeamSearch
    return legacy("nets.beam_search").BeamSearch


def _scorers(asr: Any, lm: Any) -> dict[str, Any]:
    """What scores a hypothesis, by the name of its weight."""
    scorers = {
        "decoder": asr.decoder,
        "ctc": legacy("nets.scorers.ctc").CTCPrefixScorer(ctc=asr.ctc, eos=asr.eos),
        "length_bonus": legacy("nets.scorers.length_bonus").LengthBonus(len(asr.token_list)),
    }
    return scorers if lm is None else {**scorers, "lm": lm.lm}


def beam_search(asr: Any, lm: Any, options: Any, device: str) -> Any:
    """The search that stock `Speech2Text` would build: batched over hypotheses, unless a part scores only one.

    Args:
        asr: an ESPnetASRModel with an attention decoder.
        lm: an ESPnetLanguageModel, or None.
        options: see `inference.speech2text.DecodeOptions`.
        device: where it runs.

    Raises:
        UserError: if the model has no attention decoder.
    """
    if asr.decoder is None or getattr(asr, "use_transducer_decoder", False):
        raise UserError(
            "found a model without attention decoder, expected a hybrid CTC/attention model"
        )
    size = len(asr.token_list)
    scorers = _scorers(asr, lm)
    search = _search_class(scorers.values())(
        scorers=scorers,
        weights={
            "decoder": 1.0 - options.ctc_weight,
            "ctc": options.ctc_weight,
            "lm": options.lm_weight,
            "length_bonus": options.penalty,
        },
        beam_size=min(
            options.beam_size, size
        ),  # at the first step there are no more hypotheses than tokens
        vocab_size=size,
        sos=asr.sos,
        eos=asr.eos,
        token_list=asr.token_list,
        pre_beam_score_key=None if options.ctc_weight == 1.0 else "full",
        normalize_length=options.normalize_length,
    )
    return search.to(device=device, dtype=torch.float32).eval()
