"""Augmentation on the fly, for every task.

In a YAML: `preprocessor: espnet_ext.train.augment:Augment` and under `preprocessor_conf:` the fields of
espnet_ext.audio.augment.Augmentation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from espnet2.train.preprocessor import AbsPreprocessor

from espnet_ext.audio.augment import augment, augmentation, change_tokens
from espnet_ext.errors import UserError


class Augment(AbsPreprocessor):
    """Augments the sound and the tokens of training utterances; leaves those of validation alone.

    What it draws follows from numpy's generator, which the data pipeline sets by (seed, epoch, utterance).

    Args:
        train: whether this is training data.
        fs: sampling rate of the audio in Hz.
        conf: fields of Augmentation; and what ESPnet gives every preprocessor (token_list, ...).
    """

    def __init__(self, train: bool, fs: int = 16000, **conf: Any) -> None:
        super().__init__(train)
        given = ("token_type", "token_list", "bpemodel", "non_linguistic_symbols")
        tokens = {name: conf.pop(name, None) for name in given}["token_list"] or []
        self.fs, self.options = fs, augmentation(conf, "preprocessor_conf")
        self.unk = list(tokens).index("<unk>") if "<unk>" in tokens else 1

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, Any]:
        """Change "speech" (T,) or (T, C), and "text" (L,).

        Raises:
            UserError: where other arrays (pitch, durations) would no longer fit the sound.
        """
        if not self.train:
            return data
        seed = int(np.random.randint(2**31))
        if "speech" in data:
            other = [name for name in data if name in ("pitch", "durations", "energy")]
            if other and not self.options.lasts:
                raise UserError(
                    f"preprocessor_conf: found speed or pitch beside {', '.join(other)} computed beforehand, "
                    "expected one of the two: leave them out, or augment in stage 2 (augment_audio)"
                )
            data["speech"], _ = augment(data["speech"], self.fs, self.options, seed)
        if self.options.token_drop or self.options.token_unk:
            data["text"] = change_tokens(data["text"], self.options, seed, self.unk)
        return data
