"""Hybrid CTC/attention recogniser: ESPnet's, with more to train towards.

In a YAML: `model: espnet_ext.asr.model:HybridModel`. With nothing new under `model_conf:` it computes what
ESPnet's own model computes; its weights load in that one as long as no option adds a head.

Letters in shapes: B utterances, N = B or 2 B rows (see `objectives.consistency`), T encoder frames, L tokens,
V vocabulary, D encoder width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from espnet_ext.asr.objectives.consistency import divergence, share_warps, shared, twice
from espnet_ext.asr.objectives.feasible import check_lengths, too_short
from espnet_ext.asr.objectives.schedule import Weight
from espnet_ext.asr.stream import length_mask
from espnet_ext.bridge.asr_model import ESPnetASRModel, force_gatherable

Stats = dict[str, Any]


@dataclass
class Encoded:
    """A batch behind the encoder.

    Attributes:
        out: (N, T, D).
        lengths: (N,), in frames.
        text, text_lengths: (N, L) and (N,), in tokens.
        middle: (layer, its output (N, T, D)) where the encoder hands out intermediate ones.
        stats: what is reported.
    """

    out: Tensor
    lengths: Tensor
    text: Tensor
    text_lengths: Tensor
    middle: list[tuple[int, Tensor]] = field(default_factory=list)
    stats: Stats = field(default_factory=dict)


class HybridModel(ESPnetASRModel):
    """ESPnet's hybrid model with weight schedules and consistency between two views.

    Every `..._weight` is a number or a schedule `{from: 1.0, to: 0.3, updates: 5000}` (see `Weight`). A schedule
    counts updates in the buffer `updates`, one a training batch; a trainer that adds up batches sets it.

    Args:
        ctc_weight: share of CTC in the loss; attention has the rest.
        cr_ctc_weight: of the consistency of two views in the CTC loss (CR-CTC, Yao et al. 2024; they take 0.2, with
            2.5 times the time masks: number and largest share of SpecAugment). Two copies of each batch go
            through the encoder under different masks, so a step takes twice as long.
        too_short: "error" or "skip" for utterances with fewer frames than CTC needs.
        conf: everything else is ESPnet's.
    """

    def __init__(
        self,
        *,
        ctc_weight: Any = 0.5,
        cr_ctc_weight: Any = 0.0,
        too_short: str = "error",
        **conf: Any,
    ) -> None:
        self.weights = {
            "ctc": Weight.read("ctc_weight", ctc_weight),
            "cr_ctc": Weight.read("cr_ctc_weight", cr_ctc_weight),
        }
        ctc = self.weights["ctc"]
        if not ctc.constant and ctc.last in (0.0, 1.0):
            raise ValueError(
                f"ctc_weight: found a schedule that ends at {ctc.last}, expected an end between 0 and 1, as CTC "
                "and decoder are both trained before"
            )
        if too_short not in ("error", "skip"):
            raise ValueError(f"too_short: found {too_short!r}, expected error or skip")
        if self.weights["cr_ctc"].used and ctc.last == 0:
            raise ValueError("cr_ctc_weight: there is no CTC with ctc_weight 0")
        super().__init__(ctc_weight=ctc.last, **conf)
        self.too_short = too_short
        if not all(weight.constant for weight in self.weights.values()):
            self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.warps = share_warps(self.specaug) if self.weights["cr_ctc"].used else []

    def weight(self, name: str) -> float:
        """Of an objective, now; outside training the last of its schedule."""
        found = self.weights[name]
        scheduled = self.training and not found.constant
        return found.at(int(self.updates)) if scheduled else found.last

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
            extra: more arrays of the batch.

        Raises:
            TooShortForCTC: if the batch has utterances that CTC cannot align.
        """
        if self.use_transducer_decoder or self.use_linear_decoder:
            return super().forward(speech, speech_lengths, text, text_lengths, **extra)
        text = text[:, : int(text_lengths.max())]
        text = text.masked_fill(text == -1, self.ignore_id)
        at = self._encode_batch(speech, speech_lengths, text, text_lengths)
        loss = self._hybrid_loss(at, extra)
        at.stats["loss"] = loss.detach()
        if self.training and hasattr(self, "updates"):
            self.updates += 1
        answer: tuple[Tensor, Stats, Tensor] = force_gatherable(
            (loss, at.stats, speech.shape[0]), loss.device
        )
        return answer

    def _hybrid_loss(self, at: Encoded, extra: Stats) -> Tensor:
        weight = self.weight("ctc")
        if self.ctc is None:
            return self._attention_loss(at)
        loss_ctc = self._ctc_loss(at, extra)
        if self.decoder is None:
            return loss_ctc
        return weight * loss_ctc + (1 - weight) * self._attention_loss(at)

    # -- the encoder -------------------------------------------------------------------------------------------

    def _encode_batch(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> Encoded:
        with self._frontend_precision(speech):
            feats, lengths = self._extract_feats(speech, speech_lengths)
        if self.training and self.weight("cr_ctc"):
            feats, lengths, text, text_lengths = twice(feats, lengths, text, text_lengths)
            with shared(self.warps):
                out, lengths = self._encode_feats(feats, lengths)
        else:
            out, lengths = self._encode_feats(feats, lengths)
        middle = []
        if isinstance(out, tuple):
            out, middle = out
        at = Encoded(out, lengths, text, text_lengths, middle)
        self._check_lengths(at)
        return at

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Any, Tensor]:
        """(B, samples, ...) and (B,) -> (B, T, D) and (B,); with what the middle layers say: ((B, T, D), [...])."""
        with self._frontend_precision(speech):
            feats, lengths = self._extract_feats(speech, speech_lengths)
        return self._encode_feats(feats, lengths)

    def _frontend_precision(self, x: Tensor) -> torch.autocast:
        """As in stock: the front end leaves mixed precision unless `autocast_frontend` asks for it."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device)
        return torch.autocast(device, enabled=self.autocast_frontend, dtype=dtype)

    def _encode_feats(self, feats: Tensor, lengths: Tensor) -> tuple[Any, Tensor]:
        """Masks, normalisation and encoder: features (N, S, F) -> as `encode`."""
        with self._frontend_precision(feats):
            if self.specaug is not None and self.training:
                feats, lengths = self.specaug(feats, lengths)
            if self.normalize is not None:
                feats, lengths = self.normalize(feats, lengths)
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

    def _check_lengths(self, at: Encoded) -> None:
        if self.ctc is None:
            return
        if self.too_short == "error":
            check_lengths(at.text, at.text_lengths, at.lengths)
        else:
            number = too_short(at.text, at.text_lengths, at.lengths).sum()
            at.stats["too_short"] = number.float()

    def _ctc_loss(self, at: Encoded, extra: Stats) -> Tensor:
        """CTC of the last and, if asked for, of middle layers; and the consistency of two views."""
        loss, cer = self._calc_ctc_loss(at.out, at.lengths, at.text, at.text_lengths)
        at.stats["loss_ctc"], at.stats["cer_ctc"] = loss.detach(), cer
        if self.interctc_weight and at.middle:
            inner = sum(self._middle_loss(layer, out, at, extra) for layer, out in at.middle)
            loss = (1 - self.interctc_weight) * loss + self.interctc_weight * inner / len(at.middle)
        consistency = self.weight("cr_ctc") if self.training else 0.0
        if consistency:
            log_probs = self.ctc.ctc_lo(at.out).float().log_softmax(dim=-1)
            apart = divergence(log_probs, length_mask(at.lengths, at.out.shape[1]), True)
            at.stats["loss_cr_ctc"] = apart.detach()
            loss = loss + consistency * apart
        return loss

    def _middle_loss(self, layer: int, out: Tensor, at: Encoded, extra: Stats) -> Tensor:
        """CTC of a middle layer, on the text or on what `aux_ctc` names for it (Lee & Watanabe 2021)."""
        name = (self.aux_ctc or {}).get(str(layer))
        text, lengths = at.text, at.text_lengths
        if name is not None:
            if name not in extra:
                raise ValueError(
                    f"aux_ctc: layer {layer} is to be trained on {name!r}, which the data lacks"
                )
            text, lengths = extra[name], extra[f"{name}_lengths"]
            if len(at.text) == 2 * len(text):
                text, lengths = twice(text, lengths)
        loss, cer = self._calc_ctc_loss(out, at.lengths, text, lengths)
        at.stats[f"loss_interctc_layer{layer}"] = loss.detach()
        at.stats[f"cer_interctc_layer{layer}"] = cer
        return loss

    # -- attention ---------------------------------------------------------------------------------------------

    def _attention_loss(self, at: Encoded) -> Tensor:
        loss, accuracy, cer, wer = self._calc_att_loss(at.out, at.lengths, at.text, at.text_lengths)
        at.stats.update(loss_att=loss.detach(), acc=accuracy, cer=cer, wer=wer)
        return loss
