"""A sentence that was read at once saves steps and changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.search import stack as stacks
from espnet_ext.search.scorers import DecoderScorer
from tests.search import models
from tests.search.models import EOS, SIZE

SCORERS = ("stock", "rotary", "absolute", "lm", "lm with positions", "our lm")
_LMS = {"lm": "stock", "lm with positions": "stock with positions", "our lm": "ours"}


def scorer_of(kind):
    if kind in _LMS:
        return models.language_scorer(models.language_model(_LMS[kind]))
    stack = models.read_decoder(models.decoder(kind))
    assert stack is not None
    return DecoderScorer(stack)


def begun(scorer, encoded, sentences):
    """States without and with knowing the sentences."""
    padded = torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True)
    lengths = torch.tensor([len(x) for x in encoded])
    sizes = torch.tensor([len(s) + 1 for s in sentences])
    read = torch.full((len(sentences), int(sizes.max())), EOS)
    for row, sentence in enumerate(sentences):
        read[row, 1 : len(sentence) + 1] = torch.tensor(sentence, dtype=torch.int64)
    plain = scorer.start(padded, lengths)
    return plain, scorer.read(read, sizes, scorer.start(padded, lengths))[1]


def walk(scorer, plain, knowing, sentences, draw, steps):
    """Steps of both states with the same hypotheses, which often say the sentence; what they say is compared."""
    tokens = torch.full((len(sentences), 1), EOS)
    for age in range(steps):
        said, plain = scorer.step(tokens, plain)
        quick, knowing = scorer.step(tokens, knowing)
        torch.testing.assert_close(quick, said, atol=1e-5, rtol=1e-5)
        width = draw(st.integers(1, 3))
        choice = st.integers(0, tokens.shape[1] - 1)
        parents = torch.tensor([[draw(choice) for _ in range(width)] for _ in sentences])
        plain, knowing = scorer.reorder(plain, parents), scorer.reorder(knowing, parents)
        token = st.integers(1, SIZE - 2)
        tokens = torch.tensor(
            [
                [s[age] if age < len(s) and draw(st.booleans()) else draw(token) for _ in range(width)]
                for s in sentences
            ]
        )  # fmt: skip
    return plain, knowing


def numbers(most):
    return st.lists(st.integers(1, SIZE - 2), max_size=most)


@torch.no_grad()
@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SCORERS), st.lists(numbers(5), min_size=1, max_size=3), st.data())
def test_the_same_is_said(kind, sentences, data):
    """Whoever agrees with the sentence, departs from it, or goes on behind it."""
    scorer = scorer_of(kind)
    encoded = models.speech([4 + n for n in range(len(sentences))])
    plain, knowing = begun(scorer, encoded, sentences)
    walk(scorer, plain, knowing, sentences, data.draw, 7)


@torch.no_grad()
@settings(max_examples=15, deadline=None)
@given(st.lists(numbers(4), min_size=2, max_size=3), st.integers(1, 4), st.data())
def test_some_leave_and_others_come(sentences, steps, data):
    scorer = scorer_of("stock")
    encoded = models.speech([5] * len(sentences))
    states = begun(scorer, encoded, sentences)
    # all have said their sentence, if it was long enough: one stays
    for age in range(steps):
        told = [[EOS if age == 0 else s[age - 1] if age <= len(s) else 2] for s in sentences]
        states = tuple(scorer.step(torch.tensor(told), state)[1] for state in states)
    row = torch.tensor([len(sentences) - 1])
    states = tuple(scorer.keep(state, row) for state in states)
    come = begun(scorer, encoded[:1], sentences[:1])
    come = tuple(scorer.step(torch.tensor([[EOS]]), state)[1] for state in come)
    plain, knowing = (scorer.join(one, two, 2, 5) for one, two in zip(states, come, strict=True))
    token = st.integers(1, SIZE - 2)
    last, first = sentences[-1], sentences[0]
    tokens = torch.tensor(
        [
            [last[steps - 1] if steps <= len(last) else 2, data.draw(token)],
            [first[0] if first else 3, data.draw(token)],
        ]
    )
    live = torch.tensor([[True, False], [True, False]])
    said, plain = scorer.step(tokens, plain, live)
    quick, knowing = scorer.step(tokens, knowing, live)
    torch.testing.assert_close(quick[:, :1], said[:, :1], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", SCORERS)
def test_who_says_the_sentence_takes_no_step(kind, monkeypatch):
    scorer, sentence = scorer_of(kind), [2, 4, 3]
    _, state = begun(scorer, models.speech([6]), [sentence])
    worked = []
    through = stacks._worked_out
    monkeypatch.setattr(stacks, "_worked_out", lambda *given: worked.append(1) or through(*given))
    for token in (EOS, *sentence):
        _, state = scorer.step(torch.tensor([[token]]), state)
    assert not worked
    scorer.step(torch.tensor([[2]]), state)  # the sentence has ended
    assert worked
