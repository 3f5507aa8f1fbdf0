"""Weights from n-best lists: what is counted, what is found, what is promised."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.inference.rescore import check_weights, read_weights_of, reorder
from espnet_ext.inference.speech2text import Hypothesis
from espnet_ext.metrics.tuning import as_numbers, errors_at, make_space, search, tune, tuned_yaml
from espnet_ext.metrics.wer import align

NAMES = ("ctc", "decoder", "lm", "length_bonus")


def hypothesis(text, **scores):
    ids = tuple(range(1, len(text.split()) + 1))
    return Hypothesis(text, tuple(text.split()), ids, 0.0, scores)


@st.composite
def material(draw):
    """Lists of hypotheses and references."""
    words = st.lists(st.sampled_from("abc"), max_size=4).map(" ".join)
    score = st.floats(-9, 0, width=16)
    lists, references = {}, {}
    for number in range(draw(st.integers(2, 6))):
        texts = draw(st.lists(words, min_size=1, max_size=4))
        given = [{n: draw(score) for n in NAMES[:-1]} for _ in texts]
        lists[f"u{number}"] = [hypothesis(t, **s) for t, s in zip(texts, given, strict=True)]
        references[f"u{number}"] = draw(words)
    return lists, references


def config(ctc, lm, penalty, per_token=False):
    return {"ctc_weight": ctc, "lm_weight": lm, "penalty": penalty, "normalize_length": per_token}


WEIGHT = st.floats(0, 1, width=16)


@settings(max_examples=40, deadline=None)
@given(material(), WEIGHT, WEIGHT, st.booleans())
def test_errors_are_those_of_the_lists_put_in_order(given, ctc, lm, per_token):
    lists, references = given
    weights, normalised = read_weights_of(config(ctc, lm, 0.25, per_token), "x")
    assert normalised == per_token
    first = {utt: found[0] for utt, found in reorder(lists, weights, per_token).items()}
    expected = sum(
        align(references[u].split(), h.text.split()).counts.errors for u, h in first.items()
    )
    numbers = as_numbers(lists, references, str.split)
    space = make_space(numbers.names, weights, per_token=per_token)
    assert dict(zip(space.options, space.start, strict=True)) == {
        "ctc_weight": ctc,
        "lm_weight": lm,
        "penalty": 0.25,
    }
    found = int(errors_at(numbers, space, space.start[None])[0])
    totals = np.einsum(
        "uns,s->un", numbers.scores, space.weights(space.start[None], numbers.names)[0]
    )
    totals = totals / numbers.lengths if per_token else totals
    near = np.sort(totals + numbers.mask, axis=1)
    if near.shape[1] < 2 or (near[:, -1] - near[:, -2] > 1e-9).all():  # ties may fall either way
        assert found == expected


def planted(utterances=60, seed=0, weight=0.7):
    """The right hypothesis of each list wins at this lm_weight: others lie beyond on one side or the other."""
    random = np.random.default_rng(seed)
    lists, references = {}, {}
    for number in range(utterances):
        found = []
        for right in (True, False, False):
            lm = random.normal(-5, 3)
            margin = 0.0 if right else -abs(random.normal(1.0, 1.0)) - 0.02
            found.append(
                hypothesis("a b" if right else "c", ctc=margin - weight * lm, decoder=0.0, lm=lm)
            )
        random.shuffle(found)
        lists[f"u{number}"], references[f"u{number}"] = found, "a b"
    return lists, references


def test_planted_weights_are_found():
    lists, references = planted()
    numbers = as_numbers(lists, references, str.split)
    weights, _ = read_weights_of({"ctc_weight": 1.0, "lm_weight": 0.0}, "x")
    space = make_space(numbers.names, weights, ["lm_weight"])
    found = tune(numbers, space, draws=50)
    assert found.after == found.oracle == 0 < found.before
    assert found.options["lm_weight"] == pytest.approx(0.7, abs=0.1)
    assert found.options["ctc_weight"] == 1.0 and found.options["penalty"] == 0.0
    assert found.unseen <= 6
    low, high = found.flat["lm_weight"]
    assert low - 0.05 < 0.7 < high + 0.05 and set(found.flat) == {"lm_weight"}


def test_a_grid_finds_nothing_better():
    lists, references = planted(30, seed=1)
    numbers = as_numbers(lists, references, str.split)
    space = make_space(numbers.names, read_weights_of(config(0.5, 0.1, 1.0), "x")[0])
    sides = [np.linspace(a, b, 13) for a, b in zip(space.low, space.high, strict=True)]
    grid = np.array(list(itertools.product(*sides)))
    best = int(errors_at(numbers, space, search(numbers, space, draws=500)[None])[0])
    assert best <= errors_at(numbers, space, grid).min() + 1


def test_luck_is_not_taken_for_skill():
    """Scores that say nothing: on the data tuned on the errors go down, on unseen data they do not."""
    random = np.random.default_rng(3)
    lists = {
        f"u{n}": [
            hypothesis(t, ctc=random.normal(), decoder=random.normal(), lm=random.normal())
            for t in ("a", "b")
        ]
        for n in range(40)
    }
    numbers = as_numbers(lists, dict.fromkeys(lists, "a"), str.split)
    space = make_space(numbers.names, read_weights_of(config(0.5, 0.5, 0.0), "x")[0])
    found = tune(numbers, space, draws=200)
    assert found.after <= found.before and found.unseen > 12 and found.oracle == 0


def test_the_yaml_serves_a_decoding(tmp_path):
    from espnet_ext.inference.decode import read_options
    from espnet_ext.inference.speech2text import DecodeOptions

    lists, references = planted(10)
    numbers = as_numbers(lists, references, str.split)
    decoded = {"beam_size": 7, **config(0.9, 0.2, 0.0)}
    space = make_space(numbers.names, read_weights_of(decoded, "x")[0])
    found = tune(numbers, space, folds=2, draws=20)
    (tmp_path / "x.yaml").write_text(
        tuned_yaml(decoded, found, ["tune_weights", "a b"], "two\nlines")
    )
    options = read_options(tmp_path / "x.yaml", DecodeOptions)
    assert options.beam_size == 7 and options.lm_weight == found.options["lm_weight"]
    assert (tmp_path / "x.yaml").read_text().startswith("# tune_weights 'a b'\n# two\n# lines\n")


def test_another_models_weight_goes_to_rescore():
    lists = {
        "u": [
            hypothesis("a", ctc=-1.0, decoder=-1.0, big=-3.0),
            hypothesis("b", ctc=-1.5, decoder=-1.0, big=-1.0),
        ]
    }
    weights, _ = read_weights_of({"ctc_weight": 0.5, "more_weights": {"big": 0.5}}, "x")
    assert reorder(lists, {**weights, "lm": 0.0, "ngram": 0.0})["u"][0].text == "b"
    space = make_space(as_numbers(lists, {"u": "a"}, str.split).names, weights)
    assert dict(zip(space.options, space.start, strict=True))["big"] == 0.5


def test_what_cannot_be_tuned_is_said():
    lists, references = planted(4)
    with pytest.raises(UserError, match="2 utterances without one, first u2"):
        as_numbers(lists, {"u0": "a", "u1": "b"}, str.split)
    numbers = as_numbers(lists, references, str.split)
    with pytest.raises(
        UserError, match="found ngram_weight, expected some of ctc_weight, lm_weight, penalty"
    ):
        make_space(numbers.names, {}, ["ngram_weight"])
    with pytest.raises(UserError, match="found 4 utterances for 5 folds"):
        tune(numbers, make_space(numbers.names, {}))
    check_weights({"lm_weight": 0.3, "ngram_weight": 0.0}, lists)
    for wrong in ({"ngram_weight": 0.3}, {"more_weights": {"ngram": 0.1}}):
        with pytest.raises(UserError, match="found no scores of ngram in the lists"):
            check_weights(wrong, lists)
    lists["u0"].append(hypothesis("z", ctc=1.0))
    with pytest.raises(UserError, match="u0: 'z' has no score of decoder, lm"):
        reorder(lists, {"ctc": 1.0})
    with pytest.raises(UserError, match="unknown key 'lm_wait'"):
        read_weights_of({"lm_wait": 1}, "x.yaml")
