"""CSVs of listeners: what is theirs is read, what is not is refused with its place."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.listening.answers import COLUMNS, as_csv, read_answers, sheets_of
from tests.listening.panel import a_test, good, panel, sheet

OPINION = good({"ours": 0.7, "theirs": 0.5, "reference": 0.95}, "mos")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return a_test(tmp_path_factory.mktemp("made"), "mos")[1]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return a_test(tmp_path_factory.mktemp("pairs"), "cmos")[1]


def test_what_was_written_is_read(made, tmp_path):
    about = {"age": "18-29", "language": 'Plattdüütsch, "platt"\nschnackt'}
    path = panel(
        tmp_path / "a.csv",
        sheet(made, "bo;b,", 1, OPINION, about=about),
        sheet(made, "amy", 0, OPINION),
    )
    amy, bob = read_answers(made, [path])
    assert (amy.rater, bob.rater, bob.listener) == ("amy", "bo;b,", 1)
    assert bob.about == about
    assert [a.trial for a in bob.answers] == [trial for trial, _ in made.orders[1]]


def test_the_same_file_twice_counts_once(made, tmp_path):
    path = panel(tmp_path / "a.csv", sheet(made, "amy", 0, OPINION))
    again = panel(tmp_path / "b.csv", *[sheet(made, "amy", 0, OPINION)] * 2)
    assert read_answers(made, [path, path, again]) == read_answers(made, [path])


def test_a_rater_twice(made, tmp_path):
    one = panel(tmp_path / "a.csv", sheet(made, "amy", 0, OPINION))
    two = panel(tmp_path / "b.csv", sheet(made, "amy", 0, OPINION, session="another"))
    with pytest.raises(UserError, match=r"found rater 'amy' another time, in .*a.csv before"):
        read_answers(made, [one, two])
    three = panel(tmp_path / "c.csv", sheet(made, "amy", 0, OPINION)[:-1])
    with pytest.raises(UserError, match="found rater 'amy' with other answers"):
        read_answers(made, [one, three])


def test_mechanical_turks_results(made, tmp_path):
    """A batch's results: a row an assignment, our CSV as one of its fields."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["HITId", "WorkerId", "Input.url", "Answer.answers", "Answer.comment"])
    for number, worker in enumerate(("A1", "A2")):
        writer.writerow(["h", worker, "u", as_csv(sheet(made, worker, number, OPINION)), ""])
    (tmp_path / "batch.csv").write_text(out.getvalue())
    found = read_answers(made, [tmp_path / "batch.csv"])
    assert [one.rater for one in found] == ["A1", "A2"]
    assert all(len(one.answers) == len(made.orders[0]) for one in found)


def changed(key, column, value, row=3):
    rows = [list(one) for one in sheet(key, "amy", 0, OPINION)]
    rows[row][COLUMNS.index(column)] = value
    return as_csv(rows)


WRONG = {
    ("test", "0123456789ab"): "line 5: found answers of the test '0123456789ab', expected",
    ("listener", "7"): "line 5: listener: found '7', expected 1 to 6",
    ("listener", "one"): "listener: found 'one', expected a number",
    ("trial", "t0"): "trial: found 't0', expected one of listener 1",
    ("stimulus", "s99"): "stimulus: found 's99', expected what t",
    ("value", "6"): "value: found '6', expected 1, 2, 3, 4, 5",
    ("value", "3.5"): "value: found '3.5', expected 1, 2",
    ("value", "nan"): "value: found 'nan', expected a number",
    ("plays", ""): "plays: found '', expected a number",
    ("seconds", "1e99"): "seconds: found '1e99', expected a number",
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_what_cannot_be_an_answer(what, made, tmp_path):
    with pytest.raises(UserError, match=re.escape(WRONG[what])):
        sheets_of(made, changed(made, *what), tmp_path / "x.csv")


def test_two_answers_to_one_question(made, tmp_path):
    rows = sheet(made, "amy", 0, OPINION)
    twice = [*rows, (*rows[0][:8], 1 if rows[0][8] != "1" else 2, *rows[0][9:])]
    with pytest.raises(UserError, match="found two answers of rater 'amy' to t"):
        sheets_of(made, as_csv(twice), tmp_path / "x.csv")


def test_a_pair_counts_in_the_order_in_which_it_was_shown(pairs, tmp_path):
    """A listener's pair is refused where it comes the other way round than the page has shown it."""
    rows = [list(row) for row in sheet(pairs, "amy", 0, good({"ours": 1}, "cmos"))]
    mirrored = [list(row) for row in rows]
    mirrored[0][7] = "|".join(reversed(rows[0][7].split("|")))
    assert sheets_of(pairs, as_csv(rows), tmp_path / "x.csv")
    with pytest.raises(UserError, match=r"stimulus: found 's\d+\|s\d+', expected what t"):
        sheets_of(pairs, as_csv(mirrored), tmp_path / "x.csv")


def test_not_a_csv_of_ours(made, tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(UserError, match=r"x.csv: no such file, expected a CSV of answers"):
        read_answers(made, [path])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="found a CSV without the column 'test'"):
        read_answers(made, [path])
    path.write_text(as_csv([]))
    with pytest.raises(UserError, match="found no answer"):
        read_answers(made, [path])
    path.write_bytes(b"test,rater\n\xff\xfe\n")
    with pytest.raises(UserError, match="not UTF-8 at 11"):
        read_answers(made, [path])
    path.write_text(as_csv(sheet(made, "amy", 0, OPINION))[:-12])
    with pytest.raises(UserError, match="line 21: found a row that is cut off"):
        read_answers(made, [path])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_happens_to_a_file_it_is_read_or_refused(made, data):
    text = as_csv(sheet(made, "amy", 0, OPINION))
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.text(max_size=6)) + text[at + data.draw(st.integers(0, 40)) :]
    try:
        found = sheets_of(made, text, None)
        assert all(a.value in (1, 2, 3, 4, 5) for one in found for a in one.answers)
    except UserError as error:
        assert "expected" in str(error)
