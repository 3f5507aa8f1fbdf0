"""A FastSpeech 2 that needs no durations from outside: it learns to align while it learns to speak.

Ren et al. 2021 (variance adaptor) with the alignment of Badlani et al. 2022. Letters in shapes: B batch,
N tokens (with the final <sos/eos>), T mel frames, M mel bins, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from espnet2.tts.abs_tts import AbsTTS
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.asr.blocks import length_mask
from espnet_ext.asr.dropout import ByteDropout
from espnet_ext.errors import UserError
from espnet_ext.tts.acoustic import NOBODY, Spoken
from espnet_ext.tts.alignment import Aligner, Alignment, align, hard_path, token_means
from espnet_ext.tts.blocks import Stack
from espnet_ext.tts.controls import Controls
from espnet_ext.tts.duration import stretched
from espnet_ext.tts.inputs import (
    known_numbers,
    require_context,
    require_finite,
    require_tokens,
    with_eos,
)
from espnet_ext.tts.masks import masked_mean
from espnet_ext.tts.updates import Counted
from espnet_ext.tts.voices import Who

LONGEST = 6.0  # log(1 + frames) of a token, whatever is predicted: 400 frames


class VariancePredictor(nn.Module):
    """Two convolutions and a projection: one number a token."""

    def __init__(self, width: int, kernel: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout, self.out = ByteDropout(dropout), nn.Linear(width, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, D), mask (B, N) -> (B, N), 0 where padded."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv((x * mask[..., None]).transpose(1, 2)).transpose(1, 2)
            x = self.dropout(norm(F.relu(x)))
        return self.out(x)[..., 0] * mask


class AlignedFastSpeech(Counted, AbsTTS):
    """Text to mel, trained from text and audio alone.

    Losses: L1 on the mel, mean squared error of log durations, pitch and energy (token averages, normalised),
    forward-sum and binarisation of the alignment.

    Args:
        idim: tokens; the last is <sos/eos>, which is appended to every text.
        odim: M.
        width: D, of encoder and decoder.
        heads: attention heads.
        encoder_blocks, decoder_blocks: depth.
        encoder_inner, decoder_inner: inner widths of the blocks' convolutions.
        kernel: of these, odd.
        dropout: in blocks.
        use_pitch, use_energy: predict them and condition the decoder on them.
        align_weight, binarise_weight: of the alignment's two losses.
        binarise_after: updates before the binarisation loss begins; a soft alignment has to form first.
        spks, langs: numbers of speakers and languages with an embedding each; None = one.
        spk_embed_dim: size of outside speaker embeddings; None = none.
        longest: most mel frames that are spoken at once.

    Raises:
        UserError: at training, for an utterance with more tokens than frames.
    """

    extraction: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pitch_extract": {"use_token_averaged_f0": False},
        "energy_extract": {"use_token_averaged_energy": False},
    }

    def __init__(
        self,
        idim: int,
        odim: int,
        width: int = 192,
        heads: int = 2,
        encoder_blocks: int = 3,
        decoder_blocks: int = 3,
        encoder_inner: int = 384,
        decoder_inner: int = 384,
        kernel: int = 5,
        dropout: float = 0.1,
        use_pitch: bool = True,
        use_energy: bool = True,
        align_weight: float = 1.0,
        binarise_weight: float = 0.1,
        binarise_after: int = 400,
        spks: int | None = None,
        langs: int | None = None,
        spk_embed_dim: int | None = None,
        longest: int = 4096,
    ) -> None:
        super().__init__()
        self.eos, self.odim, self.longest = idim - 1, odim, longest
        self.align_weight, self.binarise_weight = align_weight, binarise_weight
        self.binarise_after = binarise_after
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.embed = nn.Embedding(idim, width, padding_idx=0)
        self._make_voices(width, spks, langs, spk_embed_dim)
        self.encoder = Stack(encoder_blocks, width, heads, encoder_inner, kernel, dropout)
        self.aligner = Aligner(width, odim)
        self._make_variance(width, use_pitch, use_energy)
        self.decoder = Stack(decoder_blocks, width, heads, decoder_inner, kernel, dropout)
        self.out = nn.Linear(width, odim)

    def _make_voices(
        self, width: int, spks: int | None, langs: int | None, spk_embed_dim: int | None
    ) -> None:
        """What is added to the encoded text for speaker, language and outside embedding."""
        self.spks = spks if spks and spks > 1 else None
        self.langs = langs if langs and langs > 1 else None
        self.spk_embed_dim = spk_embed_dim
        self.speaker = nn.Embedding(self.spks, width) if self.spks else None
        self.language = nn.Embedding(self.langs, width) if self.langs else None
        self.voice = nn.Linear(spk_embed_dim, width) if spk_embed_dim else None

    def _make_variance(self, width: int, use_pitch: bool, use_energy: bool) -> None:
        """Predictors of duration, pitch and energy; embeddings of the latter two."""
        self.duration = VariancePredictor(width)
        self.pitch = VariancePredictor(width) if use_pitch else None
        self.energy = VariancePredictor(width) if use_energy else None
        self.pitch_embed = nn.Conv1d(1, width, 9, padding=4) if use_pitch else None
        self.energy_embed = nn.Conv1d(1, width, 9, padding=4) if use_energy else None

    # -- parts -----------------------------------------------------------------------------------------------

    def _encode(self, text: Tensor, mask: Tensor, who: Who) -> Tensor:
        """(B, N) ids -> (B, N, D), the voice added."""
        x = self.encoder(self.embed(text), mask)
        given = ((self.speaker, who.sids, "sids"), (self.language, who.lids, "lids"))
        for module, numbers, name in given:
            if module is not None:
                x = x + module(known_numbers(numbers, module.num_embeddings, name))[:, None]
        if self.voice is not None:
            if who.spembs is None:
                raise UserError(
                    f"found no spembs, expected {self.spk_embed_dim} numbers an utterance"
                )
            x = x + self.voice(F.normalize(who.spembs))[:, None]
        return x

    def _adapt(self, x: Tensor, pitch: Tensor | None, energy: Tensor | None) -> Tensor:
        """Add embeddings of pitch and energy, (B, N) each, to the encoded tokens (B, N, D)."""
        for module, values in ((self.pitch_embed, pitch), (self.energy_embed, energy)):
            if module is not None and values is not None:
                x = x + module(values[:, None]).transpose(1, 2)
        return x

    def _decode(self, x: Tensor, path: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, N, D) along a path (B, T, N) -> mel (B, T, M)."""
        return self.out(self.decoder(path @ x, mask))

    # -- training --------------------------------------------------------------------------------------------

    def forward(
        self,
        text: Tensor,
        text_lengths: Tensor,
        feats: Tensor,
        feats_lengths: Tensor,
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
            pitch, energy: (B, T, 1) normalised, where the model uses them.
            sids, lids: (B, 1); spembs: (B, spk_embed_dim).

        Returns:
            Loss, figures to be watched, weight (number of utterances).
        """
        text, text_lengths = with_eos(text, text_lengths, self.eos)
        feats = feats[:, : int(feats_lengths.max())]
        text_mask, mel_mask = length_mask(text_lengths), length_mask(feats_lengths)
        x = self._encode(text, text_mask, Who(sids, lids, spembs))
        found = align(self.aligner, x, feats, text_lengths, feats_lengths)
        targets = self._targets(pitch, energy, found.path)
        stats = self._variance_losses(x, found.durations, targets, text_mask)
        x = self._adapt(x, targets.get("pitch"), targets.get("energy"))
        mel = self._decode(x, found.path, mel_mask)
        stats["mel"] = masked_mean((mel - feats).abs(), mel_mask)
        stats |= self._alignment_losses(found, text_lengths, feats_lengths)
        loss = torch.stack(list(stats.values())).sum()
        watched = {name: value.detach() for name, value in {"loss": loss, **stats}.items()}
        return loss, watched, torch.tensor(len(text), device=loss.device)

    def _targets(
        self, pitch: Tensor | None, energy: Tensor | None, path: Tensor
    ) -> dict[str, Tensor]:
        """Means (B, N) over the frames of each token, of what is given and used; path (B, T, N)."""
        given = (("pitch", pitch, self.pitch), ("energy", energy, self.energy))
        return {
            name: token_means(values[:, : path.shape[1]], path)[..., 0]
            for name, values, used in given
            if used is not None and values is not None
        }

    def _variance_losses(
        self, x: Tensor, durations: Tensor, targets: dict[str, Tensor], mask: Tensor
    ) -> dict[str, Tensor]:
        """Mean squared errors per token; log durations as log(1 + frames)."""
        predictors = {"pitch": self.pitch, "energy": self.energy}
        losses = {
            "duration": masked_mean(
                (self.duration(x.detach(), mask) - durations.float().log1p()).square(), mask
            )
        }
        for name, target in targets.items():
            predictor = predictors[name]
            assert predictor is not None
            losses[name] = masked_mean((predictor(x, mask) - target).square(), mask)
        return losses

    def _alignment_losses(
        self, found: Alignment, text_lengths: Tensor, feats_lengths: Tensor
    ) -> dict[str, Tensor]:
        """Counts the updates."""
        formed = self.present_update() >= self.binarise_after
        weights = (self.align_weight, self.binarise_weight)
        return found.losses(text_lengths, feats_lengths, *weights, formed)

    # -- synthesis -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def inference(
        self,
        text: Tensor,
        alpha: float = 1.0,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        feats: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        use_teacher_forcing: bool = False,
        **ignored: Any,
    ) -> dict[str, Tensor]:
        """Speak one text.

        Args:
            text: (N - 1,) token ids.
            alpha: length against the predicted one, > 1 is slower.
            sids, lids: (1,); spembs: (spk_embed_dim,).
            feats, pitch, energy: (T, M), (T, 1), (T, 1) of the text's recording, for use_teacher_forcing.
            use_teacher_forcing: take timing, pitch and energy from the recording.

        Returns:
            feat_gen (T, M) normalised mel, duration (N,), pitch (N,) and energy (N,) where predicted.
        """
        ids, lengths = with_eos(text[None], torch.tensor([len(text)], device=text.device), self.eos)
        mask = length_mask(lengths)
        who = Who(sids, lids, None if spembs is None else spembs.reshape(1, -1))
        if use_teacher_forcing:
            x = self._encode(ids, mask, who)
            return self._follow(x, mask, feats, pitch, energy)
        ones = torch.ones(mask.shape, device=text.device)
        spoken = self.speak(text[None], lengths - 1, who, Controls(alpha * ones, 0 * ones, ones))
        contours = {name: values[0] for name, values in spoken.contours.items()}
        return {"feat_gen": spoken.mel[0], "duration": spoken.durations[0], **contours}

    def _follow(
        self,
        x: Tensor,
        mask: Tensor,
        feats: Tensor | None,
        pitch: Tensor | None,
        energy: Tensor | None,
    ) -> dict[str, Tensor]:
        """`inference` with a recording's timing, pitch and energy; x (1, N, D), mask (1, N)."""
        if feats is None:
            raise UserError("found no feats, expected the recording's for use_teacher_forcing")
        tokens, frames = mask.sum(1), mask.new_full((1,), len(feats), dtype=torch.int64)
        found = align(self.aligner, x, feats[None], tokens, frames)
        tracks = [None if track is None else track[None] for track in (pitch, energy)]
        given = self._targets(tracks[0], tracks[1], found.path)
        x = self._adapt(x, given.get("pitch"), given.get("energy"))
        mel = self._decode(x, found.path, length_mask(frames))
        mel = require_finite(mel[0], "spectrogram")
        return {"feat_gen": mel, "duration": found.durations[0]}

    @torch.no_grad()
    def speak(
        self,
        text: Tensor,
        text_lengths: Tensor,
        who: Who = NOBODY,
        controls: Controls | None = None,
        **ignored: Any,
    ) -> Spoken:
        """Speak several texts at once; of the controls this model has that of the length.

        Args:
            text: (B, N - 1) token ids, text_lengths: (B,).
            who: speaks them.
            controls: of (B, N); None = as predicted.

        Raises:
            UserError: for texts without tokens or with unknown ones, or an unknown voice.
        """
        require_tokens(text, text_lengths, self.eos + 1)
        text, text_lengths = with_eos(text, text_lengths, self.eos)
        mask = length_mask(text_lengths)
        x = self._encode(text, mask, who)
        lengths = self.duration(x, mask).clamp(max=LONGEST).expm1().clamp(min=1.0)
        require_finite(lengths, "durations")
        durations = stretched(lengths, 1.0 if controls is None else controls.length, mask)
        predictors = (("pitch", self.pitch), ("energy", self.energy))
        contours = {name: p(x, mask) for name, p in predictors if p is not None}
        frames = int(durations.sum(1).max())
        require_context(frames, self.longest, "mel frames")
        path = hard_path(durations, frames)
        spread = self._adapt(x, contours.get("pitch"), contours.get("energy"))
        mel = self._decode(spread, path, path.any(-1)) * path.any(-1)[..., None]
        require_finite(mel, "spectrogram")
        return Spoken(mel, durations.sum(1), durations, contours)
