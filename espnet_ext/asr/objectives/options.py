"""What a model is to be trained towards, read from `model_conf`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_ext.asr.objectives.guided import GuidedAttention
from espnet_ext.asr.objectives.schedule import Weight

#: Objectives that need the attention decoder, and those that need CTC.
NEED_DECODER = ("rdrop", "guided_attention", "lm_text")
NEED_CTC = ("cr_ctc", "rdrop_ctc")
#: Those that compare two copies of a batch.
PAIRED = ("cr_ctc", "rdrop", "rdrop_ctc")
REGULARISATIONS = ("frobenius", "spectral")


@dataclass(frozen=True)
class Options:
    """The keys of `model_conf` that are ours. A `..._weight` is a number or a schedule (see `Weight`).

    Attributes:
        ctc_weight: share of CTC in the loss; attention has the rest.
        cr_ctc_weight: in the CTC loss, of the consistency of two views (CR-CTC, Yao et al. 2024: 0.2, with masks in
            time that hide 2.5 times as much, a fifth of the frames on average). Two copies of each batch go through
            the encoder, so a step takes twice as long.
        rdrop_weight: in the attention loss, of the consistency of two dropouts (R-Drop, Liang et al. 2021; half their
            alpha). It doubles the batch as CR-CTC does; both together double it once.
        rdrop_ctc_weight: the same in the CTC loss, for models without masks.
        guided_attention_weight: in the attention loss, of what leads it along the diagonal (Tachibana et al. 2017).
        guided_attention_conf: fields of GuidedAttention.
        lm_text_weight: of the decoder's cross-entropy on sentences without sound (needs `lm_text` in the batch: see
            espnet_ext.asr.preprocess.TextBatches).
        speaker_weight: of the speaker head (needs `sids`: utt2sid in the data).
        speaker_mode: "adversarial" or "helpful".
        speakers: number of training speakers, the last id in spk2sid.
        phone_weight: of CTC on phones (needs `phones` in the batch: see espnet_ext.asr.preprocess.PhoneTargets).
        phones: length of the phones' token list.
        phone_layer: encoder layer that hears the phones, one of its `interctc_layer_idx`; None = its output.
        regularisation_weight: of a penalty on the encoder's weight matrices.
        regularisation: "frobenius" (all singular values) or "spectral" (the largest).
        too_short: "error" or "skip" for utterances with fewer frames than CTC needs.

    Raises:
        ValueError: for values that are none, or that do not go together.
    """

    ctc_weight: Any = 0.5
    cr_ctc_weight: Any = 0.0
    rdrop_weight: Any = 0.0
    rdrop_ctc_weight: Any = 0.0
    guided_attention_weight: Any = 0.0
    guided_attention_conf: Mapping[str, Any] = field(default_factory=dict)
    lm_text_weight: Any = 0.0
    speaker_weight: Any = 0.0
    speaker_mode: str = "adversarial"
    speakers: int = 0
    phone_weight: Any = 0.0
    phones: int = 0
    phone_layer: int | None = None
    regularisation_weight: Any = 0.0
    regularisation: str = "frobenius"
    too_short: str = "error"

    def __post_init__(self) -> None:
        self._check_ctc()
        self._check_values()

    def weights(self) -> dict[str, Weight]:
        """Of each objective, by its name: the key without `_weight`."""
        return {
            key.removesuffix("_weight"): Weight.read(key, value)
            for key, value in vars(self).items()
            if key.endswith("_weight")
        }

    def guided_attention(self) -> GuidedAttention:
        """How attention is led.

        Raises:
            ValueError: for an unknown field.
        """
        try:
            return GuidedAttention(**self.guided_attention_conf)
        except TypeError as error:
            raise ValueError(f"guided_attention_conf: {error}") from error

    def _check_ctc(self) -> None:
        """CTC and decoder are there for what asks for them; ESPnet drops the one whose share ends at 0."""
        weights = self.weights()
        ctc = weights["ctc"]
        if max(ctc.first, ctc.last) > 1:
            raise ValueError(f"ctc_weight: found {self.ctc_weight}, expected shares from 0 to 1")
        if not ctc.constant and ctc.last in (0.0, 1.0):
            raise ValueError(
                f"ctc_weight: found a schedule that ends at {ctc.last}, expected an end between 0 and 1, as CTC "
                "and decoder are both trained before"
            )
        for needed, names, without in (
            ("CTC", NEED_CTC, 0.0),
            ("attention decoder", NEED_DECODER, 1.0),
        ):
            wanted = [name for name in names if weights[name].used]
            if wanted and ctc.constant and ctc.last == without:
                raise ValueError(
                    f"{wanted[0]}_weight: there is no {needed} with ctc_weight {without}"
                )
        if weights["cr_ctc"].used and weights["rdrop_ctc"].used:
            raise ValueError(
                "cr_ctc_weight and rdrop_ctc_weight compare the same frames: expected one of them"
            )

    def _check_values(self) -> None:
        for name, value, known in (
            ("too_short", self.too_short, ("error", "skip")),
            ("regularisation", self.regularisation, REGULARISATIONS),
        ):
            if value not in known:
                raise ValueError(f"{name}: found {value!r}, expected {' or '.join(known)}")
        for name in ("speakers", "phones", "phone_layer"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 0):
                raise ValueError(f"{name}: found {value!r}, expected a whole number")
        self.guided_attention()


#: The names of our keys.
KEYS = tuple(Options.__dataclass_fields__)
