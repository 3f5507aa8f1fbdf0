"""Training steps of a Conformer hybrid model, ours beside stock ESPnet's, step by step in turn in one process.

Both have 12 encoder blocks of width 256 and 6 decoder blocks, the same number of parameters within 5 %, the same
batch of log-mel features (subsampling 4), the same losses, dropout and optimiser. A step is forward, backward,
clipping and AdamW. Other programs on the machine disturb both sides alike, and processor seconds less than the clock's.
On a GPU also: ours in bf16 beside stock in fp32 and in its mixed precision, and the peak of memory.
Writes a section of RESULTS.md and prints it.

Usage: OMP_NUM_THREADS=1 python benchmarks/train_step.py [--steps 7] [--utterances 16] [--attention_dropout 0.0]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
TOKENS = ["<blank>", "<unk>", *(f"t{index}" for index in range(197)), "<sos/eos>"]
WIDTH, HEADS, BLOCKS, KERNEL, DROPOUT = 256, 4, 12, 31, 0.1
# ESPnet's front end and relative positions hold 2.6 M parameters where ours hold 0.2 M: ours get wider inside
INNER = {"stock": 1024, "ours": 1224}


def encoders(attention_dropout: float) -> dict[str, dict[str, Any]]:
    """Both encoders."""
    same = {
        "output_size": WIDTH,
        "attention_heads": HEADS,
        "num_blocks": BLOCKS,
        "dropout_rate": DROPOUT,
        "attention_dropout_rate": attention_dropout,
    }
    stock = {
        "input_layer": "conv2d",
        "rel_pos_type": "latest",
        "pos_enc_layer_type": "rel_pos",
        "selfattention_layer_type": "rel_selfattn",
        "activation_type": "swish",
        "macaron_style": True,
        "use_cnn_module": True,
        "cnn_module_kernel": KERNEL,
        "positional_dropout_rate": DROPOUT,
        "linear_units": INNER["stock"],
    }
    ours = {"kernel": KERNEL, "linear_units": INNER["ours"], "strides": [2, 2]}
    return {"stock": {**same, **stock}, "ours": {**same, **ours}}


PARTS = {
    "stock": {"encoder": "conformer", "decoder": "transformer", "model": "espnet"},
    "ours": {
        "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
        "decoder": "espnet_ext.asr.decoder:CachedTransformerDecoder",
        "model": "espnet_ext.asr.model:HybridModel",
    },
}


def build(side: str, attention_dropout: float) -> Any:
    """A model in training."""
    import torch

    from espnet_ext.bridge.tasks import TASKS

    torch.manual_seed(0)
    config = {
        **TASKS["asr"].defaults,
        **PARTS[side],
        "token_list": list(TOKENS),
        "input_size": 80,
        "normalize": None,
        "encoder_conf": encoders(attention_dropout)[side],
        "decoder_conf": {
            "attention_heads": HEADS,
            "linear_units": 2048,
            "num_blocks": 6,
            "dropout_rate": DROPOUT,
            "positional_dropout_rate": DROPOUT,
            "self_attention_dropout_rate": attention_dropout,
            "src_attention_dropout_rate": attention_dropout,
        },
        "model_conf": {
            "ctc_weight": 0.3,
            "lsm_weight": 0.1,
            "report_cer": False,
            "report_wer": False,
        },
    }
    return TASKS["asr"].build(config).train()


def batch(utterances: int, seconds: float) -> dict[str, Any]:
    """Features of 100 frames a second and 8 tokens a second, lengths within 30 % of the mean, the longest first."""
    import torch

    torch.manual_seed(1)
    spread = torch.linspace(1.3, 0.7, utterances) * seconds
    frames, tokens = (spread * 100).long(), (spread * 8).long()
    text = torch.randint(2, len(TOKENS) - 1, (utterances, int(tokens[0])))
    text[torch.arange(text.shape[1]) >= tokens[:, None]] = -1
    speech = torch.randn(utterances, int(frames[0]), 80)
    return {"speech": speech, "speech_lengths": frames, "text": text, "text_lengths": tokens}


@dataclass
class Side:
    """A model with its optimiser, and what its steps took.

    Attributes:
        name: "stock" or "ours".
        precision: "fp32", "amp" (stock's fp16 with a scaler) or "bf16".
        model: on the device.
        phases: phase -> processor seconds of each step (on a GPU the clock's).
        clock: seconds of each step.
        peak: bytes on the GPU during a step, beyond what all models' weights and moments take.
    """

    name: str
    precision: str
    model: Any
    phases: dict[str, list[float]] = field(
        default_factory=lambda: {"forward": [], "backward": [], "update": []}
    )
    clock: list[float] = field(default_factory=list)
    peak: int = 0

    def __post_init__(self) -> None:
        import torch

        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.scaler = torch.amp.GradScaler("cuda") if self.precision == "amp" else None
        self.device = next(self.model.parameters()).device

    @property
    def steps(self) -> list[float]:
        """Seconds of each step."""
        return [sum(parts) for parts in zip(*self.phases.values(), strict=True)]

    def _now(self) -> float:
        import torch

        if self.device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def step(self, given: dict[str, Any], keep: bool) -> None:
        """One step; `keep` its times."""
        import torch

        half = torch.bfloat16 if self.precision == "bf16" else torch.float16
        mixed = torch.autocast(self.device.type, half, enabled=self.precision != "fp32")
        marks, started = [self._now()], time.perf_counter()
        with mixed:
            loss = self.model(**{key: value.clone() for key, value in given.items()})[0]
        marks.append(self._now())
        (self.scaler.scale(loss) if self.scaler else loss).backward()
        marks.append(self._now())
        self._update()
        marks.append(self._now())
        if keep:
            self.clock.append(time.perf_counter() - started)
            for times, a, b in zip(self.phases.values(), marks, marks[1:], strict=False):
                times.append(b - a)

    def _update(self) -> None:
        import torch

        if self.scaler:
            self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        if self.scaler:
            self.scaler.step(self.optimiser)
            self.scaler.update()
        else:
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


def race(sides: list[Side], given: dict[str, Any], steps: int) -> None:
    """Steps in turn, who begins changing each time, after one each that warms up."""
    import torch

    given = {key: value.to(sides[0].device) for key, value in given.items()}
    for number in range(steps + 1):
        for side in sides if number % 2 else sides[::-1]:
            if side.device.type == "cpu":
                side.step(given, keep=number > 0)
                continue
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            side.step(given, keep=number > 0)
            if number:  # the first makes AdamW's moments
                side.peak = max(side.peak, torch.cuda.max_memory_allocated() - before)
        if number:
            taken = ", ".join(f"{s.name} {s.precision} {s.steps[-1]:.2f} s" for s in sides)
            print(f"step {number}: {taken}", flush=True)


def rows(sides: list[Side]) -> list[str]:
    """A row a side, then the ratios of the first to the others."""
    found = []
    for side in sides:
        parts = " | ".join(f"{statistics.median(times):.3f}" for times in side.phases.values())
        million = sum(p.numel() for p in side.model.parameters()) / 1e6
        peak = f"{side.peak / 2**20:.0f}" if side.peak else ""
        whole = statistics.median(side.steps)
        name = f"{side.name}, {side.precision}"
        found.append(
            f"| {name} | {million:.2f} | {parts} | {whole:.3f} | {statistics.median(side.clock):.3f} | {peak} |"
        )
    return found


def ratios(ours: Side, others: list[Side]) -> list[str]:
    """How many times as fast, of the medians and of the steps one by one."""
    found = []
    for other in others:
        pairs = [a / b for a, b in zip(other.steps, ours.steps, strict=True)]
        whole = statistics.median(other.steps) / statistics.median(ours.steps)
        clock = statistics.median(other.clock) / statistics.median(ours.clock)
        found.append(
            f"Ours in {ours.precision} is **{whole:.2f} times** as fast as stock in {other.precision} (single pairs of "
            f"steps {min(pairs):.2f} to {max(pairs):.2f}; by the clock {clock:.2f})."
        )
    return found


HEADER = [
    "| model | parameters, M | forward, s | backward, s | update, s | step, s | clock, s | GPU above weights, MiB |",
    "|---|---|---|---|---|---|---|---|",
]


def sides_on(device: str, attention_dropout: float) -> Iterator[list[Side]]:
    """Ours first: in fp32 beside stock in fp32; on a GPU also in bf16 beside stock in both of its precisions."""
    groups = [[("ours", "fp32"), ("stock", "fp32")]]
    if device == "cuda":
        groups.append([("ours", "bf16"), ("stock", "fp32"), ("stock", "amp")])
    for group in groups:
        yield [Side(name, how, build(name, attention_dropout).to(device)) for name, how in group]


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=7, help="of each side, beside one to warm up")
    parser.add_argument("--utterances", type=int, default=16, help="in the batch")
    parser.add_argument("--seconds", type=float, default=5.0, help="of an utterance, the mean")
    parser.add_argument("--attention_dropout", type=float, default=0.0, help="of both sides")
    args = parser.parse_args(argv)
    import torch

    from benchmarks.results import origin, write_section

    device = "cuda" if torch.cuda.is_available() else "cpu"
    given = batch(args.utterances, args.seconds)
    lines, said = [], []
    for sides in sides_on(device, args.attention_dropout):
        race(sides, given, args.steps)
        lines += rows(sides)
        said += ratios(sides[0], sides[1:])
    measured = ", processor seconds" if device == "cpu" else ""
    head = (
        f"A batch of {args.utterances} utterances, {args.seconds * args.utterances:.0f} s of speech, on {device} with "
        f"{torch.get_num_threads()} thread(s); medians of {args.steps} steps in turn{measured}. Attention dropout "
        f"{args.attention_dropout:g}. Inner width of feed-forward parts {INNER['stock']} (stock) and {INNER['ours']} "
        "(ours), so that the parameters are as many."
    )
    text = "\n".join(
        [
            "## Training step",
            "",
            head,
            "",
            *HEADER,
            *lines,
            "",
            *said,
            "",
            *origin("train_step", argv),
        ]
    )
    write_section(ROOT / "benchmarks/RESULTS.md", f"train_step-{device}", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
