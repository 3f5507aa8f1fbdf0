"""Durations from outside: of a forced alignment, or as a trained synthesiser aligns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.bridge.choices import find_class
from espnet_ext.bridge.tasks import TASKS, sampling_rate
from espnet_ext.datadir import read_table, write_table
from espnet_ext.errors import UserError
from espnet_ext.progress import progress
from espnet_ext.text.token_features import with_features
from espnet_ext.text.tokens import TextPipeline
from espnet_ext.train.experiment import read_config
from espnet_ext.tts.phone_durations import Clock, durations
from espnet_ext.tts.textgrid import read_textgrid, tier

#: utterance, text -> frames of each token and <sos/eos>
Source = Callable[[str, str], list[int]]


@dataclass(frozen=True)
class TextGrids:
    """Durations of a set's utterances by forced alignment; see `phone_durations`.

    Attributes:
        files: utterance -> TextGrid.
        pipeline: makes the tokens, as the model that is to be trained reads them.
        clocks: utterance -> its length.
        tier: name of the phones' tier.
    """

    files: Mapping[str, Path]
    pipeline: TextPipeline
    clocks: Mapping[str, Clock]
    tier: str = "phones"

    def __call__(self, utt: str, text: str) -> list[int]:
        if utt not in self.files:
            raise UserError(f"found no TextGrid, expected {utt}.TextGrid")
        if utt not in self.clocks:
            raise UserError("found no length in utt2num_samples, expected one: run fix_data")
        path = self.files[utt]
        phones = tier(read_textgrid(path), self.tier, str(path))
        return durations(self.pipeline.tokens(text), phones, self.clocks[utt])


def textgrids_in(folder: Path) -> dict[str, Path]:
    """The TextGrids of a folder and those below it, by their names without the ending.

    Raises:
        UserError: if there is none, or two have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.[Tt]ext[Gg]rid")):
        if path.stem in found:
            raise UserError(f"found {found[path.stem]} and {path}, expected one file an utterance")
        found[path.stem] = path
    if not found:
        raise UserError(
            f"{folder}: found no *.TextGrid, expected one an utterance: what did the aligner write?"
        )
    return found


def clocks_of(directory: Path, config: Path) -> dict[str, Clock]:
    """How the frames of a data directory's utterances are counted by a synthesiser's front end.

    Raises:
        UserError: if the configuration has no front end, or the audio's lengths are not known.
    """
    found = read_config(TASKS["tts"], config)
    rate = sampling_rate("tts", found)
    if rate is None:
        raise UserError(
            f"{config}: found no feats_extract with fs, expected one, whose frames are counted"
        )
    cls = find_class("tts", "feats_extractor", found["feats_extract"])
    default = inspect.signature(cls).parameters["hop_length"].default
    hop = (found["feats_extract_conf"] or {}).get("hop_length", default)
    samples = read_table(directory / "utt2num_samples")
    return {utt: Clock(rate, hop, int(number)) for utt, number in samples.items()}


def pipeline_of(tokens: Path, config: Path) -> TextPipeline:
    """What makes the tokens of a synthesiser, whose YAML may have marks of emphasis read.

    Args:
        tokens: directory made by train_tokens.
        config: the synthesiser's YAML.
    """
    return with_features(TextPipeline.from_dir(tokens), read_config(TASKS["tts"], config))


@dataclass(frozen=True)
class Teacher:
    """Durations as a trained synthesiser aligns recordings with their texts.

    Attributes:
        speaker: a Text2Speech of a model that aligns by itself.
        directory: the utterances' data directory.
    """

    speaker: Any
    directory: Path

    def __post_init__(self) -> None:
        aligner = getattr(self.speaker.model.tts, "aligner", None)
        if aligner is None:
            raise UserError(
                f"--teacher: found {type(self.speaker.model.tts).__name__}, which does not align by itself, expected "
                "an AcousticModel with alignment: {learned: true}, or an AlignedFastSpeech"
            )
        from espnet_ext.inference.synthesize import conditions_of

        object.__setattr__(self, "audio", read_table(self.directory / "wav.scp"))
        object.__setattr__(self, "conditions", conditions_of(self.directory))

    def __call__(self, utt: str, text: str) -> list[int]:
        import torch

        from espnet_ext.audio.read import load
        from espnet_ext.bridge.teacher import followed
        from espnet_ext.inference.synthesize import given_for

        if utt not in self.audio:  # type: ignore[attr-defined]
            raise UserError("found no entry in wav.scp, expected one: run fix_data")
        samples, rate = load(self.audio[utt])  # type: ignore[attr-defined]
        if rate != self.speaker.rate:
            raise UserError(
                f"found audio at {rate} Hz, expected {self.speaker.rate} Hz, the teacher's"
            )
        device = self.speaker.device
        ids = torch.tensor(self.speaker.pipeline.ids(text), device=device)
        given = given_for(self.conditions, utt)  # type: ignore[attr-defined]
        given = {name: value.to(device) for name, value in given.items()}
        speech = torch.from_numpy(samples).to(device)
        found = followed(self.speaker.model, ids, speech, None, **given)["duration"]
        return [int(frames) for frames in found]


def write_durations(
    directory: Path, source: Source, name: str, skip_bad: bool = False
) -> dict[str, str]:
    """Write a data directory's `durations`.

    Args:
        directory: with `text`; receives the table.
        source: where they come from.
        name: of the set, for messages.
        skip_bad: leave out utterances that have none; fix_data then drops them from the other tables.

    Returns:
        What is wrong with those that were left out.

    Raises:
        UserError: naming the first utterance without, or if none has any.
    """
    texts, wrong = read_table(directory / "text"), dict[str, str]()

    def rows() -> Iterator[tuple[str, str]]:
        for utt, text in progress(texts.items(), len(texts), f"durations of {name}"):
            try:
                yield utt, " ".join(map(str, source(utt, text)))
            except UserError as error:
                if not skip_bad:
                    raise UserError(
                        f"{name}: utterance {utt}: {error} (--skip_bad leaves such utterances out)"
                    ) from error
                wrong[utt] = str(error)

    found = dict(rows())
    if not found:
        first = next(iter(wrong.items()), ("", "the set is empty"))
        raise UserError(f"{name}: found no durations at all; {first[0]}: {first[1]}")
    write_table(directory / "durations", found)
    return wrong
