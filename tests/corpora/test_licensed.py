"""WSJ and CHiME-4 on miniatures, and the words of their transcripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext import datadir
from espnet_ext.bin.command import call
from espnet_ext.bin.prepare_corpus import main
from espnet_ext.corpora import chime4, wsj
from espnet_ext.errors import UserError
from tests.corpora import miniatures as small


def table(directory: Path, name: str = "text") -> dict[str, str]:
    return datadir.read_table(directory / name)


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    return small.wsj(tmp_path / "disks")


def test_wsj_from_ldc_disks(disks: Path, tmp_path: Path):
    made = wsj.prepare(f"{disks}/WSJ0:{disks}/WSJ1", tmp_path / "d", lm_text=1)
    found = {d.name: sorted(table(d)) for d in made}
    assert found["train_si284"] == [
        "01ic0201",
        "01ic0202",
        "460c0301",
        "460c0302",
    ]  # 401 is left out
    assert found["test_dev93"] == ["4k0c0301", "4k0c0302"]  # in capitals on its disk
    assert found["test_eval92"] == ["440c0401"]  # listed without .wv1
    assert table(made[0])["01ic0201"] == "<NOISE> THE CAT SAT DOWN"
    assert table(made[0], "utt2spk")["460c0301"] == "460"
    assert table(made[1], "spk2gender") == {"4k0": "m"}
    assert (tmp_path / "d/nlsyms.txt").read_text() == "<NOISE>\n"
    lines = table(tmp_path / "d/local/lm_text")
    assert len(lines) == 6 and lines["wsj1_lng_0000001"] == "THE CAT SAT DOWN"
    for directory in made:
        for path in table(directory, "wav.scp").values():
            assert soundfile.info(path).format == "NIST"


def test_wsj_in_one_directory(disks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (made,) = wsj.prepare(disks, tmp_path / "d", sets="test_dev93")
    assert len(table(made)) == 2
    assert "h1_p0.ndx: 2 utterances, the corpus has 503" in capsys.readouterr().err


def test_wsj_that_is_not_whole(disks: Path, tmp_path: Path):
    (disks / "WSJ0/11-14.1/wsj0/si_et_20/440/440c0401.wv1").unlink()
    with pytest.raises(
        UserError, match=r"1 of 1 entries [(]si_et_20/440/440c0401[.]wv1[)], expected 333"
    ):
        wsj.prepare(disks, tmp_path / "d", sets="test_eval92")
    with pytest.raises(UserError, match=r"found no wsj0/doc/indices/train/tr_s_wv1\.ndx"):
        wsj.prepare(disks / "WSJ1", tmp_path / "d", sets="train_si84")
    with pytest.raises(UserError, match="--sets: found 'test', expected some of train_si84"):
        wsj.prepare(disks, tmp_path / "d", sets="test")
    for dot in disks.rglob("4K0*.dot"):
        dot.unlink()
    with pytest.raises(UserError, match="found no transcript, expected"):
        wsj.prepare(disks, tmp_path / "d", sets="test_dev93")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("dot", "expected"),
    [
        (r"Of course there isn\'t any guarantee", "OF COURSE THERE ISN'T ANY GUARANTEE"),
        ("[loud_breath] and [misc_noise]word", "<NOISE> AND <NOISE>"),
        ("the [<door_slam] gate [door_slam>] and [phone_ring/] it [/phone_ring] rang", "THE GATE AND IT RANG"),
        (r"I\. B\. M\. , . ~", "I. B. M. ,"),
        ("a <couple> of <it's> *pecial* --dash half-dash", "A COUPLE OF IT'S *PECIAL* -DASH HALF-DASH"),
        ("five .point six %percent", "FIVE POINT SIX PERCENT"),
        ("<*in*> ten:", "<*IN*> TEN:"),
    ],
)  # fmt: skip
def test_words_of_dot_files(dot: str, expected: str):
    assert wsj.normalize(dot) == expected


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_any_transcript_becomes_capitals_without_pauses(text: str):
    found = wsj.normalize(text)
    assert found == found.upper() and "\\" not in found and found == " ".join(found.split())
    assert not {"~", ".", "%PERCENT", "--DASH"} & set(found.split())
    if not re.search(r"[\[<\\~.%-]", text):
        assert found.split() == text.upper().split()


def test_a_bad_dot_file_is_named(tmp_path: Path):
    small.text(tmp_path / "a.dot", "fine (01ic0201)\nno id here\n")
    with pytest.raises(UserError, match=r"a\.dot, line 2: found 'no id here'"):
        wsj.transcripts([str(tmp_path / "a.dot")])


def test_chime4(disks: Path, tmp_path: Path):
    (clean,) = wsj.prepare(disks, tmp_path / "wsj", sets="train_si284")
    made = chime4.prepare(small.chime4(tmp_path), tmp_path / "d", wsj=str(clean), workers=1)
    found = {d.name: len(table(d)) for d in made}
    assert (
        found["tr05_multi_noisy"] == 2 * 2 * 6
    )  # real and simulated, two utterances, six channels
    assert found["tr05_multi_noisy_si284"] == found["tr05_multi_noisy"] + 4
    assert found["dt05_multi_isolated_1ch_track"] == 2
    tests = [
        f"{p}_{k}_{t}" for p in ("dt05", "et05") for k in ("real", "simu") for t in chime4.TRACKS
    ]
    assert {name: found[name] for name in tests} == dict.fromkeys(tests, 1)
    train = table(tmp_path / "d/tr05_multi_noisy")
    assert train["F01_050C0101_BUS.CH1_REAL"].endswith(" <NOISE>")
    assert train["01I_01IC0201_BUS.CH6_SIMU"] == small.sentence(8).upper()
    assert not [utt for utt in train if ".CH0" in utt]
    five = tmp_path / "d/et05_real_beamform_5mics"
    assert table(five, "spk2gender") == {"M05": "m"}
    utt, path = next(iter(table(five, "wav.scp").items()))
    assert utt == "M05_050C0101_BUS_REAL" and soundfile.info(path).channels == 1


def test_chime4_with_six_channels_in_a_file(tmp_path: Path):
    made = chime4.prepare(small.chime4(tmp_path), tmp_path / "d", tracks="1", joined=1, workers=1)
    found = {d.name: table(d, "wav.scp") for d in made if d.name.endswith("_6ch")}
    tests = [f"{part}_{kind}_6ch" for part in ("dt05", "et05") for kind in ("real", "simu")]
    assert sorted(found) == sorted([*tests, "dt05_multi_6ch", "tr05_multi_6ch"])
    assert len(found["tr05_multi_6ch"]) == 4 and len(found["dt05_multi_6ch"]) == 2
    assert all(soundfile.info(p).channels == 6 for paths in found.values() for p in paths.values())
    utt, path = next(iter(found["et05_real_6ch"].items()))
    assert utt == "M05_050C0101_BUS_REAL"
    folder = tmp_path / "CHiME3/data/audio/16kHz/isolated_6ch_track/et05_bus_real"
    (fifth,) = folder.glob("M05_050C0101_BUS.CH5.wav")
    samples, one = soundfile.read(path, dtype="int16")[0], soundfile.read(fifth, dtype="int16")[0]
    assert (samples[: len(one), 4] == one[: len(samples)]).all()


def test_chime4_without_some_of_its_parts(tmp_path: Path):
    corpus = small.chime4(tmp_path, transcriptions=False)  # annotations in their place
    made = chime4.prepare(corpus / "CHiME3", tmp_path / "d", tracks="1")
    assert [d.name for d in made][1:3] == [
        "dt05_real_isolated_1ch_track",
        "dt05_simu_isolated_1ch_track",
    ]
    for dot in corpus.rglob("*.dot"):
        dot.unlink()
    with pytest.raises(UserError, match="tr05_simu: found no transcript of its 12 sounds"):
        chime4.prepare(corpus, tmp_path / "e", tracks="1")
    for wav in corpus.rglob("isolated_2ch_track/*/*.wav"):
        wav.unlink()
    with pytest.raises(UserError, match="leave out its track"):
        chime4._sounds(corpus / "CHiME3/data/audio/16kHz/isolated_2ch_track", "dt05_real")


@pytest.mark.parametrize(
    ("name", "variables"),
    [("wsj", ("WSJ0", "WSJ1")), ("chime4", ("CHIME4",)), ("commonvoice", ("COMMONVOICE",))],
)
@pytest.mark.parametrize("given", ["", "/no/such/place"])
def test_what_cannot_be_fetched_says_where_to_get_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    variables: tuple[str, ...],
    given: str,
):
    assert call(main, [name, given, str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert all(f"set {variable}=" in said or f" {variable}=" in said for variable in variables)
    assert "licensed" in said or "after logging in" in said
    assert not (tmp_path / "data").exists()
    with pytest.raises(SystemExit):
        main([name, given, str(tmp_path / "data"), "--download"])


def test_disks_may_be_links_and_in_capitals(disks: Path, tmp_path: Path):
    """An administrator gathers the disks by symbolic links; some mount them in capitals."""
    for name in ("WSJ0", "WSJ1"):
        (tmp_path / "links" / name).mkdir(parents=True)
        for disk in (disks / name).iterdir():
            (tmp_path / "links" / name / disk.name).symlink_to(disk)
    doc = disks / "WSJ1/13-32.1/wsj1/doc"
    for path in sorted((doc / "lng_modl/lm_train/np_data").glob("*/*.z")):
        path.rename(path.with_name(path.name.upper()))
    (doc / "lng_modl").rename(doc / "LNG_MODL")
    wsj.prepare(tmp_path / "links", tmp_path / "d", sets="test_dev93", lm_text=1)
    assert len(table(tmp_path / "d/local/lm_text")) == 6
    (doc / "LNG_MODL").rename(tmp_path / "gone")
    with pytest.raises(UserError, match=r"np_data.*expected it on disk 13-32\.1"):
        wsj.prepare(tmp_path / "links", tmp_path / "e", sets="test_dev93", lm_text=1)
    assert not (tmp_path / "e").exists()


def test_chime4_finds_texts_behind_links(tmp_path: Path):
    corpus = small.chime4(tmp_path) / "CHiME3"
    (corpus / "data/WSJ0/wsj0").rename(tmp_path / "wsj0")
    (corpus / "data/WSJ0/wsj0").symlink_to(tmp_path / "wsj0")
    made = chime4.prepare(corpus, tmp_path / "d", tracks="1")
    assert "01I_01IC0201_BUS.CH6_SIMU" in table(made[0])


def test_chime4_beamforms_anew_what_is_another_corpus(tmp_path: Path):
    corpus = small.chime4(tmp_path)
    given = {"tracks": "2", "workers": 1}

    def made() -> tuple[Path, int]:
        chime4.prepare(corpus, tmp_path / "d", **given)
        (path,) = table(tmp_path / "d/et05_real_beamform_2mics", "wav.scp").values()
        return Path(path), Path(path).stat().st_mtime_ns

    first = made()
    assert made() == first
    (sound,) = corpus.rglob("isolated_2ch_track/et05_bus_real/*CH4.wav")
    samples, rate = soundfile.read(sound, dtype="int16")
    soundfile.write(sound, samples // 2, rate)
    again = made()
    assert again != first and not first[0].exists()
