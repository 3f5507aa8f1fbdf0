"""What an audit looks for: kinds of findings, the limits beyond which they are found, and which of
them stop a training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from espnet_ext.errors import UserError


def _limit(value: float, meaning: str) -> float:
    found: float = field(default=value, metadata={"help": meaning})
    return found


@dataclass(frozen=True)
class Limits:
    """Beyond these an utterance is worth a look; only the last one refuses it."""

    min_snr: float = _limit(10.0, "dB; noisy where both estimates are below")
    max_clipped: float = _limit(0.001, "share of samples cut off at the top")
    min_level: float = _limit(-45.0, "dBFS; quieter is quiet")
    max_noise: float = _limit(-30.0, "dBFS of the noise floor")
    max_dc: float = _limit(0.02, "magnitude of the mean sample, 1 = full scale")
    min_speech: float = _limit(0.15, "share of frames that stand out from the noise")
    min_band: float = _limit(0.6, "bandwidth as a share of what the sampling rate could carry")
    min_cps: float = _limit(3.0, "characters of the text, spaces counted, per second")
    max_cps: float = _limit(30.0, "characters of the text, spaces counted, per second")
    min_seconds: float = _limit(0.3, "shorter is short")
    max_seconds: float = _limit(35.0, "longer is long")
    endless_seconds: float = _limit(600.0, "longer than any training step can hold")


#: Kind -> what it means. Those of REFUSED stop a training or spoil it silently.
KINDS = {
    "table": "the tables of the directory are broken or contradict each other",
    "unreadable": "the audio cannot be read",
    "truncated": "the file ends early or is damaged on the way",
    "not_finite": "the audio holds NaN or infinity",
    "no_samples": "the audio is empty",
    "empty_text": "there is no text",
    "mixed_rates": "another sampling rate than most (allow it where format_audio resamples)",
    "mixed_channels": "another number of channels than most",
    "endless": "longer than any training step can hold: cut it with segments",
    "wrong_length": "utt2num_samples says another length than the audio has",
    "header": "the header contradicts itself or the file's name",
    "wrong_duration": "utt2dur or segments say another length than the audio has",
    "silent": "nothing but digital silence",
    "noisy": "a low signal-to-noise ratio",
    "high_noise": "a high noise floor",
    "clipped": "cut off at the top",
    "quiet": "very quiet",
    "offset": "not centred (DC offset)",
    "little_speech": "little that stands out from the noise",
    "narrow": "less bandwidth than the sampling rate promises: resampled, telephone or MP3",
    "fast": "more characters a second than anybody speaks: text and audio may not belong together",
    "slow": "few characters a second: text and audio may not belong together",
    "short": "very short",
    "long": "long",
    "same_audio": "the same samples as another utterance",
    "same_text": "the same speaker says the same text again",
}
REFUSED = frozenset(list(KINDS)[:10])


def known_kind(text: str) -> str:
    """A kind of findings, as it is.

    Raises:
        UserError: there is none of that name.
    """
    if text not in KINDS:
        raise UserError(f"found the kind {text!r}, expected one of {', '.join(KINDS)}")
    return text


class Policy(NamedTuple):
    """Which kinds make an audit fail."""

    refused: frozenset[str] = REFUSED

    @classmethod
    def of(cls, refuse: list[str], allow: list[str]) -> Policy:
        """REFUSED and `refuse` without `allow`; kinds as known_kind gives them."""
        return cls(REFUSED.union(refuse).difference(allow))


def judge(row: Mapping[str, float], limits: Limits) -> Iterator[tuple[str, float]]:
    """(kind, how bad: larger is worse) of all that is wrong with one utterance's values.

    Args:
        row: columns of the audit's table; unknown ones NaN.
        limits: beyond which something is wrong.
    """
    if row["seconds"] > limits.endless_seconds:
        yield "endless", row["seconds"]
    elif row["seconds"] > limits.max_seconds:
        yield "long", row["seconds"]
    if row["seconds"] < limits.min_seconds:
        yield "short", -row["seconds"]
    if row["cps"] > limits.max_cps:
        yield "fast", row["cps"]
    if row["cps"] < limits.min_cps and row["chars"] > 0:
        yield "slow", -row["cps"]
    if row["peak"] <= -119:
        yield "silent", row["seconds"]
    elif not math.isnan(row["peak"]):
        yield from _judge_sound(row, limits)


def _judge_sound(row: Mapping[str, float], limits: Limits) -> Iterator[tuple[str, float]]:
    if max(row["snr"], row["wada"]) < limits.min_snr:
        yield "noisy", -max(row["snr"], row["wada"])
    if row["noise"] > limits.max_noise:
        yield "high_noise", row["noise"]
    if row["clipped"] > limits.max_clipped:
        yield "clipped", row["clipped"]
    if row["level"] < limits.min_level:
        yield "quiet", -row["level"]
    if abs(row["dc"]) > limits.max_dc:
        yield "offset", abs(row["dc"])
    if row["speech"] < limits.min_speech:
        yield "little_speech", -row["speech"]
    if row["bandwidth"] < limits.min_band * row["rate"] / 2:
        yield "narrow", -row["bandwidth"]
