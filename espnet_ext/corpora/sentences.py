"""A small seeded grammar of everyday sentences, each in written and in spoken form.

"Dr. Smith paid $25 on March 3rd." is spoken "Doctor Smith paid twenty-five dollars on March third."
Both forms come from the grammar itself, so that a text normaliser can be tested against it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()

#: What a slot without a rule of its own may be.
WORDS = {
    "name": "Anna Peter Mary John Emma Tom Laura David Sarah Henry",
    "surname": "Smith Brown Miller Taylor Wilson Parker Baker Cooper",
    "family": "mother father brother sister uncle daughter",
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "place": "market station school park library office garden kitchen hotel village museum beach "
    "river bridge",
    "room": "kitchen garden office bedroom",
    "food": "bread milk coffee tea cheese soup rice butter sugar",
    "animals": "dogs cats horses birds sheep",
    "things": "books letters windows lamps tables chairs apples flowers bottles boxes pictures "
    "tickets",
    "thing": "book letter window lamp table chair bicycle picture coat radio",
    "vehicle": "train bus boat car plane",
    "colour": "red blue green white black yellow brown",
    "adjective": "small large old new quiet heavy beautiful broken",
    "weather": "sunny cold warm windy rainy cloudy",
    "bought": "bought sold found counted carried painted ordered",
    "closed": "opened closed cleaned moved repaired",
    "said": "said thought remembered forgot knew",
    "work": "teacher farmer driver singer writer painter",
    "often": "always often never sometimes",
}

#: Sentences: what stands in braces is a slot, the rest is read as it is written.
TEMPLATES = (
    "{person} paid {money} for the {adjective} {thing}.",
    "{person} paid {money} on {date}.",
    "The {vehicle} to the {place} leaves at {time}.",
    "The {vehicle} leaves at {time} and arrives at {time}.",
    "{person} {bought} {count} {colour} {things}.",
    "{person} {bought} {count} {things} at the {place}.",
    "My {family} {bought} the {colour} {thing} for {money}.",
    "The meeting with {person} is on {date} at {time}.",
    "My {family} was born in {year}.",
    "The {place} was built in {year} and closed in {year}.",
    "About {percent} of the {things} are {colour}.",
    "Only {percent} of the people in the {place} drink {food}.",
    "It was {weather} on {day} and {weather} on {date}.",
    "It will be {weather} and {weather} near the {place} tomorrow.",
    "We need {weight} of {food} and {weight} of {food}.",
    "The {place} is {distance} from the {place}.",
    "{person} walked {distance} along the {place}.",
    "Please read number {count} in the {adjective} {thing}.",
    "Please open room {No} after {time}.",
    "There are {count} {animals} and {count} {animals} near the {place}.",
    "{person} {often} drinks {food} in the {room}.",
    "My {family} {often} eats {food} with {food} on {day}.",
    "The {work} {closed} the {adjective} {thing} yesterday.",
    "The {work} and the {work} {said} that it was {time}.",
    "{person} {said} the {thing} was {adjective} and {colour}.",
    "Where is the {adjective} {thing} that {person} {bought}?",
    "{person} lives at {No} in the {adjective} {place}.",
    "Can you meet {person} at {time} on {day}?",
    "The {adjective} {vehicle} cost {money} in {year}.",
    "{thousands} people came to the {place} on {date}.",
    "Her {family} waited {count} minutes for the {adjective} {vehicle}.",
    "He wrote {count} {things} to {person} in {year}.",
    "The {adjective} {place} opens on {date}.",
    "Her {family} was born on {date} in {year}.",
    "The {work} {closed} the {place} on {date}.",
    "{person} {closed} {count} {things} before {date}.",
    "They {closed} the {room} and {bought} the {thing} on {date}.",
)


class Sentence(NamedTuple):
    """One sentence, as written ("$25") and as spoken ("twenty-five dollars"), both with case and
    punctuation.
    """

    written: str
    spoken: str

    @property
    def transcript(self) -> str:
        """The spoken form as LibriSpeech writes it: capitals, apostrophes, nothing else."""
        return " ".join(re.findall(r"[A-Z']+", self.spoken.upper()))


def number(value: int) -> str:
    """0 to 999,999 in words: 1,234 -> "one thousand two hundred thirty-four"."""
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (f"-{ONES[value % 10]}" if value % 10 else "")
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    rest = f" {number(value % size)}" if value % size else ""
    return f"{number(value // size)} {name}{rest}"


def ordinal(value: int) -> str:
    """1 to 31: 23 -> "twenty-third"."""
    if value <= 20:
        return ORDINALS[value]
    return "thirtieth" if value == 30 else f"{TENS[value // 10]}-{ORDINALS[value % 10]}"


def suffixed(value: int) -> str:
    """1 to 31 with its English suffix: 23 -> "23rd"."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(0 if 10 < value < 20 else value % 10, "th")
    return f"{value}{suffix}"


class Grammar:
    """Draws sentences; words seen less so far are likelier, so that all become frequent."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: Counter[tuple[str, str]] = Counter()

    def choose(self, kind: str, options: Sequence[str]) -> str:
        """One of the options of a kind, those seen less often likelier."""
        weights = [1.0 / (1 + self.seen[kind, option]) ** 2 for option in options]
        choice = self.random.choices(options, weights)[0]
        self.seen[kind, choice] += 1
        return choice

    def value(self, kind: str, values: range) -> int:
        """A number of a range, likewise."""
        return int(self.choose(kind, [str(v) for v in values]))

    def slot(self, name: str) -> tuple[str, str]:
        """A written and a spoken form for a slot."""
        rule: Callable[[], tuple[str, str]] | None = getattr(self, f"slot_{name}", None)
        if rule:
            return rule()
        word = self.choose(name, WORDS[name].split())
        return word, word

    def slot_person(self) -> tuple[str, str]:
        titles = {"Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missus"}
        if self.random.random() < 0.5:
            return self.slot("name")
        title, surname = self.choose("title", list(titles)), self.slot("surname")[0]
        return f"{title} {surname}", f"{titles[title]} {surname}"

    def slot_count(self) -> tuple[str, str]:
        value = self.value("count", range(2, 100))
        return str(value), number(value)

    def slot_thousands(self) -> tuple[str, str]:
        value = (
            self.value("thousands", range(1, 10)) * 1000
            + self.value("thousands", range(1, 10)) * 100
        )
        return f"{value:,}", number(value).capitalize()

    def slot_money(self) -> tuple[str, str]:
        whole = self.value("count", range(2, 100))
        if self.random.random() < 0.3:
            return f"£{whole}", f"{number(whole)} pounds"
        if self.random.random() < 0.5:
            return f"${whole}", f"{number(whole)} dollars"
        cents = self.value("cents", range(10, 100, 5))
        return f"${whole}.{cents}", f"{number(whole)} dollars and {number(cents)} cents"

    def slot_date(self) -> tuple[str, str]:
        month, day = self.choose("month", MONTHS), self.value("day", range(1, 32))
        return f"{month} {suffixed(day)}", f"{month} {ordinal(day)}"

    def slot_time(self) -> tuple[str, str]:
        hour, minute = self.value("hour", range(1, 13)), self.value("minute", range(0, 60, 5))
        said = "o'clock" if not minute else f"oh {ONES[5]}" if minute == 5 else number(minute)
        return f"{hour}:{minute:02d}", f"{number(hour)} {said}"

    def slot_year(self) -> tuple[str, str]:
        century, rest = self.value("century", range(17, 20)), self.value("year", range(10, 100))
        return f"{century}{rest}", f"{number(century)} {number(rest)}"

    def slot_percent(self) -> tuple[str, str]:
        value = self.value("count", range(2, 100))
        return f"{value}%", f"{number(value)} percent"

    def slot_weight(self) -> tuple[str, str]:
        value = self.value("weight", range(2, 30))
        return f"{value} kg", f"{number(value)} kilograms"

    def slot_distance(self) -> tuple[str, str]:
        value = self.value("count", range(2, 100))
        return f"{value} km", f"{number(value)} kilometers"

    def slot_No(self) -> tuple[str, str]:
        value = self.value("No", range(1, 60))
        return f"No. {value}", f"number {number(value)}"

    def sentence(self) -> Sentence:
        """One sentence of a template that was not used much so far."""
        template = self.choose("template", TEMPLATES)
        forms = ["", ""]
        for literal, name in re.findall(r"([^{]*)(?:\{(\w+)\})?", template):
            pair = self.slot(name) if name else ("", "")
            forms = [form + literal + said for form, said in zip(forms, pair, strict=True)]
        return Sentence(*forms)


def sentences(seed: int, taken: set[str], known: Counter[str] | None = None) -> Iterator[Sentence]:
    """Endless different sentences.

    Args:
        seed: same seed, same sentences.
        taken: transcripts not to give again; grows.
        known: if given, only sentences whose every word occurs at least five times in it.
    """
    grammar = Grammar(seed)
    while True:
        found = grammar.sentence()
        words = found.transcript.split()
        if found.transcript in taken or not 5 <= len(words) <= 13:
            continue
        if known is not None and min(known[word] for word in words) < 5:
            continue
        taken.add(found.transcript)
        yield found
