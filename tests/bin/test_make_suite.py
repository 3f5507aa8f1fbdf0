"""The commands make_suite and score_suites."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from espnet_ext.bin.command import call
from espnet_ext.bin.make_suite import main as make_suite
from espnet_ext.bin.score_suites import main as score_suites
from espnet_ext.datadir import read_table, validate

RATE = 8000
TEXTS = {
    "s1-a": "ONE TWO",
    "s1-b": "UM THREE",
    "s2-a": "ABACUS FOUR FIVE",
    "s2-b": "SIX",
}
NAMES = "noise_10db babble_0db telephone joined_5s"


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{u} {v}\n" for u, v in rows.items()))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "dump/test"
    for k, utt in enumerate(TEXTS):
        wave = 0.2 * np.random.default_rng(k).standard_normal(RATE * (1 + k))
        (tmp_path / "wav").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"wav/{utt}.wav", wave, RATE)
    table(data / "wav.scp", {u: f"wav/{u}.wav" for u in TEXTS})
    table(data / "text", TEXTS)
    table(data / "utt2spk", {u: u[:2] for u in TEXTS})
    table(data / "spk2utt", {"s1": "s1-a s1-b", "s2": "s2-a s2-b"})
    table(data / "spk2gender", {"s1": "f", "s2": "m"})
    table(tmp_path / "train", {f"t{k}": "ONE TWO THREE FOUR FIVE SIX UM" for k in range(3)})
    return tmp_path


def make(*more):
    return call(
        make_suite, ["dump/test", "suites", "--conditions", NAMES, "--train_text", "train", *more]
    )


def sound(recipe, name):
    """Samples of all utterances of a condition."""
    scp = read_table(recipe / "suites" / name / "wav.scp")
    return {utt: soundfile.read(recipe / path, dtype="int16")[0] for utt, path in scp.items()}


def test_data_directories_of_conditions_and_selections(recipe, capsys):
    assert make() == 0
    said = capsys.readouterr().out
    made = sorted(p.name for p in (recipe / "suites").iterdir())
    assert made == sorted(
        [f"test-{n}" for n in NAMES.split()]
        + ["test-rare_words", "test-rare_characters", "test-disfluent", "test-short"]
    )
    assert "test-long: none, left out" in said and "suites/test-noise_10db: 4 utterances" in said
    for name in made:
        validate(recipe / "suites" / name)
    assert read_table(recipe / "suites/test-noise_10db/text") == TEXTS
    assert read_table(recipe / "suites/test-rare_words/utt2terms") == {"s2-a": "ABACUS"}
    assert read_table(recipe / "suites/test-disfluent/text") == {"s1-b": TEXTS["s1-b"]}
    record = json.loads((recipe / "suites/test-telephone/suite.json").read_text())
    assert (record["set"], record["condition"], record["kind"]) == (
        "test",
        "telephone",
        "telephone",
    )


def test_joined_utterances_are_a_speakers_in_a_row(recipe):
    assert make() == 0
    folder = recipe / "suites/test-joined_5s"
    assert read_table(folder / "text") == {
        "s1-a-to-2": "ONE TWO UM THREE",
        "s2-a-to-2": "ABACUS FOUR FIVE SIX",
    }
    assert read_table(folder / "utt2spk") == {"s1-a-to-2": "s1", "s2-a-to-2": "s2"}
    gap = round(0.3 * RATE)
    samples = sound(recipe, "test-joined_5s")["s1-a-to-2"]
    assert len(samples) == 3 * RATE + gap and not samples[RATE : RATE + gap].any()
    assert float(read_table(folder / "utt2dur")["s1-a-to-2"]) == pytest.approx(3.3)


def test_the_same_seed_gives_the_same_sound_whatever_else_is_made(recipe):
    assert make("--nj", "1") == 0
    first = sound(recipe, "test-babble_0db")
    shutil.rmtree(recipe / "suites")
    assert call(make_suite, ["dump/test", "suites", "--conditions", "babble_0db", "--nj", "2"]) == 0
    again = sound(recipe, "test-babble_0db")
    assert all((first[u] == again[u]).all() for u in first)
    assert make("--seed", "1") == 0  # another one takes the place of what was there
    other = sound(recipe, "test-babble_0db")
    assert not any((first[u] == other[u]).all() for u in first)


def test_it_goes_on_where_it_stopped(recipe):
    assert make() == 0
    folder = recipe / "suites/test-noise_10db"
    kept, lost = folder / "wav/s1-a.flac", folder / "wav/s1-b.flac"
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    (folder / "utt2spk").unlink()
    assert make() == 0
    assert kept.stat().st_mtime_ns == before and lost.read_bytes() == content
    validate(folder)


def test_segments_are_cut(recipe):
    data = recipe / "dump/test"
    table(data / "wav.scp", {"tape": "wav/s2-b.wav"})
    rows = {u: f"tape {k} {k + 0.5}" for k, u in enumerate(TEXTS)}
    table(data / "segments", rows)
    assert make() == 0
    tape = soundfile.read(recipe / "wav/s2-b.wav")[0]
    samples = sound(recipe, "test-telephone")
    assert all(len(found) == RATE // 2 for found in samples.values())
    assert len(tape) == 4 * RATE
    validate(recipe / "suites/test-disfluent")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["dump/test", "out", "--conditions", "noize"], 2, "found no condition 'noize'"),
        (
            ["dump/test", "out", "--selections", "easy"],
            2,
            "found 'easy', expected some of rare_words",
        ),
        (["dump/none", "out"], 1, "no such directory"),
        (["dump/test", "out", "--noise", "dump/test"], 1, "found no sound file"),
        (["dump/test", "out", "--noise", "no"], 1, "no: not found, expected a directory of noises"),
    ],
)
def test_what_cannot_be_made_is_named(recipe, capsys, arguments, status, said):
    try:
        assert call(make_suite, arguments) == status
    except SystemExit as stopped:
        assert stopped.code == status
    assert said in capsys.readouterr().err and not (recipe / "out").exists()


def test_augmented_sets_are_refused(recipe, capsys):
    table(recipe / "dump/test/utt2speed", dict.fromkeys(TEXTS, "0.9"))
    assert make() == 1
    assert "run format_audio first" in capsys.readouterr().err


@pytest.fixture
def decoded(recipe):
    """Clean: one of 8 words wrong; noise: three more; joined: all right; babble was not decoded."""
    assert make() == 0
    table(recipe / "dec/test/text", {**TEXTS, "s2-a": "A FOUR FIVE"})
    noisy = {**TEXTS, "s1-a": "WON TO", "s2-a": "A FOUR FIVE", "s2-b": "SICK"}
    table(recipe / "dec/suites/test-noise_10db/text", noisy)
    table(recipe / "dec/suites/test-noise_10db/rtf", dict.fromkeys(TEXTS, "0.25"))
    table(recipe / "dec/suites/test-telephone/text", {**TEXTS, "s2-a": "A FOUR FIVE"})
    joined = read_table(recipe / "suites/test-joined_5s/text")
    table(recipe / "dec/suites/test-joined_5s/text", joined)
    return recipe


SCORE = ["--ref", "suites", "--hyp", "dec/suites", "--clean_ref", "dump", "--clean", "dec"]


def test_conditions_in_one_table(decoded, capsys):
    assert call(score_suites, SCORE) == 0
    said = capsys.readouterr().out
    record = json.loads((decoded / "dec/suites/scores.json").read_text())
    found = {r["condition"]: r for r in record["suites"]["test"]}
    assert next(iter(found)) == "clean" and "babble_0db" not in found
    assert found["clean"]["wer"] == 12.5 and found["clean"]["more"] is None
    noise = found["noise_10db"]
    assert (noise["wer"], noise["more"], noise["factor"], noise["rtf"]) == (50.0, 37.5, 4.0, 0.25)
    low, high = noise["more_interval"]
    assert 0 <= low <= 37.5 <= high
    assert found["telephone"]["more"] == 0 and found["telephone"]["more_interval"] == [0.0, 0.0]
    assert found["joined_5s"]["wer"] == 0 and found["joined_5s"]["more_interval"] is None
    rare = found["rare_words"]
    assert (rare["terms"], rare["terms_right"], rare["words"]["words"]) == (1, 0, 3)
    assert (found["disfluent"]["terms"], found["disfluent"]["terms_right"]) == (1, 1)
    assert "|noise_10db|noise, signal-to-noise ratio 10 dB|4|8|50.0|" in said
    assert re.search(r"\|\+37.5 \(.*? to .*?\)\|4.00\|", said)
    assert record["mean_wer"]["test"] == pytest.approx((50 + 12.5 + 0) / 3)
    assert "Mean WER over 3 conditions of sound: 20.8 %" in said
    assert said.split("wrote ")[0].strip() in (decoded / "dec/suites/RESULTS.md").read_text()
    page = (decoded / "dec/suites/suites.html").read_text()
    assert page.count("bar wide marked") == len(found) and "+37.5" in page
    assert "https://" not in page and "http://" not in page


def test_only_the_conditions_asked_for(decoded, capsys):
    assert call(score_suites, [*SCORE, "--conditions", "telephone", "--blocks", "speaker"]) == 0
    record = json.loads((decoded / "dec/suites/scores.json").read_text())
    names = [r["condition"] for r in record["suites"]["test"]]
    assert names[:2] == ["clean", "telephone"] and "noise_10db" not in names
    assert call(score_suites, [*SCORE, "--conditions", "babble_0db"]) == 1
    assert "decode test-babble_0db first" in capsys.readouterr().err


def test_missing_hypotheses_count_as_deletions(decoded):
    table(decoded / "dec/suites/test-noise_10db/text", {"s1-a": "ONE TWO"})
    assert call(score_suites, SCORE) == 0
    record = json.loads((decoded / "dec/suites/scores.json").read_text())
    noise = next(r for r in record["suites"]["test"] if r["condition"] == "noise_10db")
    assert noise["missing"] == 3 and noise["wer"] == 75.0


@pytest.mark.parametrize(
    ("gone", "more", "said"),
    [
        ("dec/test/text", [], "decode test first"),
        ("suites/none", ["other"], "found no suite of other"),
        ("suites/none", ["--conditions", "noise_7db"], "found no test-noise_7db"),
    ],
)
def test_what_cannot_be_scored_is_named(decoded, capsys, gone, more, said):
    (decoded / gone).unlink(missing_ok=True)
    assert call(score_suites, [*more, *SCORE]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
