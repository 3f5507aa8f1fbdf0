"""SSML through a trained model: pieces spoken one by one, pauses of the length asked for, joined to one waveform."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from espnet_ext.errors import UserError
from espnet_ext.inference.phrases import Phrase
from espnet_ext.inference.prosody import limited
from espnet_ext.inference.speaking import spoken_places
from espnet_ext.inference.speech import Speech, each
from espnet_ext.text.arpabet import ipa_to_arpabet
from espnet_ext.text.phonemes import ENGLISH, VITS, converter_name, word_space
from espnet_ext.text.speech_plan import Manner, Pause, Piece, Plan, Run, plan
from espnet_ext.text.ssml import is_ssml, parse
from espnet_ext.text.tokens import SPACE, TextPipeline

if TYPE_CHECKING:
    from espnet_ext.inference.text2speech import Text2Speech

#: what to do with texts: find the markup, or expect it
AUTO, ALWAYS = "auto", "always"


def read_plans(
    texts: Sequence[tuple[str, str]], markup: str = AUTO, words: bool = False, rates: bool = True
) -> dict[str, Plan]:
    """The plans of those texts that are SSML, by utterance; what cannot be spoken is said on stderr, once each.

    Args:
        texts: (utterance, text).
        markup: "auto" takes a text that begins with <speak> for SSML; "always" expects all to be SSML.
        words: whether single words can be spoken higher or louder.
        rates: whether they can be spoken faster, too.

    Raises:
        UserError: naming the utterance, if a document is malformed, or there is none where one is expected.
    """
    plans: dict[str, Plan] = {}
    said: set[str] = set()
    for utt, text in texts:
        if not is_ssml(text):
            if markup == ALWAYS:
                raise UserError(
                    f"{utt}: found plain text {text[:40]!r}, expected <speak> ... </speak>; "
                    "mark it up or leave --ssml out"
                )
            continue
        try:
            plans[utt] = plan(parse(text), words, rates)
        except UserError as error:
            raise UserError(f"{utt}: {error}") from error
        for warning in plans[utt].warnings:
            if warning not in said:
                print(f"warning: {utt}: {warning}", file=sys.stderr)
            said.add(warning)
    return plans


def piece_tokens(pipeline: TextPipeline, piece: Piece) -> tuple[list[int], list[Manner]]:
    """Token ids of a piece and the manner of each; phonemes that are given take the place of their text.

    What the model has no tokens for is left out, as of plain text. Text of one manner is converted in one go, as what a
    word sounds like may depend on its neighbours.

    Raises:
        UserError: if phonemes are in another alphabet than the model's, or the model has no such phoneme.
    """
    alike = len({run.manner for run in piece.runs}) == 1
    if alike and not any(run.phonemes for run in piece.runs):
        numbers = pipeline.ids(piece.text)
        manners = [piece.runs[0].manner] * len(numbers)
    else:
        tokens, manners = _by_runs(pipeline, piece)
        numbers = pipeline.token_ids(tokens)
    kept = spoken_places(pipeline, numbers, piece.text)
    return [numbers[at] for at in kept], [manners[at] for at in kept]


def _by_runs(pipeline: TextPipeline, piece: Piece) -> tuple[list[str], list[Manner]]:
    """Tokens of a piece, run by run, and the manner of each."""
    tokens: list[str] = []
    manners: list[Manner] = []
    space = _space(pipeline)
    for number, run in enumerate(piece.runs):
        before = piece.runs[number - 1].text if number else ""
        apart = run.text[:1].isspace() or before[-1:].isspace()
        found = [space] if tokens and space and apart else []
        found += _given(pipeline, run) if run.phonemes else pipeline.tokens(run.text.strip())
        tokens += found
        manners += [run.manner] * len(found)
    return tokens, manners


def _space(pipeline: TextPipeline) -> str | None:
    """The token between words, where runs are joined that have none."""
    if pipeline.token_type == "char":
        return SPACE
    return word_space(pipeline.g2p) if pipeline.token_type == "phn" else None


def _given(pipeline: TextPipeline, run: Run) -> list[str]:
    """The model's tokens for phonemes of a document."""
    if pipeline.token_type != "phn":
        raise UserError(
            f"<phoneme> around {run.text.strip()!r}: this model reads letters (token type {pipeline.token_type}), "
            'expected one of type phn; write it with <sub alias="..."> instead'
        )
    name = converter_name(pipeline.g2p)
    ipa = run.alphabet == "ipa"
    if name in ENGLISH:
        found = list(ipa_to_arpabet(run.phonemes)) if ipa else run.phonemes.split()
    elif name == VITS and ipa:
        found = ["<space>" if c == " " else c for c in run.phonemes]
    elif name is None or ipa:
        found = run.phonemes.split()
    else:
        raise UserError(
            f"<phoneme> around {run.text.strip()!r}: found alphabet {run.alphabet!r}, but this model's g2p "
            f'{name} has IPA; write alphabet="ipa"'
        )
    missing = [token for token in found if token not in pipeline.token_list]
    if missing or not found:
        raise UserError(
            f"<phoneme> around {run.text.strip()!r}: {run.phonemes!r} has "
            f"{', '.join(map(repr, missing)) or 'nothing'} that this model knows of; expected phonemes of its tokens, "
            "for example " + " ".join(t for t in pipeline.token_list[2:10])
        )
    return found


def speak_plan(
    speaker: Text2Speech,
    planned: Plan,
    conditions: dict[str, Any],
    apart: bool = False,
    soon: bool = False,
) -> Iterator[Speech]:
    """All steps, phrase by phrase; silence comes before what follows it, at the end by itself.

    Args:
        speaker: speaks them.
        planned: the steps.
        conditions: see `as_conditions`.
        apart: sentence by sentence; else what fits into the model's context is spoken in one go.
        soon: the first phrase is short.

    Raises:
        UserError: if nothing of it can be spoken, or see `piece_tokens`.
    """
    rate, silence, heard = speaker.rate, 0, False
    for step in planned.steps:
        if isinstance(step, Pause):
            silence += round(step.seconds * rate)
            continue
        for speech in _speak_piece(speaker, step, conditions, apart, soon and not heard):
            if silence:
                quiet = np.zeros(silence, np.float32)
                speech = Speech(np.concatenate([quiet, speech.wave]), rate, None, None)
            yield speech
            silence, heard = 0, True
    if not heard:
        raise UserError("found nothing to speak in this SSML document: give at least one word")
    if silence:
        yield Speech(np.zeros(silence, np.float32), rate, None, None)


def _speak_piece(
    speaker: Text2Speech, piece: Piece, conditions: dict[str, Any], apart: bool, soon: bool
) -> Iterator[Speech]:
    def say(phrase: Phrase, begin: int) -> Speech | None:
        part = _part(piece, begin, begin + len(phrase.text))
        ids, manners = piece_tokens(speaker.pipeline, part)
        if not ids:
            return None
        rates, semitones, loudness = (
            _alike([getattr(manner, name) for manner in manners])
            for name in ("rate", "semitones", "loudness")
        )
        faster = each(lambda r: piece.rate * r, rates)
        return speaker.speak(ids, phrase.text, faster, conditions, semitones, loudness)

    found = speaker.phrases("".join(run.text for run in piece.runs), apart, soon)
    for speech in speaker.spoken(found, say):
        louder = speech.wave * np.float32(10 ** (piece.volume / 20))
        yield replace(speech, wave=limited(louder, speech.rate))


def _part(piece: Piece, begin: int, end: int) -> Piece:
    """What is written in a piece from a character to another; phonemes go where their text begins."""
    runs, at = [], 0
    for run in piece.runs:
        inside = run.text[max(0, begin - at) : max(0, end - at)]
        if run.phonemes and begin <= at < end:
            runs.append(run)
        elif inside and not run.phonemes:
            runs.append(replace(run, text=inside))
        at += len(run.text)
    return replace(piece, runs=tuple(runs))


def _alike(values: list[float]) -> float | list[float]:
    """One value where all are the same."""
    return values[0] if len(set(values)) == 1 else values
