"""Two threads that search with one recogniser find what one finds; the coverage of one was the other's."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from espnet_ext.inference.speech2text import Speech2Text
from espnet_ext.inference.streaming import StreamingSpeech2Text
from espnet_ext.search.scorers import CoverageScorer, DecoderScorer
from tests.bin.test_stream import folder  # noqa: F401
from tests.search import models


@torch.no_grad()
def test_the_coverage_is_that_of_the_threads_own_step():
    scorer = DecoderScorer(models.read_decoder(models.decoder("stock")), 0.1)
    coverage = CoverageScorer(scorer, models.SIZE)

    def step(lengths):
        encoded = torch.nn.utils.rnn.pad_sequence(models.speech(lengths), batch_first=True)
        tokens = torch.full((len(lengths), 1), models.EOS)
        scorer.step(tokens, scorer.start(encoded, torch.tensor(lengths)))
        return tokens

    expected = coverage.step(step([6, 9]), None)[0]
    tokens = step([6, 9])
    other = threading.Thread(target=step, args=([5, 5, 7],))
    other.start()
    other.join()
    assert torch.equal(coverage.step(tokens, None)[0], expected)


@pytest.mark.parametrize("lm", ["stock", "stock lstm"])
def test_results_are_those_of_one_thread(lm):
    weights = {**models.WEIGHTS, "coverage": 0.2, "boost": 0.7, "lm": 0.3, "ngram": 0.2}
    search = models.search(weights, lm)
    given = [models.speech(lengths, seed) for seed, lengths in enumerate([[6, 9], [5, 5, 7], [8]])]
    expected = [search(some) for some in given]
    assert all(found == expected for found in together(search, given))


def together(recognise, given):
    """Three times what three threads find, which change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            return [list(pool.map(recognise, given)) for _ in range(3)]
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("engine", ["whole", "stream"])
def test_sounds_of_several_threads(folder, engine):  # noqa: F811
    if engine == "whole":
        recognise = Speech2Text.from_pretrained(
            folder, beam=3, maxlenratio=-5, coverage_weight=0.2, boost=("ab",)
        )
    else:
        recognise = StreamingSpeech2Text.from_pretrained(folder)
    random = np.random.default_rng(0)
    given = [0.1 * random.standard_normal(size).astype("f4") for size in (4000, 9000, 13000)]
    expected = [recognise(samples) for samples in given]
    assert all(found == expected for found in together(recognise, given))
