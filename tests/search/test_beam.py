"""The search over several utterances: as one by one, as stock's, and as trying everything."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search import models
from tests.search.models import EOS, LANGUAGE_MODELS, SIZE, WEIGHTS

LENGTHS = st.lists(st.integers(1, 14), min_size=1, max_size=6)
FUSED = {**WEIGHTS, "lm": 0.4, "ngram": 0.2, "ilm": -0.1, "length_bonus": 0.3}
OURS = {**FUSED, "coverage": 0.2, "boost": 0.7}


def same(found, expected, tolerance=1e-3):
    """Equal hypotheses, or others whose scores are equal."""
    assert [len(f) for f in found] == [len(e) for e in expected]
    for one, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert one.score == pytest.approx(other.score, abs=tolerance)
        assert one.tokens == other.tokens
        for name, score in one.scores.items():
            assert score == pytest.approx(other.scores[name], abs=tolerance)


@settings(max_examples=8, deadline=None)
@given(
    LENGTHS,
    st.integers(1, 10),
    st.sampled_from(
        [WEIGHTS, FUSED, OURS, {"decoder": 1.0}, {"ctc": 1.0}, {"ctc": 0.6, "lm": 0.5}]
    ),
    st.sampled_from(LANGUAGE_MODELS),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_together_as_alone_in_any_order(lengths, beam, weights, lm, normalize, random):
    search = models.search(weights, lm, beam_size=beam, nbest=3, normalize_length=normalize)
    encoded = models.speech(lengths)
    order = random.sample(range(len(lengths)), len(lengths))
    found = dict(zip(order, search([encoded[n] for n in order]), strict=True))
    same([found[n] for n in range(len(lengths))], [search([x])[0] for x in encoded])


@pytest.mark.parametrize("alpha", [0.3, 0.7, 1.5])
def test_lengths_are_levelled_as_gnmt_does(alpha):
    """The same hypotheses end, and stand in the order of score / ((5 + tokens) / 6)^alpha."""
    encoded, options = models.speech([9, 12]), {"beam_size": 4, "nbest": 1000}
    plain = models.search(WEIGHTS, **options)(encoded)
    ranked = models.search(WEIGHTS, length_alpha=alpha, **options)(encoded)
    for one, other, x in zip(ranked, plain, encoded, strict=True):
        assert {f.tokens for f in one} == {f.tokens for f in other}
        # at the greatest length stock counts another <eos>
        keys = [
            f.score / ((6 + len(f.tokens)) / 6) ** alpha for f in one if len(f.tokens) < len(x) - 1
        ]
        assert len(keys) > 5 and keys == sorted(keys, reverse=True)


@torch.no_grad()
def as_stock(weights, lengths, lm="stock", **options):
    ratios = {name: options.get(name, 0.0) for name in ("maxlenratio", "minlenratio")}
    found = models.search(weights, lm, nbest=1, **options)(models.speech(lengths))
    stock = models.stock_search(weights, lm, **options)
    for one, x in zip(found, models.speech(lengths), strict=True):
        expected = stock(x=x, **ratios)
        if any(float(h.score) >= 0 or float(h.score) < -1e6 for h in expected):
            continue  # stock went on from what CTC says cannot be: -1e10 less -1e10 is 0
        assert len(one) == min(len(expected), 1)
        if expected:
            best = expected[0]
            tokens = [t for t in best.yseq.tolist() if t != EOS]
            assert one[0].score == pytest.approx(float(best.score), abs=1e-3)
            assert [t for t in one[0].tokens if t != EOS] == tokens
            parts = {name: float(score) for name, score in best.scores.items()}
            assert one[0].scores == pytest.approx(parts, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(3, 14), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(0, 2),
    st.sampled_from([WEIGHTS, FUSED, {"ctc": 1.0}, {"decoder": 1.0}]),
    st.sampled_from([0.0, 0.5, -3.0]),
    st.sampled_from([0.0, 0.3, -2.0]),
    st.booleans(),
)
def test_the_best_is_stocks(lengths, beam, more, weights, longest, shortest, normalize):
    options = {"maxlenratio": longest, "minlenratio": shortest, "normalize_length": normalize}
    # fewer candidates than places in the beam, and stock takes some that CTC has not scored
    pre = SIZE if weights == {"ctc": 1.0} else min(beam + 2 + more, SIZE)
    as_stock(weights, lengths, beam_size=beam, pre_beam=pre, **options)


@pytest.mark.parametrize("lm", LANGUAGE_MODELS)
def test_the_best_is_stocks_with_each_language_model(lm):
    as_stock({**WEIGHTS, "lm": 0.8}, [12, 5, 9], lm)


# -- everything there is -----------------------------------------------------------------------------------------------


def paths(log_probs):
    """log p of each text, and of each beginning of one, summed over all ways to say it (T frames, V^T ways)."""
    whole, begin = {}, {}
    for way in itertools.product(range(SIZE), repeat=len(log_probs)):
        p = float(sum(log_probs[t, token] for t, token in enumerate(way)).exp())
        text = tuple(k for k, _ in itertools.groupby(way) if k != 0)
        whole[text] = whole.get(text, 0.0) + p
        for length in range(len(text) + 1):
            begin[text[:length]] = begin.get(text[:length], 0.0) + p
    return whole, begin


@pytest.mark.parametrize(("seed", "weight"), [(8, 0.4), (9, 0.0), (10, 1.2)])
@torch.no_grad()
def test_a_beam_that_holds_everything_finds_the_best_there_is(seed, weight):
    longest, frames = 2, 3
    (encoded,) = models.speech([frames], seed=seed)
    whole, begin = paths(models.ears().log_softmax(encoded[None])[0])
    decoder, lm = models.decoder("stock"), models.language_model("stock")

    def score(text, ended):
        ids = torch.tensor([[EOS, *text]])
        wanted = [*text, EOS] if ended else list(text)
        size = torch.tensor([ids.shape[1]])
        by_decoder = decoder(encoded[None], torch.tensor([frames]), ids, size)[0][0].log_softmax(-1)
        by_lm = lm(ids, None)[0][0].log_softmax(-1)
        places = range(len(wanted))
        ctc = (whole if ended else begin).get(text, 0.0)
        if not ctc:
            return None
        spoken = float(torch.tensor(ctc).log())
        parts = [float(x[places, wanted].sum()) for x in (by_decoder, by_lm)]
        return 0.7 * parts[0] + 0.3 * spoken + weight * parts[1]

    letters = range(1, EOS)
    every = [(t, True) for n in range(longest) for t in itertools.product(letters, repeat=n)]
    every += [(t, False) for t in itertools.product(letters, repeat=longest)]
    scores = {(t, e): s for t, e in every if (s := score(t, e)) is not None}
    # what has reached the greatest length ends there, with or without <eos> of its own
    scores |= {
        (t, True): s
        for t in itertools.product(letters, repeat=longest - 1)
        if (s := score(t, True)) is not None
    }
    expected = sorted(scores.items(), key=lambda item: -item[1])
    options = {"beam_size": 10_000, "pre_beam": SIZE, "maxlenratio": -longest, "nbest": 10}
    (found,) = models.search({**WEIGHTS, "lm": weight}, **options)([encoded])
    for one, ((text, _), best) in zip(found, expected[:10], strict=True):
        assert one.tokens == text and one.score == pytest.approx(best, abs=1e-3)


# -- what is not speech ------------------------------------------------------------------------------------------------


def test_no_number_harms_nobody_else():
    search = models.search(FUSED)
    good = models.speech([9, 6])
    broken = torch.full((7, good[0].shape[1]), float("nan"))
    found = search([good[0], broken, good[1]])
    assert found[1] == []
    same([found[0], found[2]], search(good))
