"""What each training objective adds to a step, and what the decoder's cache takes from decoding, in one process.

Steps are forward and backward of a small hybrid model (4 Conformer and 2 decoder blocks of width 144) on the same
batch, in turn; decoding is stock's scoring of ten hypotheses token by token, with stock's decoder and with ours and
the same weights. Processor seconds, medians. Writes a section of RESULTS.md and prints it.

Usage: OMP_NUM_THREADS=1 python benchmarks/asr_options.py [--steps 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
VOCABULARY, PHONES, SPEAKERS = 500, 40, 60
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "CR-CTC": {"cr_ctc_weight": 0.2},
    "R-Drop": {"rdrop_weight": 0.5},
    "CR-CTC and R-Drop": {"cr_ctc_weight": 0.2, "rdrop_weight": 0.5},
    "intermediate CTC": {"interctc_weight": 0.3},
    "guided attention": {"guided_attention_weight": 1.0},
    "sentences without sound": {"lm_text_weight": 0.1},
    "speaker head": {"speaker_weight": 0.1, "speakers": SPEAKERS},
    "phone head": {"phone_weight": 0.2, "phones": PHONES},
    "Frobenius penalty": {"regularisation_weight": 1e-4},
    "spectral penalty": {"regularisation_weight": 1e-4, "regularisation": "spectral"},
}


def model(conf: dict[str, Any]) -> Any:
    """In training, with an option."""
    import torch

    from espnet_ext.bridge.tasks import TASKS

    torch.manual_seed(0)
    middle = {"interctc_layer_idx": [2]} if "interctc_weight" in conf else {}
    config = {
        **TASKS["asr"].defaults,
        "token_list": ["<blank>", "<unk>", *map(str, range(VOCABULARY - 3)), "<sos/eos>"],
        "input_size": 80,
        "normalize": None,
        "specaug": "specaug",
        "specaug_conf": {"apply_time_warp": False, "time_mask_width_ratio_range": [0.0, 0.05]},
        "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
        "encoder_conf": {"num_blocks": 4, **middle},
        "decoder": "espnet_ext.asr.decoder:CachedTransformerDecoder",
        "decoder_conf": {"num_blocks": 2, "linear_units": 576},
        "model": "espnet_ext.asr.model:HybridModel",
        "model_conf": {"ctc_weight": 0.3, "report_cer": False, "report_wer": False, **conf},
    }
    return TASKS["asr"].build(config).train()


def batch() -> dict[str, Any]:
    """Six utterances of 5 s with 25 tokens, 40 phones and a sentence each."""
    import torch

    torch.manual_seed(1)
    tokens, phones = torch.full((6,), 25), torch.full((6,), 40)
    return {
        "speech": torch.randn(6, 500, 80),
        "speech_lengths": torch.full((6,), 500),
        "text": torch.randint(2, VOCABULARY - 1, (6, 25)),
        "text_lengths": tokens,
        "lm_text": torch.randint(2, VOCABULARY - 1, (6, 25)),
        "lm_text_lengths": tokens,
        "phones": torch.randint(2, PHONES, (6, 40)),
        "phones_lengths": phones,
        "sids": torch.randint(1, SPEAKERS, (6, 1)),
    }


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def step(trained: Any, given: dict[str, Any]) -> None:
    """Forward and backward."""
    trained.zero_grad()
    trained(**given)[0].sum().backward()


def objectives(steps: int) -> list[str]:
    """A row for each option."""
    models, given = {name: model(conf) for name, conf in OPTIONS.items()}, batch()
    taken: dict[str, list[float]] = {name: [] for name in OPTIONS}
    for number in range(steps + 1):
        print(f"round {number} of {steps}", file=sys.stderr)
        for name, trained in models.items():
            spent = seconds(partial(step, trained, given))
            taken[name] += [spent] if number else []
    medians = {name: statistics.median(times) for name, times in taken.items()}
    return [
        f"| {name} | {median:.3f} | {median / medians['none']:.2f} |"
        for name, median in medians.items()
    ]


def write_tokens(decoder: Any, memory: Any, length: int) -> None:
    """Ten hypotheses, each time the best token of each."""
    import torch

    given, states = torch.zeros(10, 1, dtype=torch.int64), [None] * 10
    with torch.no_grad():
        for _ in range(length):
            scores, states = decoder.batch_score(given, states, memory.expand(10, -1, -1))
            given = torch.cat((given, scores.argmax(dim=-1)[:, None]), dim=1)


def decoding() -> list[str]:
    """A row for each size of decoder."""
    import torch

    from espnet_ext.asr.decoder import CachedTransformerDecoder
    from espnet_ext.bridge.imports import espnet2

    stock = espnet2("asr.decoder.transformer_decoder").TransformerDecoder
    rows = []
    for width, layers, frames in ((256, 6, 250), (512, 6, 400)):
        size = {"linear_units": 4 * width, "num_blocks": layers}
        ours, theirs = (
            made(VOCABULARY, width, **size).eval() for made in (CachedTransformerDecoder, stock)
        )
        theirs.load_state_dict(ours.state_dict())
        memory = torch.randn(1, frames, width)
        write_tokens(ours, memory, 3)
        mine, other = (
            seconds(partial(write_tokens, decoder, memory, 30)) for decoder in (ours, theirs)
        )
        rows.append(
            f"| {layers} layers of {width}, {frames} frames | {other:.2f} | {mine:.2f} | {other / mine:.1f} |"
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--steps", type=int, default=5, help="with each option, beside one to warm up"
    )
    args = parser.parse_args(argv)
    from benchmarks.results import origin, write_section

    text = "\n".join(
        [
            "## Objectives and the decoder's cache",
            "",
            "| objective | step, s | times that without |",
            "|---|---|---|",
            *objectives(args.steps),
            "",
            "| decoder, 10 hypotheses of 30 tokens | stock, s | ours, s | times as fast |",
            "|---|---|---|---|",
            *decoding(),
            "",
            *origin("asr_options", argv),
        ]
    )
    write_section(ROOT / "benchmarks/RESULTS.md", "asr_options", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
