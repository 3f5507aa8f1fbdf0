"""Small corpora with the exact layouts of the real ones, spoken by espeak-ng (or hummed where it is missing)."""

from __future__ import annotations

import functools
import gzip
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from espnet_ext.audio.resample import resample, to_int16

SENTENCES = (
    "the cat sat down",
    "we all went home",
    "stop at the gate",
    "ten men sang well",
    "no one said a word",
    "she has a red hat",
    "open that door",
    "birds fly at dawn",
)
GERMAN = ("guten morgen", "wie geht es dir", "das ist mein haus", "der hund schläft", "ich komme")
JAPANESE = (
    "水をください。",
    "今日は、晴れです。",
    "本を読みます。",
    "駅はどこですか。",
    "犬が走る。",
)


@functools.cache
def said(text: str, rate: int, voice: str = "en-us") -> np.ndarray:
    """int16 samples of a sentence; without espeak-ng a hum of its length."""
    if shutil.which("espeak-ng") is None:
        count = round(rate * 0.08 * len(text))
        return to_int16(0.3 * np.sin(np.arange(count) * 2 * np.pi * 150 / rate).astype("f4"))
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/a.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "190", "-w", wav, "--", text], check=True)
        samples, found = soundfile.read(wav, dtype="float32")
    return to_int16(resample(samples, int(found), rate))


def sentence(index: int, of: tuple[str, ...] = SENTENCES) -> str:
    return of[index % len(of)]


def sound(path: Path, text: str, rate: int, voice: str = "en-us", container: str = "") -> None:
    """Write a file of the kind that its suffix, or else `container`, says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, said(text, rate, voice), rate, format=container or None)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def librispeech(root: Path, each: int = 2) -> Path:
    """All seven parts, a reader and chapter each (two in train-clean-100), and the text of books."""
    parts = ("train-clean-100", "train-clean-360", "train-other-500")
    parts += ("dev-clean", "dev-other", "test-clean", "test-other")
    speakers = ["; ID |SEX| SUBSET |MINUTES| NAME"]
    for number, part in enumerate((parts[0], *parts)):
        reader, chapter = 100 + number, 7000 + number
        folder = root / "LibriSpeech" / part / str(reader) / str(chapter)
        speakers.append(f"{reader} | {'FM'[number % 2]} | {part} | 8.0 | Somebody")
        lines = ""
        for index in range(each):
            utt, words = f"{reader}-{chapter}-{index:04d}", sentence(number + index)
            sound(folder / f"{utt}.flac", words, 16000)
            lines += f"{utt} {words.upper()}\n"
        text(folder / f"{reader}-{chapter}.trans.txt", lines)
    text(root / "LibriSpeech/SPEAKERS.TXT", "\n".join(speakers) + "\n")
    with gzip.open(root / "librispeech-lm-norm.txt.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n\n".join(words.upper() for words in SENTENCES) + "\n")
    return root


def ljspeech(root: Path, count: int = 8) -> Path:
    rows = ""
    for index in range(count):
        utt, words = f"LJ001-{index + 1:04d}", sentence(index).capitalize()
        sound(root / f"LJSpeech-1.1/wavs/{utt}.wav", words, 22050)
        rows += f"{utt}|{words} in 1999.|{words} in nineteen ninety-nine.\n"
    text(root / "LJSpeech-1.1/metadata.csv", rows)
    return root


def vctk(root: Path, version: str, each: int = 6) -> Path:
    """Speakers p225, p226, p280 (no second microphone) and p315 (no text)."""
    name = {"0.80": "VCTK-Corpus", "0.92": "VCTK-Corpus-0.92"}[version]
    corpus, new = root / name, version == "0.92"
    info = (
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \n"
        if new
        else "ID  AGE  GENDER  ACCENTS  REGION\n"
    )
    rows = (
        ("p225", "23  F    English    Southern  England"),
        ("p226", "22  M    English    Surrey"),
    )
    rows += (("p280", "25  F    Unknown    France (mic2 files unavailable)"),) if new else ()
    rows += (("p315", "18  M    American   New  England (Text unavailable)"),)
    text(
        corpus / "speaker-info.txt",
        info + "".join(f"{i if new else i[1:]}  {r}\n" for i, r in rows),
    )
    for speaker in ("p225", "p226", "p280", "p315"):
        for index in range(each):
            utt, words = f"{speaker}_{index + 1:03d}", sentence(index)
            if speaker != "p315":
                text(corpus / f"txt/{speaker}/{utt}.txt", words.capitalize() + ".\n")
            if not new:
                sound(corpus / f"wav48/{speaker}/{utt}.wav", words, 48000)
                continue
            for mic in (1,) if speaker in ("p280", "p315") else (1, 2):
                folder = corpus / "wav48_silence_trimmed" / speaker
                sound(folder / f"{utt}_mic{mic}.flac", words, 48000)
    return root


def libritts(root: Path, restored: bool = False, each: int = 4) -> Path:
    """Two readers a training part, one of whom is called as the other with a digit more."""
    name = "LibriTTS_R" if restored else "LibriTTS"
    tab = "\t" if restored else " | "
    lines = [tab.join(("READER", "GENDER", "SUBSET", "NAME"))]
    readers = {"train-clean-100": (100, 1001), "train-clean-360": (16,)}
    for part, numbers in {**readers, "dev-clean": (84,), "test-clean": (61,)}.items():
        for reader in numbers:
            lines.append(tab.join((str(reader), "FM"[reader % 2], part, "Somebody")))
            folder = root / name / part / str(reader) / "1211"
            for index in range(each):
                utt, words = f"{reader}_1211_{index:06d}_000000", sentence(index + reader)
                sound(folder / f"{utt}.wav", words, 24000)
                text(folder / f"{utt}.original.txt", f"{words.capitalize()}, no. 2")
                text(folder / f"{utt}.normalized.txt", f"{words.capitalize()}, number two")
    text(root / name / ("speakers.tsv" if restored else "SPEAKERS.txt"), "\n".join(lines) + "\n")
    return root


def jsut(root: Path, counts: tuple[int, ...] = (5, 2)) -> Path:
    for folder, prefix, count in zip(
        ("basic5000", "travel1000"), ("BASIC5000", "TRAVEL1000"), counts, strict=True
    ):
        rows = ""
        for index in range(count):
            utt, words = f"{prefix}_{index + 1:04d}", sentence(index, JAPANESE)
            sound(root / f"jsut_ver1.1/{folder}/wav/{utt}.wav", words, 48000, "ja")
            rows += f"{utt}:{words}\n"
        text(root / f"jsut_ver1.1/{folder}/transcript_utf8.txt", rows)
    return root


COLUMNS = "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender"
COLUMNS += " accents variant locale segment"


def commonvoice(root: Path, language: str = "en", each: int = 5, clients: int = 3) -> Path:
    """validated = train + dev + test and a little more; the last two clients are dev's and test's."""
    folder = root / "cv-corpus-13.0-2023-03-09" / language
    sentences = GERMAN if language == "de" else SENTENCES
    rows: dict[str, list[str]] = {"validated": [], "train": [], "dev": [], "test": []}
    for client in range(clients + 2):
        for index in range(each):
            number = 17000 + client * each + index
            clip = f"common_voice_{language}_{number}.mp3"
            shown = sentence(client + index, sentences)
            sound(folder / "clips" / clip, shown, 32000, language)
            gender, accent = ("female_feminine", "Southern England") if client == 0 else ("", "")
            fields = {
                "client_id": f"{client:x}" * 128,
                "path": clip,
                "sentence": f"“{shown.capitalize()}!”",
                "age": "twenties" if client == 0 else "",
                "gender": gender,
                "accents": accent,
                "locale": language,
            }
            row = "\t".join(fields.get(column, "") for column in COLUMNS.split())
            part = ("train", "dev", "test")[max(0, client - clients + 1)]
            rows["validated"].append(row)
            if index or part != "train":
                rows[part].append(row)
    for part, lines in rows.items():
        header = "\t".join(COLUMNS.split())
        text(folder / f"{part}.tsv", "\n".join((header, *lines)) + "\n")
    return root


#: Disk, directory, utterances and index file of WSJ's sets: where LDC has them.
WSJ = (
    ("WSJ0/11-1.1", "wsj0/si_tr_s", ("01ic0201", "01ic0202"), "WSJ0/11-13.1/wsj0/doc/indices/train/tr_s_wv1.ndx"),
    ("WSJ0/11-2.1", "wsj0/si_tr_s", ("401c0201",), ""),
    ("WSJ0/11-14.1", "wsj0/si_et_20", ("440c0401",), "WSJ0/11-13.1/wsj0/doc/indices/test/nvp/si_et_20.ndx"),
    ("WSJ1/13-1.1", "wsj1/si_tr_s", ("460c0301", "460c0302"), "WSJ1/13-34.1/wsj1/doc/indices/si_tr_s.ndx"),
    ("WSJ1/13-16.1", "WSJ1/SI_DT_20", ("4k0c0301", "4k0c0302"), "WSJ1/13-34.1/wsj1/doc/indices/h1_p0.ndx"),
)  # fmt: skip


def wsj(root: Path) -> Path:
    """WSJ0 and WSJ1 as LDC's disks; 13-16.1 in capitals, as it really is."""
    for number, (disk, folder, utts, index) in enumerate(WSJ):
        lines = ";; Index\n"
        code = disk.rpartition("/")[2].replace("-", "_").replace(".", "_")
        for place, utt in enumerate(utts):
            words = sentence(number + place)
            name = utt.upper() if folder.isupper() else utt
            here = root / disk / folder / name[:3]
            sound(
                here / f"{name}.{'WV1' if folder.isupper() else 'wv1'}",
                words,
                16000,
                container="NIST",
            )
            with open(here / f"{name[:6]}00.dot", "a", encoding="latin-1") as stream:
                stream.write(f"[loud_breath] {words} \\. . [<door_slam] ({utt})\n")
            lines += f"{code}:{folder.lower()}/{utt[:3]}/{utt}{'' if 'et' in folder else '.wv1'}\n"
        if index:
            text(root / index, lines)
    with open(root / WSJ[0][3], "a", encoding="latin-1") as stream:
        stream.write("11_2_1:wsj0/si_tr_s/401/401c0201.wv1\n")
    text(root / "WSJ1/13-34.1/wsj1/doc/dev_spok/spkrinfo.txt", "; list\n4k0  M  x\n")
    news = root / "WSJ1/13-32.1/wsj1/doc/lng_modl/lm_train/np_data"
    for year in ("87", "88", "89"):
        (news / year).mkdir(parents=True)
        with gzip.open(news / year / f"w7{year}.z", "wb") as stream:
            stream.write(b"<art.00001>\n<p>\nThe cat sat down\nStop at the gate\n</p>\n")
    return root


def chime4(root: Path, transcriptions: bool = True) -> Path:
    """One place, six channels; two utterances to train with, one a test; WSJ0's texts for the simulated ones."""
    audio = root / "CHiME3/data/audio/16kHz"
    speakers = {"tr05": "F01", "dt05": "F04", "et05": "M05"}
    for part, kind in ((p, k) for p in speakers for k in ("real", "simu")):
        simulated = (part, kind) == ("tr05", "simu")
        rows, notes = "", []
        for index in range(2 if part == "tr05" else 1):
            words = sentence(index + len(part + kind))
            speaker, code = (
                ("01I", f"01IC020{index + 1}")
                if simulated
                else (speakers[part], f"050C010{index + 1}")
            )
            utt = f"{speaker}_{code}_BUS"
            _microphones(audio, f"{part}_bus_{kind}", utt, words, part != "tr05")
            rows += f"{words.capitalize()} [misc_noise] ({utt})\n"
            notes.append({"speaker": speaker, "wsj_name": code, "environment": "BUS", "dot": words})
        if transcriptions and not simulated:
            text(root / f"CHiME3/data/transcriptions/{part}_{kind}.dot_all", rows)
        elif not simulated:
            text(root / f"CHiME3/data/annotations/{part}_{kind}.json", json.dumps(notes))
    lines = (f"{sentence(index + 8)} (01ic020{index + 1})\n" for index in range(2))
    text(root / "CHiME3/data/WSJ0/wsj0/transcrp/dots/si_tr_s/01i/01ic0200.dot", "".join(lines))
    return root


def _microphones(audio: Path, folder: str, utt: str, words: str, test: bool) -> None:
    clean = said(words, 16000).astype("float64")
    random = np.random.default_rng(len(words))
    heard = {c: np.roll(clean, c) * 0.4 + random.normal(0, 300, len(clean)) for c in range(7)}
    places: list[tuple[str, Iterable[int]]] = [("isolated", range(7))]
    if test:
        places += [("isolated_6ch_track", range(1, 7)), ("isolated_2ch_track", (4, 6))]
        places += [("isolated_1ch_track", (5,))]
    for track, channels in places:
        for channel in channels:
            ending = "" if track == "isolated_1ch_track" else f".CH{channel}"
            path = audio / track / folder / f"{utt}{ending}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, heard[channel].astype("int16"), 16000)
