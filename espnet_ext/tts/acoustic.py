"""The specification's acoustic model: text encoder, variance adaptor, decoder with cross-attention.

A FastSpeech 2 (Ren et al. 2021) whose alignment is learned with it (Badlani et al. 2022), whose pitch is predicted
with its gaps, and whose decoder looks back at the text. Letters in shapes: B batch, N tokens (with the final
<sos/eos>), T mel frames, M mel bins, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from espnet2.tts.abs_tts import AbsTTS
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.asr.blocks import length_mask
from espnet_ext.errors import UserError
from espnet_ext.tts.adapters import AdapterOptions, Adapters
from espnet_ext.tts.adaptor import Adaptor
from espnet_ext.tts.alignment import Aligner, align
from espnet_ext.tts.contour import ContourOptions
from espnet_ext.tts.controls import Control, Controls, read_controls
from espnet_ext.tts.decoder import DecoderOptions, make_decoder
from espnet_ext.tts.duration import DurationOptions
from espnet_ext.tts.inputs import require_context, require_finite, require_tokens, with_eos
from espnet_ext.tts.options import number, read_options
from espnet_ext.tts.text_encoder import EncoderOptions, TextEncoder
from espnet_ext.tts.updates import Counted
from espnet_ext.tts.voices import Voices, Who

Conf = Mapping[str, Any]
NOBODY = Who()  # of a model of one voice


@dataclass(frozen=True)
class AlignmentOptions:
    """How durations are found in training.

    Attributes:
        learned: align by itself; without, `durations` come with the data (MFA, a teacher).
        weight: of the forward-sum loss.
        binarise_weight: of that which makes the alignment hard.
        binarise_after: updates before it begins; a soft alignment has to form first.
    """

    learned: bool = True
    weight: float = number(1.0, 0)
    binarise_weight: float = number(0.1, 0)
    binarise_after: int = number(1000, 0)


@dataclass(frozen=True)
class _Sizes:
    """Numbers of the whole model, see there; for their ranges."""

    width: int = number(256, 1)
    longest: int = number(4096, 1)
    spks: int = number(0, -1)  # -1, too, is ESPnet's word for none
    langs: int = number(0, -1)
    spk_embed_dim: int = number(0, 0)


@dataclass(frozen=True)
class Spoken:
    """A batch of utterances, spoken.

    Attributes:
        mel: (B, T, M), normalised; 0 behind an utterance's end.
        frames: (B,), the lengths.
        durations: (B, N), in frames.
        contours: pitch (log F0 in Hz, 0 = no voice) and energy (amplitude), each (B, N) or (B, T).
    """

    mel: Tensor
    frames: Tensor
    durations: Tensor
    contours: dict[str, Tensor]


class AcousticModel(Counted, AbsTTS):
    """Text to mel, trained from text and audio alone.

    Pitch is to come as log F0 with 0 where there is no voice (`use_continuous_f0: false`, `pitch_normalize: null`),
    energy as amplitudes (`energy_normalize: null`): the model keeps their scale, so that a semitone is one.

    Args:
        idim: tokens; the last is <sos/eos>, which is appended to every text.
        odim: M.
        width: D, of what goes from the encoder through the adaptor to the decoder.
        encoder, duration, pitch, energy, decoder, alignment: options of the parts: EncoderOptions, DurationOptions,
            ContourOptions (twice), DecoderOptions, AlignmentOptions.
        longest: most tokens and most mel frames of an utterance.
        spks, langs: numbers of speakers and languages with a vector each; None = one.
        spk_embed_dim: size of outside speaker embeddings; None = none.
        use_gst: take the style of a recording (global style tokens).
        adapters: learn new voices beside those that are there, which are frozen: AdapterOptions.

    Raises:
        UserError: at training, for an utterance with more tokens than frames, or longer than `longest`.
    """

    extraction: ClassVar[Mapping[str, Conf]] = {
        "pitch_extract": {
            "use_token_averaged_f0": False,
            "use_continuous_f0": False,
            "use_log_f0": True,
        },
        "energy_extract": {"use_token_averaged_energy": False},
    }

    def __init__(
        self,
        idim: int,
        odim: int,
        width: int = 256,
        encoder: Conf | None = None,
        duration: Conf | None = None,
        pitch: Conf | None = None,
        energy: Conf | None = None,
        decoder: Conf | None = None,
        alignment: Conf | None = None,
        longest: int = 4096,
        spks: int | None = None,
        langs: int | None = None,
        spk_embed_dim: int | None = None,
        use_gst: bool = False,
        adapters: Conf | None = None,
    ) -> None:
        super().__init__()
        sizes = {"width": width, "longest": longest, "spks": spks, "langs": langs}
        sizes["spk_embed_dim"] = spk_embed_dim
        read_options(_Sizes, {n: v for n, v in sizes.items() if v is not None}, "tts_conf")
        self.eos, self.longest, self.use_gst = idim - 1, longest, use_gst
        self.spks = spks if spks and spks > 1 else None
        self.langs = langs if langs and langs > 1 else None
        self.spk_embed_dim = spk_embed_dim
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.encoder = TextEncoder(
            idim, width, read_options(EncoderOptions, encoder, "encoder"), self.langs or 0
        )
        self.voices = Voices(width, odim, self.spks or 0, spk_embed_dim or 0, use_gst)
        self.alignment = read_options(AlignmentOptions, alignment, "alignment")
        self.aligner = Aligner(width, odim) if self.alignment.learned else None
        self.adaptor = Adaptor(
            width,
            read_options(DurationOptions, duration, "duration"),
            read_options(ContourOptions, pitch, "pitch"),
            read_options(ContourOptions, energy, "energy"),
            shortest=1.0 if self.alignment.learned else 0.0,
        )
        self.decoder: Any = make_decoder(
            width, odim, read_options(DecoderOptions, decoder, "decoder")
        )
        self.adapters: Adapters | None = None
        if adapters is not None:
            wanted = read_options(AdapterOptions, adapters, "adapters")
            self.adapters = Adapters(self, width, self.spks or 1, wanted)
            self.spks = self.adapters.total

    def _encode(self, text: Tensor, mask: Tensor, who: Who) -> Tensor:
        """(B, N) ids -> (B, N, D), the voice added."""
        who = who if self.adapters is None else self.adapters.listen(who)
        voice = self.voices(who)
        x = self.encoder(text, mask, who.lids)
        x = x if voice is None else x + voice
        return x if self.adapters is None else self.adapters.colour(x)

    # -- training --------------------------------------------------------------------------------------------

    def forward(
        self,
        text: Tensor,
        text_lengths: Tensor,
        feats: Tensor,
        feats_lengths: Tensor,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        **ignored: Any,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Losses of a batch.

        Args:
            text: (B, N - 1) token ids, text_lengths: (B,).
            feats: (B, T, M) normalised log-mel, feats_lengths: (B,).
            durations: (B, N - 1 or N), for a model that does not align by itself.
            pitch, energy: (B, T, 1), see above.
            sids, lids: (B, 1); spembs: (B, spk_embed_dim).

        Returns:
            Loss, figures to be watched, weight (number of utterances).
        """
        require_tokens(text, text_lengths, self.encoder.folding.numbers)
        text, text_lengths = with_eos(text, text_lengths, self.eos)
        feats = feats[:, : int(feats_lengths.max())]
        require_context(feats.shape[1], self.longest, "mel frames")
        text_mask, mel_mask = length_mask(text_lengths), length_mask(feats_lengths)
        x = self._encode(text, text_mask, Who(sids, lids, spembs, feats, mel_mask))
        stats, found = self._timing(x, feats, text_lengths, feats_lengths, durations)
        frames, losses = self.adaptor.train_on(x, text_mask, mel_mask, found, pitch, energy)
        stats |= losses | self.decoder.losses(frames, feats)
        loss = torch.stack(list(stats.values())).sum()
        watched = {name: value.detach() for name, value in {"loss": loss, **stats}.items()}
        return loss, watched, torch.tensor(len(text), device=loss.device)

    def _timing(
        self,
        x: Tensor,
        feats: Tensor,
        text_lengths: Tensor,
        feats_lengths: Tensor,
        given: Tensor | None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of the alignment, and durations (B, N) by it; or those that came with the data."""
        if self.aligner is None:
            return {}, _given(given, text_lengths, feats_lengths)
        found = align(self.aligner, x, feats, text_lengths, feats_lengths)
        options = self.alignment
        formed = self.present_update() >= options.binarise_after
        weights = (options.weight, options.binarise_weight)
        return found.losses(text_lengths, feats_lengths, *weights, formed), found.durations

    # -- synthesis -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def speak(
        self,
        text: Tensor,
        text_lengths: Tensor,
        who: Who = NOBODY,
        controls: Controls | None = None,
        noise_scale: float = 0.667,
        noise_scale_dur: float = 0.8,
    ) -> Spoken:
        """Speak several texts at once.

        Args:
            text: (B, N - 1) token ids, text_lengths: (B,).
            who: speaks them.
            controls: of (B, N); None = as predicted.
            noise_scale, noise_scale_dur: deviation of what a flow draws for the mel and for durations.

        Raises:
            UserError: for texts without tokens or with unknown ones, speech longer than the context, an unknown
                voice, or weights that give no numbers.
        """
        require_tokens(text, text_lengths, self.encoder.folding.numbers)
        require_context(int(text_lengths.max()), self.longest, "tokens")
        text, text_lengths = with_eos(text, text_lengths, self.eos)
        mask = length_mask(text_lengths)
        controls = controls or read_controls(mask, 1.0, 0.0, 1.0)
        x = self._encode(text, mask, who)
        durations = self.adaptor.durations(x, mask, controls, noise_scale_dur)
        require_context(int(durations.sum(1).max()), self.longest, "mel frames")
        frames, contours = self.adaptor.speak(x, mask, durations, controls)
        mel = self.decoder.generate(frames, noise_scale) * frames.mask[..., None]
        return Spoken(require_finite(mel, "spectrogram"), durations.sum(1), durations, contours)

    @torch.no_grad()
    def follow(
        self,
        text: Tensor,
        who: Who,
        durations: Tensor | None,
        pitch: Tensor | None,
        energy: Tensor | None,
        noise_scale: float = 0.667,
    ) -> dict[str, Tensor]:
        """Speak one text with a recording's timing, pitch and energy, as training has them.

        Args:
            text: (1, N - 1) token ids.
            who: speaks it; `feats` is the recording.
            durations: (1, N), for a model that does not align by itself.
            pitch, energy: (1, T, 1).
            noise_scale: deviation of what a flow draws.
        """
        if who.feats is None or who.heard is None:
            raise UserError("found no feats, expected the recording's for use_teacher_forcing")
        lengths = torch.tensor([text.shape[1]], device=text.device)
        require_tokens(text, lengths, self.encoder.folding.numbers)
        text, lengths = with_eos(text, lengths, self.eos)
        mask, frames = length_mask(lengths), who.heard.sum(1)
        x = self._encode(text, mask, who)
        found = self._timing(x, who.feats, lengths, frames, durations)[1]
        given, _ = self.adaptor.train_on(x, mask, who.heard, found, pitch, energy)
        mel = require_finite(self.decoder.generate(given, noise_scale)[0], "spectrogram")
        return {"feat_gen": mel, "duration": found[0]}

    def inference(
        self,
        text: Tensor,
        feats: Tensor | None = None,
        alpha: Control = 1.0,
        pitch_shift: Control = 0.0,
        energy_factor: Control = 1.0,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        noise_scale: float = 0.667,
        noise_scale_dur: float = 0.8,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        use_teacher_forcing: bool = False,
        **ignored: Any,
    ) -> dict[str, Tensor]:
        """Speak one text.

        Args:
            text: (N - 1,) token ids.
            feats: (T, M), a recording, whose style is taken where the model has style tokens.
            alpha: length against the predicted one, > 1 is slower: one for all, or for each token.
            pitch_shift, energy_factor: semitones, and a factor of the amplitude, likewise.
            sids, lids: (1,); spembs: (spk_embed_dim,).
            noise_scale, noise_scale_dur: see `speak`.
            durations, pitch, energy: (N,), (T, 1), (T, 1) of the text's recording, for use_teacher_forcing.
            use_teacher_forcing: take timing, pitch and energy from the recording, whose mel is `feats`.

        Returns:
            feat_gen (T, M) normalised mel, duration (N,), pitch and energy (N,) or (T,) where predicted.
        """
        timing, tone, volume = (None if x is None else x[None] for x in (durations, pitch, energy))
        who = _who(sids, lids, spembs, feats)
        if use_teacher_forcing:
            return self.follow(text[None], who, timing, tone, volume, noise_scale)
        mask = text.new_ones(1, len(text) + 1, dtype=torch.bool)
        controls = read_controls(mask, alpha, pitch_shift, energy_factor)
        lengths = torch.tensor([len(text)], device=text.device)
        spoken = self.speak(text[None], lengths, who, controls, noise_scale, noise_scale_dur)
        contours = {name: values[0] for name, values in spoken.contours.items()}
        return {"feat_gen": spoken.mel[0], "duration": spoken.durations[0], **contours}


def _who(
    sids: Tensor | None, lids: Tensor | None, spembs: Tensor | None, feats: Tensor | None
) -> Who:
    """Of a batch of one: numbers (1,), an embedding (E,), a recording (T, M)."""
    heard = None if feats is None else feats.new_ones(1, len(feats), dtype=torch.bool)
    spembs = None if spembs is None else spembs.reshape(1, -1)
    return Who(sids, lids, spembs, None if feats is None else feats[None], heard)


def _given(durations: Tensor | None, text_lengths: Tensor, feats_lengths: Tensor) -> Tensor:
    """Durations that came with the data, (B, N).

    Raises:
        UserError: if there are none, or they do not add up to the utterances' frames.
    """
    if durations is None:
        raise UserError(
            "found no durations in the data, expected them as this model does not align by itself; "
            "or set tts_conf's alignment: {learned: true}"
        )
    tokens = int(text_lengths.max())
    found = F.pad(durations.long(), (0, max(0, tokens - durations.shape[1])))[:, :tokens]
    wrong = found.sum(1) != feats_lengths
    if bool(wrong.any()):
        worst = int(wrong.long().argmax())
        raise UserError(
            f"found durations of {int(found.sum(1)[worst])} frames for an utterance of {int(feats_lengths[worst])}, "
            "expected as many: were they made with another hop length or other tokens?"
        )
    return found
