"""Joint training from text to the waveform: the acoustic model and a vocoder's generator learn together.

After JETS (Lim et al. 2022): the generator reads the decoder's frames, in training a random window of them, and is
judged as a vocoder is; the alignment, durations, pitch, energy and mel spectrogram are learned beside it.
Letters in shapes: B batch, N tokens, T mel frames, M mel bins, L samples, S frames of a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from espnet2.gan_tts.abs_gan_tts import AbsGANTTS
from torch import Tensor

from espnet_ext.audio.features import features_of_model
from espnet_ext.errors import UserError
from espnet_ext.tts.acoustic import AcousticModel
from espnet_ext.tts.controls import Control
from espnet_ext.tts.joint_generator import Text2Wave, open_acoustic_model
from espnet_ext.tts.joint_windows import choose_windows
from espnet_ext.vocoder.discriminators import Discriminators
from espnet_ext.vocoder.model import Losses, WaveLosses, no_verdict
from espnet_ext.vocoder.options import made
from espnet_ext.vocoder.turns import Turns

Conf = Mapping[str, Any]
DISCRIMINATORS: Conf = {"mpd": {}, "msd": {}}


@dataclass(frozen=True)
class Spoken:
    """What the generator has made of a batch, and what it costs apart from the waveform.

    Attributes:
        made, wave: (B, 1, S * hop), generated and recorded.
        loss: of the acoustic model, and of F0 where the generator reads it.
        stats: its terms.
    """

    made: Tensor
    wave: Tensor
    loss: Tensor
    stats: dict[str, Tensor]


class JointModel(Turns[Spoken], AbsGANTTS):
    """Text to waveform in one model, for the tasks gan_tts (training) and tts (synthesis).

    Pitch and energy are to come as for AcousticModel.

    Args:
        idim: tokens; the last is <sos/eos>, which is appended to every text.
        odim: M.
        features: the front end's feats_extract_conf (`features: *front` in the YAML), for frames and rate.
        acoustic: options of AcousticModel but for those of voices, which stand beside it.
        reads: see Text2Wave; "hidden" or "mel".
        generator, generator_conf, discriminators: as in a vocoder's YAML.
        losses: weights of the waveform's losses and discriminator_start, see espnet_ext/vocoder/model.py.
        acoustic_weight: of the acoustic model's losses together.
        segment_size: S, frames of the window that the discriminators see.
        spks, langs, spk_embed_dim, use_gst: as of AcousticModel.

    Raises:
        ValueError: for options that are not known, or a window shorter than the front end's.
        UserError: if parts do not fit each other.
    """

    extraction = AcousticModel.extraction

    def __init__(
        self,
        idim: int,
        odim: int,
        features: Conf,
        acoustic: Conf | None = None,
        reads: str = "hidden",
        generator: str = "hifigan",
        generator_conf: Conf | None = None,
        discriminators: Conf | None = DISCRIMINATORS,
        losses: Conf | None = None,
        acoustic_weight: float = 1.0,
        segment_size: int = 64,
        spks: int | None = None,
        langs: int | None = None,
        spk_embed_dim: int | None = None,
        use_gst: bool = False,
    ) -> None:
        super().__init__()
        front = features_of_model({"feats_extract": "fbank", "feats_extract_conf": features})
        _check(front.n_mels, odim, segment_size * front.hop_length, front.n_fft)
        self.fs, self.segment_size, self.acoustic_weight = front.fs, segment_size, acoustic_weight
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        voices = {"spks": spks, "langs": langs, "spk_embed_dim": spk_embed_dim, "use_gst": use_gst}
        model = open_acoustic_model(idim, odim, acoustic or {}, **voices)
        front_conf = {**features, "hop_length": front.hop_length}
        self.generator = Text2Wave(model, reads, generator, generator_conf or {}, front_conf)
        self.discriminator = Discriminators(discriminators) if discriminators else None
        self.losses = made("losses", Losses, losses)
        self.pays = WaveLosses(front, self.losses)
        self.spks, self.langs, self.spk_embed_dim = model.spks, model.langs, model.spk_embed_dim
        self.use_gst, self.longest = use_gst, model.longest

    @property
    def require_raw_speech(self) -> bool:
        """Training compares waveforms."""
        return True

    @property
    def require_vocoder(self) -> bool:
        """It has its own."""
        return False

    # -- training --------------------------------------------------------------------------------------------

    def forward(  # type: ignore[override]
        self,
        text: Tensor,
        text_lengths: Tensor,
        feats: Tensor,
        feats_lengths: Tensor,
        speech: Tensor,
        speech_lengths: Tensor,
        pitch: Tensor | None = None,
        forward_generator: bool = True,
        **more: Any,
    ) -> dict[str, Any]:
        """One turn on a batch.

        Args:
            text: (B, N) token ids, text_lengths: (B,).
            feats: (B, T, M) normalised log-mel, feats_lengths: (B,).
            speech: (B, L), speech_lengths: (B,).
            pitch: (B, T, 1), log F0 with 0 where there is no voice.
            forward_generator: the generator's turn, or the discriminators'.
            more: energy, durations, sids, lids, spembs, as for AcousticModel.

        Returns:
            loss, stats, weight and optim_idx, as ESPnet's GAN models have them.
        """

        def make() -> Spoken:
            given = {"text": text, "text_lengths": text_lengths, "pitch": pitch, **more}
            return self._spoken(given, feats, feats_lengths, speech, speech_lengths)

        turn = self._generator_turn if forward_generator else self._discriminator_turn
        loss, stats = turn(speech, make)
        weight = torch.tensor([float(len(text))], device=speech.device)
        return {
            "loss": loss,
            "stats": stats,
            "weight": weight,
            "optim_idx": 0 if forward_generator else 1,
        }

    def _spoken(
        self, given: dict[str, Any], feats: Tensor, frames: Tensor, speech: Tensor, samples: Tensor
    ) -> Spoken:
        """A window of each utterance, spoken with its own timing, pitch and energy."""
        generator = self.generator
        loss, stats, _ = generator.acoustic(feats=feats, feats_lengths=frames, **given)
        hop = generator.upsample_factor
        windows = choose_windows(frames, samples, self.segment_size, hop, self.training)
        f0 = windows.of_frames(_hertz(given["pitch"]))[..., 0] if generator.needs_f0 else None
        read, made = generator.window(generator.acoustic.decoder.take(), windows, f0)
        stats = {name: value for name, value in stats.items() if name != "loss"}
        loss = self.acoustic_weight * loss
        if f0 is not None:
            wrong = generator.waves.f0_loss(read, f0)  # type: ignore[operator]
            loss, stats["f0"] = loss + self.losses.f0 * wrong, wrong.detach()
        return Spoken(made, windows.of_wave(speech)[:, None], loss, stats)

    def _generator_turn(self, key: Tensor, make: Any) -> tuple[Tensor, dict[str, Tensor]]:
        found = self._once(key, make)
        judge = self.discriminator if self._started() else None
        paid, terms = self.pays.generator(found.made, found.wave, judge)
        self._count()
        loss = found.loss + paid
        waves = {f"wave_{name}": term for name, term in terms.items()}
        return loss, {"loss": loss.detach(), **found.stats, **waves}

    def _discriminator_turn(self, key: Tensor, make: Any) -> tuple[Tensor, dict[str, Tensor]]:
        assert self.discriminator is not None
        if not self._started():
            return no_verdict(self.discriminator), {}
        found = self._judged(key, make, self.generator)
        return self.pays.discriminators(found.made, found.wave, self.discriminator)

    # -- synthesis -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def inference(
        self,
        text: Tensor,
        feats: Tensor | None = None,
        alpha: Control = 1.0,
        pitch_shift: Control = 0.0,
        energy_factor: Control = 1.0,
        noise_scale_dur: float = 0.8,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        use_teacher_forcing: bool = False,
        **voice: Any,
    ) -> dict[str, Tensor]:
        """Speak one text.

        Args:
            text: (N,) token ids.
            feats: (T, M), a recording, for the style or for teacher forcing.
            alpha, pitch_shift, energy_factor, noise_scale_dur: as of AcousticModel.
            durations, pitch, energy, use_teacher_forcing: take timing, pitch and energy from the recording, likewise.
            voice: sids, lids, spembs.

        Returns:
            wav (T * hop,), feat_gen (T, M) normalised mel, duration (N + 1,), pitch and energy where predicted.
        """
        acoustic = self.generator.acoustic
        found = acoustic.inference(
            text,
            feats,
            alpha,
            pitch_shift,
            energy_factor,
            noise_scale_dur=noise_scale_dur,
            durations=durations,
            pitch=pitch,
            energy=energy,
            use_teacher_forcing=use_teacher_forcing,
            **voice,
        )
        return {"wav": self.generator.whole(acoustic.decoder.take())[0], **found}


def _hertz(pitch: Tensor | None) -> Tensor:
    """Log F0 -> F0 in Hz, 0 where there is no voice.

    Raises:
        UserError: if there is none.
    """
    if pitch is None:
        raise UserError(
            "found no pitch in the data, expected it as the generator is trained with F0: set pitch_extract in the "
            "YAML, or take another generator"
        )
    return torch.where(pitch > 0, pitch.exp(), 0.0)


def _check(mels: int, odim: int, window: int, n_fft: int) -> None:
    if mels != odim:
        raise ValueError(
            f"features: found n_mels {mels}, expected the front end's {odim}: say `features: *front`, with "
            "`&front` at feats_extract_conf"
        )
    if window <= n_fft // 2:
        raise ValueError(
            f"segment_size: found a window of {window} samples, expected more than half of n_fft = {n_fft}"
        )
