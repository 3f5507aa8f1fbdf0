"""Scores of hypotheses, step by step, beside stock's scorers, whatever is done with the beam in between."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.bridge.external import decoder_alone
from espnet_ext.bridge.imports import espnet2, legacy
from espnet_ext.bridge.stacks import read_decoder, read_lm
from espnet_ext.search import ctc
from espnet_ext.search import stack as stacks
from espnet_ext.search.scorers import (
    CoverageScorer,
    DecoderAloneScorer,
    DecoderScorer,
    NgramTableScorer,
)
from tests.search import models
from tests.search.models import EOS, LANGUAGE_MODELS, SIZE, WIDTH

LENGTHS = [9, 4, 6]


def walk(scorer, reference, seed, steps=7, tolerance=1e-4):
    """Hypotheses that are drawn, put into another order, and leave; `reference` scores a whole prefix (t,).

    Args:
        scorer: of the batch.
        reference: (prefix, number of the utterance) -> log-probabilities of the next token.
    """
    draw = torch.Generator().manual_seed(seed)
    encoded = models.speech(LENGTHS)
    padded = torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True)
    state = scorer.start(padded, torch.tensor(LENGTHS))
    rows = list(range(len(LENGTHS)))
    prefixes = [[[EOS]] for _ in rows]
    for number in range(steps):
        tokens = torch.tensor([[p[-1] for p in hyps] for hyps in prefixes])
        found, state = scorer.step(tokens, state)
        for row, utterance in enumerate(rows):
            for place, prefix in enumerate(prefixes[row]):
                expected = reference(torch.tensor(prefix), utterance)
                assert torch.allclose(found[row, place], expected, atol=tolerance)
        if number == 3:  # an utterance leaves
            kept = torch.tensor([0, 2])
            state = scorer.keep(state, kept)
            rows, prefixes = [rows[i] for i in kept], [prefixes[i] for i in kept]
        width = int(torch.randint(1, 5, (1,), generator=draw))
        parents = torch.randint(len(prefixes[0]), (len(rows), width), generator=draw)
        nexts = torch.randint(1, EOS, (len(rows), width), generator=draw)
        state = scorer.reorder(state, parents)
        prefixes = [
            [
                [*prefixes[r][p], t]
                for p, t in zip(parents[r].tolist(), nexts[r].tolist(), strict=True)
            ]
            for r in range(len(rows))
        ]


@pytest.mark.parametrize("kind", ["stock", "absolute", "rotary"])
@pytest.mark.parametrize("tidy", [0, 10_000])
@torch.no_grad()
def test_a_decoder_as_if_it_read_the_whole_prefix(kind, tidy, monkeypatch):
    monkeypatch.setattr(stacks, "_UNTIDY", 2 if tidy else 0)  # 0: the pool is tidied at each step
    model, encoded = models.decoder(kind), models.speech(LENGTHS)

    def reference(prefix, utterance):
        memory = encoded[utterance][None]
        lengths = torch.tensor([memory.shape[1]])
        logits, _ = model(memory, lengths, prefix[None], torch.tensor([len(prefix)]))
        return logits[0, -1].log_softmax(-1)

    walk(DecoderScorer(read_decoder(model)), reference, seed=tidy)


@pytest.mark.parametrize("kind", LANGUAGE_MODELS)
@torch.no_grad()
def test_a_language_model_as_if_it_read_the_whole_prefix(kind):
    model = models.language_model(kind)

    def reference(prefix, utterance):
        return model(prefix[None], None)[0][0, -1].log_softmax(-1)

    walk(models.language_scorer(model), reference, seed=4)


@torch.no_grad()
def test_an_ngram_as_its_own_scorer_says():
    table = models.lookup()

    def reference(prefix, utterance):
        history = table.start(1)
        for token in prefix[1:]:
            history = table.advance(history, token[None])
        return table.scores(history)[0].float()

    walk(NgramTableScorer(table), reference, seed=5)


@torch.no_grad()
def test_the_decoder_alone_hears_one_frame_of_nothing():
    model = models.decoder("stock")
    alone = decoder_alone(model)

    def reference(prefix, utterance):
        return alone.batch_score(prefix[None], [None], torch.zeros(1, 5, WIDTH))[0][0]

    walk(DecoderAloneScorer(read_decoder(model)), reference, seed=6)


@torch.no_grad()
def test_blank_is_padding_to_stocks_language_model_only():
    model = models.language_model("stock")
    scorer = models.language_scorer(model)
    state, prefix = (
        scorer.start(torch.zeros(1, 1, 1), torch.ones(1)),
        torch.tensor([EOS, 2, 0, 3, 0]),
    )
    for number, token in enumerate(prefix):
        found, state = scorer.step(token[None, None], state)
        expected = model(prefix[None, : number + 1], None)[0][0, -1].log_softmax(-1)
        assert torch.allclose(found[0, 0], expected, atol=1e-5)


def test_other_builds_are_left_to_stocks_search():
    make = espnet2("asr.decoder.transformer_decoder")
    assert read_decoder(make.TransformerDecoder(SIZE, WIDTH, normalize_before=False)) is None
    assert read_decoder(make.TransformerDecoder(SIZE, WIDTH, concat_after=True)) is None
    assert read_decoder(make.TransformerDecoder(SIZE, WIDTH, qk_norm=True)) is None
    assert read_decoder(make.LightweightConvolutionTransformerDecoder(SIZE, WIDTH, 4)) is None
    assert read_decoder(espnet2("asr.decoder.rnn_decoder").RNNDecoder(SIZE, WIDTH)) is None
    assert read_lm(models.language_model("stock lstm")) is None


# -- CTC -------------------------------------------------------------------------------------------------------------


def stock_prefix_scores(log_probs, prefix):
    """Stock's scores of every next token of one prefix, by its own recursion from the start."""
    scorer = legacy("nets.ctc_prefix_score").CTCPrefixScoreTH(
        log_probs[None].clone(), torch.tensor([len(log_probs)]), 0, EOS
    )
    state = None
    for number in range(1, len(prefix) + 1):
        y = torch.tensor([prefix[:number]])
        found, after = scorer(y, state)
        if number < len(prefix):
            chosen = torch.tensor([[prefix[number]]])
            state = scorer.index_select_state(after, chosen)
    return found[0]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.integers(0, 10_000),
    st.floats(0.1, 20.0),
    st.lists(st.integers(1, EOS - 1), max_size=5),
)
def test_ctc_scores_are_stocks(lengths, seed, sharpness, tokens):
    torch.manual_seed(seed)
    every = [(torch.randn(n, SIZE) * sharpness).log_softmax(-1) for n in lengths]
    padded = torch.nn.utils.rnn.pad_sequence(every, batch_first=True)
    table = ctc.table(padded, torch.tensor(lengths))
    state, prefix = ctc.start(table), [EOS]
    number = len(lengths)
    everything = torch.arange(SIZE).expand(number, 1, -1)
    for token in [*tokens, None]:
        found = ctc.score(table, state, everything) - state.psi[:, :, None]
        ends = ctc.end(state) - state.psi
        for row in range(number):
            expected = stock_prefix_scores(every[row], prefix)
            possible = expected > -1e6  # stock rounds -1e10 to single precision
            possible[[0, EOS]] = False
            assert torch.allclose(found[row, 0][possible], expected[possible], atol=1e-4, rtol=1e-5)
            assert (found[row, 0][1:EOS][~possible[1:EOS]] < -1e3).all()
            if expected[EOS] > -1e6:
                assert torch.allclose(ends[row, 0], expected[EOS], atol=1e-4, rtol=1e-5)
        if token is not None:
            nexts = torch.full((number, 1), token)
            psi = ctc.score(table, state, nexts[:, :, None])[:, :, 0]
            state = ctc.advance(table, state, torch.zeros_like(nexts), nexts, psi)
            prefix.append(token)
            alive = [s for s in range(number) if float(psi[s, 0]) > -1e4]
            if len(alive) < number:
                return  # what cannot be said in so few frames is compared no further


def test_a_token_again_needs_blank_between():
    """One frame a token: "aa" cannot be said in two frames, in three only with blank in the middle."""
    log_probs = torch.full((1, 3, SIZE), -50.0)
    log_probs[0, :, 0], log_probs[0, :, 2] = -1.0, -0.5
    table = ctc.table(log_probs, torch.tensor([3]))
    state = ctc.start(table)
    a = torch.tensor([[2]])
    for _ in range(2):
        psi = ctc.score(table, state, a[:, :, None])[:, :, 0]
        state = ctc.advance(table, state, torch.zeros_like(a), a, psi)
    assert float(psi) == pytest.approx(-2.0, abs=1e-5)
    assert float(ctc.end(state)) == pytest.approx(-2.0, abs=1e-5)


# -- coverage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.6])
@torch.no_grad()
def test_coverage_counts_the_frames_that_stocks_attention_looks_at(threshold):
    """Padded beside a longer utterance, and whatever place in the beam the hypothesis has."""
    model, encoded = models.decoder("stock"), models.speech([6, 9])
    text = [2, 3, 3, 5]
    scorer = DecoderScorer(read_decoder(model), threshold)
    coverage = CoverageScorer(scorer, SIZE)
    padded = torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True)
    state, total = scorer.start(padded, torch.tensor([6, 9])), torch.zeros(2)
    tokens = torch.full((2, 1), EOS)
    for number, token in enumerate([*text, EOS]):
        _, state = scorer.step(tokens, state)
        gain, _ = coverage.step(tokens, None)
        assert gain.shape == (2, tokens.shape[1], SIZE)
        total += gain[:, -1, 0]
        width = 1 + number % 2
        state = scorer.reorder(state, torch.full((2, width), tokens.shape[1] - 1))
        tokens = torch.full((2, width), token)
    for row, x in enumerate(encoded):
        ids = torch.tensor([[EOS, *text]])
        model(x[None], torch.tensor([len(x)]), ids, torch.tensor([ids.shape[1]]))
        looked = torch.stack([layer.src_attn.attn[0].mean(0) for layer in model.decoders]).mean(0)
        assert float(total[row]) == float((looked.sum(0) > threshold).sum())
