"""Make a listening test: choose, degrade and level the sounds, lay out the trials, write page and key."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.errors import UserError
from espnet_ext.files import write_text
from espnet_ext.listening.design import latin_row, orders, pairs_of
from espnet_ext.listening.key import (
    KINDS,
    LOW_ANCHOR,
    MID_ANCHOR,
    REFERENCE,
    RESERVED,
    Key,
    Stimulus,
    Trial,
    key_path,
    require_place,
    write_key,
)
from espnet_ext.listening.page import page_of
from espnet_ext.listening.stimuli import (
    choose,
    level,
    low_pass,
    read_all,
    sources_of,
    speak,
    spoil,
)

if TYPE_CHECKING:
    import numpy as np

    from espnet_ext.audio.sources import Source

    Sounds = dict[tuple[str, str], np.ndarray]

MOST = 12  # signals that BS.1534-3 allows on a page
_SPOILT = "spoilt"  # a system of gold questions
_SPOKEN = "spoken"  # a system of checks
_NUMBERS = ("zero", "one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Options:
    """What kind of test to make.

    Attributes:
        kind: one of KINDS.
        systems: name -> data directory.
        reference: data directory of natural speech. MOS rates it as one more system, MUSHRA plays it openly and
            hides it among the others; pairs use it for gold questions, and as a system if it is the baseline.
        utts: the utterances; None: all.
        title, question: shown on the page; "" = the usual one.
        instructions: shown before the test, beside what the page says by itself.
        listeners: how many different orders to prepare; further listeners start again with the first.
        trials: how many a listener rates, beside training, checks and gold; None: all there are.
        training: how many come first and do not count; their utterances are used for nothing else.
        checks: how many times one is told what to choose.
        check_style: "spoken" (espeak-ng says it) or "text".
        check_voice: of espeak-ng.
        gold: questions with a known answer: the reference, and the reference with noise; None: 2 where they can be.
        low_anchor: the reference without what is above 3.5 kHz as a system; None: in MUSHRA.
        mid_anchor: the same above 7 kHz.
        baseline: pairs: compare every system with this one; None: with one another.
        loudness: LUFS of every sound; None: as they are.
        rate: bring everything to it, in Hz; None: rates must agree.
        text: a table of what is said, shown beside the sounds; None: not shown.
        seed: another one gives other orders.
        collector: address that answers are sent to; "" = the listener downloads a CSV.
        completion: address of the crowdsourcing platform to go on to at the end.
        code: shown at the end, to be typed in on a crowdsourcing platform.
    """

    kind: str
    systems: Mapping[str, Path]
    reference: Path | None = None
    utts: Sequence[str] | None = None
    title: str = ""
    question: str = ""
    instructions: str = ""
    listeners: int = 24
    trials: int | None = None
    training: int = 2
    checks: int = 2
    check_style: str = "spoken"
    check_voice: str = "en-us"
    gold: int | None = None
    low_anchor: bool | None = None
    mid_anchor: bool = False
    baseline: str | None = None
    loudness: float | None = -26.0
    rate: int | None = None
    text: Mapping[str, str] | None = None
    seed: int = 0
    collector: str = ""
    completion: str = ""
    code: str = ""


@dataclass(frozen=True)
class Material:
    """What a test is made of, before anything gets a number.

    Attributes:
        sounds: (utterance, system) -> mono float32 (T,).
        rate: Hz.
        systems: that are rated.
        groups: what one trial is about, for one utterance: systems that are heard together.
    """

    sounds: Sounds
    rate: int
    systems: tuple[str, ...]
    groups: list[tuple[str, ...]]


def make(options: Options, output: Path, over: bool = False) -> Key:
    """Write a page and, beside it, its key.

    Args:
        options: see there.
        output: the page, *.html.
        over: write over another test's page and key.

    Raises:
        UserError: options that do not fit together, speech that cannot be compared, or another test's key.
    """
    _check(options)
    tables, utts = _tables(options)
    material = _material(options, tables, utts)
    rated, training = _split(utts, options)
    trials = _trials(options, material, rated, training)
    names = _numbers(trials, options.seed)
    heard = {names[f"{u}\n{s}"]: x for (u, s), x in material.sounds.items() if f"{u}\n{s}" in names}
    used, reached = level(heard, material.rate, options.loudness)
    key = Key(
        test="",
        kind=options.kind,
        title=options.title or f"{KINDS[options.kind].name} listening test",
        systems=material.systems,
        made=_made(options, material.rate, reached),
        **_laid_out(trials, names, used, material, options),
    )
    key = replace(key, test=_digest(key, used))
    if not over:
        require_place(key_path(output), key)
    write_text(output, page_of(key, used, material.rate, options))
    write_key(key_path(output), key)
    return key


def _laid_out(
    trials: Sequence[Trial],
    names: Mapping[str, str],
    sounds: Mapping[str, np.ndarray],
    material: Material,
    options: Options,
) -> dict[str, Any]:
    """The parts of the key that are numbered: stimuli, trials and orders."""
    stimuli = {}
    for name, number in sorted(names.items(), key=lambda pair: pair[1]):
        item, system = name.split("\n")
        stimuli[number] = Stimulus(item, system, round(len(sounds[number]) / material.rate, 3))
    final = [_renamed(n, trial, names, options) for n, trial in enumerate(trials)]
    parts = {r: [t for t in final if t.role == r] for r in ("test", "training", "check", "gold")}
    made = orders(
        parts["test"],
        len(material.groups),
        [*parts["check"], *parts["gold"]],
        parts["training"],
        options.listeners,
        options.trials,
        options.seed,
    )
    return {"stimuli": stimuli, "trials": {t.id: t for t in sorted(final, key=_id)}, "orders": made}


def _id(trial: Trial) -> str:
    return trial.id


def _check(options: Options) -> None:
    """Raises UserError for options that do not fit together."""
    if options.kind not in KINDS:
        raise UserError(f"kind: found {options.kind!r}, expected one of {', '.join(KINDS)}")
    if not options.systems:
        raise UserError("found no system, expected --system NAME=DIR at least once")
    taken = [name for name in options.systems if name in RESERVED]
    if taken:
        raise UserError(
            f"--system: found the name {taken[0]!r}, expected another: it stands for what the test adds itself; name "
            "natural speech with --reference"
        )
    if options.listeners < 1:
        raise UserError(f"--listeners: found {options.listeners}, expected one at least")
    mushra = options.kind == "mushra"
    needs = {
        "MUSHRA": mushra,
        "--gold": bool(options.gold),
        "--low_anchor": bool(options.low_anchor),
        "--mid_anchor": options.mid_anchor,
    }
    asked = [name for name, needed in needs.items() if needed]
    if asked and options.reference is None:
        raise UserError(f"{asked[0]}: found no --reference, expected a directory of natural speech")
    if mushra and options.gold:
        raise UserError(
            f"--gold: found {options.gold}, expected 0 with MUSHRA: its hidden reference is a gold question on every "
            "page"
        )
    if KINDS[options.kind].sounds == 2 and (options.low_anchor or options.mid_anchor):
        raise UserError("found an anchor in a test of pairs, expected one in MOS or MUSHRA only")


def _tables(options: Options) -> tuple[dict[str, dict[str, Source]], list[str]]:
    """Sources of every system and the reference, and the utterances of the test."""
    tables = {name: sources_of(name, path) for name, path in options.systems.items()}
    if options.utts is None:
        first = next(iter(tables))
        for name, table in tables.items():
            extra = sorted(set(table) - set(tables[first]))
            if extra:
                choose({name: table, first: tables[first]}, None)
    if options.reference is not None:
        tables[REFERENCE] = sources_of(REFERENCE, options.reference)
    return tables, choose(tables, options.utts)


def _split(utts: Sequence[str], options: Options) -> tuple[list[str], list[str]]:
    """Utterances to be rated, in a random order, and those to train with."""
    if len(utts) <= options.training:
        raise UserError(
            f"found {len(utts)} utterances, expected more than the {options.training} for training alone: give more, "
            "or lower --training"
        )
    order = random.Random(f"{options.seed}/utterances").sample(list(utts), len(utts))
    return order[options.training :], order[: options.training]


def _material(
    options: Options, tables: Mapping[str, Mapping[str, Source]], utts: Sequence[str]
) -> Material:
    """Every sound, and who is heard with whom."""
    sounds, rate = read_all(tables, utts, options.rate)
    systems = list(options.systems)
    low = options.low_anchor if options.low_anchor is not None else options.kind == "mushra"
    pairs = KINDS[options.kind].sounds == 2
    if options.reference is not None and (not pairs or options.baseline == REFERENCE):
        systems.append(REFERENCE)
    for name, wanted, hertz in (
        (LOW_ANCHOR, low and not pairs, 3500.0),
        (MID_ANCHOR, options.mid_anchor, 7000.0),
    ):
        if wanted:
            systems.append(name)
            for utt in utts:
                sounds[utt, name] = low_pass(sounds[utt, REFERENCE], rate, hertz)
    if options.kind == "mushra" and len(systems) > MOST:
        raise UserError(
            f"found {len(systems)} sounds on a page, expected {MOST} at most (BS.1534-3): leave systems out, or split "
            "the test"
        )
    groups: list[tuple[str, ...]]
    if pairs:
        groups = [*pairs_of(systems, options.baseline)]
    else:
        groups = [tuple(systems)] if options.kind == "mushra" else [(name,) for name in systems]
    return Material(sounds, rate, tuple(systems), groups)


def _trials(
    options: Options, material: Material, rated: Sequence[str], training: Sequence[str]
) -> list[Trial]:
    """All trials with the names of their sounds, `utterance newline system`, in place of numbers."""
    mushra = options.kind == "mushra"
    groups = material.groups

    def trial(role: str, item: str, group: Sequence[str]) -> Trial:
        draw = random.Random(f"{options.seed}/{item}")
        heard = draw.sample(list(group), len(group)) if mushra else group
        opened = f"{item}\n{REFERENCE}" if mushra else ""
        return Trial("", role, item, tuple(f"{item}\n{system}" for system in heard), opened)

    found = [trial("test", rated[i], groups[g]) for i, g in latin_row(len(rated), len(groups))]
    found += [trial("training", u, groups[n % len(groups)]) for n, u in enumerate(training)]
    draw = random.Random(f"{options.seed}/checks")
    found += [_check_trial(options, material, rated, draw) for _ in range(options.checks)]
    gold = options.gold
    if gold is None:
        gold = 2 if options.reference is not None and not mushra else 0
    return found + [_gold_trial(options, material, rated, n) for n in range(gold)]


def _check_trial(
    options: Options, material: Material, rated: Sequence[str], draw: random.Random
) -> Trial:
    """A page that says what to choose; the sounds are the instruction, or any that are there."""
    kind = KINDS[options.kind]
    if kind.values:
        value = draw.choice(kind.values)
        label = kind.labels[kind.values.index(value)]
        said = f"{_NUMBERS[value]}, {label.lower()}" if options.kind == "mos" else label
        bounds = (float(value), float(value))
        wish = (
            f"Please choose {value} ({label})."
            if options.kind == "mos"
            else f"Please choose: {label}."
        )
        if options.kind == "cmos" and value:
            said = f"B is {said}"
    else:
        value = draw.choice((20, 40, 60, 80))
        said, bounds = f"the value {value}", (value - 5.0, value + 5.0)
        wish = f"Please set the slider to {value}."
    item, system = draw.choice(list(rated)), draw.choice(list(options.systems))
    text = f"This is a check that you are with us. Whatever you hear: {wish}"
    if options.check_style == "spoken":
        text = ""
        item, system = f"check {value}", _SPOKEN
        words = f"This is a check. Please do not rate this voice, but choose {said}."
        if (item, system) not in material.sounds:
            material.sounds[item, system] = speak(words, material.rate, options.check_voice)
    name = f"{item}\n{system}"
    heard = (name,) * max(kind.sounds, 1)
    return Trial("", "check", "", heard, name if not kind.sounds else "", text, bounds)


def _gold_trial(options: Options, material: Material, rated: Sequence[str], number: int) -> Trial:
    """The reference is good, and better than itself with noise."""
    item = rated[number % len(rated)]
    sounds = material.sounds
    if (item, _SPOILT) not in sounds:
        sounds[item, _SPOILT] = spoil(sounds[item, REFERENCE], options.seed + number)
    good, bad = f"{item}\n{REFERENCE}", f"{item}\n{_SPOILT}"
    if KINDS[options.kind].sounds == 2:
        top = float(KINDS[options.kind].values[-1])
        return Trial("", "gold", item, (bad, good), expected=(1.0, top))
    if number % 2:
        return Trial("", "gold", item, (good,), expected=(3.0, 5.0))
    return Trial("", "gold", item, (bad,), expected=(1.0, 2.0))


def _numbers(trials: Sequence[Trial], seed: int) -> dict[str, str]:
    """Name of each sound that is heard -> a number that says nothing about it."""
    heard = sorted({n for t in trials for n in (*t.stimuli, t.reference) if n})
    random.Random(f"{seed}/numbers").shuffle(heard)
    width = len(str(len(heard)))
    return {name: f"s{number:0{width}}" for number, name in enumerate(heard, 1)}


def _renamed(place: int, trial: Trial, names: Mapping[str, str], options: Options) -> Trial:
    """With an id that says nothing, the numbers of its sounds, and the text."""
    digest = hashlib.sha256(f"{options.seed}/{place}/{trial}".encode())
    return replace(
        trial,
        id="t" + digest.hexdigest()[:8],
        stimuli=tuple(names[name] for name in trial.stimuli),
        reference=names[trial.reference] if trial.reference else "",
        text=trial.text or (options.text or {}).get(trial.item, ""),
    )


def _made(options: Options, rate: int, reached: float | None) -> dict[str, Any]:
    """What to remember of the options."""
    kept = {k: v for k, v in asdict(options).items() if k not in ("systems", "text", "utts")}
    paths = {name: str(path) for name, path in options.systems.items()}
    reference = str(options.reference) if options.reference else None
    return kept | {
        "systems": paths,
        "reference": reference,
        "rate": rate,
        "loudness": None if reached is None else round(reached, 2),
    }


def _digest(key: Key, sounds: Mapping[str, np.ndarray]) -> str:
    """Twelve hexadecimal digits that another test does not have."""
    digest = hashlib.sha256(json.dumps(asdict(key), sort_keys=True).encode())
    for name in sorted(sounds):
        digest.update(sounds[name].tobytes())
    return digest.hexdigest()[:12]
