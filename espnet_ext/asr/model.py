"""Hybrid CTC/attention recogniser: ESPnet's, with more to train towards.

In a YAML: `model: espnet_ext.asr.model:HybridModel`. With nothing new under `model_conf:` it computes what
ESPnet's own model computes; its weights load in that one as long as no option adds a head.

Letters in shapes: B utterances, N = B or 2 B rows (see `objectives.consistency`), T encoder frames, L tokens,
V vocabulary, D encoder width.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.asr import regularise
from espnet_ext.asr.objectives.consistency import divergence, share_warps, shared, twice
from espnet_ext.asr.objectives.encoded import Encoded, Stats
from espnet_ext.asr.objectives.feasible import check_lengths, too_short
from espnet_ext.asr.objectives.guided import cross_attention
from espnet_ext.asr.objectives.options import KEYS, PAIRED, Options
from espnet_ext.asr.objectives.phones import PhoneHead
from espnet_ext.asr.objectives.smoothing import smoothed_cross_entropy
from espnet_ext.asr.objectives.speaker import SpeakerHead
from espnet_ext.asr.stream import length_mask
from espnet_ext.bridge.asr_model import ESPnetASRModel, force_gatherable
from espnet_ext.errors import UserError


class HybridModel(ESPnetASRModel):
    """ESPnet's hybrid model with more objectives and with weights that change in training.

    A schedule has the number of updates in the buffer `updates`. Our training says how many are done (`begin_update`);
    where nobody does, a training batch that finds no gradients begins one.

    Outside training the loss is that of CTC and attention alone, whatever the options, so that figures on validation
    data compare; what else there is to tell is in the statistics.

    Args:
        conf: fields of Options; everything else is ESPnet's.
    """

    own_keys = KEYS  # beside the arguments of ESPnet's, for who tells of a wrong one

    def __init__(self, **conf: Any) -> None:
        options = Options(**{key: conf.pop(key) for key in KEYS if key in conf})
        self.options, self.weights = options, options.weights()
        super().__init__(ctc_weight=self.weights["ctc"].last, **conf)
        self._check_decoder()
        self._check_encoder()
        self.done: int | None = None  # updates before that of the last batch
        self.told = False  # whether somebody else counts
        if not all(weight.constant for weight in self.weights.values()):
            self.register_buffer("updates", torch.zeros(1, dtype=torch.int64))
        self.warps = share_warps(self.specaug) if self.weights["cr_ctc"].used else []
        self.guided_attention = options.guided_attention()
        inner = self.encoder.output_size() if self.encoder is not None else 0
        outer = self.postencoder.output_size() if self.postencoder is not None else inner
        if self.weights["speaker"].used:
            self.speaker_head = SpeakerHead(outer, options.speakers, options.speaker_mode)
        if self.weights["phone"].used:
            width = outer if options.phone_layer is None else inner
            self.phone_head = PhoneHead(width, options.phones, options.phone_layer)

    def share_warps_of(self, specaug: torch.nn.Module | None) -> None:
        """Have another SpecAugment, of a phase, warp views of an utterance alike that are compared."""
        if self.weights["cr_ctc"].used:
            self.warps += share_warps(specaug)

    def _check_decoder(self) -> None:
        plain = all(weight.constant for weight in self.weights.values()) and not any(
            weight.used for name, weight in self.weights.items() if name != "ctc"
        )
        if not plain and (self.use_transducer_decoder or self.use_linear_decoder):
            raise ValueError(
                "found a transducer or linear decoder, expected an attention decoder for schedules and "
                f"these weights: {', '.join(f'{name}_weight' for name in self.weights)}"
            )

    def _check_encoder(self) -> None:
        """What its options want is there to be had."""
        if self.interctc_weight and not getattr(self.encoder, "interctc_layer_idx", True):
            raise ValueError(
                f"interctc_weight: found {self.interctc_weight} and an encoder that hands out no middle layers, "
                "expected encoder_conf: {interctc_layer_idx: [...]}"
            )
        if self.weights["cr_ctc"].used and self.specaug is None:
            logging.warning(
                "cr_ctc_weight: found no specaug, which is to mask the two views of an utterance differently; "
                "rdrop_ctc_weight is for models without masks"
            )

    def weight(self, name: str) -> float:
        """Of an objective in the update that the last batch belonged to; outside training the last of its schedule."""
        found = self.weights[name]
        if not self.training or found.constant:
            return found.last
        return found.at(int(self.updates) - 1 if self.done is None else self.done)

    def begin_update(self, done: int) -> None:
        """The next batches belong to the update after so many, whatever weights the model began with."""
        self.told, self.done = True, done
        if hasattr(self, "updates"):
            self.updates.fill_(done + 1)

    def _count(self) -> None:
        """Batches whose gradients are added up belong to one update."""
        counts = self.training and not self.told and hasattr(self, "updates")
        if counts and all(parameter.grad is None for parameter in self.parameters()):
            self.done = int(self.updates)
            self.updates += 1

    def _training_weight(self, name: str) -> float:
        """The same for what is part of the loss in training only."""
        return self.weight(name) if self.training else 0.0

    # -- the loss ----------------------------------------------------------------------------------------------

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        **extra: Any,
    ) -> tuple[Tensor, Stats, Tensor]:
        """Loss, what is reported, and the number of utterances.

        Args:
            speech: (B, samples, ...).
            speech_lengths: (B,).
            text: (B, L), padded with -1.
            text_lengths: (B,).
            extra: more arrays of the batch: `sids`, `lm_text` and `phones` with their `..._lengths`.

        Raises:
            TooShortForCTC: if the batch has utterances that CTC cannot align.
            UserError: if it lacks what an objective needs.
        """
        if self.use_transducer_decoder or self.use_linear_decoder:
            return super().forward(speech, speech_lengths, text, text_lengths, **extra)
        self._count()
        text = text[:, : int(text_lengths.max())]
        text = text.masked_fill(text == -1, self.ignore_id)
        at = self._encode_batch(speech, speech_lengths, text, text_lengths, extra)
        loss = self._hybrid_loss(at)
        for name in ("lm_text", "speaker", "phone", "regularisation"):
            loss = self._add(name, loss, at)
        at.stats["loss"] = loss.detach()
        answer = (loss, at.stats, speech.shape[0])
        found: tuple[Tensor, Stats, Tensor] = force_gatherable(answer, loss.device)
        return found

    def _hybrid_loss(self, at: Encoded) -> Tensor:
        """CTC and attention by their shares."""
        if self.ctc is None:
            return self._attention_loss(at)
        loss = self._ctc_loss(at)
        if self.decoder is None:
            return loss
        weight = self.weight("ctc")
        return weight * loss + (1 - weight) * self._attention_loss(at)

    def _add(self, name: str, loss: Tensor, at: Encoded) -> Tensor:
        """`loss` with an objective that is neither CTC nor attention, if the options ask for it."""
        if not self.weights[name].used:
            return loss
        found = getattr(self, f"_{name}_loss")(at)
        if found is None:
            return loss
        at.stats[f"loss_{name}"] = found.detach()
        return loss + self.weight(name) * found if self.training else loss

    def _has(self, at: Encoded, key: str, option: str, advice: str) -> bool:
        """Whether the batch has what an option needs; it may lack it outside training.

        Raises:
            UserError: if it lacks it in training.
        """
        if key not in at.extra and self.training:
            raise UserError(
                f"{option}: found a batch without {key!r}, expected one with it: {advice}"
            )
        return key in at.extra

    # -- the encoder -------------------------------------------------------------------------------------------

    def _encode_batch(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        extra: Stats,
    ) -> Encoded:
        paired = any(self._training_weight(name) for name in PAIRED)
        views = paired and bool(self._training_weight("cr_ctc"))
        with self._frontend_precision(speech):
            feats, lengths = self._extract_feats(speech, speech_lengths)
            if views:  # masked one by one
                feats, lengths = twice(feats, lengths)
            with shared(self.warps if views else []):
                feats, lengths = self._augment(feats, lengths)
        if paired and not views:
            feats, lengths = twice(feats, lengths)
        out, lengths = self._encode_feats(feats, lengths)
        out, middle = out if isinstance(out, tuple) else (out, [])
        stats = self._check_lengths(text, text_lengths, lengths[: len(text)])
        if paired:
            text, text_lengths = twice(text, text_lengths)
        return Encoded(out, lengths, text, text_lengths, middle, extra, stats)

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Any, Tensor]:
        """(B, samples, ...) and (B,) -> (B, T, D) and (B,); with what the middle layers say: ((B, T, D), [...])."""
        with self._frontend_precision(speech):
            feats, lengths = self._augment(*self._extract_feats(speech, speech_lengths))
        return self._encode_feats(feats, lengths)

    def _frontend_precision(self, x: Tensor) -> torch.autocast:
        """As in stock: the front end leaves mixed precision unless `autocast_frontend` asks for it."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device)
        return torch.autocast(device, enabled=self.autocast_frontend, dtype=dtype)

    def _augment(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Masks and normalisation: features (N, S, F) and (N,) -> the same."""
        if self.specaug is not None and self.training:
            feats, lengths = self.specaug(feats, lengths)
        if self.normalize is not None:
            feats, lengths = self.normalize(feats, lengths)
        return feats, lengths

    def _encode_feats(self, feats: Tensor, lengths: Tensor) -> tuple[Any, Tensor]:
        """Features (N, S, F) and (N,) -> as `encode`."""
        if self.preencoder is not None:
            feats, lengths = self.preencoder(feats, lengths)
        if self.encoder is None:
            return feats, lengths
        wants_ctc = any(
            getattr(self.encoder, name, False) for name in ("interctc_use_conditioning", "ctc_trim")
        )
        out, lengths, _ = self.encoder(feats, lengths, **({"ctc": self.ctc} if wants_ctc else {}))
        out, middle = out if isinstance(out, tuple) else (out, None)
        if self.postencoder is not None:
            out, lengths = self.postencoder(out, lengths)
        return (out, middle) if middle is not None else out, lengths

    # -- CTC ---------------------------------------------------------------------------------------------------

    def _check_lengths(self, text: Tensor, text_lengths: Tensor, frames: Tensor) -> Stats:
        if self.ctc is None:
            return {}
        if self.options.too_short == "error":
            check_lengths(text, text_lengths, frames)
            return {}
        return {"too_short": too_short(text, text_lengths, frames).sum().float()}

    def _ctc_loss(self, at: Encoded) -> Tensor:
        """CTC of the last and, if asked for, of middle layers; and the consistency of two copies."""
        consistency = {name: self._training_weight(name) for name in ("cr_ctc", "rdrop_ctc")}
        log_probs, cer = None, None
        if any(consistency.values()) and self.ctc.ctc_type == "builtin":
            log_probs = self._ctc_log_probs(at.out)  # needed anyway
            text = at.text[length_mask(at.text_lengths, at.text.shape[1])]
            losses = self.ctc.ctc_loss(log_probs.transpose(0, 1), text, at.lengths, at.text_lengths)
            loss = losses.sum() / len(losses)
        else:
            loss, cer = self._calc_ctc_loss(at.out, at.lengths, at.text, at.text_lengths)
        at.stats["loss_ctc"], at.stats["cer_ctc"] = loss.detach(), cer
        if self.interctc_weight and at.middle:
            inner = sum(self._middle_loss(layer, out, at) for layer, out in at.middle)
            mean = inner / len(at.middle)
            loss = (1 - self.interctc_weight) * loss + self.interctc_weight * mean
        for name, weight in consistency.items():
            if weight:
                log_probs = self._ctc_log_probs(at.out) if log_probs is None else log_probs
                apart = divergence(log_probs, at.mask, stop_target=name == "cr_ctc")
                at.stats[f"loss_{name}"] = apart.detach()
                loss = loss + weight * apart
        return loss

    def _ctc_log_probs(self, out: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, V), with the dropout that ESPnet's CTC has."""
        logits: Tensor = self.ctc.ctc_lo(F.dropout(out, self.ctc.dropout_rate))
        return logits.float().log_softmax(dim=-1)

    def _middle_loss(self, layer: int, out: Tensor, at: Encoded) -> Tensor:
        """CTC of a middle layer, on the text or on what `aux_ctc` names for it (Lee & Watanabe 2021)."""
        name = (self.aux_ctc or {}).get(str(layer))
        text, lengths = at.text, at.text_lengths
        if name is not None:
            if name not in at.extra:
                raise UserError(
                    f"aux_ctc: layer {layer} is to be trained on {name!r}, which the batch lacks"
                )
            text, lengths = at.rows(name, f"{name}_lengths")
        loss, cer = self._calc_ctc_loss(out, at.lengths, text, lengths)
        at.stats[f"loss_interctc_layer{layer}"] = loss.detach()
        at.stats[f"cer_interctc_layer{layer}"] = cer
        return loss

    # -- attention ---------------------------------------------------------------------------------------------

    def _attention_loss(self, at: Encoded) -> Tensor:
        """Cross-entropy of the decoder, what leads its attention, and the consistency of two dropouts."""
        guided = self._training_weight("guided_attention")
        if hasattr(self.decoder, "keep_attention"):
            self.decoder.keep_attention(bool(guided))
        logits, target = self._decode(at.out, at.lengths, at.text, at.text_lengths)
        loss = self._cross_entropy(logits, target)
        predicted, spoken = logits.detach().argmax(dim=-1), target != self.ignore_id
        accuracy = ((predicted == target) & spoken).sum() / spoken.sum()
        at.stats.update(loss_att=loss.detach(), acc=accuracy, cer=None, wer=None)
        if not self.training and self.error_calculator is not None:
            text = self._with_language(at.text, at.text_lengths)[0]
            at.stats["cer"], at.stats["wer"] = self.error_calculator(predicted.cpu(), text.cpu())
        if guided:
            penalty = self.guided_attention(
                cross_attention(self.decoder), spoken.sum(dim=1), at.lengths
            )
            at.stats["loss_guided_attention"] = penalty.detach()
            loss = loss + guided * penalty
        if self._training_weight("rdrop"):
            apart = divergence(logits.float().log_softmax(dim=-1), spoken, stop_target=False)
            at.stats["loss_rdrop"] = apart.detach()
            loss = loss + self.weight("rdrop") * apart
        return loss

    def _decode(
        self, memory: Tensor, lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the decoder says (N, L + 1, V), and what it should say (N, L + 1) with <eos> and padding."""
        text, text_lengths = self._with_language(text, text_lengths)
        inside = length_mask(text_lengths, text.shape[1])
        first = text.new_full((len(text), 1), self.sos)
        given = torch.cat((first, text.masked_fill(~inside, self.eos)), dim=1)
        padded = text.masked_fill(~inside, self.ignore_id)
        target = torch.cat((padded, torch.full_like(first, self.ignore_id)), dim=1)
        target = target.scatter(1, text_lengths[:, None], self.eos)
        logits, _ = self.decoder(memory, lengths, given, text_lengths + 1)
        return logits, target

    def _with_language(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The text behind the token of its language, if the model has one."""
        if self.lang_token_id is None:
            return text, text_lengths
        language = self.lang_token_id.to(text.device).expand(len(text), 1)
        return torch.cat((language, text), dim=1), text_lengths + 1

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        criterion = self.criterion_att
        return smoothed_cross_entropy(
            logits, target, self.ignore_id, criterion.smoothing, criterion.normalize_length
        )

    # -- more to learn -----------------------------------------------------------------------------------------

    def _lm_text_loss(self, at: Encoded) -> Tensor | None:
        """The decoder on text alone, hearing one frame of zeros (internal language model, Meng et al. 2021)."""
        advice = "preprocessor: espnet_ext.asr.preprocess:TextBatches with text: [...]"
        if not self._has(at, "lm_text", "lm_text_weight", advice):
            return None
        text, lengths = at.extra["lm_text"], at.extra["lm_text_lengths"]
        silence = at.out.new_zeros(len(text), 1, at.out.shape[2])
        logits, target = self._decode(silence, torch.ones_like(lengths), text, lengths)
        return self._cross_entropy(logits, target)

    def _speaker_loss(self, at: Encoded) -> Tensor | None:
        """Cross-entropy of the speaker head."""
        advice = "number the speakers with speaker_ids, which writes utt2sid"
        if not self._has(at, "sids", "speaker_weight", advice):
            return None
        (sids,) = at.rows("sids")
        found = self.speaker_head(at.out, at.mask, sids.view(-1))
        if found is None:
            return None
        at.stats["acc_speaker"] = found[1]
        loss: Tensor = found[0]
        return loss

    def _phone_loss(self, at: Encoded) -> Tensor | None:
        """CTC of the phone head."""
        advice = (
            "preprocessor: espnet_ext.asr.preprocess:PhoneTargets with phones: <token directory>"
        )
        if not self._has(at, "phones", "phone_weight", advice):
            return None
        heard = self.phone_head.choose(at.out, at.middle)
        loss: Tensor = self.phone_head(heard, at.lengths, *at.rows("phones", "phones_lengths"))
        return loss

    def _regularisation_loss(self, at: Encoded) -> Tensor | None:
        """A penalty on the encoder's matrices; in training only, as it says nothing about the data."""
        penalty = getattr(regularise, self.options.regularisation)
        return penalty(self.encoder) if self.training else None
