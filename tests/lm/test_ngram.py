"""N-grams: probabilities as the formulas say, one lookup as good as another, files that come back."""

from __future__ import annotations

import gzip
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.lm.arpa import read_arpa, write_arpa
from espnet_ext.lm.kneser_ney import FALLBACK, discounts, train
from espnet_ext.lm.ngram import LN10, NgramLookup, load_ngram, save_ngram

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "d", "<sos/eos>"]
END, START = len(TOKENS) - 1, len(TOKENS)
SENTENCES = st.lists(st.lists(st.integers(1, END - 1), max_size=9), min_size=1, max_size=12)


def flat(sentences):
    ends = np.cumsum([len(s) for s in sentences])
    return np.array([t for s in sentences for t in s], dtype=np.int64), ends


def trained(sentences, order, cutoffs=()):
    return train(*flat(sentences), TOKENS, order, cutoffs)


def by_definition(sentences, order):
    """p(w | h) straight from Chen and Goodman's equations, a dictionary of counts an order."""
    padded = [(START, *s, END) for s in sentences]
    counts = [
        Counter(p[i - n : i] for p in padded for i in range(n, len(p) + 1))
        for n in range(order + 1)
    ]

    @cache
    def level(n):
        if n == order:
            found = dict(counts[n])
        else:
            before = Counter(g[1:] for g in counts[n + 1])
            found = {g: counts[n][g] if g[0] == START else before[g] for g in counts[n]}
        return {g: c for g, c in found.items() if g != (START,)}

    @cache
    def taken(n):
        return discounts(np.array(list(level(n).values())))

    @cache
    def p(w, h):
        n = len(h) + 1
        after = {g: c for g, c in level(n).items() if g[:-1] == h}
        below = p(w, h[1:]) if h else 1 / (len(TOKENS) - 1)
        if not after:
            return below
        total = sum(after.values())
        seen = after.get((*h, w), 0)
        d = (0.0, *taken(n))
        weight = sum(d[min(c, 3)] for c in after.values()) / total
        return max(seen - d[min(seen, 3)], 0) / total + weight * below

    return p


def rows(lookup, sentence):
    """log p(. | each history of a sentence), (T + 1, V)."""
    history, found = lookup.start(), []
    for token in [*sentence, None]:
        found.append(lookup.scores(history)[0])
        if token is not None:
            history = lookup.advance(history, torch.tensor([token]))
    return torch.stack(found)


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.integers(1, 5), st.lists(st.integers(1, END - 1), max_size=7))
def test_probabilities_are_those_of_the_equations(sentences, order, heard):
    p = by_definition(sentences, order)
    found = rows(NgramLookup(trained(sentences, order)), heard).exp()
    for place, row in enumerate(found):
        history = (START, *heard)[: place + 1][-(order - 1) :] if order > 1 else ()
        expected = [0.0, *(p(w, history) for w in range(1, len(TOKENS)))]
        assert row.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 6), st.lists(st.integers(0, 3), max_size=4), SENTENCES)
def test_every_history_has_a_distribution_also_when_pruned(sentences, order, cutoffs, heard):
    model = trained(sentences, order, sorted(cutoffs))
    lookup = NgramLookup(model)
    for sentence in heard:
        found = rows(lookup, sentence)
        assert found.exp().sum(-1).tolist() == pytest.approx([1.0] * len(found), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 5), SENTENCES)
def test_a_batch_gives_what_each_sentence_gives(sentences, order, heard):
    lookup = NgramLookup(trained(sentences, order))
    lengths = torch.tensor([len(s) for s in heard])
    padded = torch.zeros(len(heard), max(int(lengths.max()), 1), dtype=torch.int64)
    for row, sentence in zip(padded, heard, strict=True):
        row[: len(sentence)] = torch.tensor(sentence)
    found = lookup.nll(padded, lengths)
    for row, sentence in zip(found, heard, strict=True):
        alone = rows(lookup, sentence)[range(len(sentence) + 1), [*sentence, END]]
        assert torch.allclose(-row[: len(sentence) + 1], alone, atol=1e-5)
        assert not row[len(sentence) + 1 :].any()
    histories = torch.cat([lookup.start(), *(lookup.advance(lookup.start(), padded[:, 0]),)])
    together = lookup.scores(histories)
    for history, row in zip(histories, together, strict=True):
        assert torch.equal(lookup.scores(history[None])[0], row)


@settings(max_examples=25, deadline=None)
@given(
    SENTENCES,
    st.integers(1, 5),
    st.lists(st.integers(0, 2), max_size=3),
    st.sampled_from([".arpa", ".arpa.gz"]),
)
def test_files_come_back(tmp_path_factory, sentences, order, cutoffs, suffix):
    model = trained(sentences, order, sorted(cutoffs))
    folder = tmp_path_factory.mktemp("files")
    save_ngram(folder / "ngram.npz", model)
    write_arpa(folder / f"x{suffix}", model)
    for path in (folder, folder / f"x{suffix}"):
        again = load_ngram(path, TOKENS)
        assert again.token_list == model.token_list and again.sizes == model.sizes
        for one, other in zip(model.levels, again.levels, strict=True):
            assert np.array_equal(one.parents, other.parents)
            assert np.array_equal(one.tokens, other.tokens)
            assert np.allclose(one.logp, other.logp, rtol=1e-5)
            assert np.allclose(one.backoff, other.backoff, rtol=1e-5, atol=1e-6)


def test_pruning_leaves_out_what_is_rare_and_never_a_token():
    sentences = [[2, 3, 4]] * 3 + [[2, 4, 5]]
    model = trained(sentences, 3, [1])
    kept = {
        tuple(map(int, row))
        for row in zip(model.levels[1].parents, model.levels[1].tokens, strict=True)
    }
    assert kept == {(START, 2), (2, 3), (3, 4), (4, END)}
    assert model.sizes[0] == len(TOKENS) + 1 and model.sizes[2] == 3
    assert trained(sentences, 3, [0, 9]).sizes[1:] == [trained(sentences, 2).sizes[1], 0]


def test_discounts_are_those_of_chen_and_goodman():
    counts = np.repeat([1, 2, 3, 4, 9], [50, 20, 10, 5, 7])
    y = 50 / 90
    assert discounts(counts) == pytest.approx((1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.5))
    assert discounts(np.array([7, 8, 9])) == FALLBACK


def test_more_history_predicts_a_text_of_the_kind_better():
    rng = np.random.default_rng(0)
    sentences = [list(np.resize([2, 3, 2, 4, 2, 5], 24)[rng.integers(6) :][:12]) for _ in range(50)]
    tokens = torch.tensor(np.array(sentences[:5]))
    nll = [
        float(NgramLookup(trained(sentences, n)).nll(tokens, torch.full((5,), 12)).mean())
        for n in (1, 2, 3)
    ]
    assert nll[0] > nll[1] > nll[2]


def test_a_model_of_another_program(tmp_path):
    """SRILM leaves out what it has pruned, also the end of a longer n-gram, and columns may be parted by blanks."""
    (tmp_path / "x.arpa").write_text(
        "made by hand\n\\data\\\nngram 1=5\nngram 2=2\nngram 3=1\n\n\\1-grams:\n-99 <s> -0.1\n-0.5 </s>\n-0.7 a -0.2\n"
        "-0.8\tb\t-0.3\n-2\t<unk>\n\n\\2-grams:\n-0.25 <s> a -0.4\n-0.3\ta b\n\n\\3-grams:\n-0.1 <s> a c\n\n\\end\\\n"
    )
    with pytest.raises(UserError, match="'c' is not in the token list"):
        read_arpa(tmp_path / "x.arpa", ["<blank>", "<unk>", "a", "b", "<sos/eos>"])
    lookup = NgramLookup(read_arpa(tmp_path / "x.arpa", TOKENS))
    found = rows(lookup, [2, 4, 3]) / LN10
    assert found[0].tolist() == pytest.approx(
        [-99.1, -2.1, -0.25, -0.9, -2.1, -2.1, -0.6], rel=1e-4
    )
    # after <s> a: c is listed; the others back off to a, or from there to nothing
    assert found[1, 1:].tolist() == pytest.approx([-2.6, -1.3, -0.7, -0.1, -2.6, -1.1], rel=1e-4)
    # after <s> a c nothing is known but that c is a token: `a c` is not listed
    assert found[2, 1:].tolist() == pytest.approx([-2, -0.7, -0.8, -2, -2, -0.5], rel=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found \\[\\] n-grams of each order, expected \\[\\]"),
        ("\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n\\end\\\n", "found \\[1\\].* expected \\[2\\]"),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-x a\n", "not readable as ARPA: '-x a'"),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1 a b c\n", "found 3 words, expected 1"),
        (
            "\\data\\\nngram 1=1\nngram 2=1\n\\1-grams:\n-1 a\n\\2-grams:\n-1 zz a\n",
            "'zz' is not in the token",
        ),
    ],
)
def test_a_broken_arpa_file_says_where(tmp_path, text, said):
    (tmp_path / "x.arpa").write_text(text)
    with pytest.raises(UserError, match=said):
        load_ngram(tmp_path / "x.arpa", TOKENS)
    with gzip.open(tmp_path / "x.arpa.gz", "wt") as stream:
        stream.write(text)
    with pytest.raises(UserError, match=said):
        load_ngram(tmp_path / "x.arpa.gz", TOKENS)


def test_what_does_not_fit_is_refused(tmp_path):
    save_ngram(tmp_path / "ngram.npz", trained([[2, 3]], 2))
    with pytest.raises(
        UserError, match="a model over 7 tokens, expected one over the recogniser's 5"
    ):
        load_ngram(tmp_path, TOKENS[:4] + TOKENS[-1:])
    with pytest.raises(UserError, match="no such n-gram model"):
        load_ngram(tmp_path / "none")
    (tmp_path / "ngram.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UserError, match="not a whole n-gram model"):
        load_ngram(tmp_path)
    with pytest.raises(UserError, match="found no sentence"):
        trained([], 2)
    with pytest.raises(UserError, match="found order 0"):
        trained([[2]], 0)
    with pytest.raises(UserError, match="none smaller than the one before"):
        trained([[2]], 3, [2, 1])
    with pytest.raises(UserError, match="means two things"):
        write_arpa(tmp_path / "x.arpa", train(*flat([[1]]), ["<blank>", "<s>", "<sos/eos>"], 1))
