"""A subset of SSML 1.1 (W3C, 2010): markup of speech -> a flat list of spans.

Understood: speak, p, s, break, emphasis, prosody (rate, pitch, volume), say-as, phoneme, sub. Rates and
volumes multiply and pitches add up where elements are nested. `<!DOCTYPE` is refused, so that no
entity can be defined: what is read is no larger than what is written, and no file is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from xml.parsers import expat

from espnet_ext.errors import UserError

BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "fast": 1.25, "x-fast": 1.75, "default": 1.0}
PITCHES = {"x-low": -6.0, "low": -3.0, "medium": 0.0, "high": 3.0, "x-high": 6.0, "default": 0.0}
VOLUMES = {
    "x-soft": -12.0,
    "soft": -6.0,
    "medium": 0.0,
    "loud": 6.0,
    "x-loud": 12.0,
    "default": 0.0,
}
EMPHASIS = ("strong", "moderate", "none", "reduced")
_PARAGRAPH, _SENTENCE = 0.7, 0.4  # pauses after <p> and <s>, seconds
_LONGEST_BREAK = 60.0
_LOUDEST = 40.0  # dB above the voice's own
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "speak": ("version", "lang", "xml:lang", "xmlns"),
    "p": ("xml:lang",),
    "s": ("xml:lang",),
    "break": ("time", "strength"),
    "emphasis": ("level",),
    "prosody": ("rate", "pitch", "volume"),
    "say-as": ("interpret-as", "format", "detail"),
    "phoneme": ("ph", "alphabet"),
    "sub": ("alias",),
}


@dataclass(frozen=True)
class Span:
    """A piece of text that is spoken in one manner, or a pause."""

    text: str = ""  # "" for a pause
    break_s: float = 0.0  # seconds of silence (a pause alone)
    rate: float = 1.0  # speed, as a factor
    pitch: float = 0.0  # semitones above the voice's own
    volume: float = 0.0  # dB above the voice's own; -inf is silent
    emphasis: str = "none"  # strong, moderate, none or reduced
    phonemes: str = ""  # pronunciation of the text
    alphabet: str = ""  # of the phonemes, e.g. ipa or x-arpabet
    say_as: str = ""  # e.g. characters, date, telephone: for the text normaliser
    say_format: str = ""  # its format, e.g. dmy


def is_ssml(text: str) -> bool:
    """Whether a text is markup, not plain text."""
    return bool(re.match(r"\s*(<\?xml[^>]*>\s*)?<speak[\s>/]", text))


def parse(text: str) -> list[Span]:
    """The spans of an SSML document, in their order; white space becomes one blank, kept between words.

    >>> [(s.text, s.break_s) for s in parse('<speak>Wait <break time="500ms"/> here.</speak>')]
    [('Wait', 0.0), ('', 0.5), ('here.', 0.0)]

    Raises:
        UserError: with line and column, if it is malformed or has an element, attribute or value
            outside the subset.
    """
    reader = _Reader()
    try:
        # encoded here: a text that was read already may still name another encoding in its <?xml ... ?>
        reader.parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise UserError(
            f"SSML: line {error.lineno}, column {error.offset + 1}: {what}; expected "
            "<speak> ... </speak> with every element closed and & written as &amp;"
        ) from error
    return _tidy(reader.spans)


class _Reader:
    """Follows the parser's events; the manner in force is on top of a stack."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.buffer_text = True
        self.spans: list[Span] = []
        self._manners: list[tuple[str, Span, str | None]] = []

    def _fail(self, message: str) -> UserError:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        return UserError(f"SSML: line {line}, column {column}: {message}")

    def _doctype(self, *_: object) -> None:
        raise self._fail("found <!DOCTYPE, expected <speak>; remove it, entities are not read")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name not in _ATTRIBUTES:
            known = ", ".join(_ATTRIBUTES)
            raise self._fail(f"found <{name}>, expected one of {known}; remove it or replace it")
        if (name == "speak") != (not self._manners):
            raise self._fail(f"found <{name}>, expected one <speak> around everything")
        for attribute in attributes:
            if attribute not in _ATTRIBUTES[name] and not attribute.startswith(("xmlns:", "xsi:")):
                known = ", ".join(_ATTRIBUTES[name])
                raise self._fail(f"<{name}> has {attribute!r}, expected only {known}; remove it")
        manner = self._manners[-1][1] if self._manners else Span()
        if name == "break":
            pause = self._break(attributes)  # none is no pause, but still between two words
            self.spans.append(replace(manner, break_s=pause, text="" if pause else " "))
        said = attributes.get("alias") if name == "sub" else None
        self._manners.append((name, self._manner(name, attributes, manner), said))
        if said is not None:
            self.spans.append(replace(manner, text=f"{said}"))

    def _end(self, name: str) -> None:
        self._manners.pop()
        pause = {"p": _PARAGRAPH, "s": _SENTENCE}.get(name)
        if pause and self.spans:
            self.spans.append(Span(break_s=pause))

    def _text(self, data: str) -> None:
        if any(said is not None for _, _, said in self._manners):
            return  # <sub> says its alias instead
        if self._manners[-1][0] == "break" and data.strip():
            raise self._fail("found text in <break>, expected <break/>")
        self.spans.append(replace(self._manners[-1][1], text=data))

    def _manner(self, name: str, found: Mapping[str, str], manner: Span) -> Span:
        if name == "emphasis":
            level = found.get("level", "moderate")
            return replace(manner, emphasis=self._choice(level, EMPHASIS, "emphasis level"))
        if name == "phoneme":
            if not found.get("ph", "").strip():
                raise self._fail('<phoneme> has no ph, expected <phoneme ph="...">word</phoneme>')
            return replace(manner, phonemes=found["ph"], alphabet=found.get("alphabet", "ipa"))
        if name == "say-as":
            if not found.get("interpret-as"):
                raise self._fail(
                    '<say-as> has no interpret-as, expected for example interpret-as="date"'
                )
            return replace(manner, say_as=found["interpret-as"], say_format=found.get("format", ""))
        if name == "prosody":
            return self._prosody(found, manner)
        return manner

    def _prosody(self, found: Mapping[str, str], manner: Span) -> Span:
        rate = self._value(found.get("rate", "medium"), RATES, "rate", "%|")
        pitch = self._value(found.get("pitch", "medium"), PITCHES, "pitch", "st|%")
        volume = self._value(found.get("volume", "medium"), VOLUMES, "volume", "dB|")
        if rate <= 0:
            raise self._fail(f"rate {found['rate']!r}, expected more than nothing")
        if manner.volume + volume > _LOUDEST:
            raise self._fail(
                f"volume {found['volume']!r}, expected at most +{_LOUDEST:.0f}dB in all"
            )
        return replace(
            manner,
            rate=manner.rate * rate,
            pitch=manner.pitch + pitch,
            volume=manner.volume + volume,
        )

    def _value(self, text: str, names: Mapping[str, float], what: str, units: str) -> float:
        """A named or numeric value: rate as a factor, pitch in semitones, volume in dB."""
        if text in names:
            return names[text]
        if what == "volume" and text == "silent":
            return float("-inf")
        match = re.fullmatch(rf"([+-]?)(\d{{1,4}}(?:\.\d{{1,6}})?)({units})", text)
        if not match or (what == "volume" and not (match[1] and match[3])):
            example = {"rate": "120% or 1.2", "pitch": "+2st or +10%", "volume": "+6dB"}[what]
            raise self._fail(f"{what} {text!r}, expected {', '.join(names)}, or such as {example}")
        number = float(match[1] + match[2])
        if match[3] != "%":
            return number
        factor = (100 + number if match[1] else number) / 100  # +10% is a change, 110% the whole
        return factor if what == "rate" else self._semitones(factor, text)

    def _semitones(self, factor: float, text: str) -> float:
        import math

        if factor <= 0:
            raise self._fail(f"pitch {text!r}, expected more than -100%")
        return 12 * math.log2(factor)

    def _break(self, found: Mapping[str, str]) -> float:
        if "time" not in found:
            return BREAKS[self._choice(found.get("strength", "medium"), BREAKS, "break strength")]
        match = re.fullmatch(r"\+?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})(ms|s)", found["time"].strip())
        seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else -1.0
        if not 0 <= seconds <= _LONGEST_BREAK:
            raise self._fail(
                f"break time {found['time']!r}, expected such as 500ms or 1.5s, at most {_LONGEST_BREAK:.0f}s"
            )
        return seconds

    def _choice(self, found: str, choices: Mapping[str, float] | tuple[str, ...], what: str) -> str:
        if found not in choices:
            raise self._fail(f"{what} {found!r}, expected one of {', '.join(choices)}")
        return found


def _tidy(spans: list[Span]) -> list[Span]:
    """Neighbours of one manner joined, white space single and none around pauses, empty spans dropped."""
    joined: list[Span] = []
    for span in spans:
        span = replace(span, text=re.sub(r"\s+", " ", span.text))
        last = joined[-1] if joined else None
        if last and not span.break_s and not last.break_s and replace(last, text=span.text) == span:
            joined[-1] = replace(last, text=re.sub(r"\s+", " ", last.text + span.text))
        else:
            joined.append(span)
    kept: list[Span] = []
    for span in joined:
        text = span.text
        if not kept or not kept[-1].text or kept[-1].text.endswith(" "):
            text = text.lstrip()
        if span.break_s and kept:
            kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip())
        if not text.strip() and not span.break_s:
            if text and kept:
                kept[-1] = replace(kept[-1], text=kept[-1].text + " ")
            continue
        kept.append(replace(span, text=text))
    if kept:
        kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip())
    return kept
