"""CMU AN4 in its distributions."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext import datadir
from espnet_ext.corpora import an4
from espnet_ext.errors import UserError

SPEAKERS = [f"{'fm'[i % 2]}{chr(97 + i)}aa" for i in range(20)]


@pytest.fixture
def realdata():
    default = Path(__file__).resolve().parents[3] / "shared" / "realdata"
    root = Path(os.environ.get("ESPNET_EXT_REALDATA", default))
    if not (root / "an4").is_dir():
        pytest.skip(f"no AN4 in {root} (ESPNET_EXT_REALDATA)")
    return root / "an4"


def tone(pitch):
    return (9000 * np.sin(2 * np.pi * pitch * np.arange(1600) / 16000)).astype(np.int16)


def add(root, part, speakers, kind="raw", marks=True):
    """A part of AN4; the pitch of each sound tells its number."""
    folder = {"train": "an4_clstk", "test": "an4test_clstk"}[part]
    (root / "etc").mkdir(parents=True, exist_ok=True)
    ids, lines = [], []
    for number, speaker in enumerate(speakers):
        (root / "wav" / folder / speaker).mkdir(parents=True)
        for prefix in ("an1", "cen2"):
            utt = f"{prefix}-{speaker}-b"
            path = root / "wav" / folder / speaker / f"{utt}.{kind}"
            if kind == "raw":
                path.write_bytes(tone(200 + number).astype(">i2").tobytes())
            else:
                form = {"sph": "NIST", "wav": "WAV"}[kind]
                soundfile.write(path, tone(200 + number), 16000, format=form, subtype="PCM_16")
            ids.append(f"{folder}/{speaker}/{utt}\n")
            lines.append(f"<s> YES {prefix} </s> ({utt})\n" if marks else f"YES {prefix} ({utt})\n")
    (root / f"etc/an4_{part}.fileids").write_text("".join(ids))
    (root / f"etc/an4_{part}.transcription").write_text("".join(lines))
    return root


def speakers_of(data, *names):
    return [set(datadir.read_table(data / n / "spk2utt")) for n in names]


@pytest.mark.parametrize("kind", ["raw", "sph", "wav"])
def test_without_its_test_part_the_last_eight_speakers_are_the_test(tmp_path, kind):
    an4.prepare(add(tmp_path / "an4", "train", SPEAKERS, kind), tmp_path / "data")
    train, dev, test = speakers_of(tmp_path / "data", "train", "dev", "test")
    assert test == set(sorted(SPEAKERS)[-8:])
    assert len(dev) == 6 and len(train) == 6
    assert len(train | dev | test) == 20
    for name in ("train", "dev", "test"):
        datadir.validate(tmp_path / "data" / name)
    utt = sorted(SPEAKERS)[-1] + f"-an1-{sorted(SPEAKERS)[-1]}-b"
    assert datadir.read_table(tmp_path / "data/test/text")[utt] == "YES AN1"
    entry = datadir.read_table(tmp_path / "data/test/wav.scp")[utt]
    samples, rate = soundfile.read(entry, dtype="int16")
    number = SPEAKERS.index(sorted(SPEAKERS)[-1])
    assert rate == 16000 and (samples == tone(200 + number)).all()


def test_its_own_test_part_is_the_test(tmp_path):
    root = add(tmp_path / "an4", "train", SPEAKERS[:12])
    add(root, "test", SPEAKERS[12:], marks=False)
    an4.prepare(root, tmp_path / "data")
    train, dev, test = speakers_of(tmp_path / "data", "train", "dev", "test")
    assert test == set(SPEAKERS[12:])
    assert len(dev) == 6 and not (train & dev or train & test or dev & test)
    assert train | dev == set(SPEAKERS[:12])


@pytest.mark.parametrize("layout", ["train", "test", "loose", "text"])
def test_another_directory_becomes_a_further_test_set(tmp_path, layout):
    more = tmp_path / "more"
    if layout in ("train", "test"):
        add(more, layout, ["fzzz"], "sph" if layout == "test" else "raw")
    else:
        more.mkdir()
        soundfile.write(more / "an1-fzzz-b.wav", tone(300), 16000)
        name = {"loose": "lines.transcription", "text": "README.txt"}[layout]
        extra = "" if layout == "loose" else "Some words about it.\n"
        (more / name).write_text(f"{extra}HELLO (an1-fzzz-b)\n")
    made = an4.prepare(more, tmp_path / "data", as_test="more")
    assert [m.name for m in made] == ["more"]
    datadir.validate(made[-1])
    assert "fzzz-an1-fzzz-b" in datadir.read_table(made[-1] / "text")


def test_errors_name_what_is_wrong(tmp_path):
    root = add(tmp_path / "an4", "train", SPEAKERS)
    with pytest.raises(UserError, match="check AN4_TEST"):
        an4.prepare(tmp_path / "nowhere", tmp_path / "data", as_test="more")
    (root / "wav/an4_clstk" / SPEAKERS[0] / f"an1-{SPEAKERS[0]}-b.raw").unlink()
    with pytest.raises(UserError, match=f"no sound for 1 transcripts .an1-{SPEAKERS[0]}-b"):
        an4.prepare(root, tmp_path / "data")
    lists = root / "etc/an4_train.transcription"
    for line, words in (
        ("<s> YES </s>\n", "expected `<s> WORDS </s> .id.`"),
        ("<s> </s> (an1-x-b)\n", "an empty text for 'an1-x-b'"),
        ("<s> A </s> (an1-x-b)\n<s> A </s> (an1-x-b)\n", "'an1-x-b' a second time"),
    ):
        lists.write_text(line)
        with pytest.raises(UserError, match=words):
            an4.prepare(root, tmp_path / "data")


def test_too_few_speakers(tmp_path):
    with pytest.raises(UserError, match="found 4 speakers to train with"):
        an4.prepare(add(tmp_path / "an4", "train", SPEAKERS[:12]), tmp_path / "data")


def test_empty_and_odd_raw_files(tmp_path):
    root = add(tmp_path / "an4", "train", SPEAKERS)
    (root / "wav/an4_clstk" / SPEAKERS[0] / f"an1-{SPEAKERS[0]}-b.raw").write_bytes(b"")
    with pytest.raises(UserError, match="found 0 bytes"):
        an4.prepare(root, tmp_path / "data")


def test_real_an4(realdata, tmp_path):
    an4.prepare(realdata, tmp_path / "data")
    counts = [
        len(datadir.read_table(tmp_path / f"data/{n}/text")) for n in ("train", "dev", "test")
    ]
    assert counts == [641, 78, 100]
    train, dev, test = speakers_of(tmp_path / "data", "train", "dev", "test")
    assert (len(train), len(dev), len(test)) == (50, 6, 8)
    entry = datadir.read_table(tmp_path / "data/train/wav.scp")["fash-an251-fash-b"]
    samples, _ = soundfile.read(entry)
    steps = np.abs(np.diff(samples)).mean() / np.abs(samples).mean()
    assert steps < 0.8  # smooth as speech is; read little-endian it would be noise, about 1.3
