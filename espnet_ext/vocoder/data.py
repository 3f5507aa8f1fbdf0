"""Stretches of recordings, each with what the mel spectrogram of its frames has to see.

Letters in shapes: S frames of a stretch, M mel bins.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from espnet_ext.audio.f0 import F0, track
from espnet_ext.audio.features import Features
from espnet_ext.audio.read import opened
from espnet_ext.datadir import numbers_in, read_table
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import soundfile


@dataclass
class Segments:
    """Utterances of a data directory, of which a random stretch is seen each epoch.

    What is drawn follows from (seed, epoch, utterance), whoever reads it and whenever.

    Attributes:
        ids: utterance ids; with several stretches of each, `id@2` is the second one's.
        audio: `wav.scp` values by utterance.
        seconds: duration of each of `ids`.
        features: of the front end.
        frames: S, of a stretch.
        mels: matrices (frames, M) to condition on, by utterance; empty = computed from the recording.
        f0: whether a stretch comes with its F0, for generators that learn it.
        seed: (seed of the training, epoch).
        tokens: none; the training asks for them.
    """

    ids: list[str]
    audio: dict[str, str]
    seconds: list[float]
    features: Features
    frames: int
    mels: Mapping[str, str] = field(default_factory=dict)
    f0: bool = False
    seed: tuple[int, int] = (0, 0)
    tokens: Sequence[np.ndarray] = ()
    preprocessor: Any = None

    def __len__(self) -> int:
        return len(self.ids)

    def lengths(self, batch_type: str) -> list[float]:
        """All the same: seconds of a stretch, or one utterance.

        Raises:
            UserError: for another unit.
        """
        if batch_type not in ("seconds", "utterances"):
            raise UserError(f"batch_type: found {batch_type!r}, expected utterances or seconds")
        seconds = self.frames * self.features.hop_length / self.features.fs
        return [1.0 if batch_type == "utterances" else seconds] * len(self)

    def __getitem__(self, index: int) -> tuple[str, dict[str, np.ndarray]]:
        """A stretch.

        Returns:
            Its name, and speech (n_fft + S * hop,), which has n_fft / 2 samples more on either side; mel (S, M) and f0
            (S,) in Hz with 0 = unvoiced if asked for.

        Raises:
            UserError: for audio of another rate, or given spectrograms that do not go with it.
        """
        name = self.ids[index]
        utt = name.rpartition("@")[0] if name not in self.audio else name
        draw = np.random.default_rng([*self.seed, zlib.crc32(name.encode())])
        given = _matrix(self.mels[utt]) if self.mels else None
        with opened(self.audio[utt], utt) as stream:
            if stream.samplerate != self.features.fs:
                raise UserError(
                    f"utterance {utt}: found audio at {stream.samplerate} Hz, expected {self.features.fs} Hz as "
                    "feats_extract_conf says: format the audio with --fs, or change the YAML"
                )
            last = stream.frames // self.features.hop_length - self.frames
            if given is not None:
                self._check(utt, given, self.features.frames(stream.frames))
                last = min(last, len(given) - self.frames)
            first = int(draw.integers(max(last, 0) + 1))
            item = {"speech": self._stretch(stream, first)}
        if given is not None:
            item["mel"] = _rows(given, first, self.frames)
        if self.f0:
            item["f0"] = self._f0(item["speech"])
        return name, item

    def _check(self, utt: str, mel: np.ndarray, frames: int) -> None:
        """Raise a UserError for a matrix that does not go with its recording."""
        if abs(len(mel) - frames) > 1 or mel.shape[1] != self.features.n_mels:
            raise UserError(
                f"utterance {utt}: found a spectrogram of shape {mel.shape} in mels.scp, expected "
                f"{(frames, self.features.n_mels)}: it has to follow the recording frame for frame, with the same "
                "feats_extract_conf (tts_synthesize --teacher_forced)"
            )

    def _stretch(self, stream: soundfile.SoundFile, frame: int) -> np.ndarray:
        """Samples around `frame` and the S - 1 after it; mirrored at the utterance's edges, as the front end does."""
        f = self.features
        half, hop = f.n_fft // 2, f.hop_length
        begin, end = frame * hop - half, (frame + self.frames) * hop + half
        stream.seek(max(begin, 0))
        found = stream.read(min(end, stream.frames) - max(begin, 0), "float32", always_2d=True)[
            :, 0
        ]
        short = self.frames * hop - stream.frames
        if short > 0:  # silence after an utterance that is too short
            found = np.pad(found, (0, short))
        left, right = max(-begin, 0), max(end - max(stream.frames, self.frames * hop), 0)
        return np.pad(found, (left, right), mode="reflect")

    def _f0(self, speech: np.ndarray) -> np.ndarray:
        """Of the S frames of a stretch."""
        before, skipped = divmod(self.features.n_fft // 2, self.features.hop_length)
        how = F0(shift=self.features.hop_length / self.features.fs, low=60.0, high=600.0)
        return track(speech[skipped:], self.features.fs, how)[before : before + self.frames]


def made_up_stretches(
    features: Features, frames: int, number: int, mels: bool = False, f0: bool = False
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Stretches of noise, to try a configuration with."""
    random, found = np.random.default_rng(0), []
    for name in range(number):
        noise = random.standard_normal(features.n_fft + frames * features.hop_length)
        item = {"speech": 0.1 * noise.astype(np.float32)}
        if mels:
            item["mel"] = random.standard_normal((frames, features.n_mels)).astype(np.float32)
        if f0:
            item["f0"] = np.full(frames, 120.0, np.float32)
        found.append((f"made-up-{name}", item))
    return found


def _mels(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected an acoustic model's spectrograms as `mels:` says: make them with "
            "tts_synthesize --teacher_forced"
        )
    return read_table(path)


def _those_with(mels: Mapping[str, str], audio: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What of the audio has spectrograms: a synthesiser's data may be filtered by length."""
    found = {utt: entry for utt, entry in audio.items() if utt in mels}
    if not found:
        raise UserError(
            f"{folder}/mels.scp: found no utterance of {len(audio)} in the data, expected the same ids"
        )
    if len(found) < len(audio):
        logging.warning(
            "%s/mels.scp: %d of %d utterances have spectrograms", folder, len(found), len(audio)
        )
    return found


def _matrix(entry: str) -> np.ndarray:
    import kaldiio

    return np.array(kaldiio.load_mat(entry), dtype=np.float32)


def _rows(mel: np.ndarray, first: int, number: int) -> np.ndarray:
    """`number` rows from `first` on; the last one again where there are too few."""
    rows = mel[first : first + number]
    return np.pad(rows, ((0, number - len(rows)), (0, 0)), mode="edge")


def read_segments(
    directory: Path,
    features: Features,
    frames: int,
    each: int = 1,
    mels: bool | str | Path = False,
    f0: bool = False,
) -> Segments:
    """The stretches of a formatted data directory (wav.scp, utt2dur, and mels.scp where asked for).

    Args:
        directory: made by format_audio and filter_data.
        features: of the front end.
        frames: of a stretch.
        each: stretches of an utterance in an epoch.
        f0: give the F0 of each stretch, too.
        mels: condition on the matrices of mels.scp (an acoustic model's), not on the recording's own: that of the
            directory (true), or of the folder of its name in a directory that tts_synthesize --teacher_forced made.

    Raises:
        UserError: if tables are missing or disagree, or a stretch is shorter than the front end's window.
    """
    if frames * features.hop_length <= features.n_fft // 2 or each < 1:
        raise UserError(
            f"segment_frames: found {frames} (and segments_per_utterance {each}), expected more than "
            f"{features.n_fft // 2 // features.hop_length}, as the window is long (and 1 or more)"
        )
    audio = read_table(directory / "wav.scp")
    tables = {"utt2dur": read_table(directory / "utt2dur")}
    if mels:
        folder = directory if mels is True else Path(mels) / directory.name
        tables["mels.scp"] = _mels(folder / "mels.scp")
        if mels is not True:
            audio = _those_with(tables["mels.scp"], audio, folder)
    for name, table in tables.items():
        lacking = next((utt for utt in audio if utt not in table), None)
        if lacking is not None:
            raise UserError(
                f"{directory}: {name} lacks utterance {lacking}, which wav.scp has; run fix_data on it"
            )
    if not audio:
        raise UserError(f"{directory} has no utterance; check the filter's limits")
    duration = numbers_in(tables["utt2dur"], directory / "utt2dur")
    names = [utt if n == 1 else f"{utt}@{n}" for utt in audio for n in range(1, each + 1)]
    seconds = [duration[utt] for utt in audio for _ in range(each)]
    return Segments(names, audio, seconds, features, frames, tables.get("mels.scp", {}), f0)
