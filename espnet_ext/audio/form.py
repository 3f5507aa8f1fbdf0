"""One utterance in the form that is wanted: whether it has it, its samples, its sound file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from espnet_ext.audio.augment import Augmentation, augmented
from espnet_ext.audio.clean import AS_IT_IS, Cleaning, clean
from espnet_ext.audio.measures import Measures, Meter, measure, measured
from espnet_ext.audio.read import AudioError, ark_offset, blocks, opened
from espnet_ext.audio.resample import as_float, resampled, to_int16
from espnet_ext.audio.sources import WHOLE, Source, file_state
from espnet_ext.audio.work import Made
from espnet_ext.audio.write import encode

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Form:
    """What the audio shall be.

    Attributes:
        rate: sampling rate in Hz; None keeps what is there, which must then be one rate.
        audio_format: flac, wav, flac.ark or wav.ark; always 16-bit.
        channels: which channels, counted from 0, in this order; None keeps all.
        no_resample: another rate than `rate` is an error.
        skip_broken: leave unusable utterances out instead of failing.
        copy: write audio that has the right form already, too, instead of referring to it.
        clean: what is done to the sound beside that.
        augment: what may happen to utterances of `utt2augment` after that; read from the data directory.
    """

    rate: int | None = 16000
    audio_format: str = "flac"
    channels: tuple[int, ...] | None = None
    no_resample: bool = False
    skip_broken: bool = False
    copy: bool = False
    clean: Cleaning = AS_IT_IS
    augment: Augmentation | None = None


def key_of(source: Source, form: Form) -> int:
    """64 bits that change when the form, the place in wav.scp or the file itself (size, time) does."""
    file = file_state(ark_offset(source.entry)[0])
    what = (source, file, form.rate, form.audio_format, form.channels, form.copy, form.clean)
    draws = form.augment if source.draw != "0" else None
    return int.from_bytes(hashlib.sha1(repr((what, draws)).encode()).digest()[:8], "little")


def formatted(utt: str, source: Source, form: Form) -> Made:
    """Bring one utterance into the wanted form; its facts are the measures of the channels that are kept.

    Raises:
        AudioError: unusable.
    """
    if has_form(utt, source, form):
        measures, count = measure(source.entry, utt)
        return Made(None, measures.rate, measures.channels, count, measures.packed())
    samples, rate, measures = samples_of(utt, source, form)
    if not len(samples):
        raise AudioError(f"utterance {utt!r}, {source.entry}: found no samples after resampling")
    container = form.audio_format.removesuffix(".ark")
    sound = _as_it_is(source, form, rate) or encode(samples, rate, container)
    cut = 0.0 if source.end is None else source.end - source.start - measures.seconds
    return Made(sound, rate, samples.shape[1], len(samples), measures.packed(), cut)


def has_form(utt: str, source: Source, form: Form) -> bool:
    """Whether an utterance is a file of its own that has the wanted form already.

    Raises:
        AudioError: unreadable.
    """
    if form.copy or form.clean != AS_IT_IS or form.audio_format.endswith(".ark"):
        return False
    if source[1:] != WHOLE or source.entry.endswith("|") or ark_offset(source.entry)[1] is not None:
        return False
    with opened(source.entry, utt) as stream:
        channels = tuple(range(stream.channels))
        return (
            (stream.format.lower(), stream.subtype) == (form.audio_format, "PCM_16")
            and form.rate in (None, stream.samplerate)
            and form.channels in (None, channels)
        )


def samples_of(utt: str, source: Source, form: Form) -> tuple[np.ndarray, int, Measures]:
    """int16 samples (T, C) of an utterance in the wanted form, their rate, measures of those channels in the source.

    Raises:
        AudioError: unreadable, empty, a channel that is not there, or a rate that must not be
            changed.
    """
    import numpy as np

    stream = blocks(source.entry, utt, source.start, source.end)
    rate, first = next(stream)
    wanted = form.rate or rate
    if wanted != rate and form.no_resample:
        raise AudioError(
            f"utterance {utt!r}, {source.entry}: found {rate} Hz, expected {wanted} Hz: drop "
            f"--no_resample to have it resampled, or set --fs {rate}"
        )
    # Block by block: of a long recording only the result is held.
    parts = (_channels(b, utt, source, form) for b in chain([first], (b for _, b in stream)))
    meter = Meter(rate, len(form.channels or range(first.shape[1])))
    heard = measured(parts, meter)
    plain = source.draw == "0" and form.clean == AS_IT_IS
    if plain and (wanted, source.speed) == (rate, 1.0) and first.dtype.kind == "i":
        return np.concatenate([*heard]), rate, meter.result()
    # One pass for both: at `speed` times its rate, brought to the wanted one.
    rates = (source.speed, 1.0) if wanted == rate else (rate * source.speed, wanted)
    found = resampled(map(as_float, heard), *rates)
    if plain:
        return np.concatenate([*map(to_int16, found)]), wanted, meter.result()
    samples = np.concatenate([*found])
    if form.clean != AS_IT_IS:
        samples = clean(samples, wanted, form.clean, utt)
    if source.draw != "0" and form.augment:
        samples = augmented(samples, wanted, form.augment, utt, source.draw)
    return to_int16(samples), wanted, meter.result()


def _channels(samples: np.ndarray, utt: str, source: Source, form: Form) -> np.ndarray:
    """Those that the form asks for."""
    if form.channels is None:
        return samples
    if max(form.channels) >= samples.shape[1]:
        raise AudioError(
            f"utterance {utt!r}, {source.entry}: found {samples.shape[1]} channels, expected "
            f"channel {max(form.channels)} (counted from 0): change --ref_channels"
        )
    return samples[:, list(form.channels)]


def _as_it_is(source: Source, form: Form, rate: int) -> bytes | None:
    """The source's own file, where encoding it again would change nothing."""
    whole = source[1:] == WHOLE and form.channels is None and form.clean == AS_IT_IS
    if whole and form.audio_format.startswith("flac") and ark_offset(source.entry)[1] is None:
        return _flac_16(source.entry, rate)
    return None


def _flac_16(entry: str, rate: int) -> bytes | None:
    """The bytes of a 16-bit flac file at that rate: encoding it again would change nothing."""
    if entry.endswith("|"):
        return None
    with open(entry, "rb") as stream:
        head = stream.read(22)
        # STREAMINFO: 20 bits of rate, 3 of channels, 5 of bits a sample minus one, from byte 18 on.
        bits = int.from_bytes(head[18:22], "big")
        if head[:4] != b"fLaC" or bits >> 12 != rate or (bits >> 4 & 31) + 1 != 16:
            return None
        return head + stream.read()
