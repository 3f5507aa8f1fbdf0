"""The batched search around models that we loaded, where their parts are known to it."""

from __future__ import annotations

from typing import Any

from espnet_ext.bridge.external import NgramScorer
from espnet_ext.bridge.search import Others, weights_of
from espnet_ext.bridge.stacks import StockRecurrence, read_decoder, read_lm
from espnet_ext.lm.cached import CachedLM
from espnet_ext.search import scorers
from espnet_ext.search.beam import BatchSearch, SearchOptions

_RECURRENT = "espnet2.lm.seq_rnn_lm"


def _language_scorer(lm: Any) -> scorers.Scorer | None:
    """Of a language model, neural or n-gram; None if it is of no known kind."""
    if isinstance(lm, NgramScorer):
        return scorers.NgramTableScorer(lm.lookup)
    if (stack := read_lm(lm)) is not None:
        return scorers.TransformerScorer(stack)
    if isinstance(lm, CachedLM):
        return scorers.CachedScorer(lm)
    if type(lm).__module__ == _RECURRENT:
        return scorers.CachedScorer(StockRecurrence(lm))
    return None


def _scorers(asr: Any, others: Others) -> dict[str, scorers.Scorer | None]:
    """By the name of their weight, in the order in which stock adds them."""
    stack = read_decoder(asr.decoder)
    found: dict[str, scorers.Scorer | None] = {
        "decoder": None if stack is None else scorers.DecoderScorer(stack),
        "ilm": None if stack is None else scorers.DecoderAloneScorer(stack),
    }
    more = {name: lm for name, lm in vars(others).items() if lm is not None}
    return {**found, **{name: _language_scorer(lm) for name, lm in more.items()}}


def batch_search(asr: Any, others: Others, options: Any) -> BatchSearch | None:
    """The search over several utterances at once; None if it does not know one of the models.

    Args:
        asr: an ESPnetASRModel on its device.
        others: language models.
        options: see `inference.speech2text.DecodeOptions`.
    """
    if asr.decoder is None or getattr(asr, "use_transducer_decoder", False):
        return None
    weights = weights_of(options)
    if weights["ctc"] and not hasattr(asr.ctc, "log_softmax"):
        return None
    found = {name: s for name, s in _scorers(asr, others).items() if weights[name]}
    if any(scorer is None for scorer in found.values()):
        return None
    size = len(asr.token_list)
    beam = min(options.beam_size, size)
    how = SearchOptions(
        beam_size=beam,
        pre_beam=size if options.ctc_weight == 1.0 else int(options.pre_beam_ratio * beam),
        maxlenratio=options.maxlenratio,
        minlenratio=options.minlenratio,
        normalize_length=options.normalize_length,
        nbest=options.nbest,
    )
    known = {name: scorer for name, scorer in found.items() if scorer is not None}
    return BatchSearch(
        known, weights, asr.ctc.log_softmax if weights["ctc"] else lambda x: x, asr.eos, how
    )
