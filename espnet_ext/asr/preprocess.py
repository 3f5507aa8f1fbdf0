"""What a recogniser's training adds to an utterance: a sentence without sound, phones, and several such in a row.

In a YAML, for instance:

    preprocessor: espnet_ext.asr.preprocess:Chain
    preprocessor_conf:
      steps:
        - {preprocessor: espnet_ext.asr.preprocess:TextBatches, text: [data/lm_train/text]}
        - {preprocessor: espnet_ext.asr.preprocess:PhoneTargets, phones: data/token_list/phn}
        - {preprocessor: espnet_ext.train.augment:Augment, speed: 0.5}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from espnet2.train.preprocessor import AbsPreprocessor

from espnet_ext.bridge.choices import find_class
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import TextPipeline


class Chain(AbsPreprocessor):  # type: ignore[misc]
    """Several preprocessors, one after the other.

    Args:
        train: whether this is training data.
        steps: of each `preprocessor:` and what else it is given.
        given: what every preprocessor is given (token_type, token_list, bpemodel, non_linguistic_symbols).
    """

    augments = False  # its steps may

    def __init__(self, train: bool, steps: Sequence[Mapping[str, Any]], **given: Any) -> None:
        super().__init__(train)
        self.steps = [self._make(dict(step), train, given) for step in steps]

    @staticmethod
    def _make(conf: dict[str, Any], train: bool, given: Mapping[str, Any]) -> Any:
        name = conf.pop("preprocessor", None)
        if name is None:
            raise UserError(
                f"preprocessor_conf: found a step with {sorted(conf)}, expected `preprocessor: module:Class` in each"
            )
        try:
            return find_class("asr", "preprocessor", name)(train=train, **given, **conf)
        except TypeError as error:
            raise UserError(f"preprocessor_conf does not fit {name} ({error})") from error

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, Any]:
        """All steps on an item."""
        for step in self.steps:
            data = step(uid, data)
        return data


def _pipeline(
    token_type: str | None,
    token_list: Sequence[str] | None,
    bpemodel: str | None,
    non_linguistic_symbols: Sequence[str] | None,
    **more: Any,
) -> TextPipeline:
    """Of the recogniser's own tokens, from what every preprocessor is given."""
    symbols = non_linguistic_symbols or ()
    return TextPipeline(token_type or "char", token_list or (), bpemodel, nlsyms=symbols, **more)


class TextBatches(AbsPreprocessor):  # type: ignore[misc]
    """Adds a sentence without sound to each training utterance, as `lm_text`.

    Which one follows from numpy's generator, which the data pipeline sets by (seed, epoch, utterance). The decoder
    learns it as a language model where `model_conf: {lm_text_weight: ...}` says so.

    Args:
        train: whether this is training data; validation data stays as it is.
        text: files of `id sentence` lines.
        longest: tokens; longer sentences are cut there, for one could fill a batch.
        cleaner: of the sentences, as train_tokens had.
        given: what every preprocessor is given (token_type, token_list, ...).

    Raises:
        UserError: for files that are missing, empty or no such tables.
    """

    augments = False

    def __init__(
        self,
        train: bool,
        text: str | Sequence[str],
        longest: int = 100,
        cleaner: str | None = None,
        **given: Any,
    ) -> None:
        super().__init__(train)
        from espnet_ext.train.data import read_text

        self.longest = longest
        files = [text] if isinstance(text, str) else list(text)
        pipeline = _pipeline(**given, cleaner=cleaner)
        self.sentences = read_text(files, pipeline).tokens if train else []
        if train and not len(self.sentences):
            raise UserError(f"preprocessor_conf: text: found no sentence in {', '.join(files)}")

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, Any]:
        """Add "lm_text" (L,) int64."""
        if self.train:
            place = int(np.random.randint(len(self.sentences)))
            data["lm_text"] = self.sentences[place][: self.longest]
        return data


class PhoneTargets(AbsPreprocessor):  # type: ignore[misc]
    """Adds the phones of each utterance's text, as `phones`.

    Args:
        train: whether this is training data.
        phones: directory made by `train_tokens --token_type phn`.
        remembered: texts whose phones are kept in memory.
        given: what every preprocessor is given (token_type, token_list, ...).

    Raises:
        UserError: if it is not such a directory.
    """

    augments = False

    def __init__(self, train: bool, phones: str, remembered: int = 200_000, **given: Any) -> None:
        super().__init__(train)
        self.spoken = TextPipeline.from_dir(phones)
        if self.spoken.token_type != "phn":
            raise UserError(
                f"preprocessor_conf: phones: {phones} has tokens of type {self.spoken.token_type}, expected phn "
                "(train_tokens --token_type phn)"
            )
        self.written = _pipeline(**given)
        self._phones = lru_cache(maxsize=remembered)(self._convert)

    def _convert(self, ids: bytes) -> np.ndarray:
        text = self.written.text(np.frombuffer(ids, np.int64).tolist())
        return np.asarray(self.spoken.ids(text), dtype=np.int64)

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, Any]:
        """Add "phones" (K,) int64."""
        data["phones"] = self._phones(np.asarray(data["text"], np.int64).tobytes())
        return data
