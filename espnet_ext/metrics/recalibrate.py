"""A decoding's YAML with the scale and shift that make its confidences honest: what the calibrate command calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from espnet_ext.errors import UserError
from espnet_ext.inference.confidence import Platt, fit
from espnet_ext.inference.decode import read_options
from espnet_ext.inference.options import DecodeOptions
from espnet_ext.metrics.asr import ScoreConfig, read_pair, splitters
from espnet_ext.metrics.calibration import Calibration, calibration, judged
from espnet_ext.metrics.wer import align
from espnet_ext.train.config import load_yaml


def calibrate_yaml(
    hyp: Path, ref: Path, sets: Sequence[str], config: Path, cleaner: str | None = None
) -> tuple[str, str]:
    """Fit on decoded sets.

    Args:
        hyp: decode directory, with SET/{text,confidence}.
        ref: directory of the sets' data directories.
        sets: their names.
        config: the decoding's YAML.
        cleaner: for both sides.

    Returns:
        the YAML with the two numbers, and what they do, as text.

    Raises:
        UserError: if files are missing or broken, or no word was recognised.
    """
    sure, right = list[float](), list[bool]()
    for name in sets:
        found, good, _ = _of_set(ref / name, hyp / name, cleaner)
        sure, right = sure + found, right + good
    if not sure:
        raise UserError(f"{hyp}: found no recognised word, expected some to fit confidences to")
    options = read_options(config, DecodeOptions)
    more = fit(sure, right)
    whole = more.after(Platt(options.confidence_scale, options.confidence_shift))
    before, after = calibration(sure, right), calibration(more(sure), right)
    assert before is not None and after is not None
    said = "\n".join(
        [
            f"{len(sure)} words of {', '.join(sets)}, {100 * before.correct:.1f} % right",
            _line("before", before),
            _line("after", after) + "   (on the words they were fitted to)",
        ]
    )
    values = {
        **load_yaml(config),
        "confidence_scale": round(whole.scale, 4),
        "confidence_shift": round(whole.shift, 4),
    }
    head = "".join(f"# {line}\n" for line in ["confidences fitted to:", *said.splitlines()])
    return head + yaml.safe_dump(values, sort_keys=False), said


def _of_set(
    ref_dir: Path, hyp_dir: Path, cleaner: str | None
) -> tuple[list[float], list[bool], str]:
    refs, hyps, _ = read_pair(ref_dir, hyp_dir)
    split = splitters(ScoreConfig(cleaner=cleaner))["wer"]
    return judged(hyp_dir, {utt: align(split(refs[utt]), split(hyps[utt])) for utt in refs})


def _line(name: str, found: Calibration) -> str:
    nce = "-" if found.nce is None else f"{found.nce:.3f}"
    return (
        f"{name:7}mean confidence {found.confidence:.3f}, expected calibration error {found.ece:.3f}, "
        f"normalised cross entropy {nce}"
    )
