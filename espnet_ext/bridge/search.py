"""Stock ESPnet's joint CTC/attention beam search around models that we loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from espnet_ext.bridge.external import decoder_alone
from espnet_ext.bridge.imports import legacy
from espnet_ext.errors import UserError


def _search_class(scorers: Iterable[Any]) -> Any:
    """Recurrent decoders score one hypothesis at a time."""
    interface = legacy("nets.scorer_interface")
    batched = (interface.BatchScorerInterface, interface.BatchPartialScorerInterface)
    if all(isinstance(scorer, batched) for scorer in scorers):
        return legacy("nets.batch_beam_search").BatchBeamSearch
    return legacy("nets.beam_search").BeamSearch


@dataclass(frozen=True)
class Others:
    """What scores a hypothesis besides the recogniser itself.

    Attributes:
        lm: a language model over the same tokens: an AbsLM or an NgramScorer.
        ngram: an NgramScorer.
        ilm: a model of the language that the recogniser was taught, whose score is taken away (density ratio, McDermott
            et al. 2019); None = estimated from the decoder (see DecoderAlone) where `ilm_weight` asks for it.
    """

    lm: Any = None
    ngram: Any = None
    ilm: Any = None


def _scorers(asr: Any, others: Others) -> dict[str, Any]:
    """What scores a hypothesis, by the name of its weight."""
    scorers = {
        "decoder": asr.decoder,
        "ctc": legacy("nets.scorers.ctc").CTCPrefixScorer(ctc=asr.ctc, eos=asr.eos),
        "length_bonus": legacy("nets.scorers.length_bonus").LengthBonus(len(asr.token_list)),
        "ilm": decoder_alone(asr.decoder),
    }
    return {**scorers, **{name: part for name, part in vars(others).items() if part is not None}}


def weights_of(options: Any) -> dict[str, float]:
    """The weight of each scorer's log probability; see `inference.options.DecodeOptions`."""
    ctc = {"attention": 0.0, "ctc_greedy": 1.0, "ctc_prefix": 1.0}.get(
        options.method, options.ctc_weight
    )
    return {
        "decoder": 1.0 - ctc,
        "ctc": ctc,
        "lm": options.lm_weight,
        "ngram": options.ngram_weight,
        "ilm": -options.ilm_weight,
        "length_bonus": options.penalty,
        "coverage": options.coverage_weight,
        "boost": options.boost_weight if options.boost else 0.0,
    }


def require_parts(asr: Any, options: Any) -> None:
    """Refuse a model without the parts that a search needs.

    Args:
        asr: an ESPnetASRModel.
        options: see `inference.options.DecodeOptions`.

    Raises:
        UserError: for a model without attention decoder, or without CTC, where that has a weight.
    """
    if getattr(asr, "use_transducer_decoder", False):
        raise UserError("found a transducer, expected a hybrid CTC/attention model")
    weights = weights_of(options)
    alone = options.ctc_alone
    if asr.decoder is None and not alone:
        raise UserError(
            "found a model without attention decoder, expected a hybrid CTC/attention model, or "
            "method: ctc_prefix (or ctc_greedy) in the decoding's YAML"
        )
    if (weights["ctc"] or options.method == "ctc_rescore") and not hasattr(asr.ctc, "log_softmax"):
        raise UserError(
            f"found a model without CTC and ctc_weight: {options.ctc_weight}, expected a hybrid CTC/attention model, "
            "or method: attention in the decoding's YAML"
        )


def beam_search(asr: Any, others: Others, options: Any, device: str) -> Any:
    """The search that stock `Speech2Text` would build: batched over hypotheses, unless a part scores only one.

    Args:
        asr: an ESPnetASRModel with an attention decoder.
        others: language models.
        options: see `inference.speech2text.DecodeOptions`.
        device: where it runs.

    Raises:
        UserError: if the model lacks what is asked for.
    """
    require_parts(asr, options)
    size = len(asr.token_list)
    weights = weights_of(options)
    scorers = {name: part for name, part in _scorers(asr, others).items() if weights[name]}
    search = _search_class(scorers.values())(
        scorers=scorers,
        weights=weights,
        beam_size=min(
            options.beam_size, size
        ),  # at the first step there are no more hypotheses than tokens
        vocab_size=size,
        sos=asr.sos,
        eos=asr.eos,
        token_list=asr.token_list,
        pre_beam_ratio=options.pre_beam_ratio,
        pre_beam_score_key=None if weights["ctc"] == 1.0 else "full",
        normalize_length=options.normalize_length,
    )
    return search.to(device=device, dtype=torch.float32).eval()
