"""Beamformers from masks, differentiable: covariances, MVDR, GEV, and what turns sound to spectra and back.

Letters in shapes: B batch, N samples, C microphones, F frequencies, T frames. Complex gradients are torch's; inverses
are of loaded matrices and in double precision, whatever the input's.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Share of the mean eigenvalue that is added to every eigenvalue of a covariance before it is inverted.
LOADING = 1e-5
#: Added besides, so that silence has an inverse. Full scale is 1.
FLOOR = 1e-10
#: Steps of the power iteration that finds a principal eigenvector.
STEPS = 12


def to_spectra(samples: Tensor, window: Tensor, hop: int) -> Tensor:
    """(B, N, C) -> (B, C, F, T), T as frames_of says; F is half the window and one.

    There is silence before and after, and every frame that hears a sample, so that an utterance gives the same alone
    and followed by zeros in a batch.
    """
    batch, length, channels = samples.shape
    flat = samples.transpose(1, 2).reshape(batch * channels, length)
    flat = torch.nn.functional.pad(flat, (0, len(window) // 2))
    found = torch.stft(
        flat, len(window), hop, window=window, pad_mode="constant", return_complex=True
    )
    return found.view(batch, channels, *found.shape[1:])


def frames_of(lengths: Tensor, window: Tensor, hop: int) -> Tensor:
    """Frames of so many samples, (B,)."""
    return torch.div(lengths + len(window) // 2, hop, rounding_mode="floor") + 1


def to_samples(spectra: Tensor, window: Tensor, hop: int, length: int) -> Tensor:
    """(B, F, T) -> (B, length)."""
    return torch.istft(spectra, len(window), hop, window=window, length=length)


def covariances(spectra: Tensor, mask: Tensor) -> Tensor:
    """Mean of x x^H over the frames of (B, C, F, T), weighted by a mask (B, F, T): (B, F, C, C) complex128."""
    x = spectra.transpose(1, 2)  # (B, F, C, T)
    total = mask.sum(-1).clamp(min=1e-6)
    weighted = x * (mask / total[..., None])[:, :, None]
    return (weighted @ x.mH).to(torch.complex128)


def loaded(covariance: Tensor, loading: float = LOADING) -> Tensor:
    """(..., C, C) Hermitian with `loading` times its mean eigenvalue on the diagonal besides; invertible."""
    channels = covariance.shape[-1]
    mean = covariance.diagonal(dim1=-2, dim2=-1).real.sum(-1) / channels
    eye = torch.eye(channels, dtype=covariance.dtype, device=covariance.device)
    return covariance + (loading * mean + FLOOR)[..., None, None] * eye


def mvdr_weights(speech: Tensor, noise: Tensor, reference: Tensor) -> Tensor:
    """The filter that leaves the speech as the reference hears it and as little noise as can be.

    Souden, Benesty and Affes (2010), eq. 18: no direction has to be known.

    Args:
        speech, noise: covariances (B, F, C, C).
        reference: share of each microphone in the reference (B, C), each row's sum 1.

    Returns:
        (B, F, C); the filter is the conjugate.
    """
    ratio = torch.linalg.solve(loaded(noise), speech)
    trace = ratio.diagonal(dim1=-2, dim2=-1).sum(-1)
    scale = 1 / (trace.real + 1e-12)  # the trace of a product of two such matrices is real
    return torch.einsum("bfcd,bd->bfc", ratio, reference.to(ratio.dtype)) * scale[..., None]


def gev_weights(speech: Tensor, noise: Tensor, reference: Tensor) -> Tensor:
    """The filter of the greatest signal-to-noise ratio in every frequency, with blind analytic normalisation.

    Warsitz and Haeb-Umbach (2007), eq. 19 and 25. The eigenvector comes from a power iteration, whose gradient
    exists where that of an eigendecomposition, with equal eigenvalues, does not; its phase is that of MVDR, so that
    frequencies fit together.

    Args:
        speech, noise: covariances (B, F, C, C).
        reference: share of each microphone in the reference (B, C).

    Returns:
        (B, F, C).
    """
    inverted = loaded(noise)
    ratio = torch.linalg.solve(inverted, speech)
    size = ratio.abs().amax((-2, -1), keepdim=True).detach() + 1e-30
    ratio = ratio / size
    vector = torch.einsum("bfcd,bd->bfc", ratio, reference.to(ratio.dtype))
    for _ in range(STEPS):
        vector = _unit(torch.einsum("bfcd,bfd->bfc", ratio, vector))
    heard = torch.einsum("bfc,bfcd,bd->bf", vector.conj(), speech, reference.to(ratio.dtype))
    vector = vector * (heard / (heard.abs() + 1e-30))[..., None]
    through = torch.einsum("bfcd,bfd->bfc", inverted, vector)
    power = torch.einsum("bfc,bfc->bf", vector.conj(), through).real
    gain = (through.abs().square().sum(-1) / vector.shape[-1] + 1e-40).sqrt() / (power + 1e-20)
    return vector * gain[..., None]


def _unit(vector: Tensor) -> Tensor:
    """(..., C) of length 1; zeros stay."""
    return vector / (vector.abs().square().sum(-1, keepdim=True) + 1e-30).sqrt()


def filtered(spectra: Tensor, weights: Tensor) -> Tensor:
    """(B, C, F, T) and (B, F, C) -> (B, F, T), in the spectra's precision."""
    return torch.einsum("bfc,bcft->bft", weights.conj().to(spectra.dtype), spectra)


def best_reference(speech: Tensor, noise: Tensor, sharpness: Tensor | float = 1.0) -> Tensor:
    """How much each microphone is the reference: a softmax of its signal-to-noise ratio; (B, C) float64.

    Args:
        speech, noise: covariances (B, F, C, C).
        sharpness: of the softmax of log ratios; 0: all alike.
    """
    parts = [
        x.diagonal(dim1=-2, dim2=-1).real.clamp(min=FLOOR).log().mean(1) for x in (speech, noise)
    ]
    return torch.softmax(sharpness * (parts[0] - parts[1]), dim=-1)
