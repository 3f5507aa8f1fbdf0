"""Pitch and energy: scale, table, averages over tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.tts.alignment import hard_path
from espnet_ext.tts.contour import FLOOR, SEMITONE, Contour, ContourOptions, Lookup, ResidualConvs
from espnet_ext.tts.statistics import Standardise

VALUES = st.lists(
    st.lists(st.floats(-3, 9, width=32), min_size=4, max_size=4), min_size=1, max_size=5
)


@given(VALUES, st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_the_scale_is_that_of_what_was_seen(batches, seed):
    torch.manual_seed(seed)
    scale, seen = Standardise(5.0, 0.3).train(), []
    for row in batches:
        values, mask = torch.tensor(row), torch.rand(4) > 0.3
        scale.see(values, mask)
        seen += values[mask].tolist()
    mean, deviation = (float(x) for x in scale.scale())
    if len(seen) < 2:
        return
    assert mean == pytest.approx(np.mean(seen), abs=1e-3)
    assert deviation == pytest.approx(max(np.std(seen), 0.01), abs=0.01)
    probe = torch.tensor([1.0, 6.0])
    assert torch.allclose(scale.back(scale(probe)), probe, atol=1e-4)


def test_the_scale_of_averaged_weights_is_that_of_all(tmp_path):
    """ESPnet adds up whole numbers when it averages checkpoints, and so do processes that train together."""
    torch.manual_seed(0)
    parts = [torch.randn(50) + i for i in range(3)]
    each, whole = [Standardise(0.0, 1.0).train() for _ in parts], Standardise(0.0, 1.0).train()
    for scale, part in zip(each, parts, strict=True):
        scale.see(part, torch.ones(50, dtype=torch.bool))
    whole.see(torch.cat(parts), torch.ones(150, dtype=torch.bool))
    summed = Standardise(0.0, 1.0)
    summed.load_state_dict(
        {name: sum(scale.state_dict()[name] for scale in each) for name in each[0].state_dict()}
    )
    for a, b in zip(summed.scale(), whole.scale(), strict=True):
        assert float(a) == pytest.approx(float(b), abs=1e-3)


def test_the_scale_is_fixed_after_some_updates():
    scale, mask = Standardise(0.0, 1.0, updates=2).train(), torch.ones(4, dtype=torch.bool)
    for value in (1.0, 3.0, 50.0):
        scale.see(torch.full((4,), value), mask)
    assert float(scale.scale()[0]) == pytest.approx(2.0) and int(scale.updates) == 2
    before = Standardise(5.0, 0.3).eval()
    before.see(torch.zeros(4), mask)
    assert [float(x) for x in before.scale()] == pytest.approx([5.0, 0.3])


@given(st.floats(-6, 6))
@settings(deadline=None, max_examples=30)
def test_between_two_bins_the_table_is_straight(value):
    torch.manual_seed(0)
    lookup = Lookup(3, 9, 4.0)
    found = lookup(torch.tensor([[value]]))[0, 0].detach().numpy()
    bins = np.linspace(-4, 4, 9)
    for i in range(3):
        column = lookup.table.detach().numpy()[:, i]
        assert found[i] == pytest.approx(np.interp(value, bins, column), abs=1e-4)


def test_tokens_have_the_mean_of_their_voiced_frames():
    contour = Contour("pitch", 4, ContourOptions()).eval()
    given = torch.tensor([[5.0, 5.2, 0.0, 0.0, 0.0, 4.8, 9.0]])[..., None]
    path = hard_path(torch.tensor([[3, 2, 1]]), 7)
    mask = torch.tensor([[True] * 6 + [False]])
    track = contour.target(given[:, :7], path, mask)
    assert track.value[0].tolist() == pytest.approx([5.1, 0.0, 4.8], abs=1e-5)
    assert track.present[0].tolist() == pytest.approx([2 / 3, 0, 1], abs=1e-5)
    energy = Contour("energy", 4, ContourOptions()).eval()
    track = energy.target(given.clamp(max=5.2), path, mask)
    quiet = float(torch.tensor(FLOOR).log())
    assert track.value[0, 1] == pytest.approx(quiet) and track.present[0].tolist() == [1, 1, 1]


def test_where_there_is_no_voice_its_height_does_not_matter():
    torch.manual_seed(0)
    contour = Contour("pitch", 4, ContourOptions()).eval()
    mask = torch.ones(1, 2, dtype=torch.bool)
    track = contour.predict(torch.randn(1, 2, 4), mask, torch.zeros(1, 2))
    gone = type(track)(track.value + 1, torch.zeros(1, 2))
    low = type(track)(track.value - 1, torch.zeros(1, 2))
    assert torch.equal(contour.embed(gone), contour.embed(low))
    assert not contour.reading(gone).any()


def test_a_semitone():
    assert pytest.approx(2.0) == np.exp(12 * SEMITONE)


def test_residual_convolutions_do_not_see_padding():
    torch.manual_seed(0)
    convs = ResidualConvs(4, 2, 3, 3, 0.0).eval()
    x, mask = torch.randn(1, 6, 4), torch.tensor([[True] * 4 + [False] * 2])
    alone = convs(x[:, :4], mask[:, :4])
    x[:, 4:] = 99.0
    assert torch.allclose(convs(x, mask)[:, :4], alone, atol=1e-5)
