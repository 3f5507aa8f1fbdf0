"""What NeMo's English grammars read wrongly or not at all, rewritten so that any engine reads it right.

`RULES` is the table: a name, a pattern, and what to write instead, from the specific to the general.
Most rewrite one notation to another ("No. 7" -> "number 7") and leave the numbers to the engine.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from espnet_ext.text import numbers
from espnet_ext.text.lexicon import CURRENCIES, MONTHS, SHORT_MONTHS, TITLES
from espnet_ext.text.unread import (
    AREAS,
    CURRENCY_CODES,
    DOLLARS,
    DOTTED_UNITS,
    HYPHENED_UNITS,
    NUMBERED,
    OPERATORS,
    PER,
    PLURALS,
    READ_UNITS,
    REFERENCES,
    REIGNS,
    SHORT_WORDS,
    STREETS,
    UNREAD_UNITS,
    WEEKDAYS,
)

Match = re.Match[str]
Rule = tuple[str, re.Pattern[str], str | Callable[[Match], str]]
RULES: list[Rule] = []

#: stand for the straight quotation marks of a pair, which are no inches
QUOTES = "“”"

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
_FREE = r"(?<![\w.,:/+-])"  # nothing that belongs to a number or a word stands before
_SENTENCE = (  # what begins a sentence more often than a saint's name does
    r"\s+(?:A|An|And|At|But|For|He|Her|His|I|If|In|It|Its|My|No|On|Our|She|So|That|The|Then|There|"
    r"They|This|To|We|When|You)\b"
)
_NO_ANSWER = "".join(  # "I said no. 7 people left."
    f"(?<!{word} )"
    for word in "say says said answer answered answers replied replies course".split()
)
# both groups may be empty, but not together: the letter before the end is the numeral's own
_ROMAN = r"(?=[IVXLC])(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})(?<=[IVXLC])"


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _add(name: str, pattern: str, say: str | Callable[[Match], str], flags: int = 0) -> None:
    RULES.append((name, re.compile(pattern, flags), say))


def _as(word: str, like: str) -> str:
    """`word` with a capital if `like` begins with one."""
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def _table(words: dict[str, str]) -> Callable[[Match], str]:
    """What the first group stands for in a table of lower-case keys, in the case it has."""
    return lambda m: _as(words[m[1].lower()], m[1])


def plain(words: str) -> str:
    """Number words as the grammars write them, without hyphens."""
    return words.replace("-", " ")


# -- abbreviations ---------------------------------------------------------------------------------

_add("with", r"(?<!\S)w/(o\b)?\s*(?=\w)", lambda m: "without " if m[1] else "with ")
_add("because", r"\b([Bb])/c\b", lambda m: _as("because", m[1]))
_add("a year", r"(?<=%) p\.\s?a\.(?=\s+[a-z0-9]|[,;:)])|(?<=%) p\.\s?a(?=\.)", " per annum")
_add("not applicable", r"\b[Nn]/[Aa]\b", "N A")
_add("attention", r"\b([Aa])ttn\b[.:]?", r"\1ttention")
_add("founded", r"\b([Ee])st\.\s?(?=(?:1[5-9]|20)[0-9]{2}\b)", r"\1stablished ")
_add(
    "number",
    rf"{_NO_ANSWER}\b([Nn]os?)\.\s*(?=[0-9]|[A-Z]{{1,2}}-?[0-9])",
    lambda m: _table(REFERENCES)(m) + " ",
)
_add("numero", r"(№|¶)\s?(?=[0-9])", lambda m: {"№": "number ", "¶": "paragraph "}[m[1]])
_add("number sign", r"(?<!\S)#\s?(?=[0-9])", "number ")
_add("article", r"(?:\bA|(?:^|\b(?:[Ss]ee|[Ii]n|[Uu]nder|of|per|by|to|and|or|with) |[(,;] ?)a)rt\.\s*(?=[0-9])",
     lambda m: m[0].rstrip(". ") + "icle ")  # fmt: skip
_add("reference", rf"\b({_any(set(REFERENCES) - {'art', 'no'})})\.\s*(?=[0-9])",
     lambda m: _table(REFERENCES)(m) + " ", re.I)  # fmt: skip
_add("degree", r"\bM\.\s?D\.(?!\w)", "M D")  # no state
_add("letters", r"(?<![\w&])([A-Z]{1,3})&([A-Z]{1,3})(?![\w&])",
     lambda m: f"{' '.join(m[1])} and {' '.join(m[2])}")  # fmt: skip
_COMPASS = {"N": "North ", "S": "South ", "E": "East ", "W": "West "}
_STREET = rf"(?:[0-9]+(?:st|nd|rd|th)|[A-Z][a-z]+)\s(?:Street|St|{_any(STREETS)})\b"
_add("compass", rf"\b([NSEW])\.\s(?=(?:on|of|along|to)\s|{_STREET})", lambda m: _COMPASS[m[1]])
_add("drive", r"(?<=[a-z] )Dr\.(?!\s+[A-Z])|(?<=[a-z] )Dr\.(?=" + _SENTENCE + ")", "Drive")
_add("street", rf"(?<=[\w'] )St\.(?=\s*$|[,;:!?)]|\s+[^A-Z\s]|{_SENTENCE})", "Street")
_add("saint", r"\bSt\.\s+(?=[A-Z])", "Saint ")
_add("way", rf"(?<=[a-z] )({_any(set(STREETS) - {'Dr'})})\.", lambda m: STREETS[m[1]])
_add("title", rf"\b({_any(set(TITLES) - {'Mrs', 'Mr', 'Ms'})})\.(?=\s+[A-Z])",
     lambda m: TITLES[m[1]])  # fmt: skip
_add("weekday", rf"\b({_any(set(WEEKDAYS) - {'Sat', 'Sun'})})\.", lambda m: WEEKDAYS[m[1]])
_add("weekend", rf"\b(Sat|Sun)\.(?=,|\s+(?:[0-9]|{_any(SHORT_MONTHS)}))",
     lambda m: WEEKDAYS[m[1]])  # fmt: skip
_add("sentence ends", rf"\b({_any(SHORT_WORDS)})\.(?=\s*$)",
     lambda m: _table(SHORT_WORDS)(m) + ".", re.I)  # fmt: skip
_add("short word", rf"\b({_any(SHORT_WORDS)})\.(?!\w)", _table(SHORT_WORDS), re.I)
_add("initials", r"\b(?:[A-Z]\.\s?){2,}(?=\s?[A-Z][a-z])",
     lambda m: " ".join(re.findall("[A-Z]", m[0])) + " ")  # fmt: skip
_add("one initial", r"(?<=[a-z] )([A-Z])\.(?=\s[A-Z][a-z])", r"\1")
_add("country", r"\bU\.\s?([SK])\.(?!\s?[A-Z]\.)(?=\s|$|[,;:!?)'’])", r"U \1")

# -- roman numerals --------------------------------------------------------------------------------


def roman(text: str) -> int:
    """ "XIV" -> 14, for numerals up to 99."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    found = [values[c] for c in text]
    return sum(-v if v < next_ else v for v, next_ in zip(found, [*found[1:], 0], strict=True))


def _reign(m: Match) -> str:
    return f"{m[1]} the {plain(numbers.ordinal(str(roman(m[2] + m[3]))))}"


_add("king", rf"\b((?:King|Queen|Pope|Emperor|Tsar)\s+[A-Z][a-z]+)\s+{_ROMAN}\b(?!\.\w)", _reign)
_add("reign", rf"\b({_any(REIGNS)})\s+(?!I\b){_ROMAN}\b(?!\.\w)", _reign)
_add("first of a name", rf"\b({_any(REIGNS)}) I(?=[,;:)]|'s\b|\.?$| (?:of|was|died|reigned|ruled)\b)",
     r"\1 the first")  # fmt: skip
_add("numbered", rf"\b((?i:{_any(NUMBERED)}))\s+{_ROMAN}\b(?!['’.]\w)",
     lambda m: f"{m[1]} {roman(m[2] + m[3])}")  # fmt: skip

_add("second and third of anything", r"\b([A-Z][a-z]+)\s(II|III|VII|VIII|XII|XIII)\b(?!['’.]\w)",
     lambda m: f"{m[1]} {roman(m[2])}")  # fmt: skip

# -- dates and times -------------------------------------------------------------------------------

_MONTH = _any([*MONTHS, *SHORT_MONTHS])


def _month_range(m: Match) -> str:
    month = SHORT_MONTHS.get(m[1], m[1])
    return f"{month} {plain(numbers.ordinal(m[2]))} to {plain(numbers.ordinal(m[3]))}"


def _season(m: Match) -> str:
    if (int(m[1]) + 1) % 100 != int(m[2]):
        return m[0]
    return plain(f"{numbers.year(m[1])} {numbers.cardinal(str(int(m[2])))}")


_DAYS = WEEKDAYS | {day: day for day in WEEKDAYS.values()}
_MONTHS = SHORT_MONTHS | {month: month for month in MONTHS}


def _months(m: Match) -> str:
    if m[2]:
        return f"{_MONTHS[m[1]]} to {_MONTHS[m[2]]}"
    return _MONTHS[m[1]] if m[0].endswith(".") else m[0]


_TO_MONTH = r"\.?\s?[-–]\s?|\.(?=\s(?:and|or|through|to|until)\s)"
_add("months", rf"\b({_MONTH})(?:{_TO_MONTH})(?:({_MONTH})\b\.?)?", _months)
_add("weekdays", rf"\b({_any(_DAYS)})\.?\s?[-–]\s?({_any(_DAYS)})\b\.?",
     lambda m: f"{_DAYS[m[1]]} to {_DAYS[m[2]]}")  # fmt: skip
_add(
    "month between hyphens",
    rf"(?<![\w-])([0-9]{{1,2}})-({_MONTH})-([0-9]{{4}})(?![\w-])",
    r"\1 \2 \3",
)
_add("quarter", r"(?<=Q[1-4])['’](?=[0-9]{2}\b)", " ")
_add("short year", r"(?<![\w'’])['’]([0-9]{2})(?![\w'’\"”])",
     lambda m: ("oh " if m[1] < "10" else "") + plain(numbers.cardinal(str(int(m[1])))))  # fmt: skip
_add("month range", rf"\b({_MONTH})\.?\s+([0-9]{{1,2}})\s?[-–]\s?([0-9]{{1,2}})(?![\w/-])",
     _month_range)  # fmt: skip
_add("season", r"(?<![\w/.-])((?:19|20)[0-9]{2})/([0-9]{2})(?![\w/])", _season)
_add("may", r"^May ([0-9]{1,2})(?= (?!(?:at|by|for|from|in|is|or|and|on|to|until|was|will)\b)[a-z])",
     lambda m: f"May {plain(numbers.cardinal(m[1]))}")  # fmt: skip
_add("decade", r"(?<![\w.,])((?:1[0-9]|20)[0-9]0)['’]s\b", r"\1s")
_add(
    "range of ordinals",
    r"(?<=[0-9])(st|nd|rd|th)\s?[-–]\s?(?=[0-9]{1,3}(?:st|nd|rd|th)\b)",
    r"\1 to ",
)
_add("superlative", r"(?<=[0-9])(st|nd|rd|th)-(?=[a-z])", r"\1 ")
_CLOCK = r"[0-9]{1,2}(?::[0-9]{2})?"
_add(
    "hours",
    rf"(?<![\w.:/-])(noon|midnight|{_CLOCK})\s?[-–]\s?(?={_CLOCK}\s?[ap]\.?m\b)",
    r"\1 to ",
    re.I,
)
_add("time zone", r"\b(UTC|GMT)\s?[-−](?=[0-9])", r"\1 minus ")
_add("dash of times", r"(?<=[ap]m)–(?=[0-9])|(?<=:[0-9]{2})–(?=[0-9]{1,2}:[0-9]{2})", "-", re.I)
_add("half", r"(?<=[0-9])\s?([ap])\.\s?m\.(?=\s+[A-Z]\b)", lambda m: f" {m[1]}m")

# -- money -----------------------------------------------------------------------------------------

_add("cents", rf"{_FREE}({_NUMBER})\s?¢", r"\1 cents")
_SCALE = r"(?:\s?(thousand|million|billion|trillion|[kK]|[mM]n?|[bB]n?)\b)?"
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion"}


def _scaled(m: Match, currency: str) -> str:
    scale = _SCALES.get((m[3] or "").lower(), m[3] or "")
    currency = currency.removesuffix("s") if m[2] == "1" and not scale else currency
    return f"{m[2]} {scale} {currency}".replace("  ", " ")


_add(
    "whose dollars",
    rf"\b({_any(DOLLARS)})\$\s?({_NUMBER}){_SCALE}",
    lambda m: _scaled(m, DOLLARS[m[1]]),
)
_add("code before", rf"\b({_any(CURRENCY_CODES)})\s?({_NUMBER}){_SCALE}(?![\w-])",
     lambda m: _scaled(m, CURRENCY_CODES[m[1]]))  # fmt: skip
_add("rupees", rf"(?:\b(Rs)\b\.?|₹)\s?({_NUMBER}){_SCALE}", lambda m: _scaled(m, "rupees"))
_add("range of money", rf"([$€£¥])({_NUMBER})\s?[-–]\s?(?={_NUMBER}(?![\w-]|,[0-9]))", r"\2 to \1")
_EACH = "day night week month year hour minute second person head unit share seat user yr hr wk mo".split()
_add(
    "price per",
    rf"([$€£¥]{_NUMBER}(?:\s?(?:million|billion|[kK]))?|\b[a-z]{{3,}}|(?<![\w./])[0-9]+)/({_any(_EACH)})\b",
    lambda m: f"{m[1]} per {PER.get(m[2], m[2])}",
)
_add(
    "price per unit",
    rf"([$€£¥]{_NUMBER})\s?/\s?({_any(PER)})\b(?![²³^])",
    lambda m: f"{m[1]} per {PER[m[2]]}",
)
_add("currency code", rf"{_FREE}({_NUMBER})\s?({_any(CURRENCY_CODES)})\b",
     lambda m: f"{m[1]} {CURRENCY_CODES[m[2]].removesuffix('s' if m[1] == '1' else '-')}")  # fmt: skip
_add("sign after cents", r"(?<![\w.,])([0-9]+)[.,]([0-9]{2})\s?([€£$])(?![0-9])", r"\3\1.\2")
_add("sign after", rf"(?<![\w.,€£$])({_NUMBER})\s?([€£])(?![0-9])", r"\2\1")
_add("thousands", r"([$€£])([0-9]+(?:\.[0-9]+)?)\s?(?:[kK]|thousand)\b",
     lambda m: f"{m[2]} thousand {CURRENCIES[m[1]][0]}s")  # fmt: skip
_add("millions", r"([$€£])([0-9]+(?:\.[0-9]+)?)\s?(?:([mM]n?)|[bB]n?)\b(?![/²³^'’])",
     lambda m: f"{m[2]} {'million' if m[3] else 'billion'} {CURRENCIES[m[1]][0]}s")  # fmt: skip
_add("each", r"\$([0-9]+)-a-(?=[a-z])", r"\1 dollar a ")

# -- units -----------------------------------------------------------------------------------------

_UNITS = READ_UNITS | UNREAD_UNITS


def _unit(m: Match) -> str:
    one = m[1] == "1" or re.search(r"(?<![0-9] )\b[0-9]+/$", m.string[: m.start()])  # 1/4 tsp
    return f"{m[1]} {UNREAD_UNITS[m[2]][not one]}"


def _rate(m: Match) -> str:
    per = f"{m[3]} {_UNITS[m[4]][1]}" if m[3] else _UNITS[m[4]][0]
    return f"{m[1]} {_UNITS[m[2]][m[1] != '1']} per {per}"


_FRACTION = r"(?:[0-9]+[ -])?[0-9]{1,2}/[0-9]{1,2}|[0-9]*\s?[½¼¾⅓⅔⅛⅜⅝⅞]"
_AMOUNT = rf"(?<![\w.,$£€¥/])(?:{_FRACTION}|{_NUMBER})"
_add("share of ordinals", r"(?<=[0-9]/[0-9])(?:nds?|rds?|ths?)\b", "")
_add("mixed number", r"(?<![\w./-])([0-9]{1,2})-(?=[0-9]{1,2}/[0-9]{1,2}(?![\w/-]))", r"\1 ")
_add("more or less", r"(?<!\S)\+/[-−]\s?(?=[0-9])", "plus or minus ")
_add(
    "exponent of a unit",
    r"(?<=[\w/][a-z])\^([23])\b|(?<=/s)\^(2)\b",
    lambda m: "²" if "2" in m[0] else "³",
)
_add("square", rf"({_AMOUNT}\s?)([Ss]q|[Cc]u)\.?\s?({_any(AREAS)})\b(?:\.(?=\s+[a-z(]|[,;:]))?",
     lambda m: f"{m[1]}{'square' if m[2].lower() == 'sq' else 'cubic'} {AREAS[m[3]]}")  # fmt: skip
_add("inches", rf"({_AMOUNT})\s?in\.(?=\s+[a-z(]|[,;:]|$)", r"\1 inches")
_add(
    "full stop of a unit",
    rf"({_AMOUNT}\s?(?:fl\.? )?(?:{_any(DOTTED_UNITS)}))\.(?=\s+[a-z(0-9]|[,;:])",
    r"\1",
)
_LENGTHS = _any({*READ_UNITS, *UNREAD_UNITS, "in", "inches", "feet", "meters"})
_add("size", rf"(?<![\w.,])((?!0x|^[0-9]+x[0-9]+$){_NUMBER}(?:\s?(?:{_LENGTHS})\s?[x×]|\s?[xX]))\s?(?={_NUMBER})",
     lambda m: m[1][:-1].rstrip() + " by ")  # fmt: skip
_add("so many times", rf"(?<![\w.,$£€])({_NUMBER})[xX](?=\s[a-z]|[.,;:!?])", r"\1 times")
_add("height", r"(?<![\w.,'])([0-9]{1,2})['’′]\s?([0-9]{1,2})(?:[\"”″]|'')", r"\1 feet \2 inches")
_add("feet", r"(?<=[0-9] ft [0-9] )in\b|(?<=[0-9] ft [0-9]{2} )in\b", "inches")
_add("both systems", rf"({_NUMBER}\s?(?:kg|km|cm|m|l|L|ml))/(?={_NUMBER}\s?(?:lbs?|mi|in|ft|gal|oz|fl oz)\b)",
     r"\1 or ")  # fmt: skip
_add("rate", rf"(?<![\w.,])({_NUMBER})\s?({_any(_UNITS)})/([0-9]+)?\s?({_any(_UNITS)})(?![\w/²³^])",
     _rate)  # fmt: skip
_add("unit after a hyphen", rf"(?<![\w.,$£€])({_NUMBER})-({_any(HYPHENED_UNITS)})\b(?:\.(?=\s+[a-z]))?(?!['’-])",
     lambda m: f"{m[1]} {HYPHENED_UNITS[m[2]]}")  # fmt: skip
_add(
    "unit",
    rf"(?<![A-Za-z.,$£€¥0-9])(?<![A-Za-z]-)({_NUMBER})\s?({_any(UNREAD_UNITS)})(?![\w/²³^'’-])",
    _unit,
)
_add(
    "plural of a unit", rf"\b({_any(PLURALS)})\b(?:\.(?=\s+[a-z]|[,;:]))?", lambda m: PLURALS[m[1]]
)
_add("two scales", r"(?<=°[CF])/(?=\s?[0-9])", " or ")
_add("seconds", r"(?<![\w.,])([0-9]+\.[0-9]+)\s?s\b(?!['’])", r"\1 seconds")
_add("quotation", r'(?<![^\s(\[])"([^"\s](?:[^"]*[^"\s])?)"(?![^\s.,;:!?)\]])', r"“\1”")

# -- telephones, versions and codes ----------------------------------------------------------------


def _spelled(m: Match) -> str:
    plus = "plus " if m[0].startswith("+") else ""
    return plus + numbers.spell(m[0])


_add("emergency", r"(?i:(?<=call )|(?<=dial )|(?<=ring )|(?<=phone ))(?:911|999|112)\b", _spelled)
_add("international", r"(?<!\S)\+[0-9]{1,3}(?:[ -]\(?[0-9]{1,4}\)?){2,5}(?![\w-])", _spelled)
_add("plus", r"(?<![^\s(])(?<!\b[A-Za-z0-9] )\+(?=[0-9.])", "plus ")
_add("local number", r"(?<![\w.,/+)-])(?<![0-9)] )[0-9]{3}-[0-9]{4}(?![\w/-])", _spelled)
_add("zip code", r"(?<![\w.,/+-])[0-9]{5}-[0-9]{4}(?![\w/-])", _spelled)
_add("numbered version", r"\bv\.?([0-9]+(?:\.[0-9]+)+)\b",
     lambda m: "version " + m[1].replace(".", " point "))  # fmt: skip
_add("version", r"(?<![\w.,])[0-9]{1,2}(?:\.[0-9]{1,2}){2}(?![\w]|\.[0-9])",
     lambda m: m[0].replace(".", " point "))  # fmt: skip
_add("code", r"(?<![\w@.-])([a-z]{2,})([0-9]{4,})(?![\w@.-])",
     lambda m: f"{m[1]} {numbers.spell(m[2])}")  # fmt: skip
_add("round thousands", r"(?<![\w.,$€£¥-])([1-9][0-9]{1,2})000(?=\s[a-z])", r"\g<1>,000")

# -- ranges, ratios and signs ----------------------------------------------------------------------


def _range(m: Match) -> str:
    if int(m[1]) > int(m[2]) > 99:  # Boeing 747-400
        return m[0]
    return f"{m[1]} to {m[2]}"


_add("range", r"(?<![\w.,:/+(-])(?<!from )([0-9]{1,3})\s?[-–]\s?([0-9]{1,3})(?!\w|[/:–-]|[.,][0-9]|\s?=)"
     r"(?<!\d\d\d-0)", _range)  # fmt: skip
_add("range of shares", rf"{_FREE}({_NUMBER}%)\s?[-–]\s?(?={_NUMBER}%)", r"\1 to ")
_add("range of years", r"(?<![\w.,:/+-])([0-9]{4})–([0-9]{2,4})(?![\w,/:–-]|\.[0-9])", _range)
_add("may after a number", r"(?<![\w.,-])([0-9]{1,2})(?= may [a-z])",
     lambda m: plain(numbers.cardinal(m[1])))  # fmt: skip
_add("even", r"(?<![\w./])([0-9]{1,2})/\1(?![\w./])", r"\1 \1")
_add("saying", r"(?<![\w./])(?:(24)/(7)(?![\w/])|(9)/(11)(?![\w/]|,? [0-9]))",
     lambda m: " ".join(filter(None, m.groups())))  # fmt: skip
_add("ratio", r"(?<![\w:.])([0-9]{1,2}):([0-9])(?![\w:])", r"\1 to \2")
_add(
    "equation", rf"(?<=[\w)])(\s?[{''.join(OPERATORS)}]\s?[\w.(]+)\s?=\s?(?=[\w(−-])", r"\1 equals "
)
_add("operator", rf"(?<=[\w)])\s?([{''.join(OPERATORS)}])\s?(?=[\w(])",
     lambda m: f" {OPERATORS[m[1]]} ")  # fmt: skip
_add("equals", r"(?<!\S)([A-Za-z](?:\([a-z]\))?)=(?=-?[0-9])", r"\1 equals ")
_add("equals in words", r"(?<=[A-Za-z]{2}\s)=(?=\s[\w(])", "equals")
_add("greater", r"(?<=\w\s)>(?=\s\w)", "greater than")
_add("less", r"(?<=\w\s)<(?=\s\w)", "less than")
_add("squared", r"(?<=[0-9])\^2\b", " squared")
_add("cubed", r"(?<=[0-9])\^3\b", " cubed")
_add("power", r"(?<=[0-9])\^(-?)([0-9]+)\b",
     lambda m: f" to the power of {'minus ' if m[1] else ''}{m[2]}")  # fmt: skip
_add("about", r"(?<![\w~])~(?=[0-9$€£])", "approximately ")
_add("mark", r"(?<=\w)[®™©]", "")


# most lines of most corpora: words, and full stops after words that are not shortened
_NOTHING = re.compile(r"(?:[A-Za-z\s,;:?!'\"()-]|(?<=[a-z]{5})(?<!pprox)(?<!essrs)\.)*", re.ASCII)
_NUMERAL = re.compile(  # and the few rules for letters alone: Jan-Mar, attn, many yrs ago
    rf"\b(?:[IVXLC]{{2,}}|[VXLC])\b|[A-Za-z] I\b|[a-z]-[A-Z]|\b[Aa]ttn\b|\b(?:{_any(PLURALS)})\b"
)


def mend(text: str) -> str:
    """`text` with all rules applied; digits of other scripts become 0-9."""
    if _NOTHING.fullmatch(text) and not _NUMERAL.search(text):
        return text
    if not text.isascii():
        text = "".join(_digit(c) for c in text)
    for _, pattern, say in RULES:
        text = pattern.sub(say, text)
    return text


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)
