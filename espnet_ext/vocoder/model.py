"""A generator and its discriminators, in the form that the training loop takes.

Letters in shapes: B batch, T samples, S frames, M mel bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.audio.features import Features
from espnet_ext.vocoder.discriminators import Discriminators
from espnet_ext.vocoder.losses import (
    RESOLUTIONS,
    SpectrumLoss,
    check_kind,
    discriminator_loss,
    feature_loss,
    generator_loss,
)
from espnet_ext.vocoder.mel import LogMel
from espnet_ext.vocoder.options import Count, Transforms, Weight
from espnet_ext.vocoder.turns import Turns

Answer = dict[str, Any]


@dataclass(frozen=True)
class Losses:
    """Weights of the generator's losses; the defaults are HiFi-GAN's (Kong et al. 2020, section 2.4).

    Attributes:
        mel: L1 between natural-log mel spectrograms over all frequencies.
        stft: multi-resolution short-time Fourier transform loss.
        resolutions: of that loss: (n_fft, hop, win_length) each.
        feature: what the discriminators' layers see.
        adversarial: their verdict.
        f0: of a generator that is trained with F0.
        kind: of the verdict, mse or hinge.
        discriminator_start: updates before the discriminators come in.
    """

    mel: Weight = 45.0
    stft: Weight = 0.0
    resolutions: Transforms = RESOLUTIONS
    feature: Weight = 2.0
    adversarial: Weight = 1.0
    f0: Weight = 1.0
    kind: str = "mse"
    discriminator_start: Count = 0

    def __post_init__(self) -> None:
        check_kind(self.kind)


class WaveLosses(nn.Module):
    """What a generator pays for its waveform, and its discriminators for their verdicts.

    Args:
        features: of the front end; the spectrogram that is compared has its frames, and all frequencies.
        weights: of the losses.
    """

    def __init__(self, features: Features, weights: Losses) -> None:
        super().__init__()
        self.weights = weights
        whole: Mapping[str, Any] = {"fmin": None, "fmax": None, "log_base": None, "power": 1}
        self.judge = LogMel(Features(**{**vars(features), **whole}))
        self.spectrum = SpectrumLoss(weights.resolutions) if weights.stft else None

    def generator(
        self, made: Tensor, wave: Tensor, discriminator: Discriminators | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum and its terms without weights; generated and recorded (B, 1, T), None = nobody judges."""
        w = self.weights
        terms = {
            "mel": (self.judge.centred(made[:, 0]) - self.judge.centred(wave[:, 0])).abs().mean()
        }
        if self.spectrum is not None:
            terms["stft"] = self.spectrum(made[:, 0], wave[:, 0])
        if discriminator is not None:
            judged = discriminator(made)
            with torch.no_grad():
                seen = discriminator(wave)
            terms["feature"] = feature_loss(seen, judged)
            terms["adversarial"] = generator_loss(judged, w.kind)
        total = torch.stack([getattr(w, name) * term for name, term in terms.items()]).sum()
        return total, {name: term.detach() for name, term in terms.items()}

    def discriminators(
        self, made: Tensor, wave: Tensor, discriminator: Discriminators
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum and its terms; generated, whose gradients are not wanted, and recorded (B, 1, T)."""
        recorded, generated = discriminator(wave), discriminator(made.detach())
        real, fake = discriminator_loss(recorded, generated, self.weights.kind)
        stats = {"discriminator_real": real.detach(), "discriminator_fake": fake.detach()}
        return real + fake, stats


def no_verdict(discriminator: Discriminators) -> Tensor:
    """A loss with a gradient of zero, so that every update is the same to the loop."""
    return torch.stack([0.0 * p.flatten()[0] for p in discriminator.parameters()]).sum()


class VocoderModel(Turns[Tensor], nn.Module):
    """What trains a generator.

    Args:
        generator: (B, M, S) -> (B, 1, S * hop); or one with a `loss(mel, wave)` of its own, which then needs no
            discriminator (WaveNet, WaveGlow).
        discriminator: None = none.
        features: of the front end.
        mean, std: (M,) of the log mel spectrogram, which the generator gets normalised.
        losses: their weights.
    """

    mean: Tensor
    std: Tensor
    batches: Tensor

    def __init__(
        self,
        generator: nn.Module,
        discriminator: Discriminators | None,
        features: Features,
        mean: Tensor | None = None,
        std: Tensor | None = None,
        losses: Losses = Losses(),
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.features, self.losses = features, losses
        self.register_buffer("mean", torch.zeros(features.n_mels) if mean is None else mean)
        self.register_buffer("std", torch.ones(features.n_mels) if std is None else std)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.mel = LogMel(features)
        self.pays = WaveLosses(features, losses)

    def normalised(self, mel: Tensor) -> Tensor:
        """(B, M, S) -> (B, M, S) with mean 0 and deviation 1."""
        return (mel - self.mean[:, None]) / self.std[:, None]

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor | None = None,
        mel: Tensor | None = None,
        mel_lengths: Tensor | None = None,
        f0: Tensor | None = None,
        f0_lengths: Tensor | None = None,
        forward_generator: bool = True,
    ) -> Answer:
        """One turn.

        Args:
            speech: (B, T + n_fft), T = S * hop samples with n_fft / 2 more on either side.
            mel: (B, S, M) to condition on; None = that of the speech.
            f0: (B, S) in Hz, 0 = unvoiced, for a generator that is trained with it.
            forward_generator: the generator's turn, or the discriminators'.

        Returns:
            loss, stats and weight, as ESPnet's GAN models have them.
        """
        half = self.features.n_fft // 2
        wave = speech[:, half:-half]
        if mel is None:
            frames = wave.shape[1] // self.features.hop_length
            given = self.mel(speech)[..., :frames]
        else:
            given = mel.transpose(1, 2)
        given = self.normalised(given)
        if hasattr(self.generator, "loss"):
            loss = self.generator.loss(given, wave)  # type: ignore[operator]
            stats = {"nll": loss.detach(), "loss": loss.detach()}
        elif forward_generator:
            loss, stats = self._generator_turn(speech, given, wave[:, None], f0)
            stats["loss"] = loss.detach()
        else:
            loss, stats = self._discriminator_turn(speech, given, wave[:, None], f0)
        return {"loss": loss, "stats": stats, "weight": torch.tensor([float(len(speech))])}

    def _generated(self, mel: Tensor, f0: Tensor | None) -> Tensor:
        """(B, M, S) -> (B, 1, T)."""
        more = {} if f0 is None else {"f0": f0}
        return self.generator(mel, **more).float()

    def _generator_turn(
        self, key: Tensor, mel: Tensor, wave: Tensor, f0: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        made = self._once(key, lambda: self._generated(mel, f0))
        judge = self.discriminator if self._started() else None
        loss, terms = self.pays.generator(made, wave, judge)
        if f0 is not None:
            read = self.generator.f0_loss(mel, f0)  # type: ignore[operator]
            loss, terms["f0"] = loss + self.losses.f0 * read, read.detach()
        self._count()
        return loss, terms

    def _discriminator_turn(
        self, key: Tensor, mel: Tensor, wave: Tensor, f0: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert self.discriminator is not None
        if not self._started():
            return no_verdict(self.discriminator), {}
        made = self._judged(key, lambda: self._generated(mel, f0), self.generator)
        return self.pays.discriminators(made, wave, self.discriminator)

    @torch.inference_mode()
    def vocode(self, mel: Tensor) -> Tensor:
        """Log mel spectrogram (S, M), not normalised -> waveform (S * hop,)."""
        given = self.normalised(mel.to(self.mean.device).T[None].float())
        return self.generator(given)[0, 0].float()
