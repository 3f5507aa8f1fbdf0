"""Several microphones become one channel: blind MVDR beamforming, in place of BeamformIt.

Letters in shapes: C microphones, F frequencies, T frames, N samples.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.audio.read import read
from espnet_ext.errors import UserError
from espnet_ext.progress import progress

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

#: Short-time Fourier transform at 16 kHz: 64 ms windows every 16 ms.
WINDOW, HOP = 1024, 256
#: A microphone whose correlation with the others is below this share of the median has failed.
FAILED = 0.5
#: Rounds of the speech and noise model.
ROUNDS = 12
#: Names how it is done, so that sounds are made anew when that changes.
METHOD = (WINDOW, HOP, FAILED, ROUNDS, "weights of frames")


def beamform_files(
    jobs: Sequence[tuple[Path, Sequence[str]]], label: str, workers: int = 0
) -> None:
    """Beamform many utterances; what is there already is not done again.

    Args:
        jobs: (file to write, paths of its microphones' sounds).
        label: what is done, for the progress.
        workers: threads; 0: one a core.
    """
    _each(_one, jobs, label, workers)


def join_files(jobs: Sequence[tuple[Path, Sequence[str]]], label: str, workers: int = 0) -> None:
    """One sound of several channels from the microphones of each utterance; as `beamform_files` else."""
    _each(_join, jobs, label, workers)


def _each(
    make: Callable[[tuple[Path, Sequence[str]]], None],
    jobs: Sequence[tuple[Path, Sequence[str]]],
    label: str,
    workers: int,
) -> None:
    todo = [job for job in jobs if not job[0].is_file()]
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for _ in progress(pool.map(make, todo), len(todo), label):
            pass


def digest_of(paths: Iterable[str]) -> str:
    """Of the sounds (path, size, time of change) and of how they are beamformed: names what was made of them."""
    found = hashlib.sha256(repr(METHOD).encode())
    for path in sorted(paths):
        about = os.stat(path)
        found.update(f"\n{os.path.realpath(path)} {about.st_size} {about.st_mtime_ns}".encode())
    return found.hexdigest()[:16]


def beamformed_copy(data: Path, out: Path, job: int = 1, jobs: int = 1) -> bool:
    """Write one share of `out`: the data directory `data` with each utterance's channels made one.

    Returns:
        whether `out` is complete.

    Raises:
        UserError: no data directory, or sound that cannot be read.
    """
    from espnet_ext.audio.remake import Remaking, remake

    return remake(data, out, job, jobs, Remaking(_made_one, repr(METHOD), "beamform"))


def _made_one(utt: str, entry: str) -> tuple[np.ndarray, int, dict[str, str]]:
    from espnet_ext.audio.resample import to_int16

    samples, rate = read(entry, utt)
    return to_int16(beamform(samples.T)), rate, {}


def _one(job: tuple[Path, Sequence[str]]) -> None:
    from espnet_ext.audio.resample import to_int16
    from espnet_ext.audio.write import write

    target, paths = job
    samples, rate = read_microphones(paths)
    write(target, to_int16(beamform(samples)), rate)


def _join(job: tuple[Path, Sequence[str]]) -> None:
    from espnet_ext.audio.resample import to_int16
    from espnet_ext.audio.write import write

    target, paths = job
    samples, rate = read_microphones(paths)
    write(target, to_int16(samples.T), rate)


def read_microphones(paths: Iterable[str]) -> tuple[np.ndarray, int]:
    """Mono sounds of one utterance as (C, N), cut to the shortest.

    Raises:
        UserError: if their rates differ or they differ in length by more than 10 %.
    """
    import numpy as np

    found = [read(path) for path in paths]
    rates = {rate for _, rate in found}
    lengths = sorted(len(samples) for samples, _ in found)
    if len(rates) > 1 or lengths[0] < 0.9 * lengths[-1]:
        raise UserError(
            f"{', '.join(paths)}: found {lengths} samples at {sorted(rates)} Hz, expected the same of "
            "all microphones: remove the utterance"
        )
    return np.stack([samples[: lengths[0], 0] for samples, _ in found]), rates.pop()


def beamform(samples: np.ndarray) -> np.ndarray:
    """One channel from several that hear the same speaker; no positions need to be known.

    Masks of speech and noise by a mixture of two complex angular central Gaussians in every
    frequency (Ito, Araki, Nakatani 2016), whose weights are those of a frame, the same in all
    frequencies (Ito, Araki, Nakatani 2013); begun from how loud a frame is against the noise
    floor. Covariances, relative transfer function and MVDR weights are torchaudio's (Souden,
    Benesty, Affes 2010). Failed microphones are left out; the reference is the microphone most
    like the others.

    Args:
        samples: (C, N) float.

    Returns:
        (N,) float32, as loud as the reference microphone hears the speech.
    """
    import torch

    found = torch.from_numpy(samples.astype("float32"))
    working, reference = choose_microphones(found)
    if len(working) == 1:
        return samples[working[0]].astype("float32")
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(found[working], WINDOW, HOP, window=window, return_complex=True)
    made = _mvdr(spectrum, speech_mask(spectrum), working.index(reference))
    return torch.istft(made, WINDOW, HOP, window=window, length=samples.shape[1]).numpy()


def choose_microphones(samples: Tensor) -> tuple[list[int], int]:
    """Working microphones of (C, N), and the one that resembles the others most.

    Resemblance is the mean over the others of the largest cross-correlation within 8 ms.
    """
    import torch

    size = 1 << (2 * samples.shape[1] - 1).bit_length()
    spectra = torch.fft.rfft(samples - samples.mean(-1, keepdim=True), size)
    cross = torch.fft.irfft(spectra[:, None] * spectra[None].conj(), size)
    near = torch.cat([cross[..., :128], cross[..., -128:]], -1).amax(-1)  # (C, C)
    power = near.diagonal().clamp(min=1e-10).sqrt()
    alike = (near / power[:, None] / power).fill_diagonal_(0).sum(-1) / max(1, len(near) - 1)
    working = (alike >= FAILED * alike.median()).nonzero().flatten().tolist()
    return working, int(alike.argmax())


def speech_mask(spectrum: Tensor) -> Tensor:
    """How much of each (F, T) bin of (C, F, T) is speech, from 0 to 1."""
    import torch

    power = spectrum.abs().square().mean(0)  # (F, T)
    floor = power.quantile(0.2, dim=-1, keepdim=True).clamp(min=1e-12)
    begin = (power / floor / 8).clamp(max=1).square()
    mask = torch.stack([begin, 1 - begin]).clamp(0.02, 0.98)  # (2, F, T)
    unit = (spectrum / spectrum.norm(dim=0).clamp(min=1e-12)).permute(1, 2, 0)  # (F, T, C)
    scores = torch.ones_like(mask)
    for _ in range(ROUNDS):
        scores, log_density = _densities(unit, mask, scores)
        # of a frame, not of a frequency: that the speaker pauses is heard in all frequencies at once, and the classes
        # of one cannot change places
        weight = mask.mean(1, keepdim=True).clamp(min=1e-3).log()
        mask = (weight + log_density).softmax(0).clamp(1e-4, 1 - 1e-4)
    return mask[0]


def _densities(unit: Tensor, mask: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """One step of the mixture: quadratic forms and log densities (2, F, T) of unit vectors (F, T, C)."""
    import torch

    channels = unit.shape[-1]
    weights = (mask / scores.clamp(min=1e-6)).to(unit.dtype)
    shape = torch.einsum("kft,ftc,ftd->kfcd", weights, unit, unit.conj())
    shape = channels * shape / mask.sum(-1)[..., None, None]
    trace = shape.diagonal(dim1=-2, dim2=-1).real.sum(-1)[..., None, None]
    shape = shape + (1e-3 * trace / channels + 1e-10) * torch.eye(channels)
    inverse = torch.linalg.inv(shape)
    forms = torch.einsum("ftc,kfcd,ftd->kft", unit.conj(), inverse, unit).real.clamp(min=1e-6)
    return forms, -torch.linalg.slogdet(shape)[1][..., None] - channels * forms.log()


def _mvdr(spectrum: Tensor, mask: Tensor, reference: int) -> Tensor:
    """(C, F, T) and the speech's mask (F, T) -> (F, T)."""
    import torch
    from torchaudio import functional

    double = spectrum.to(torch.complex128)
    speech = functional.psd(double, mask.double())
    noise = functional.psd(double, (1 - mask).double())
    weights = functional.mvdr_weights_souden(speech, noise, reference, diag_eps=1e-5)
    return functional.apply_beamforming(weights, double).to(spectrum.dtype)
