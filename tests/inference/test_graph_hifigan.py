"""HiFi-GAN through ONNX Runtime: the same waveform, whole or in pieces."""

import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from espnet_ext.inference.graph_hifigan import GraphHiFiGAN, installed, quicken
from espnet_ext.inference.onnx_session import Session
from espnet_ext.vocoder.hifigan import VERSIONS, HiFiGAN, ISTFTNet

SMALL = {"channels": 32}
needed = pytest.mark.skipif(not installed(), reason="the extra espnet_ext[onnx] is not installed")


def made(**sizes):
    """Always the same; loud enough to see, and not so loud that rounding grows."""
    torch.manual_seed(0)
    generator = HiFiGAN(20, **SMALL, **sizes).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("weight_g"):
            parameter.data.fill_(1.0)
    return generator


@needed
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("version", sorted(VERSIONS))
@pytest.mark.parametrize("cls", [HiFiGAN, ISTFTNet])
def test_the_fast_way_gives_the_same_waveform(cls, version, threads):
    torch.manual_seed(0)
    generator = cls(20, version=version, global_channels=3, **SMALL).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("weight_g"):  # loud enough to see, and not so loud that rounding grows
            parameter.data.fill_(1.0)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for batch, frames in (
                (2, 9),
                (1, 1),
                (1, 31),
            ):  # the last in pieces, where there are threads
                mel, speaker = torch.randn(batch, 20, frames), torch.randn(batch, 3, 1)
                generator.fast = None
                expected, spoken = generator(mel), generator(mel, speaker)
                assert type(quicken(generator).fast) is GraphHiFiGAN and expected.std() > 1e-3
                assert torch.allclose(generator(mel), expected, atol=1e-5)
                assert torch.allclose(generator(mel, speaker), spoken, atol=1e-5)
    finally:
        torch.set_num_threads(before)


@needed
def test_a_single_upsampling():
    generator = made(hop_length=8, upsample_scales=(8,), upsample_kernel_sizes=(16,))
    mel = torch.randn(1, 20, 30)
    with torch.inference_mode():
        expected = generator(mel)
        assert torch.allclose(quicken(generator)(mel), expected, atol=1e-5)


@needed
def test_threads_may_share_it():
    generator, mel = quicken(made()), torch.randn(1, 20, 40)
    with torch.inference_mode():
        expected = made()(mel)

    def speak(_):
        with torch.inference_mode():
            return generator(mel)

    with ThreadPoolExecutor(4) as pool:  # all at once at first, while the graphs are written
        for wave in pool.map(speak, range(12)):
            assert torch.allclose(wave, expected, atol=1e-5)


FORK = """
import os, sys, torch
from espnet_ext.inference.graph_hifigan import quicken
from espnet_ext.vocoder.hifigan import HiFiGAN

torch.set_num_threads(2)
generator, mel = quicken(HiFiGAN(20, channels=32).eval()), torch.randn(1, 20, 400)
with torch.inference_mode():
    expected = generator(mel)
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    torch.set_num_threads(1)
    os._exit(not torch.allclose(generator(mel), expected, atol=1e-6))
"""


@needed
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_it_speaks_after_a_fork():
    """In a program of its own: what else a process of tests has running does not outlive a fork."""
    repository = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", FORK], cwd=repository, check=True, timeout=120)


@needed
def test_nothing_of_it_outlives_its_user():
    generator = quicken(made())
    with torch.inference_mode():
        generator(torch.randn(1, 20, 9))
    fast = weakref.ref(generator.fast)
    del generator
    assert fast() is None


@needed
def test_threads_take_pieces(monkeypatch):
    generator, mel = quicken(made()), torch.randn(1, 20, 80)
    rows = []
    plain = Session.__call__
    monkeypatch.setattr(Session, "__call__", lambda s, **g: rows.append(g) or plain(s, **g))
    for threads, calls in ((1, 2), (3, 4), (2, 3)):  # one of the first graph, and pieces
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        rows.clear()
        with torch.inference_mode():
            generator(mel)
        assert len(rows) == calls


def test_without_onnx_runtime_torch_computes(monkeypatch):
    monkeypatch.setattr("espnet_ext.inference.graph_hifigan.installed", lambda: False)
    assert quicken(HiFiGAN(20, **SMALL)).fast is None
