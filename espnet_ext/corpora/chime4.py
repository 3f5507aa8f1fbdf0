"""CHiME-4 (Vincent et al. 2017, LDC2017S24): WSJ sentences read on a bus, in a cafe, among people, by a street.

`data/audio/16kHz/isolated{,_1ch_track,_2ch_track,_6ch_track}/<set>_<place>_<kind>/<id>[.CH<n>].wav`, where
id is speaker_sentence_PLACE; `data/transcriptions/<set>_<kind>.dot_all`; `data/WSJ0/` with the texts of
the simulated training set. Names of sets and ids are those of ESPnet's and Kaldi's recipes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from espnet_ext.audio.beamform import beamform_files, digest_of, join_files
from espnet_ext.corpora.layout import (
    choose,
    chosen,
    compare_total,
    corpus_root,
    left_out,
    write_sets,
)
from espnet_ext.corpora.wsj import NOISE, Disks, normalize, transcripts
from espnet_ext.datadir.edit import Tables, read_all
from espnet_ext.errors import UserError
from espnet_ext.files import write_text

VARIABLE = "CHIME4"
SOURCE = "LDC2017S24, catalog.ldc.upenn.edu; it is licensed and cannot be downloaded"
WITNESS = "data/audio/16kHz"
#: Set -> utterances that it has.
COUNTS = {
    "tr05_real": 1600,
    "tr05_simu": 7138,
    "dt05_real": 1640,
    "dt05_simu": 1640,
    "et05_real": 1320,
    "et05_simu": 1320,
}
TESTS = ("dt05_real", "dt05_simu", "et05_real", "et05_simu")
#: Test condition -> where its sounds are, and which channels are beamformed (none: they are as they are).
TRACKS = {
    "isolated_1ch_track": ("isolated_1ch_track", ""),
    "beamform_2mics": ("isolated_2ch_track", "123456"),
    "beamform_5mics": ("isolated_6ch_track", "13456"),
}
ALL = "123456"


class Sound(NamedTuple):
    """A wav file: the utterance F01_050C0101_BUS, the channel ("" if there is one only), the path."""

    utt: str
    channel: str
    path: str


def prepare(
    corpus: str | Path,
    data: str | Path,
    *,
    wsj: str = "",
    tracks: str = "1,2,6",
    joined: int = 0,
    workers: int = 0,
) -> list[Path]:
    """Write tr05_multi_noisy (all six channels, each an utterance of its own), a dev set and the tests.

    The tests are {dt05,et05}_{real,simu}_{isolated_1ch_track,beamform_2mics,beamform_5mics}; the
    beamformed ones are written below `data`/local/enhanced. With WSJ's clean speech
    tr05_multi_noisy_si284 is written too. Joined ones hold the six channels of an utterance in one file, for
    recognisers with a front end of several: tr05_multi_6ch, dt05_multi_6ch and {dt05,et05}_{real,simu}_6ch.

    Args:
        corpus: `CHiME3` (or CHiME4), the directory that holds data/.
        data: gets the sets, and nlsyms.txt.
        wsj: a data directory of WSJ's train_si284 to add to the training set; "" = none
        tracks: which tests to make, of 1, 2 and 6
        joined: 1 = also make the sets whose sounds hold six channels
        workers: threads that beamform; 0 = one a core

    Returns:
        the directories written.

    Raises:
        UserError: the corpus or one of its parts is missing, or a sound has no transcript.
    """
    wanted = chosen("tracks", tracks, "126")
    root = _root(corpus)
    audio = root / WITNESS
    texts = _texts(root)
    sets = {
        f"{name}_noisy": _tables(_sounds(audio / _training(audio), name), name, texts)
        for name in ("tr05_simu", "tr05_real")
    }
    whole = {"tr05_multi_noisy": _joined(sets["tr05_simu_noisy"], sets["tr05_real_noisy"])}
    if wsj:
        clean = {n: t for n, t in read_all(wsj).items() if n in ("wav.scp", "text", "utt2spk")}
        whole["tr05_multi_noisy_si284"] = _joined(whole["tr05_multi_noisy"], clean)
    for track, (folder, _) in TRACKS.items():
        if folder[len("isolated_")] in wanted:
            enhanced = Path(data) / "local" / "enhanced" / track
            whole |= _tests(audio, track, texts, enhanced, workers)
    if joined:
        whole |= _six_channels(audio, texts, Path(data) / "local" / "joined", workers)
    first = "isolated_1ch_track"
    if f"dt05_real_{first}" in whole:
        pair = (whole[f"dt05_simu_{first}"], whole[f"dt05_real_{first}"])
        whole[f"dt05_multi_{first}"] = _joined(*pair)
    named = {w for t in whole.values() for text in t["text"].values() for w in text.split()}
    symbols = sorted(w for w in named if w.startswith("<") and w.endswith(">"))
    write_text(Path(data) / "nlsyms.txt", "".join(f"{s}\n" for s in symbols or [NOISE]))
    return write_sets(data, whole)


def _tests(
    audio: Path, track: str, texts: dict[str, dict[str, str]], enhanced: Path, workers: int
) -> dict[str, Tables]:
    """The four test sets of a condition; what has to be beamformed is written below `enhanced`."""
    folder, channels = TRACKS[track]
    found = {}
    for name in TESTS:
        sounds = _sounds(audio / folder, name)
        if channels:
            sounds = _made_of(sounds, channels, enhanced / name, workers)
        found[f"{name}_{track}"] = _tables(sounds, name, texts)
    return found


def _six_channels(
    audio: Path, texts: dict[str, dict[str, str]], folder: Path, workers: int
) -> dict[str, Tables]:
    """Training set, dev set and tests with the six channels of an utterance in one file, below `folder`."""
    found = {}
    for name in COUNTS:
        part = _training(audio) if name.startswith("tr05") else "isolated_6ch_track"
        sounds = _made_of(_sounds(audio / part, name), ALL, folder / name, workers, joined=True)
        found[name] = _tables(sounds, name, texts)
    whole = {f"{name}_6ch": found[name] for name in TESTS}
    for part in ("tr05", "dt05"):
        whole[f"{part}_multi_6ch"] = _joined(found[f"{part}_simu"], found[f"{part}_real"])
    return whole


def _root(corpus: str | Path) -> Path:
    for name in ("CHiME3", "CHiME4"):
        if str(corpus) and (Path(corpus) / name / WITNESS).is_dir():
            return Path(corpus) / name
    return corpus_root(corpus, "CHiME3", WITNESS, VARIABLE, SOURCE)


def _training(audio: Path) -> str:
    """The six channels are in `isolated`; a copy for the 6-channel track alone has them there."""
    return "isolated" if (audio / "isolated").is_dir() else "isolated_6ch_track"


def _sounds(folder: Path, name: str) -> list[Sound]:
    """Sounds of a set (tr05_real, ...) but the close-talking microphone's (channel 0)."""
    part, kind = name.split("_")
    found = []
    for path in sorted(folder.glob(f"{part}_*_{kind}/*.wav")):
        utt, _, channel = path.stem.partition(".CH")
        if channel != "0":
            found.append(Sound(utt, channel, os.path.abspath(path)))
    utts = len({sound.utt for sound in found})
    if not found:
        raise UserError(
            f"{folder}: found no {part}_<place>_{kind}/*.wav, expected {COUNTS[name]:,} utterances: "
            "the copy of the corpus is not whole, or leave out its track with --tracks"
        )
    compare_total(f"{folder}: {name}", "utterances", utts, COUNTS[name])
    return found


def _texts(root: Path) -> dict[str, dict[str, str]]:
    """Set -> utterance in lower case -> transcript."""
    found = {}
    for name in COUNTS:
        files = sorted((root / "data" / "transcriptions").glob(f"{name}.dot_all"))
        found[name] = transcripts(map(str, files)) or dict(_annotated(root, name))
    original = transcripts(Disks([root / "data" / "WSJ0"]).dots)
    if not found["tr05_simu"]:  # made of WSJ0's own recordings, whose texts it shares
        found["tr05_simu"] = original
    return found


def _annotated(root: Path, name: str) -> Iterator[tuple[str, str]]:
    """The same from data/annotations/<set>.json, for copies without transcriptions."""
    import json

    path = root / "data" / "annotations" / f"{name}.json"
    if not path.is_file():
        return
    for row in json.loads(path.read_text(encoding="utf-8")):
        if "dot" in row:
            words = re.sub(r"\s*\(\w+\)\s*$", "", row["dot"])
            yield f"{row['speaker']}_{row['wsj_name']}_{row['environment']}".lower(), words


def _tables(sounds: list[Sound], name: str, texts: dict[str, dict[str, str]]) -> Tables:
    """Ids as F01_050C0101_BUS.CH1_REAL, or F01_050C0101_BUS_REAL where there is one channel."""
    kind = name.rpartition("_")[2].upper()
    tables: Tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    silent = []
    for utt, channel, path in sounds:
        speaker, sentence = utt.split("_")[:2]
        text = texts[name].get(utt.lower(), texts[name].get(sentence.lower()))
        if text is None:
            silent.append(utt)
            continue
        key = f"{utt}.CH{channel}_{kind}" if channel else f"{utt}_{kind}"
        tables["wav.scp"][key] = path
        tables["text"][key] = normalize(text)
        tables["utt2spk"][key] = speaker
    if not tables["text"]:
        raise UserError(
            f"{name}: found no transcript of its {len(sounds)} sounds, expected "
            f"data/transcriptions/{name}.dot_all or, for tr05_simu, the .dot files below data/WSJ0: "
            "copy them there from the corpus (WSJ0 is part of LDC93S6B too)"
        )
    left_out(name, "sounds without a transcript", silent)
    genders = {s: s[0].lower() for s in tables["utt2spk"].values() if re.fullmatch(r"[FM]\d\d", s)}
    if genders.keys() == set(tables["utt2spk"].values()):
        tables["spk2gender"] = genders
    wordless = {utt for utt, text in tables["text"].items() if not text}
    return choose(tables, lambda utt: utt not in wordless)


def _made_of(
    sounds: list[Sound], channels: str, folder: Path, workers: int, joined: bool = False
) -> list[Sound]:
    """One sound an utterance, its channels beamformed or joined; below `folder`, anew if these are others."""
    microphones: dict[str, list[str]] = {}
    for utt, channel, path in sounds:
        if channel in channels:
            microphones.setdefault(utt, []).append(path)
    made = folder / digest_of(path for paths in microphones.values() for path in paths)
    suffix = "flac" if joined else "wav"
    jobs = [(made / f"{utt}.{suffix}", paths) for utt, paths in microphones.items()]
    label = f"{folder.parent.name}/{folder.name}"
    if joined:
        join_files(jobs, f"join {label}", workers)
    else:
        beamform_files(jobs, f"beamform {label}", workers)
    for other in folder.iterdir():  # of other sounds
        if other != made:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    return [Sound(target.stem, "", os.path.abspath(target)) for target, _ in jobs]


def _joined(*parts: Tables) -> Tables:
    """Utterances of all, with the tables that all have."""
    common = set.intersection(*(set(part) for part in parts)) - {"spk2utt"}
    return {name: {k: v for part in parts for k, v in part[name].items()} for name in common}
