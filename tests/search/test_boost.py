"""Points for phrases, beside a count of the tokens that lie in one."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.search.boost import BoostScorer, phrase_table
from tests.search import models
from tests.search.models import EOS, WEIGHTS

SIZE = 7  # tokens 1 to 5; 6 is <sos/eos>
LETTERS = st.integers(1, 5)
PHRASES = st.lists(st.lists(LETTERS, min_size=1, max_size=4), min_size=1, max_size=5)
BEGINS = st.lists(st.booleans(), min_size=SIZE, max_size=SIZE)


def counted(sentence, phrases, begins, before=()):
    """How many tokens of a sentence lie in a phrase that ends where a word does."""
    whole, inside = [*before, *sentence], set()
    for start in range(len(whole)):
        for phrase in phrases:
            end = start + len(phrase)
            ends_word = end == len(whole) or (end < len(whole) and begins[whole[end]])
            if whole[start:end] == phrase and ends_word:
                inside |= set(range(start, end))
    return len([place for place in inside if place >= len(before)])


def points(scorer, sentence, moves=None):
    """What the tokens of a sentence and its end gain together, the hypothesis at another place at each step."""
    state, total, place = scorer.start(torch.zeros(1, 1, 1), torch.ones(1)), 0.0, 0
    tokens = torch.tensor([[EOS]])
    for number, token in enumerate([*sentence, EOS]):
        found, state = scorer.step(tokens, state)
        total += float(found[0, place, token])
        width = 1 if moves is None else moves[number % len(moves)]
        state = scorer.reorder(state, torch.full((1, width), place))
        place = width - 1
        tokens = torch.full((1, width), token)
        tokens[0, : width - 1] = 1  # the others go on with something else
    return total


@settings(deadline=None)
@given(PHRASES, BEGINS, st.lists(LETTERS, max_size=9), st.lists(st.integers(1, 3), min_size=1))
def test_a_sentence_gains_its_tokens_in_whole_phrases(phrases, begins, sentence, moves):
    scorer = BoostScorer(phrase_table(phrases, begins, EOS))
    assert points(scorer, sentence, moves) == counted(sentence, phrases, begins)


@settings(deadline=None)
@given(PHRASES, st.lists(LETTERS, max_size=9))
def test_where_words_begin_with_a_space_the_sentence_does_too(phrases, sentence):
    """Token 1 is the space: phrases begin with it, and the first word lacks it."""
    begins = [token == 1 for token in range(SIZE)]
    spaced = [[1, *(t for t in phrase if t != 1)] for phrase in phrases]
    spaced = [phrase for phrase in spaced if len(phrase) > 1] or [[1, 2]]
    scorer = BoostScorer(phrase_table(spaced, begins, EOS, before=[1]))
    assert points(scorer, sentence) == counted(sentence, spaced, begins, before=[1])


def test_hope_comes_at_once_and_is_taken_back():
    scorer = BoostScorer(phrase_table([[2, 3, 4]], [True] * SIZE, EOS))
    state, given = scorer.start(torch.zeros(1, 1, 1), torch.ones(1)), []
    for token, following in [(EOS, 2), (2, 3), (3, 5)]:
        found, state = scorer.step(torch.tensor([[token]]), state)
        given.append(float(found[0, 0, following]))
    assert given == [1.0, 1.0, -2.0]


def test_rows_leave():
    scorer = BoostScorer(phrase_table([[2, 3]], [True] * SIZE, EOS))
    state = scorer.start(torch.zeros(3, 1, 1), torch.ones(3))
    _, state = scorer.step(torch.full((3, 1), EOS), state)
    _, state = scorer.step(torch.tensor([[1], [2], [2]]), state)
    state = scorer.keep(state, torch.tensor([1]))
    found, _ = scorer.step(torch.tensor([[3]]), state)
    assert found.shape == (1, 1, SIZE) and float(found[0, 0, 1]) == 0.0


def test_a_search_says_what_is_boosted():
    encoded = models.speech([9, 12])
    plain = models.search(WEIGHTS)(encoded)
    boosted = models.search({**WEIGHTS, "boost": 50.0})(encoded)
    phrases = [[2, 3], [4], [4, 5, 2]]
    for one, other in zip(boosted, plain, strict=True):
        inside = counted(list(one[0].tokens), phrases, [True] * SIZE)
        assert inside == one[0].scores["boost"]
        assert inside > counted(list(other[0].tokens), phrases, [True] * SIZE)
