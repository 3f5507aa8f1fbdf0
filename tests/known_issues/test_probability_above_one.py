"""Broken weights of back-off give tokens a probability above 1: then no hypothesis may be left out early."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from espnet_ext.bridge.batched import joint_search
from espnet_ext.errors import UserError
from espnet_ext.inference.options import DecodeOptions
from espnet_ext.lm.ngram import LN10, NEVER, NgramLookup, load_ngram
from espnet_ext.search.scorers import NgramTableScorer

TOKENS = ["<blank>", "<unk>", "a", "b", "<sos/eos>"]


def arpa(folder, backoff_of_a="0.3", listed="-0.3"):
    """After `a` the `a` is listed with p = 0.5; `b` has 0.4 times 10^backoff_of_a there."""
    path = folder / "lm.arpa"
    path.write_text(
        "\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n-99\t<s>\t0\n-1\t<unk>\t0\n"
        f"-0.7\ta\t{backoff_of_a}\n-0.397940\tb\t0\n-1\t</s>\n\n\\2-grams:\n{listed}\ta a\n\n\\end\\\n"
    )
    return path


@pytest.mark.parametrize(
    ("backoff", "listed", "falls"),
    [("0.3", "-0.3", True), ("0.5", "-0.3", False), ("-0.1", "0.2", False), ("0", "0", True)],
)
def test_it_is_seen(tmp_path, backoff, listed, falls):
    lookup = NgramLookup(load_ngram(arpa(tmp_path, backoff, listed), TOKENS))
    every = torch.arange(lookup.longest)
    assert lookup.falls() is falls
    assert bool((lookup.scores(every) <= 1e-5).all()) is falls


def test_a_listed_token_hides_the_one_that_would_be_backed_off_to(tmp_path):
    """p(b) = 0.4 times 10^0.5 is above 1, but `b` is listed after `a`."""
    path = arpa(tmp_path, "0.5")
    path.write_text(path.read_text().replace("a a", "a b"))
    assert NgramLookup(load_ngram(path, TOKENS)).falls()


@pytest.mark.parametrize(("backoff", "bounded"), [("0.3", True), ("0.5", False)])
def test_nothing_is_left_out_early_then(tmp_path, backoff, bounded):
    known = {"ngram": NgramTableScorer(NgramLookup(load_ngram(arpa(tmp_path, backoff), TOKENS)))}
    model = SimpleNamespace(
        token_list=TOKENS, eos=4, ctc=SimpleNamespace(log_softmax=lambda x: x.log_softmax(-1))
    )
    options = DecodeOptions(beam_size=5, ctc_weight=0.3, lm_weight=0.0, ngram_weight=3.0)
    search = joint_search(model, known, options)
    assert search.bounded is bounded


def test_minus_infinity_is_never_and_no_number_is_refused(tmp_path):
    path = arpa(tmp_path, listed="-inf")
    model = load_ngram(path, TOKENS)
    assert model.levels[1].logp.tolist() == [NEVER] and NEVER == -99 * LN10
    for bad in ("nan", "inf"):
        with pytest.raises(UserError, match="figures that are none"):
            load_ngram(arpa(tmp_path, bad), TOKENS)


def test_tables_that_do_not_fit_are_refused(tmp_path):
    from espnet_ext.lm.ngram import save_ngram

    save_ngram(tmp_path / "ngram.npz", load_ngram(arpa(tmp_path), TOKENS))
    with np.load(tmp_path / "ngram.npz") as found:
        tables = dict(found)
    assert load_ngram(tmp_path, TOKENS).sizes == [6, 1]
    for name, value in (("parents.2", [77]), ("tokens.2", [-1]), ("logp.2", [0.0, 0.0])):
        np.savez(tmp_path / "ngram.npz", **{**tables, name: np.array(value)})
        with pytest.raises(UserError, match="do not fit"):
            load_ngram(tmp_path, TOKENS)
