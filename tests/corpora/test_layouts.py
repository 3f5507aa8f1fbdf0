"""Every corpus on a miniature with its exact layout: sets, ids, texts, speakers and sounds."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.bin.command import call
from espnet_ext.bin.prepare_corpus import main
from espnet_ext.corpora import commonvoice, jsut, layout, librispeech, libritts, ljspeech, vctk
from espnet_ext.errors import UserError
from tests.corpora import miniatures as small


def table(directory: Path, name: str = "text") -> dict[str, str]:
    return datadir.read_table(directory / name)


def require_whole(made: list[Path]) -> None:
    """Valid directories without a shared utterance, every sound readable and as long as its header says."""
    seen: set[str] = set()
    for directory in made:
        datadir.validate(directory)
        sounds, seconds = table(directory, "wav.scp"), datadir.utt2dur(directory)
        for utt, path in sounds.items():
            info = soundfile.info(path)
            assert seconds[utt] == pytest.approx(info.frames / info.samplerate, abs=1e-3)
        assert not seen & sounds.keys()
        seen |= sounds.keys()


def test_librispeech_all_parts(tmp_path: Path):
    sets = (
        "train=train-clean-100+train-clean-360+train-other-500,dev=dev-clean+dev-other,t=test-other"
    )
    made = librispeech.prepare(small.librispeech(tmp_path), tmp_path / "d", sets=sets, lm_text=1)
    require_whole(made)
    assert [len(table(d)) for d in made] == [8, 4, 2]
    assert table(made[0])["100-7000-0001"] == small.sentence(1).upper()
    assert table(made[0], "spk2gender")["101-7001"] == "m"
    assert table(tmp_path / "d/local/lm_text")["librispeech_lm_00000001"] == "THE CAT SAT DOWN"


def test_librispeech_of_a_few_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    corpus = small.librispeech(tmp_path)
    shutil.rmtree(corpus / "LibriSpeech/dev-other")
    (corpus / "librispeech-lm-norm.txt.gz").unlink()
    given = {"sets": "dev=dev-clean+dev-other t=dev-other", "lm_text": 1}
    with pytest.raises(UserError, match="expected dev-other for the set 'dev'"):
        librispeech.prepare(corpus, tmp_path / "d", **given)
    made = librispeech.prepare(corpus, tmp_path / "d", partial=1, **given)
    assert [d.name for d in made] == ["dev"]
    said = capsys.readouterr().err
    assert "left out 1 parts of 't' that are not there: dev-other" in said
    assert "2 utterances, the corpus has 2,703" in said and "--lm_train_text ''" in said


def test_a_damaged_text_of_books_is_told(tmp_path: Path):
    corpus = small.librispeech(tmp_path)
    books = corpus / "librispeech-lm-norm.txt.gz"
    books.write_bytes(books.read_bytes()[:-12])
    with pytest.raises(UserError, match="damaged file"):
        librispeech.prepare(corpus, tmp_path / "d", sets="x=dev-clean", lm_text=1)
    assert not (tmp_path / "d/local/lm_text/text").exists()


def test_ljspeech(tmp_path: Path):
    made = ljspeech.prepare(small.ljspeech(tmp_path), tmp_path / "d", dev=2, eval1=1)
    require_whole(made)
    assert [len(table(d)) for d in made] == [5, 2, 1]
    assert table(made[2], "raw_text") == {"LJ001-0008": "Birds fly at dawn in 1999."}


@pytest.mark.parametrize("version", ["0.80", "0.92"])
def test_vctk_holds_out_of_every_speaker(tmp_path: Path, version: str):
    made = vctk.prepare(small.vctk(tmp_path, version), tmp_path / "d", dev=2, eval1=1)
    require_whole(made)
    train, dev, eval1 = made
    assert sorted(table(dev)) == [f"p{s}_00{n}" for s in (225, 226, 280) for n in (5, 6)]
    assert sorted(table(eval1)) == ["p225_004", "p226_004", "p280_004"]
    assert len(table(train)) == 9 and table(train)["p225_001"] == "The cat sat down."
    assert table(train, "spk2accent")["p226"] == "English"
    assert table(train, "spk2age")["p225"] == "23"
    assert (train / "spk2gender").exists() == (version == "0.92")  # 0.80's list lacks p280


def test_vctk_second_microphone_is_without_p280(tmp_path: Path):
    corpus = small.vctk(tmp_path, "0.92") / "VCTK-Corpus-0.92"
    train, *_ = vctk.prepare(corpus, tmp_path / "d", dev=1, eval1=1, mic=2)
    assert set(table(train, "spk2utt")) == {"p225", "p226"}
    assert table(train, "wav.scp")["p225_001"].endswith("/p225/p225_001_mic2.flac")


def test_vctk_is_cut_by_labels_where_there_are_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    corpus = small.vctk(tmp_path, "0.80") / "VCTK-Corpus"
    for text in sorted((corpus / "txt").glob("*/*.txt"))[1:]:
        label = corpus / "lab/mono" / text.parent.name / f"{text.stem}.lab"
        small.text(label, "0 1000000 pau\n1000000 2500000 ax\n2500000 5000000 n\n5000000 9 pau\n")
    made = vctk.prepare(corpus, tmp_path / "d", dev=1, eval1=1)
    segments = {u: s for d in made for u, s in datadir.read_segments(d / "segments").items()}
    assert set(segments.values()) >= {datadir.Segment("p226_001", 0.1, 0.5)}
    assert "left out 1 utterances without labels: p225_001" in capsys.readouterr().err


def test_vctk_with_too_few_sentences(tmp_path: Path):
    with pytest.raises(
        UserError, match=r"speaker p225: found 6 utterances, expected more than 5 \+ 5"
    ):
        vctk.prepare(small.vctk(tmp_path, "0.92"), tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("restored", [False, True])
def test_libritts(tmp_path: Path, restored: bool):
    made = libritts.prepare(small.libritts(tmp_path, restored), tmp_path / "d")
    require_whole(made)
    found = {d.name: len(table(d)) for d in made}
    assert found == {"train": 6, "dev": 3, "eval1": 3, "dev_clean": 4, "test_clean": 4}
    assert table(made[0])["100-100_1211_000000_000000"].endswith(", number two")
    assert table(made[0], "raw_text")["100-100_1211_000000_000000"].endswith(", no. 2")
    assert table(made[0], "spk2gender") == {"100": "f", "1001": "m", "16": "f"}


def test_libritts_as_espnet_has_it(tmp_path: Path):
    corpus = small.libritts(tmp_path) / "LibriTTS"
    made = libritts.prepare(corpus, tmp_path / "d", held_out=0, speaker="chapter")
    assert {d.name: len(table(d)) for d in made} == {"train": 12, "dev_clean": 4, "test_clean": 4}
    assert table(made[0], "utt2spk")["1001_1211_000001_000000"] == "1001_1211"
    (corpus / "SPEAKERS.txt").unlink()
    made = libritts.prepare(corpus, tmp_path / "e", train="train-clean-360")
    assert not (made[0] / "spk2gender").exists()


def test_jsut_tests_on_the_first_ones(tmp_path: Path):
    made = jsut.prepare(small.jsut(tmp_path), tmp_path / "d", dev=2, eval1=1)
    require_whole(made)
    found = {d.name: list(table(d)) for d in made}
    assert found["eval1"] == ["BASIC5000_0001"]
    assert found["dev"] == ["BASIC5000_0002", "BASIC5000_0003"]
    assert found["train"][-1] == "TRAVEL1000_0002" and len(found["train"]) == 4
    assert table(made[0])["BASIC5000_0001"] == "水をください。"
    made = jsut.prepare(tmp_path, tmp_path / "e", dev=1, eval1=1, subsets="basic5000")
    assert sum(len(table(d)) for d in made) == 5


def test_jsut_is_cut_by_labels_if_all_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    corpus = small.jsut(tmp_path) / "jsut_ver1.1"
    labels = "0 3125000 xx^xx-sil+m=i/A:xx\n3125000 9999999 xx^sil-m+i=z/A:-2\n"
    labels += "9999999 12000000 u^i-sil+xx=xx/A:xx\n"
    for sound in corpus.glob("*/wav/*.wav"):
        small.text(sound.parent.parent / "lab" / f"{sound.stem}.lab", labels)
    made = jsut.prepare(corpus, tmp_path / "d", dev=1, eval1=1)
    assert datadir.read_segments(made[0] / "segments")["BASIC5000_0001"].start == pytest.approx(
        0.312, abs=1e-3
    )
    (corpus / "travel1000/lab/TRAVEL1000_0001.lab").unlink()
    made = jsut.prepare(corpus, tmp_path / "e", dev=1, eval1=1)
    assert not (made[0] / "segments").exists() and "label files" in capsys.readouterr().err


def test_commonvoice_trains_on_what_is_validated_and_not_tested(tmp_path: Path):
    corpus = small.commonvoice(tmp_path)
    made = commonvoice.prepare(corpus, tmp_path / "d")
    require_whole(made)
    assert {d.name: len(table(d)) for d in made} == {"train": 15, "dev": 5, "test": 5}
    utt = "0" * 128 + "-common_voice_en_17000"
    assert table(made[0])[utt] == "THE CAT SAT DOWN"
    assert table(made[0], "utt2gender")[utt] == "f" and table(made[0], "utt2age")[utt] == "twenties"
    assert table(made[0], "utt2accent")[utt] == "Southern England"
    assert table(made[1], "utt2gender")["3" * 128 + "-common_voice_en_17015"] == "u"
    made = commonvoice.prepare(corpus, tmp_path / "e", train="train")
    assert len(table(made[0])) == 12


def test_commonvoice_gives_voices_in_another_language(tmp_path: Path):
    corpus = small.commonvoice(tmp_path, "de") / "cv-corpus-13.0-2023-03-09"
    shutil.copytree(corpus, tmp_path / "cv-corpus-5.1-2020-06-22")
    given = {"language": "de", "task": "tts", "held_out": 1}
    made = commonvoice.prepare(tmp_path, tmp_path / "d", min_clips=5, **given)
    require_whole(made)
    assert {d.name: len(table(d)) for d in made} == {"train": 15, "dev": 5, "eval1": 5}
    assert "“Der hund schläft!”" in table(made[0]).values()
    assert table(made[0], "utt2lang") == dict.fromkeys(table(made[0]), "de")
    assert "cv-corpus-13.0" in next(iter(table(made[0], "wav.scp").values()))
    with pytest.raises(UserError, match="found 5 clips of the most diligent speaker, expected 500"):
        commonvoice.prepare(tmp_path, tmp_path / "e", **given)


def test_commonvoice_leaves_out_what_has_no_sound_or_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    corpus = small.commonvoice(tmp_path) / "cv-corpus-13.0-2023-03-09/en"
    (corpus / "clips/common_voice_en_17000.mp3").write_bytes(b"")
    (corpus / "clips/common_voice_en_17001.mp3").unlink()
    listed = corpus / "validated.tsv"
    listed.write_text(listed.read_text().replace("“No one said a word!”", "{noise}", 1))
    made = commonvoice.prepare(corpus, tmp_path / "d")
    assert len(table(made[0])) == 12
    assert "left out 3 clips without sound or text" in capsys.readouterr().err
    listed.write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match="expected client_id, path, sentence"):
        commonvoice.prepare(corpus, tmp_path / "e")


def test_libritts_of_the_edition_asked_for(tmp_path: Path):
    small.libritts(small.libritts(tmp_path), restored=True)
    for edition, name in (
        ("", "LibriTTS/"),
        ("libritts", "LibriTTS/"),
        ("libritts_r", "LibriTTS_R/"),
    ):
        made = libritts.prepare(tmp_path, tmp_path / f"d{edition}", edition=edition)
        assert all(f"/{name}" in path for path in table(made[0], "wav.scp").values())
    with pytest.raises(UserError, match="found LibriTTS, expected LibriTTS_R"):
        libritts.prepare(tmp_path / "LibriTTS", tmp_path / "e", edition="libritts_r")
    (tmp_path / "LibriTTS_R").rename(tmp_path / "mine")
    with pytest.raises(UserError, match="expected LibriTTS_R"):
        libritts.prepare(tmp_path, tmp_path / "e", edition="libritts_r")
    assert libritts.prepare(tmp_path / "mine", tmp_path / "e", edition="libritts_r")


@pytest.mark.parametrize("version", ["0.80", "0.92"])
def test_vctk_of_the_version_asked_for(tmp_path: Path, version: str):
    small.vctk(small.vctk(tmp_path, "0.80"), "0.92")
    made = vctk.prepare(tmp_path, tmp_path / "d", dev=1, eval1=1, version=version)
    paths = table(made[0], "wav.scp").values()
    assert all(f"/{vctk.NAMES[version]}/" in path for path in paths)
    shutil.rmtree(tmp_path / vctk.NAMES[version])
    with pytest.raises(UserError, match=f"expected {vctk.NAMES[version]}"):
        vctk.prepare(tmp_path, tmp_path / "e", dev=1, eval1=1, version=version)


def test_vctk_is_split_before_missing_sounds_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    corpus = small.vctk(tmp_path, "0.80")
    (corpus / "VCTK-Corpus/wav48/p225/p225_006.wav").unlink()
    _, dev, _ = vctk.prepare(corpus, tmp_path / "d", dev=2, eval1=1)
    assert [utt for utt in table(dev) if "p225" in utt] == ["p225_005"]
    assert "left out 1 texts without a sound" in capsys.readouterr().err


def test_commonvoice_in_the_language_asked_for(tmp_path: Path):
    corpus = small.commonvoice(small.commonvoice(tmp_path), "de") / "cv-corpus-13.0-2023-03-09"
    with pytest.raises(UserError, match="in the language en, expected de"):
        commonvoice.prepare(corpus / "en", tmp_path / "d", language="de")
    (corpus / "de").rename(corpus / "german")
    assert commonvoice.prepare(corpus / "german", tmp_path / "d", language="de")
    (corpus / "german").rename(corpus / "en/de")
    (made, *_) = commonvoice.prepare(corpus / "en", tmp_path / "d", language="de")
    assert all("/en/de/" in path for path in table(made, "wav.scp").values())


def test_commonvoice_trains_on_no_other_list_than_the_one_asked_for(tmp_path: Path):
    corpus = small.commonvoice(tmp_path)
    with pytest.raises(UserError, match=r"nosuch\.tsv: found no such list, expected .*validated"):
        commonvoice.prepare(corpus, tmp_path / "d", train="nosuch")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("dev", "", r"dev\.tsv, line 1: found the columns of an empty file"),
        ("test", "\n", r"test\.tsv, line 1: found the columns of an empty file"),
        ("dev", None, r"dev\.tsv: found no such list"),
    ],
)
def test_commonvoice_with_a_bad_list(tmp_path: Path, name: str, content: str | None, expected: str):
    corpus = small.commonvoice(tmp_path) / "cv-corpus-13.0-2023-03-09/en"
    path = corpus / f"{name}.tsv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=expected):
        commonvoice.prepare(corpus, tmp_path / "d")


def test_commonvoice_tells_lines_with_too_few_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    corpus = small.commonvoice(tmp_path) / "cv-corpus-13.0-2023-03-09/en"
    with open(corpus / "dev.tsv", "a") as stream:
        stream.write("lonely\n\n")
    made = commonvoice.prepare(corpus, tmp_path / "d")
    assert len(table(made[1])) == 5
    assert "left out 2 lines with too few fields: line 7, line 8" in capsys.readouterr().err


def test_ljspeech_is_split_before_missing_audio_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    corpus = small.ljspeech(tmp_path)
    (corpus / "LJSpeech-1.1/wavs/LJ001-0008.wav").unlink()
    train, dev, eval1 = ljspeech.prepare(corpus, tmp_path / "d", dev=2, eval1=2)
    assert list(table(eval1)) == ["LJ001-0007"]
    assert list(table(dev)) == ["LJ001-0005", "LJ001-0006"] and len(table(train)) == 4
    said = capsys.readouterr().err
    assert "left out 1 clips without audio: LJ001-0008" in said
    assert "7 clips, the corpus has 13,100" in said


def test_jsut_is_split_before_missing_audio_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    corpus = small.jsut(tmp_path)
    (corpus / "jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav").unlink()
    eval1, dev, train = jsut.prepare(corpus, tmp_path / "d", dev=1, eval1=2)
    assert list(table(eval1)) == ["BASIC5000_0002"]
    assert list(table(dev)) == ["BASIC5000_0003"] and len(table(train)) == 4
    assert "6 clips, the corpus has 7,696" in capsys.readouterr().err


@pytest.mark.parametrize("module", [librispeech, libritts])
def test_no_gender_is_invented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], module: ModuleType
):
    corpus = getattr(small, module.__name__.rpartition(".")[2])(tmp_path)
    (listed,) = [p for p in corpus.glob("*/*") if p.name.lower() == "speakers.txt"]
    lines = listed.read_text().splitlines()
    listed.write_text("\n".join(line for line in lines if "train-clean-360" not in line) + "\n")
    sets = {"sets": "a=train-clean-100+train-clean-360 b=train-clean-100"}
    made = module.prepare(corpus, tmp_path / "d", **(sets if module is librispeech else {}))
    assert not (made[0] / "spk2gender").exists() and (made[-1] / "spk2gender").exists()
    assert "left out 1 speakers' genders" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("librispeech", "--sets a=other --partial 1", "--sets: found 'other', expected some of"),
        ("librispeech", "--sets a=test-other --partial 1", "found no set to write"),
        ("librispeech", "--sets =dev-clean", "--sets: found '=dev-clean', expected NAME=PART"),
        ("librispeech", "--sets train", "--sets: found 'train', expected NAME=PART"),
        ("librispeech", "--sets a=dev-clean,a=dev-other", "every name once"),
        ("chime4", "--tracks 3", "--tracks: found '3', expected some of 1, 2, 6"),
        ("chime4", "--tracks ,", "--tracks: found '', expected some of 1, 2, 6"),
        ("wsj", "--sets test_dev93,x", "--sets: found 'x', expected some of"),
        ("libritts", "--edition x", "--edition: found 'x', expected libritts or libritts_r"),
        ("libritts", "--train x", "--train: found 'x', expected some of"),
        ("libritts", "--held_out -1", "--held_out: found -1, expected 0 or more"),
        ("vctk", "--mic 3", "--mic: found '3', expected 1 or 2"),
        ("vctk", "--version 1", "--version: found '1', expected 0.92 or 0.80"),
        ("jsut", "--subsets x", "--subsets: found 'x', expected some of basic5000, travel1000"),
        ("commonvoice", "--held_out 0", "--held_out: found 0, expected 1 or more"),
    ],
)
def test_a_value_that_means_nothing_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, options: str, expected: str
):
    make = {"vctk": lambda root: small.vctk(root, "0.92")}.get(name) or getattr(small, name)
    corpus = make(tmp_path)
    shutil.rmtree(corpus / "LibriSpeech/test-other", ignore_errors=True)
    assert call(main, [name, str(corpus), str(tmp_path / "d"), *options.split()]) == 1
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_tracks_may_be_separated_by_spaces(tmp_path: Path):
    """As may sets and parts: "1 2" made no test set before."""
    assert layout.chosen("tracks", "1 2", "126") == layout.chosen("tracks", "1,2", "126")
