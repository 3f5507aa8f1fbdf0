"""The round trip: the recogniser hears what the synthesiser said, and is scored on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from espnet_ext.datadir.tables import write_table
from espnet_ext.errors import UserError
from espnet_ext.lm import NGRAM_FILE
from espnet_ext.metrics.spelling import language_of_model, spelling_of
from espnet_ext.report.sources import Experiment, newest_model


def write_data(
    tts: Experiment,
    asr: Experiment,
    dataset: str,
    out: Path,
    recordings: bool = False,
    language: str | None = None,
) -> None:
    """Write a data directory of synthesised speech with the texts as the recogniser writes.

    Args:
        tts: what was synthesised (or made again by a vocoder), `<decode>/<dataset>/wav.scp`, and its texts,
            dump/raw/<dataset>.
        asr: the recogniser; its own test transcripts show how it spells.
        dataset: name of the set.
        out: gets wav.scp, text, utt2spk and spk2utt.
        recordings: take the recordings of the same utterances instead.
        language: of the texts, e.g. de; None = as the synthesiser's g2p says, or English.

    Raises:
        UserError: if nothing was synthesised or an utterance has no text.
    """
    waves, texts = tts.result(dataset, "wav.scp"), tts.reference(dataset, "text")
    if not waves:
        raise UserError(
            f"{tts.decode}/{dataset}/wav.scp: found no utterance, expected synthesised speech: "
            f"run tts_synthesize (or vocode) of {tts.recipe}"
        )
    lost = sorted(set(waves) - set(texts))
    if lost:
        raise UserError(
            f"{tts.recipe}/dump/raw/{dataset}/text: found no text of {len(lost)} synthesised "
            f"utterances, the first is {lost[0]}, expected all: synthesise {dataset} again"
        )
    if recordings:
        waves = _recordings(tts, dataset, list(waves))
    config = tts.model / "config.yaml" if tts.model else Path()
    language = language or (language_of_model(config) if config.is_file() else "en")
    theirs = (t for name in asr.sets("text") for t in asr.reference(name, "text").values())
    spell = spelling_of(theirs, language)
    write_table(out / "wav.scp", {utt: tts.audio(entry) for utt, entry in waves.items()})
    write_table(out / "text", {utt: spell(texts[utt]) for utt in waves})
    write_table(out / "utt2spk", dict.fromkeys(waves, "synthesis"))
    write_table(out / "spk2utt", {"synthesis": " ".join(sorted(waves))})


def _recordings(tts: Experiment, dataset: str, utterances: list[str]) -> dict[str, str]:
    found = tts.reference(dataset, "wav.scp")
    lost = [utt for utt in utterances if utt not in found]
    if lost:
        raise UserError(
            f"{tts.recipe}/dump/raw/{dataset}/wav.scp: found no recording of {lost[0]} ({len(lost)} lack), expected "
            "all: leave out --recordings"
        )
    return {utt: found[utt] for utt in utterances}


@dataclass(frozen=True)
class Decoding:
    """How to recognise: the recipe's own settings unless told otherwise.

    Attributes:
        config: YAML of the search; None: the search's defaults.
        lm: directory of a language model, or None.
        ngram: of an n-gram model, or None.
    """

    config: Path | None
    lm: Path | None
    ngram: Path | None = None


def recipe_decoding(asr: Experiment) -> Decoding:
    """What the recipe decoded with, read off the name of its decoding: `<config's name>[_ngram][_lm]`."""
    name = asr.decode.name if asr.decode else ""
    lm = newest_model(asr.recipe, "lm") if name.endswith("_lm") else None
    name = name.removesuffix("_lm")
    found = asr.recipe.glob(f"exp/ngram_*/{NGRAM_FILE}") if name.endswith("_ngram") else []
    ngram = max(found, key=lambda path: path.stat().st_mtime, default=None)
    config = asr.recipe / "conf" / f"{name.removesuffix('_ngram')}.yaml"
    return Decoding(config if config.is_file() else None, lm, ngram)
