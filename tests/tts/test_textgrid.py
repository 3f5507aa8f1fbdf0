"""TextGrids, long and short, and what becomes of their phones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.tts.phone_durations import Clock, durations
from espnet_ext.tts.textgrid import Interval, read_textgrid, tier


def long(tiers):
    """A TextGrid in Praat's long format, as the aligner writes it."""
    end = max(row[1] for rows in tiers.values() for row in rows)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"\n',
        f"xmin = 0\nxmax = {end}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:",
    ]
    for number, (name, rows) in enumerate(tiers.items(), 1):
        lines.append(
            f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"'
        )
        lines.append(
            f"        xmin = 0\n        xmax = {end}\n        intervals: size = {len(rows)}"
        )
        for place, (start, stop, label) in enumerate(rows, 1):
            quoted = label.replace('"', '""')
            lines.append(f"        intervals [{place}]:\n            xmin = {start}")
            lines.append(f'            xmax = {stop}\n            text = "{quoted}"')
    return "\n".join(lines) + "\n"


def short(tiers):
    """The same in the short format."""
    end = max(row[1] for rows in tiers.values() for row in rows)
    lines = ['File type = "ooTextFile"', '"TextGrid"', "", "0", f"{end}", "<exists>", len(tiers)]
    for name, rows in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', 0, end, len(rows)]
        for start, stop, label in rows:
            quoted = label.replace('"', '""')
            lines += [start, stop, f'"{quoted}"']
    return "\n".join(map(str, lines)) + "\n"


WORDS = {"words": [(0, 0.5, "hi"), (0.5, 1.25, 'a "b" 7')], "phones": [(0.0, 1.25, "")]}


@pytest.mark.parametrize("form", [long, short])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_formats_say_the_same(tmp_path, form, code):
    path = tmp_path / "x.TextGrid"
    path.write_bytes(form(WORDS).encode(code))
    found = read_textgrid(path)
    assert found == {
        name: [Interval(float(a), float(b), text) for a, b, text in rows]
        for name, rows in WORDS.items()
    }


_labels = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.tuples(st.integers(1, 300), _labels), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
def test_any_label_is_read_back(tmp_path_factory, rows):
    ends = [0]
    for length, _ in rows:
        ends.append(ends[-1] + length)
    tiers = {
        "phones": [
            (a / 100, b / 100, label)
            for a, b, (_, label) in zip(ends, ends[1:], rows, strict=False)
        ]
    }
    for form in (long, short):
        path = tmp_path_factory.getbasetemp() / "any.TextGrid"
        path.write_bytes(form(tiers).encode())
        found = read_textgrid(path)["phones"]
        assert [one.label for one in found] == [label.strip() for _, label in rows]
        assert [one.end for one in found] == [end / 100 for end in ends[1:]]


def test_points_are_passed_over(tmp_path):
    path = tmp_path / "x.TextGrid"
    points = '"TextTier"\n"tones"\n0\n1\n2\n0.1\n"H"\n0.2\n"L"\n'
    text = short({"phones": [(0, 1, "a")]}).replace(
        '\n1\n"IntervalTier"', f'\n2\n{points}"IntervalTier"'
    )
    path.write_text(text)
    assert list(read_textgrid(path)) == ["phones"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda t: t.replace("ooTextFile", "other"), "another kind of file"),
        (lambda t: t[: len(t) // 2], "whole"),
        (lambda t: t.replace("xmin = 0.5", "xmin = 0.7"), "0.7 to 1.25 s after 0.5 s"),
        (lambda t: t.replace('"phones"', '"words"'), "two tiers 'words'"),
        (lambda t: "", "the end of the file"),
    ],
)
def test_what_is_no_textgrid_is_said(tmp_path, damage, words):
    path = tmp_path / "x.TextGrid"
    path.write_text(damage(long(WORDS)))
    with pytest.raises(UserError, match=words):
        read_textgrid(path)


def test_tiers_of_speakers():
    mine = [Interval(0, 1, "a")]
    assert tier({"anna - words": [], "anna - phones": mine}, "phones", "x") == mine
    with pytest.raises(UserError, match="found tiers 'words', expected one named 'phones'"):
        tier({"words": []}, "phones", "x")
    with pytest.raises(UserError, match="'a - phones', 'b - phones'"):
        tier({"a - phones": mine, "b - phones": mine}, "phones", "x")


# -- phones to tokens: 100 frames a second ---------------------------------------------------------------------


def spoken(text):
    """Intervals of `label:hundredths` words."""
    found, now = [], 0.0
    for part in text.split():
        label, _, length = part.rpartition(":")
        found.append(Interval(now / 100, (now + int(length)) / 100, label.replace("_", "")))
        now += int(length)
    return found


CASES = {
    "words apart": ("AH0|B| |K", "AH0:10 B:5 K:5", [10, 5, 0, 5, 1]),
    "a pause is the blank's": ("AH0|B| |K", "AH0:10 B:5 sp:7 K:5", [10, 5, 7, 5, 1]),
    "or the comma's": ("AH0|B|,| |K", "AH0:10 B:5 _:7 K:5", [10, 5, 7, 0, 5, 1]),
    "or the phone's before": ("AH0|B|K", "AH0:10 B:5 sil:7 K:5", [10, 12, 5, 1]),
    "silence at the ends": ("AH0|B", "sil:8 AH0:10 B:5 sil:9", [18, 5, 10]),
    "the full stop's": ("AH0|B|.", "AH0:10 B:5 sil:9", [10, 5, 10, 0]),
    "or the pause's, of Open JTalk": ("h|a|pau|cl|k", "h:3 a:4 pau:7 cl:5 k:6", [3, 4, 7, 5, 6, 1]),
    "other digits of stress": ("AH0|B", "AH1:10 B:5", [10, 5, 1]),
    "IPA by characters": (
        "h|ə|l|ˈ|o|ʊ|<space>|t|ʃ|!",
        "h:4 ə:5 l:3 oʊ:8 tʃ:6 _:2",
        [4, 5, 3, 0, 4, 4, 0, 3, 3, 3, 0],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rules_of_silence(case):
    tokens, phones, wanted = CASES[case]
    intervals = spoken(phones)
    clock = Clock(16000, 160, round(intervals[-1].end * 16000))
    assert durations(tokens.split("|"), intervals, clock) == wanted


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 40), st.integers(0, 3)), min_size=1
    ),
    st.integers(80, 400),
)
@settings(max_examples=60, deadline=None)
def test_they_always_add_up(phones, hop):
    """Each token's end lies within a frame of its phone's, whatever is short or silent."""
    words = " ".join(
        f"{label}:{length}" + f" sil:{pause}" * (pause > 0) for label, length, pause in phones
    )
    intervals = spoken(words)
    samples = round(intervals[-1].end * 16000) + 100
    found = durations([label for label, _, _ in phones], intervals, Clock(16000, hop, samples))
    assert sum(found) == samples // hop + 1 and min(found) >= 0
    ends = [interval.end for interval in intervals if interval.label != "sil"]
    starts = [interval.start for interval in intervals if interval.label != "sil"]
    for place, (start, end) in enumerate(zip([*starts[1:], ends[-1]], ends, strict=True)):
        until = sum(found[: place + 1])
        assert end * 16000 / hop - 1e-3 <= until < max(start, end) * 16000 / hop + 1


@pytest.mark.parametrize(
    ("tokens", "phones", "words"),
    [
        ("AH0|B", "AH0:5 K:5", r"phone 'K' at 0.05 s, expected 'B' \(token 2 of 2\)"),
        ("AH0|B", "AH0:5", r"phones' end before token 2 of 2 \('B'\)"),
        ("AH0", "AH0:5 B:5", "phone 'B' at 0.05 s, expected 'no more'"),
        ("AH0|B", "spn:9", "the aligner's dictionary lacks"),
        (",", "sil:9", "silence alone"),
        ("AH0", "", "no phones"),
    ],
)
def test_phones_of_another_text(tokens, phones, words):
    with pytest.raises(UserError, match=words):
        durations(tokens.split("|"), spoken(phones), Clock(16000, 160, len(phones) and 16 * 90))


def test_another_length_is_another_recording():
    with pytest.raises(UserError, match=r"0.05 s for a recording of 1.00 s"):
        durations(["a"], spoken("a:5"), Clock(16000, 160, 16000))
