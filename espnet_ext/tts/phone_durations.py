"""Phones of a forced alignment -> frames of a synthesiser's tokens.

A token is spoken by a phone of its name; where the dictionaries differ in how they cut, several tokens by one phone
(t, ʃ by tʃ), which shares its time out among them. Neither marks of stress and length nor digits of stress count.
Tokens that nobody hears (marks of stress, punctuation, pauses, blanks) get silence:

- between two phones it goes to the punctuation there, else to the blank, else to the phone before;
- before the first phone to the punctuation there, else to that phone;
- behind the last one to the punctuation there, else to <sos/eos>.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from espnet_ext.errors import UserError
from espnet_ext.tts.textgrid import Interval

#: Labels of silence.
SILENCES = frozenset({"", "sil", "sp", "SIL", "SP", "pau", "<eps>", "<sil>"})
#: What aligners write for a word that their dictionary lacks.
UNKNOWN = frozenset({"spn", "SPN", "<unk>"})
_MARKS = re.compile("[ˈˌːˑ'0-9]")
_NO_PUNCTUATION = frozenset({" ", "<space>"})


@dataclass(frozen=True)
class Clock:
    """How frames count an utterance: frame k lies about sample k * hop.

    Attributes:
        rate: in Hz.
        hop: samples from frame to frame.
        samples: of the utterance.
    """

    rate: int
    hop: int
    samples: int

    @property
    def frames(self) -> int:
        """Of the utterance."""
        return self.samples // self.hop + 1

    def before(self, seconds: float) -> int:
        """Frames that lie before a time."""
        return min(self.frames, max(0, math.ceil(seconds * self.rate / self.hop - 1e-6)))


def bare(token: str) -> str:
    """What of a token or phone is compared: "" for a token that nobody hears.

    >>> bare("AH0"), bare("ˈ"), bare("iː"), bare(","), bare("<space>")
    ('AH', '', 'i', '', '')
    """
    if token in SILENCES or (token.startswith("<") and token.endswith(">")):
        return ""
    left = _MARKS.sub("", token)
    return left if any(c.isalpha() for c in left) else ""


def durations(tokens: Sequence[str], phones: Sequence[Interval], clock: Clock) -> list[int]:
    """Frames of each token, and of <sos/eos>, which add up to the utterance's.

    Args:
        tokens: of the text, without <sos/eos>.
        phones: of the whole recording, silences included.
        clock: see there.

    Raises:
        UserError: if the phones are not those of the tokens, or the recording is of another length.
    """
    if not phones:
        raise UserError("found no phones, expected those of the text")
    seconds = clock.samples / clock.rate
    if abs(phones[-1].end - seconds) > 0.1:
        raise UserError(
            f"found an alignment of {phones[-1].end:.2f} s for a recording of {seconds:.2f} s, expected that of the "
            "formatted recording: align what format_audio wrote"
        )
    spoken = [phone for phone in phones if phone.label not in SILENCES]
    groups = _match(tokens, spoken)
    ends = [0.0] * (len(tokens) + 1)
    _give(ends, _hearer(tokens, 0, groups[0][0], groups[0][0]), spoken[0].start)
    for number, (phone, group) in enumerate(zip(spoken, groups, strict=True)):
        last = number == len(spoken) - 1
        for place, token in enumerate(group, 1):
            ends[token] = phone.start + (phone.end - phone.start) * place / len(group)
        first = group[-1] + 1
        until = len(tokens) if last else groups[number + 1][0]
        otherwise = len(tokens) if last else group[-1]
        silence = math.inf if last else spoken[number + 1].start
        _give(ends, _hearer(tokens, first, until, otherwise), silence)
    return _frames(ends, clock)


def _give(ends: list[float], token: int, until: float) -> None:
    """Have a token last until a time; those without an end of their own end with the one before."""
    ends[token] = max(ends[token], until)


def _hearer(tokens: Sequence[str], first: int, until: int, otherwise: int) -> int:
    """Which token gets the silence between two phones, whose unheard tokens are from `first` to before `until`."""
    between = range(first, until)
    marks = [i for i in between if _MARKS.sub("", tokens[i]) and tokens[i] not in _NO_PUNCTUATION]
    blanks = [i for i in between if tokens[i] in _NO_PUNCTUATION]
    if until == len(tokens):
        return (marks or [otherwise])[0]
    return (marks or blanks or [otherwise])[0]


def _frames(ends: Sequence[float], clock: Clock) -> list[int]:
    """Ends in seconds, 0 for a token that ends with the one before -> frames of each."""
    found, before = [], 0
    for end in ends:
        here = clock.frames if end == math.inf else max(before, clock.before(end))
        found.append(here - before)
        before = here
    found[-1] += clock.frames - before
    return found


def _match(tokens: Sequence[str], phones: Sequence[Interval]) -> list[list[int]]:
    """For each phone the numbers of the tokens that it speaks, one or more."""
    heard = [i for i, token in enumerate(tokens) if bare(token)]
    place, groups = 0, []
    for phone in phones:
        if phone.label in UNKNOWN:
            raise UserError(
                f"found {phone.label!r} at {phone.start:.2f} s, a word that the aligner's dictionary lacks: add it "
                "there and align again"
            )
        wanted, group, joined = bare(phone.label), list[int](), ""
        while joined != wanted and place < len(heard) and wanted.startswith(joined):
            group.append(heard[place])
            joined += bare(tokens[heard[place]])
            place += 1
        if joined != wanted or not group:
            _differ(tokens, phone, group)
        groups.append(group)
    if place < len(heard):
        raise UserError(
            f"found the phones' end before token {heard[place] + 1} of {len(tokens)} ({tokens[heard[place]]!r}), "
            "expected phones for all: was another text aligned?"
        )
    if not groups:
        raise UserError("found silence alone, expected phones of the text")
    return groups


def _differ(tokens: Sequence[str], phone: Interval, group: Sequence[int]) -> None:
    """Raises UserError for a phone that is not what the text says."""
    place = group[0] if group else len(tokens)
    wanted = " ".join(tokens[place : place + 4]) or "no more"
    raise UserError(
        f"found phone {phone.label!r} at {phone.start:.2f} s, expected {wanted!r} (token {place + 1} of "
        f"{len(tokens)}): align with a dictionary of the model's own phones, e.g. english_us_arpa for g2p_en"
    )
