"""HiFi-GAN with even and odd samples apart: the same waveform, whatever its sizes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from espnet_ext.inference import graph_hifigan, phased_hifigan
from espnet_ext.vocoder.hifigan import VERSIONS, HiFiGAN, ISTFTNet

needed = pytest.mark.skipif(
    not graph_hifigan.installed() or not phased_hifigan.block(),
    reason="no ONNX Runtime here that keeps channels in blocks",
)


def loud(generator):
    """Loud enough to see, and not so loud that rounding grows."""
    for name, parameter in generator.named_parameters():
        if name.endswith("weight_g"):
            parameter.data.fill_(1.0)
        elif name.endswith("bias"):
            parameter.data.normal_(0.0, 0.1)
    return generator.eval()


def same(generator, *inputs):
    """Whether the engine in phases makes the waveform that torch makes."""
    with torch.inference_mode():
        expected = generator(*inputs)
        graph_hifigan.quicken(generator)
        assert generator.fast.phased and expected.std() > 1e-3
        assert torch.allclose(generator(*inputs), expected, atol=1e-5)


@needed
@settings(max_examples=80, deadline=None)
@given(
    scales=st.lists(st.sampled_from([2, 4, 8]), min_size=2, max_size=3),
    taps=st.lists(st.sampled_from([1, 3, 5, 7, 11]), min_size=1, max_size=2),
    dilations=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    more=st.booleans(),
    bias=st.booleans(),
    batch=st.integers(1, 2),
    frames=st.integers(1, 60),
    threads=st.sampled_from([1, 3]),
    least=st.sampled_from([1, 10**6]),
)
def test_any_sizes(scales, taps, dilations, more, bias, batch, frames, threads, least):
    torch.manual_seed(frames)
    generator = HiFiGAN(
        5,
        torch.tensor(scales).prod().item(),
        channels=16 << len(scales),
        upsample_scales=scales,
        upsample_kernel_sizes=[2 * scale for scale in scales],
        resblock_kernel_sizes=taps,
        resblock_dilations=[dilations] * len(taps),
        use_additional_convs=more,
        bias=bias,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phased_hifigan, "LEAST", least)
        patch.setattr(torch, "get_num_threads", lambda: threads)
        same(loud(generator), torch.randn(batch, 5, frames))


@needed
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("version", ["v1", "v3"])
@pytest.mark.parametrize("cls", [HiFiGAN, ISTFTNet])
def test_the_papers_shapes_whole_and_in_pieces(cls, version, threads):
    torch.manual_seed(0)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for batch, frames in ((1, 40), (4, 3)):
            generator = loud(cls(20, version=version, global_channels=3, channels=256))
            same(generator, torch.randn(batch, 20, frames), torch.randn(batch, 3, 1))
    finally:
        torch.set_num_threads(before)


@needed
def test_other_generators_are_written_plainly(monkeypatch):
    odd = HiFiGAN(20, 300, upsample_scales=(5, 5, 4, 3), channels=256)
    narrow = HiFiGAN(20, **VERSIONS["v2"])  # 8 channels in the end
    assert not phased_hifigan.fits(odd)
    assert phased_hifigan.fits(narrow) == (phased_hifigan.block() == 8)
    assert not phased_hifigan.fits(
        HiFiGAN(20, 8, channels=32, upsample_scales=(8,), upsample_kernel_sizes=(16,))
    )
    wide = HiFiGAN(20, channels=256)
    assert phased_hifigan.fits(wide)
    monkeypatch.setattr(phased_hifigan, "block", lambda: 0)
    assert not phased_hifigan.fits(wide)


@needed
@pytest.mark.parametrize("dilation", [1, 2, 3, 5])
@pytest.mark.parametrize("taps", [1, 3, 5, 7, 11])
def test_every_convolution(taps, dilation, monkeypatch):
    monkeypatch.setattr(phased_hifigan, "LEAST", 1)
    for more in (True, False):
        sizes = {"resblock_kernel_sizes": [taps], "resblock_dilations": [[dilation]]}
        sizes |= {"upsample_scales": [4, 2], "upsample_kernel_sizes": [8, 4]}
        torch.manual_seed(0)
        generator = HiFiGAN(5, 8, channels=64, use_additional_convs=more, **sizes)
        same(loud(generator), torch.randn(1, 5, 20))


def test_taps_are_sorted_by_phase():
    for taps in (1, 3, 7):
        for dilation in range(1, 7):
            conv = nn.Conv1d(
                2, 3, taps, dilation=dilation, padding=taps // 2 * dilation, bias=False
            )
            conv = conv.double()
            x = torch.randn(1, 2, 40, dtype=torch.float64)
            sorted_ = phased_hifigan.phases(conv.weight.detach(), dilation)
            found = torch.zeros(1, 3, 40, dtype=torch.float64)
            for (to, come), (weight, first, step) in sorted_.items():
                last = first + (weight.shape[2] - 1) * step
                assert first <= 0 <= last
                padded = nn.functional.pad(x[:, :, come::2], (-first, last))
                found[:, :, to::2] += nn.functional.conv1d(padded, weight, dilation=step)
            assert torch.allclose(found, conv(x))
