"""The batched search around models that we loaded, where their parts are known to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from espnet_ext.bridge.external import NgramScorer
from espnet_ext.bridge.search import Others, require_parts, weights_of
from espnet_ext.bridge.stacks import StockRecurrence, read_decoder, read_lm
from espnet_ext.errors import UserError
from espnet_ext.lm.cached import CachedLM
from espnet_ext.search import scorers
from espnet_ext.search.beam import BatchSearch, SearchOptions
from espnet_ext.search.boost import BoostScorer, phrase_table
from espnet_ext.search.ctc_decode import UNLIKELY, CtcSearch, greedy, prefix_search
from espnet_ext.search.history import Found
from espnet_ext.search.rescore import RescoreSearch

Known = dict[str, scorers.Scorer | None]
_RECURRENT = "espnet2.lm.seq_rnn_lm"


def language_scorer(lm: Any) -> scorers.Scorer | None:
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


@dataclass(frozen=True)
class Boost:
    """Phrases that are to be found more easily.

    Attributes:
        phrases: their token numbers, none empty.
        begins: whether each token begins a word, (V,).
        before: tokens that a sentence is taken to stand behind: a space, where words begin with one.
    """

    phrases: Sequence[Sequence[int]]
    begins: Sequence[bool]
    before: Sequence[int] = ()


def _steps(decoder: Any) -> bool:
    """Whether it is one with a language model inside, both of which go on token by token."""
    both = (getattr(decoder, "decoder", None), getattr(decoder, "lm", None))
    return isinstance(both[1], CachedLM) and hasattr(both[0], "start")


def boost_scorer(boost: Boost, eos: int, device: Any) -> BoostScorer:
    """Of phrases; `device` is where the search runs."""
    return BoostScorer(phrase_table(boost.phrases, boost.begins, eos, boost.before, device))


def _scorers(asr: Any, others: Others, boost: Boost | None, options: Any) -> Known:
    """By the name of their weight, in the order in which stock adds them; None for what is not known."""
    stack = None if asr.decoder is None else read_decoder(asr.decoder)
    threshold = options.coverage_threshold if options.coverage_weight else None
    decoder = None if stack is None else scorers.DecoderScorer(stack, threshold)
    fused = scorers.CachedDecoderScorer(asr.decoder) if _steps(asr.decoder) else None
    found: Known = {
        "decoder": decoder or fused,
        "ilm": None if stack is None else scorers.DecoderAloneScorer(stack),
        "coverage": decoder and scorers.CoverageScorer(decoder, len(asr.token_list)),
    }
    if boost is not None:
        found["boost"] = boost_scorer(boost, asr.eos, next(asr.parameters()).device)
    more = {name: lm for name, lm in vars(others).items() if lm is not None}
    return {**found, **{name: language_scorer(lm) for name, lm in more.items()}}


def batch_search(asr: Any, others: Others, options: Any, boost: Boost | None = None) -> Any:
    """The search over several utterances at once; None if it does not know one of the models.

    Args:
        asr: an ESPnetASRModel on its device.
        others: language models.
        options: see `inference.options.DecodeOptions`.
        boost: phrases, if there are any.

    Raises:
        UserError: if the model lacks what is asked for, or the decoder is unknown where its attention is asked for.
    """
    found = search_by_method(asr, options, others, lambda: _joint(asr, others, options, boost))
    if found is None and options.ours_alone:
        raise UserError(
            f"found {', '.join(options.ours_alone)}, expected none of it: only ESPnet's own search knows this decoder "
            "or language model, and that has no such option"
        )
    return found


def search_by_method(
    asr: Any, options: Any, others: Others, joint: Callable[[], BatchSearch | None]
) -> Any:
    """The search that `options.method` names; None if it needs the joint one and there is none.

    Args:
        asr: whatever has a token list, `eos`, and `ctc` and `decoder` or None.
        options: see `inference.options.DecodeOptions`.
        others: language models, which CTC alone does not ask.
        joint: makes the joint search, see `joint_search`.

    Raises:
        UserError: if the model lacks what is asked for, or a language model is to be asked that is not.
    """
    require_parts(asr, options)
    if options.ctc_alone:
        _refuse_others(others, options)
        return _ctc_search(asr, options)
    found = joint()
    if found is not None and options.method == "ctc_rescore":
        return RescoreSearch(found, _candidates(asr, options))
    return found


def _refuse_others(others: Others, options: Any) -> None:
    """Raises UserError for a language model with a weight beside a search that does not ask it."""
    weights = weights_of(options)
    asked = [name for name, lm in vars(others).items() if lm is not None and weights[name]]
    if asked:
        raise UserError(
            f"method: found {options.method} and a language model ({', '.join(asked)}), which it does not ask, "
            f"expected none: leave it out, set {asked[0]}_weight: 0, or use method: ctc_rescore"
        )


def _candidates(asr: Any, options: Any) -> int:
    """Tokens that CTC scores after each hypothesis, or in each frame."""
    size = len(asr.token_list)
    return min(size, max(int(options.pre_beam_ratio * min(options.beam_size, size)), 2))


def _ctc_search(asr: Any, options: Any) -> CtcSearch:
    if options.method == "ctc_greedy":
        return CtcSearch(asr.ctc.log_softmax, lambda x: [greedy(x)], options)
    number = _candidates(asr, options)

    def decode(x: Tensor) -> list[Found]:
        return prefix_search(x, options.beam_size, number, asr.eos, UNLIKELY)

    return CtcSearch(asr.ctc.log_softmax, decode, options)


def _joint(asr: Any, others: Others, options: Any, boost: Boost | None) -> BatchSearch | None:
    weights = weights_of(options)
    found = {name: s for name, s in _scorers(asr, others, boost, options).items() if weights[name]}
    if any(scorer is None for scorer in found.values()):
        return None
    return joint_search(asr, {n: s for n, s in found.items() if s is not None}, options)


def joint_search(asr: Any, known: Mapping[str, scorers.Scorer], options: Any) -> BatchSearch:
    """CTC and scorers together, by the names of their weights.

    Raises:
        UserError: for coverage without a decoder, whose it is.
    """
    if "coverage" in known and "decoder" not in known:
        raise UserError(
            "coverage_weight: found ctc_weight: 1, expected less: coverage is the decoder's"
        )
    size, weights = len(asr.token_list), weights_of(options)
    beam = min(options.beam_size, size)
    how = SearchOptions(
        beam_size=beam,
        pre_beam=size if weights["ctc"] == 1.0 else int(options.pre_beam_ratio * beam),
        maxlenratio=options.maxlenratio,
        minlenratio=options.minlenratio,
        normalize_length=options.normalize_length,
        length_alpha=options.length_alpha,
        nbest=options.nbest,
        bounded=all(getattr(scorer, "falls", True) for scorer in known.values()),
    )
    hears = hasattr(asr.ctc, "log_softmax")
    return BatchSearch(known, weights, asr.ctc.log_softmax if hears else lambda x: x, asr.eos, how)
