"""Features of a data directory on the disk: Kaldi arks or HDF5, in shares, with their mean and variance.

A share is written beside its final name and renamed when it is whole; its name tells of its settings and audio, so a
finished directory stays valid until the next one is. Whoever finds all shares there writes the tables: feats.scp (and
feats.h5), utt2num_frames, feats_stats.npz (ESPnet's layout: count, sum, sum_square).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from espnet_ext.audio.features import Features, extract, normalised
from espnet_ext.audio.read import AudioError, ark_offset, read
from espnet_ext.audio.sources import Source, count_sources, file_state, sources
from espnet_ext.datadir.tables import write_table
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, locked, write_json
from espnet_ext.progress import progress

if TYPE_CHECKING:
    import numpy as np

    Feats = Iterator[tuple[str, np.ndarray]]

#: utterances that are sorted by length before they are cut into batches
_WINDOW = 256


@dataclass(frozen=True)
class Extraction:
    """What is extracted and how.

    Attributes:
        features: what.
        container: "ark" (Kaldi) or "hdf5".
        normalize: "" (not at all), "utterance", or the file of statistics to normalise with.
        device: "cpu" or "cuda".
        batch_seconds: as much audio is computed at once, padding included.
    """

    features: Features = Features()  # noqa: RUF009  # frozen
    container: str = "ark"
    normalize: str = ""
    device: str = "cpu"
    batch_seconds: float = 60.0


def extract_set(data: Path, out: Path, job: int, jobs: int, how: Extraction) -> bool:
    """Do one share of a data directory, and the tables when it was the last one.

    Returns:
        whether all shares are there.

    Raises:
        UserError: unusable audio, or another rate than the features'.
    """
    check_device(how.device)
    statistics(how.normalize)
    count_sources(data)
    every = dict(sources(data))
    shares = [_share(every, k, jobs) for k in range(1, jobs + 1)]
    stems = [
        out / "shares" / f"{k}of{jobs}.{key_of(share, how)}" for k, share in enumerate(shares, 1)
    ]
    mine, stem = shares[job - 1], stems[job - 1]
    if Path(f"{stem}.json").is_file():
        print(f"{out}: share {job}/{jobs} is there already")
    else:
        done = progress(_compute(mine, how), len(mine), f"features {out.name} {job}/{jobs}")
        write = _write_ark if how.container == "ark" else _write_hdf5
        about = write(stem, done)
        write_json(f"{stem}.json", {"features": asdict(how.features), **about})
    return merge(out, stems, how)


def _share(every: dict[str, Source], job: int, jobs: int) -> dict[str, Source]:
    names = sorted(every)
    return {u: every[u] for u in names[len(names) * (job - 1) // jobs : len(names) * job // jobs]}


def key_of(mine: dict[str, Source], how: Extraction) -> str:
    """Changes with the utterances, their files and whatever else the numbers depend on."""
    files = [file_state(ark_offset(mine[utt].entry)[0]) for utt in sorted(mine)]
    normalize = (how.normalize, file_state(how.normalize))
    what = (sorted(mine.items()), files, how.features, how.container, normalize)
    return hashlib.sha1(repr(what).encode()).hexdigest()[:16]


def _compute(mine: dict[str, Source], how: Extraction) -> Feats:
    """(id, (F, D)) of every utterance."""
    mean, std = statistics(how.normalize)
    for batch in _batches(mine, how):
        found = extract([wave for _, wave in batch], how.features, how.device)
        for (utt, _), feats in zip(batch, found, strict=True):
            if mean is not None and mean.shape != feats.shape[1:]:
                raise UserError(
                    f"{how.normalize}: found statistics of {mean.size} dimensions, expected "
                    f"{feats.shape[1]} as the features have: choose those of the same settings"
                )
            yield utt, normalised(feats, mean, std) if how.normalize else feats


def statistics(normalize: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Mean and standard deviation (D,) from a feats_stats.npz; None for "" and "utterance".

    Raises:
        UserError: for any other file.
    """
    import numpy as np

    if normalize in ("", "utterance"):
        return None, None
    if not Path(normalize).is_file():
        raise UserError(f"--normalize: found no file {normalize}, expected one, or utterance")
    try:
        with np.load(normalize) as stats:
            return moments(int(stats["count"]), stats["sum"], stats["sum_square"])
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise UserError(
            f"{normalize}: found no statistics ({error}), expected a feats_stats.npz with count, sum "
            "and sum_square"
        ) from None


def check_device(name: str) -> None:
    """Raises UserError for a device that torch does not know or that is not there."""
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    there = device.type == "cuda" and (device.index or 0) < torch.cuda.device_count()
    if device.type != "cpu" and not there:
        raise UserError(f"--device: found {name!r}, expected cpu, or cuda on a machine with a GPU")


def _batches(mine: dict[str, Source], how: Extraction) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Utterances of similar length, no more than `batch_seconds` together."""
    most = how.batch_seconds * how.features.fs
    names = list(mine)
    for first in range(0, len(names), _WINDOW):
        waves = [(u, _wave(u, mine[u], how.features)) for u in names[first : first + _WINDOW]]
        waves.sort(key=lambda item: len(item[1]))
        batch: list[tuple[str, np.ndarray]] = []
        for item in waves:
            if batch and len(item[1]) * (len(batch) + 1) > most:
                yield batch
                batch = []
            batch.append(item)
        yield batch


def _wave(utt: str, source: Source, features: Features) -> np.ndarray:
    """The first channel, (T,) float32."""
    from espnet_ext.audio.resample import change_speed

    samples, rate = read(source.entry, utt, start=source.start, end=source.end)
    if rate != features.fs or source.draw != "0":
        what = f"{rate} Hz" if rate != features.fs else "an augmented copy"
        raise AudioError(
            f"utterance {utt!r}, {source.entry}: found {what}, expected audio at {features.fs} Hz as it is: run "
            "format_audio first, or set --fs"
        )
    wave = samples[:, 0]
    return wave if source.speed == 1.0 else change_speed(wave.copy(), source.speed)


class _Sums:
    """Frames of every utterance, and sums over all of them."""

    def __init__(self) -> None:
        self.frames: dict[str, int] = {}
        self.total: Any = 0.0
        self.squares: Any = 0.0

    def add(self, utt: str, feats: np.ndarray) -> None:
        wide = feats.astype("float64")
        self.frames[utt] = len(feats)
        self.total = self.total + wide.sum(axis=0)
        self.squares = self.squares + (wide**2).sum(axis=0)

    def about(self, places: dict[str, str]) -> dict[str, Any]:
        """For the share's JSON."""
        sums = {name: getattr(self, name) for name in ("total", "squares")}
        lists = {name: value.tolist() if self.frames else [] for name, value in sums.items()}
        return {"frames": self.frames, "places": places, **lists}


def _write_ark(stem: Path, feats: Iterable[tuple[str, np.ndarray]]) -> dict[str, Any]:
    import kaldiio

    sums, places = _Sums(), {}
    with atomic_open(f"{stem}.ark", "wb") as stream:
        for utt, matrix in feats:
            place = stream.tell() + len(utt.encode()) + 1
            kaldiio.save_ark(stream, {utt: matrix})
            places[utt] = f"{stem}.ark:{place}"
            sums.add(utt, matrix)
    return sums.about(places)


def _write_hdf5(stem: Path, feats: Iterable[tuple[str, np.ndarray]]) -> dict[str, Any]:
    import h5py

    sums, places = _Sums(), {}
    stem.parent.mkdir(parents=True, exist_ok=True)
    beside = stem.with_name(f".{stem.name}.h5.tmp")
    with h5py.File(beside, "w") as file:
        for utt, matrix in feats:
            file[utt] = matrix
            places[utt] = f"{stem}.h5"
            sums.add(utt, matrix)
    beside.replace(f"{stem}.h5")
    return sums.about(places)


def merge(out: Path, stems: list[Path], how: Extraction) -> bool:
    """Write the tables if all shares are there, and remove those of other settings.

    Returns:
        whether they are.
    """
    import numpy as np

    paths = [Path(f"{stem}.json") for stem in stems]
    if not all(path.is_file() for path in paths):
        return False
    shares = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    places = {utt: place for share in shares for utt, place in share["places"].items()}
    frames = {utt: number for share in shares for utt, number in share["frames"].items()}
    with locked(out / "shares" / "merge.lock"):
        if how.container == "hdf5":
            _link(out, places)
        write_table(out / "utt2num_frames", {utt: str(n) for utt, n in frames.items()})
        sums = [
            np.sum([s[name] for s in shares if s[name]], axis=0) for name in ("total", "squares")
        ]
        with atomic_open(out / "feats_stats.npz", "wb") as stream:
            np.savez(stream, count=sum(frames.values()), sum=sums[0], sum_square=sums[1])
        write_json(out / "features.json", asdict(how.features))
        write_table(out / "feats.scp", places)
        for path in (out / "shares").glob("*of*.*"):
            if path.with_suffix("") not in stems and path.suffix in (".json", ".ark", ".h5"):
                path.unlink(missing_ok=True)
    return True


def _link(out: Path, places: dict[str, str]) -> None:
    """feats.h5: every utterance of every share under its id, without a copy."""
    import h5py

    beside = out / ".feats.h5.tmp"
    with h5py.File(beside, "w") as file:
        for utt, place in places.items():
            file[utt] = h5py.ExternalLink(f"shares/{Path(place).name}", utt)
    beside.replace(out / "feats.h5")


def moments(count: int, total: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation from sums; the same shape."""
    import numpy as np

    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
