"""Random scorers of a few weights, stock ESPnet's and ours, and the search around them."""

from __future__ import annotations

from typing import Any

import torch

from espnet_ext.asr.decoder import CachedTransformerDecoder
from espnet_ext.bridge.imports import espnet2, legacy
from espnet_ext.bridge.stacks import StockRecurrence, read_decoder, read_lm
from espnet_ext.lm.kneser_ney import train
from espnet_ext.lm.lstm import LstmLM
from espnet_ext.lm.ngram import NgramLookup
from espnet_ext.lm.transformer import TransformerLM
from espnet_ext.search.beam import BatchSearch, SearchOptions
from espnet_ext.search.boost import BoostScorer, phrase_table
from espnet_ext.search.scorers import (
    CachedScorer,
    CoverageScorer,
    DecoderAloneScorer,
    DecoderScorer,
    NgramTableScorer,
    TransformerScorer,
)

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "d", "<sos/eos>"]
SIZE, EOS, WIDTH = len(TOKENS), len(TOKENS) - 1, 8


def random_weights(module: Any, seed: int = 0, spread: float = 0.5) -> Any:
    """Every parameter drawn, biases too; for inference."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return module.eval()


def decoder(kind: str) -> Any:
    """`stock`, or `ours` with its kind of positions."""
    size = {"attention_heads": 2, "linear_units": 12, "num_blocks": 2}
    if kind == "stock":
        stock = espnet2("asr.decoder.transformer_decoder").TransformerDecoder(SIZE, WIDTH, **size)
        return random_weights(stock)
    return random_weights(CachedTransformerDecoder(SIZE, WIDTH, positions=kind, **size))


def language_model(kind: str) -> Any:
    """An AbsLM."""
    stock = {"embed_unit": 6, "att_unit": 8, "head": 2, "unit": 12, "layer": 2}
    makers = {
        "stock": lambda: espnet2("lm.transformer_lm").TransformerLM(SIZE, **stock),
        "stock with positions": lambda: espnet2("lm.transformer_lm").TransformerLM(
            SIZE, pos_enc="sinusoidal", **stock
        ),
        "stock lstm": lambda: espnet2("lm.seq_rnn_lm").SequentialRNNLM(SIZE, unit=6, nlayers=2),
        "stock gru": lambda: espnet2("lm.seq_rnn_lm").SequentialRNNLM(
            SIZE, unit=6, nlayers=2, rnn_type="gru"
        ),
        "ours": lambda: TransformerLM(SIZE, width=8, heads=2, inner=12, layers=2),
        "our lstm": lambda: LstmLM(SIZE, width=6),
    }
    return random_weights(makers[kind](), seed=1)


LANGUAGE_MODELS = ("stock", "stock with positions", "stock lstm", "stock gru", "ours", "our lstm")


def language_scorer(lm: Any) -> Any:
    """What the search asks."""
    if (stack := read_lm(lm)) is not None:
        return TransformerScorer(stack)
    return CachedScorer(lm if isinstance(lm, LstmLM) else StockRecurrence(lm))


def lookup() -> NgramLookup:
    """A trigram model of a few words."""
    text = torch.tensor([2, 3, 3, 4, 2, 5, 3, 2, 2, 4, 4, 3]).numpy()
    return NgramLookup(train(text, torch.tensor([4, 8, 12]).numpy(), TOKENS, 3, ()))


class Ears(torch.nn.Module):
    """CTC's output layer; `log_softmax` as stock's CTC has it."""

    def __init__(self) -> None:
        super().__init__()
        self.out = torch.nn.Linear(WIDTH, SIZE)

    def log_softmax(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x).log_softmax(dim=-1)


def ears() -> Any:
    """Random, and fairly sure of what it hears."""
    return random_weights(Ears(), seed=2, spread=1.5)


def speech(lengths: list[int], seed: int = 3) -> list[torch.Tensor]:
    """What an encoder may give."""
    torch.manual_seed(seed)
    return [torch.randn(length, WIDTH) for length in lengths]


WEIGHTS = {"decoder": 0.7, "ctc": 0.3}


def search(weights: dict[str, float], lm: str = "stock", **options: Any) -> BatchSearch:
    """Ours, with all scorers that have a weight."""
    stack = read_decoder(decoder("stock"))
    assert stack is not None
    decoder_scorer = DecoderScorer(stack, 0.3 if weights.get("coverage") else None)
    scorers = {
        "decoder": decoder_scorer,
        "ilm": DecoderAloneScorer(stack),
        "coverage": CoverageScorer(decoder_scorer, SIZE),
        "boost": BoostScorer(phrase_table([[2, 3], [4], [4, 5, 2]], [True] * SIZE, EOS)),
        "lm": language_scorer(language_model(lm)),
        "ngram": NgramTableScorer(lookup()),
    }
    how = SearchOptions(**{"beam_size": 4, "pre_beam": 6, **options})
    return BatchSearch(scorers, weights, ears().log_softmax, EOS, how)


def stock_search(weights: dict[str, float], lm: str = "stock", **options: Any) -> Any:
    """Stock's with the same weights."""
    from espnet_ext.bridge.external import NgramScorer, decoder_alone

    scorers = {
        "decoder": decoder("stock"),
        "ctc": legacy("nets.scorers.ctc").CTCPrefixScorer(ears(), EOS),
        "length_bonus": legacy("nets.scorers.length_bonus").LengthBonus(SIZE),
        "ilm": decoder_alone(decoder("stock")),
        "lm": language_model(lm),
        "ngram": NgramScorer(lookup()),
    }
    beam, pre = options.get("beam_size", 4), options.get("pre_beam", 6)
    made = legacy("nets.batch_beam_search").BatchBeamSearch(
        scorers={name: s for name, s in scorers.items() if weights.get(name)},
        weights=weights,
        beam_size=beam,
        vocab_size=SIZE,
        sos=EOS,
        eos=EOS,
        token_list=TOKENS,
        pre_beam_ratio=pre / beam,
        pre_beam_score_key="full",
        normalize_length=options.get("normalize_length", False),
    )
    return made.eval()
