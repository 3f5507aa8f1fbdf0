"""How fast a mel spectrogram becomes speech on the CPU: stock ESPnet's HiFi-GAN V1 beside ours, in one process.

Both HiFi-GANs have the same weights (made up), and their waveforms are compared; stock's is measured as its
tts_inference uses it, and with its weight normalisation removed. iSTFTNet and Vocos have their papers' sizes, the
harmonic Vocos those of egs2/mini/voc1. The versions take turns; the medians are given. Real-time factor = seconds for a
second of speech. Writes a section of RESULTS.md and prints it.

Usage: python benchmarks/vocoder.py [--frames 250] [--runs 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RATE, HOP, BANDS = 22050, 256, 80


def made() -> tuple[dict[str, Callable[[Any], Any]], float]:
    """Name -> (B, M, F) to waveform; and the largest difference of the two HiFi-GANs' waveforms."""
    import torch

    from espnet_ext.bridge.imports import espnet2
    from espnet_ext.inference.graph_hifigan import quicken
    from espnet_ext.vocoder.harmonic import HarmonicVocos
    from espnet_ext.vocoder.hifigan import HiFiGAN, ISTFTNet
    from espnet_ext.vocoder.vocos import Vocos

    torch.manual_seed(0)
    cls = espnet2("gan_tts.hifigan.hifigan").HiFiGANGenerator
    stock, plain, ours = cls().eval(), cls().eval(), HiFiGAN().eval()
    for name, parameter in stock.named_parameters():
        if name.endswith("weight_g"):  # loud enough to see a difference
            parameter.data.fill_(1.0)
    for other in (plain, ours):
        other.load_state_dict(stock.state_dict())
    plain.remove_weight_norm()
    mel = torch.randn(1, BANDS, 50)
    with torch.inference_mode():
        difference = float((quicken(ours)(mel) - stock(mel)).abs().max())
    small = HarmonicVocos(BANDS, HOP, RATE, width=192, inner=576, blocks=5)
    return {
        "stock HiFi-GAN V1": stock,
        "stock, weight norm removed": plain,
        "ours, HiFi-GAN V1": ours,
        "ours, iSTFTNet V1": quicken(ISTFTNet().eval()),
        "ours, Vocos (13.5 M)": Vocos().eval(),
        "ours, harmonic Vocos (1.7 M)": small.eval(),
    }, difference


def measure(speakers: dict[str, Callable[[Any], Any]], frames: int, runs: int) -> dict[str, float]:
    """Median seconds of each, taking turns after a first one that warms up."""
    import torch

    mel = torch.randn(1, BANDS, frames, generator=torch.Generator().manual_seed(0))
    spent: dict[str, list[float]] = {name: [] for name in speakers}
    with torch.inference_mode():
        for turn in range(runs + 1):
            for name, speak in speakers.items():
                started = time.perf_counter()
                speak(mel)
                if turn:
                    spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=250, help="of the spectrogram; 250: 2.9 s")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    import torch

    from benchmarks.results import origin, write_section

    torch.set_num_threads(args.threads)
    speakers, difference = made()
    found = measure(speakers, args.frames, args.runs)
    seconds, first = args.frames * HOP / RATE, next(iter(found.values()))
    lines = [
        "## From the mel spectrogram to speech",
        "",
        f"{seconds:.1f} s of speech at 22.05 kHz, {args.threads} threads, median of {args.runs} turns. The two "
        f"HiFi-GANs have the same weights; their waveforms differ by at most {difference:.1e}.",
        "",
        "| vocoder | s | real-time factor | times stock |",
        "|---|---|---|---|",
        *(f"| {n} | {s:.3f} | {s / seconds:.3f} | {first / s:.1f} |" for n, s in found.items()),
        "",
        *origin("vocoder", argv),
    ]
    text = "\n".join(lines)
    write_section(ROOT / "benchmarks/RESULTS.md", "vocoder", text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
