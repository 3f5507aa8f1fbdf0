"""Synthesise the texts of data directories: what the tts_synthesize command calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.datadir import read_table
from espnet_ext.datadir.vectors import speaker_vectors, vector
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open
from espnet_ext.inference.shares import Share, run_key, share_of
from espnet_ext.inference.speech import joined
from espnet_ext.inference.ssml_speech import AUTO, read_plans, speak_plan
from espnet_ext.inference.text2speech import Speech, Text2Speech
from espnet_ext.progress import progress
from espnet_ext.text.speech_plan import Plan

Conditions = dict[str, dict[str, str]]


def _write_wave(path: Path, speech: Speech) -> None:
    import soundfile

    with atomic_open(path, "wb") as stream:
        soundfile.write(stream, speech.wave, speech.rate, format="WAV", subtype="PCM_16")


def conditions_of(directory: Path) -> Conditions:
    """Speaker and language numbers where the set has them, and what speaker embeddings are read from."""
    files = (("sids", "utt2sid"), ("lids", "utt2lid"))
    found = {
        name: read_table(directory / file) for name, file in files if (directory / file).is_file()
    }
    vectors = speaker_vectors(directory)
    return {**found, "spembs": vectors} if vectors else found


def given_for(conditions: Conditions, utt: str) -> dict[str, Any]:
    """One utterance's: numbers (1,), an embedding (E,) where it has one.

    Raises:
        UserError: if the set has a table of numbers without this utterance's.
    """
    import torch

    found: dict[str, Any] = {}
    for name, table in conditions.items():
        if name == "spembs":
            continue
        if not table.get(utt, "").isdecimal():
            raise UserError(
                f"utterance {utt}: found {table.get(utt, 'nothing')!r} in utt2{name[:-1]}, expected a number from 0 on"
            )
        found[name] = torch.tensor([int(table[utt])])
    entry = conditions.get("spembs", {}).get(utt)
    return found if entry is None else {**found, "spembs": torch.tensor(vector(entry))}


def _who(speaker: Text2Speech, conditions: Conditions, utt: str) -> dict[str, Any]:
    """An utterance's conditions; with its recording, which `conditions` has of a model that takes a style."""
    import torch

    from espnet_ext.audio.read import load

    entry = conditions.get("speech", {}).get(utt)
    found = given_for({name: t for name, t in conditions.items() if name != "speech"}, utt)
    if entry is None:
        return found
    return {**found, "speech": torch.from_numpy(load(entry, speaker.rate)[0])}


def _spoken(
    speaker: Text2Speech,
    name: str,
    texts: list[tuple[str, str]],
    conditions: Conditions,
    markup: str,
) -> Iterator[tuple[str, Speech]]:
    # all, before the first is spoken
    plans = read_plans(texts, markup, speaker.has_words, speaker.has_word_rates)
    yield from progress(
        _one_after_the_other(speaker, texts, conditions, plans), len(texts), f"synthesise {name}"
    )


def _one_after_the_other(
    speaker: Text2Speech,
    texts: list[tuple[str, str]],
    conditions: Conditions,
    plans: dict[str, Plan],
) -> Iterator[tuple[str, Speech]]:
    """In their order; several batches are spoken at a time, so that a batch has texts of like length."""
    size = max(1, speaker.options.batch_size)
    for begin in range(0, len(texts), 4 * size):
        some = texts[begin : begin + 4 * size]
        plain = [(utt, text) for utt, text in some if utt not in plans]
        given = [_who(speaker, conditions, utt) for utt, _ in plain]
        waves = speaker.many([text for _, text in plain], given, size)
        found = dict(zip((utt for utt, _ in plain), waves, strict=True))
        for utt, _ in some:
            if utt in plans:
                yield utt, joined(speak_plan(speaker, plans[utt], _who(speaker, conditions, utt)))
            else:
                yield utt, found.pop(utt)


def synthesize_sets(
    speaker: Text2Speech,
    data: Path,
    sets: Sequence[str],
    output: Path,
    job: int,
    jobs: int,
    markup: str = AUTO,
) -> None:
    """Speak this job's share of each set.

    Args:
        speaker: a loaded model.
        data: directory of the sets' data directories.
        sets: their names.
        output: receives `SET/{wav/UTT.wav,wav.scp,feats.scp,durations}`.
        job, jobs: the share.
        markup: "auto": a text that begins with <speak> is SSML; "always": all are.
    """
    import kaldiio

    for name in sets:
        every = sorted(read_table(data / name / "text").items())
        conditions = conditions_of(data / name)
        if getattr(speaker.model.tts, "use_gst", False):
            conditions = {**conditions, "speech": read_table(data / name / "wav.scp")}
        key = run_key([], speaker.identity, every, conditions)
        share = Share(output / name, key, job, jobs)
        tables: dict[str, dict[str, str]] = {"wav.scp": {}, "feats.scp": {}, "durations": {}}
        texts = share_of(every, job, jobs)
        ark = share.parts / f"feats.{job}of{jobs}.ark"
        with atomic_open(ark, "wb") as stream:
            for utt, speech in _spoken(speaker, name, texts, conditions, markup):
                wave = share.folder / "wav" / f"{utt}.wav"
                _write_wave(wave, speech)
                tables["wav.scp"][utt] = str(wave)
                if speech.mel is not None:
                    tables["feats.scp"][utt] = f"{ark}:{stream.tell() + len(utt.encode()) + 1}"
                    kaldiio.save_ark(stream, {utt: speech.mel.astype(np.float32)})
                if speech.durations is not None:
                    tables["durations"][utt] = " ".join(
                        str(int(d)) for d in speech.durations.reshape(-1)
                    )
        share.write(tables)
