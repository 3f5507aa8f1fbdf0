"""The front end of a recogniser that hears several microphones, trained with it.

In a YAML: `frontend: espnet_ext.asr.multichannel.frontend:BeamformingFrontend`. Letters in shapes: B batch, N samples,
C microphones, F frequencies, T frames.
"""

from __future__ import annotations

from typing import Any

import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from torch import Tensor

from espnet_ext.asr.blocks import length_mask
from espnet_ext.asr.multichannel import spatial
from espnet_ext.asr.multichannel.masks import MaskEstimator
from espnet_ext.asr.multichannel.wpe import wpe
from espnet_ext.bridge.choices import choices
from espnet_ext.bridge.hook import import_class

BEAMFORMERS = {"mvdr": spatial.mvdr_weights, "gev": spatial.gev_weights}


class BeamformingFrontend(AbsFrontend):
    """Masks, covariances, a beamformer and, from the one channel that it makes, log-mel features (Ochiai et al. 2017).

    The beamformer has windows of its own and gives a waveform, so that the features are what a recogniser of one
    channel knows, and its weights can be the start. One channel (B, N) passes by the beamformer.

    Args:
        fs: sampling rate in Hz.
        n_fft, win_length, hop_length, n_mels, fmin, fmax: of the features, as ESPnet's default front end has them.
        beamformer: "mvdr" or "gev".
        window: samples of the beamformer's windows.
        hop: samples from one of them to the next.
        reference: microphone, from 0, as which the speech is heard; None: a weighting by their signal-to-noise ratios,
            how sharp is learnt.
        mask_width, mask_layers: of the mask estimator.
        mask_channels: in training the masks are those of so many microphones, by lot, of each batch; None: all. The
            beamformer always uses all.
        bypass: probability that a batch in training passes by the beamformer, as one microphone of each utterance.
        wpe_taps: frames used to take reverberation off before; 0: it stays.
        wpe_delay, wpe_iterations: see espnet_ext.asr.multichannel.wpe.

    Raises:
        ValueError: for a beamformer or a size that there is not.
    """

    #: tells decoding to leave the channels as they are
    multichannel = True

    def __init__(
        self,
        fs: int = 16000,
        n_fft: int = 512,
        win_length: int | None = None,
        hop_length: int = 128,
        n_mels: int = 80,
        fmin: int | None = None,
        fmax: int | None = None,
        beamformer: str = "mvdr",
        window: int = 512,
        hop: int = 256,
        reference: int | None = None,
        mask_width: int = 128,
        mask_layers: int = 1,
        mask_channels: int | None = None,
        bypass: float = 0.0,
        wpe_taps: int = 0,
        wpe_delay: int = 3,
        wpe_iterations: int = 2,
    ) -> None:
        super().__init__()
        if beamformer not in BEAMFORMERS:
            raise ValueError(f"found {beamformer!r}, expected one of {', '.join(BEAMFORMERS)}")
        if window % 2 or not 0 < hop <= window // 2:
            raise ValueError(f"found window {window} and hop {hop}, expected hop <= window / 2")
        if not 0 <= bypass < 1 or wpe_taps < 0 or (mask_channels is not None and mask_channels < 1):
            raise ValueError("expected 0 <= bypass < 1, wpe_taps >= 0 and mask_channels >= 1")
        self.weights, self.hop, self.reference = BEAMFORMERS[beamformer], hop, reference
        self.mask_channels, self.bypass = mask_channels, bypass
        self.wpe = {"taps": wpe_taps, "delay": wpe_delay, "iterations": wpe_iterations}
        self.masks = MaskEstimator(window // 2 + 1, mask_width, mask_layers)
        self.sharpness = torch.nn.Parameter(torch.tensor(2.0)) if reference is None else None
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        conf = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
        # not find_class, which would change how a stock process that uses this class imports ESPnet
        default = import_class(choices("asr")["frontend"]["default"])
        self.features = default(fs=fs, n_mels=n_mels, fmin=fmin, fmax=fmax, **conf)
        self.stft = self.features.stft

    def output_size(self) -> int:
        """Features a frame."""
        return int(self.features.output_size())

    def forward(self, input: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C) or (B, N) and samples of each (B,) -> log-mel features (B, T, D) and frames of each (B,)."""
        found: tuple[Tensor, Tensor] = self.features(
            self.one_channel(input, input_lengths), input_lengths
        )
        return found

    def one_channel(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """(B, N, C) -> (B, N): beamformed, or one microphone of each in a batch that passes by."""
        if samples.dim() == 2:
            return samples
        if samples.shape[-1] == 1:
            return samples[..., 0]
        if self.training and self.bypass and float(torch.rand(())) < self.bypass:
            chosen = torch.randint(samples.shape[-1], (len(samples), 1, 1)).to(samples.device)
            return samples.gather(2, chosen.expand(-1, samples.shape[1], 1))[..., 0]
        return self.beamformed(samples, lengths)

    def beamformed(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """(B, N, C) -> (B, N), silent past each length."""
        device_type = samples.device.type
        with torch.autocast(device_type, enabled=False):  # spectra span more than 16 bits hold
            samples = samples.float() * length_mask(lengths, samples.shape[1])[..., None]
            spectra = spatial.to_spectra(samples, self.window, self.hop)
            frames = spatial.frames_of(lengths, self.window, self.hop)
            if self.wpe["taps"]:
                spectra = wpe(spectra, length_mask(frames, spectra.shape[-1]), **self.wpe)
            speech, noise = self._covariances(spectra, frames)
            weights = self.weights(speech, noise, self._reference(speech, noise))
            made = spatial.filtered(spectra, weights)
            made = spatial.to_samples(made, self.window, self.hop, samples.shape[1])
        return made * length_mask(lengths, samples.shape[1])

    def _covariances(self, spectra: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Of speech and of noise, (B, F, C, C)."""
        heard = spectra
        if self.training and self.mask_channels and self.mask_channels < spectra.shape[1]:
            heard = spectra[:, torch.randperm(spectra.shape[1])[: self.mask_channels]]
        speech, noise = self.masks(heard, frames)
        return spatial.covariances(spectra, speech), spatial.covariances(spectra, noise)

    def _reference(self, speech: Tensor, noise: Tensor) -> Tensor:
        """Share of each microphone in the reference, (B, C)."""
        if self.sharpness is not None:
            return spatial.best_reference(speech, noise, self.sharpness)
        assert self.reference is not None
        if self.reference >= speech.shape[-1]:
            raise ValueError(
                f"found {speech.shape[-1]} channels, expected more than reference {self.reference}"
            )
        chosen = torch.zeros(speech.shape[-1], dtype=torch.float64, device=speech.device)
        chosen[self.reference] = 1.0
        return chosen.expand(len(speech), -1)

    def extra_repr(self) -> str:
        """Shown in the model's print."""
        told: dict[str, Any] = {"reference": self.reference, "bypass": self.bypass, "wpe": self.wpe}
        return ", ".join(f"{name}={value}" for name, value in told.items())
