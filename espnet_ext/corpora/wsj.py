"""Wall Street Journal, WSJ0 (LDC93S6A or B) and WSJ1 (LDC94S13A or B): read news, 16 kHz.

Disks as LDC numbers them (`11-13.1/wsj0/doc/...`, `13-34.1/wsj1/...`) or copied into one `wsj0/` and
one `wsj1/`. Index files (.ndx) say what belongs to a set, `.dot` files hold transcripts, sounds are
SPHERE files `.wv1`, mostly compressed by shorten. Sets, ids and text as in Kaldi's and ESPnet's recipe.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from espnet_ext.corpora.layout import chosen, compare_total, write_sets
from espnet_ext.datadir.edit import Tables
from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, write_text

NOISE = "<NOISE>"
#: Set -> its index files (the end of their paths) and how many utterances it has.
SETS = {
    "train_si84": (("wsj0/doc/indices/train/tr_s_wv1.ndx",), 7138),
    "train_si284": (
        ("wsj0/doc/indices/train/tr_s_wv1.ndx", "wsj1/doc/indices/si_tr_s.ndx"),
        37416,
    ),
    "test_dev93": (("wsj1/doc/indices/h1_p0.ndx",), 503),
    "test_eval92": (("wsj0/doc/indices/test/nvp/si_et_20.ndx",), 333),
    "test_eval93": (("wsj1/doc/indices/wsj1/eval/h1_p0.ndx",), 213),
}
#: Newspaper text for language models: these of WSJ1's files.
NEWS = re.compile(r"/lng_modl/lm_train/np_data/8[789]/[^/]+\.z$")
DEFAULT = "train_si284,test_dev93,test_eval92"
ADVICE = (
    "set WSJ0=/path/to/LDC93S6B and WSJ1=/path/to/LDC94S13B in local/db.sh or in the environment; "
    "the corpora are licensed by the LDC (catalog.ldc.upenn.edu) and cannot be downloaded"
)


def prepare(
    corpus: str | Path, data: str | Path, *, sets: str = DEFAULT, lm_text: int = 0
) -> list[Path]:
    """Write Kaldi data directories.

    Args:
        corpus: the directories of WSJ0 and WSJ1, a colon between them; or one that holds all disks.
        data: gets a directory for every set, and nlsyms.txt.
        sets: which, separated by commas: train_si84, train_si284, test_dev93, test_eval92, test_eval93
        lm_text: 1 = write WSJ1's newspaper text of 1987-89 to local/lm_text/text, for a language model

    Returns:
        the directories written.

    Raises:
        UserError: a corpus, index, sound or transcript is missing.
    """
    names = chosen("sets", sets, SETS)
    disks = Disks(corpus_roots(str(corpus)))
    if lm_text and not disks.news:
        raise UserError(f"found no {NEWS.pattern}, expected it on disk 13-32.1 of WSJ1: {ADVICE}")
    texts = transcripts(disks.dots)
    found = {name: _tables(disks, texts, *SETS[name]) for name in names}
    written = write_sets(data, found)
    symbols = {w for t in found.values() for text in t["text"].values() for w in text.split()}
    named = sorted(w for w in symbols if w.startswith("<") and w.endswith(">"))
    write_text(Path(data) / "nlsyms.txt", "".join(f"{symbol}\n" for symbol in named or [NOISE]))
    if lm_text:
        write_lm_text(disks.news, Path(data) / "local" / "lm_text" / "text")
    return written


def corpus_roots(given: str) -> list[Path]:
    """The directories named, all of them there.

    Raises:
        UserError: if none is named or one is missing.
    """
    roots = [Path(part) for part in given.split(":") if part]
    absent = [str(root) for root in roots if not root.is_dir()]
    if absent or not roots:
        raise UserError(
            f"found no directory {' or '.join(absent) or 'named'}, expected WSJ: {ADVICE}"
        )
    return roots


class Disks:
    """Every file of the corpora by the end of its path, in lower case (some disks are in capitals)."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self.sounds: dict[str, str] = {}
        self.indices: dict[str, str] = {}
        self.dots: list[str] = []
        self.news: list[str] = []
        self.genders: dict[str, str] = {}
        for root in roots:
            for folder, _, names in sorted(os.walk(os.path.abspath(root), followlinks=True)):
                self._add(folder, names)

    def _add(self, folder: str, names: list[str]) -> None:
        for name in sorted(names):
            path, kind = f"{folder}/{name}", name.lower().rpartition(".")[2]
            if kind == "wv1":
                self.sounds["/".join(path.lower().split("/")[-3:])] = path
            elif kind == "ndx":
                self.indices[path.lower()] = path
            elif kind == "dot":
                self.dots.append(path)
            elif NEWS.search(path.lower()):
                self.news.append(path)
            elif name.lower().endswith("spkrinfo.txt"):
                self.genders |= _genders(path)

    def index(self, end: str) -> str:
        """The index file whose path ends so."""
        found = sorted(path for low, path in self.indices.items() if low.endswith("/" + end))
        if not found:
            raise UserError(f"found no {end}, expected it on WSJ's disks: {ADVICE}")
        return found[-1]


def _genders(path: str) -> dict[str, str]:
    """Speaker -> m or f, from lines `001  M  ...`; `;` begins a comment."""
    with open(path, encoding="latin-1") as stream:
        rows = [line.lower().split() for line in stream if not line.startswith(";")]
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1] in ("m", "f")}


def entries(index: str) -> Iterator[str]:
    """`11_1_1:wsj0/si_tr_s/01i/01ic0201.wv1` -> si_tr_s/01i/01ic0201.wv1, in lower case.

    Lines that begin with `;` are comments. Test indices leave .wv1 out.
    """
    with open(index, encoding="latin-1") as stream:
        for line in stream:
            place = line.strip().lower().partition(":")[2].strip()
            if place and not line.startswith(";"):
                path = "/".join(place.replace(" ", "").split("/")[-3:])
                yield path if path.endswith(".wv1") else f"{path}.wv1"


def _tables(disks: Disks, texts: dict[str, str], indices: tuple[str, ...], expected: int) -> Tables:
    # Kaldi leaves out this folder of disk 11-2.1: it repeats utterances of another disk
    paths = [p for i in indices for p in entries(disks.index(i)) if "si_tr_s/401/" not in p]
    absent = [path for path in paths if path not in disks.sounds]
    if absent or not paths:
        raise UserError(
            f"{indices[-1]}: found no sound for {len(absent)} of {len(paths)} entries "
            f"({', '.join(absent[:3])}), expected {expected} utterances: the copy is not whole"
        )
    tables: Tables = {"wav.scp": {}, "text": {}, "utt2spk": {}}
    for path in paths:
        utt = path.rpartition("/")[2].removesuffix(".wv1")
        if utt not in texts:
            raise UserError(
                f"{disks.sounds[path]}: found no transcript, expected ({utt}) in a .dot"
            )
        tables["wav.scp"][utt] = disks.sounds[path]
        tables["text"][utt] = normalize(texts[utt])
        tables["utt2spk"][utt] = utt[:3]
    compare_total(indices[-1], "utterances", len(tables["text"]), expected)
    genders = {spk: disks.genders.get(spk, "") for spk in tables["utt2spk"].values()}
    if all(genders.values()):  # WSJ0's training speakers are listed on LDC's pages only
        tables["spk2gender"] = genders
    return tables


def transcripts(dots: Iterable[str]) -> dict[str, str]:
    """Utterance in lower case -> transcript, from lines `TEXT (id)` of .dot files.

    Raises:
        UserError: a line of another kind.
    """
    found: dict[str, str] = {}
    for path in dots:
        with open(path, encoding="latin-1") as stream:
            for number, line in enumerate(stream, 1):
                match = re.fullmatch(r"(.*)\((\w+)\)\s*", line)
                if not match and line.strip():
                    raise UserError(
                        f"{path}, line {number}: found {line.strip()[:60]!r}, expected `TEXT (id)`"
                    )
                if match:
                    found[match[2].lower()] = match[1]
    return found


def normalize(transcript: str) -> str:
    r"""The text of a .dot line as Kaldi's recipe has it.

    >>> normalize(r"[loud_breath] I\. B\. M\. fell <a> point [<door_slam] . ten %percent --dash ~")
    '<NOISE> I. B. M. FELL A POINT TEN PERCENT -DASH'
    """
    words = (_word(word) for word in transcript.upper().replace("\\", "").split())
    return " ".join(word for word in words if word)


def _word(word: str) -> str:
    """One word; "" for what is no word: pauses, truncation, noises within a neighbouring word."""
    known = {"%PERCENT": "PERCENT", ".POINT": "POINT", "--DASH": "-DASH", "~": "", ".": ""}
    if word in known:
        return known[word]
    if re.fullmatch(r"\[<\w+\]|\[\w+>\]", word) or re.search(r"\[\w+/\]$|\[/\w+\]$", word):
        return ""
    if re.search(r"\[\w+\]", word):
        return NOISE
    spoken = re.fullmatch(r"<([\w']+)>", word)
    return spoken[1] if spoken else word


def write_lm_text(news: Iterable[str], target: Path) -> None:
    """WSJ1's newspaper text, as Disks found its files, as a Kaldi text."""
    with atomic_open(target) as out:
        lines = (line for path in sorted(news) for line in _newspaper(Path(path)))
        for number, line in enumerate(lines, 1):
            out.write(f"wsj1_lng_{number:07d} {line}\n")


def _newspaper(path: Path) -> Iterator[str]:
    """Upper-case lines without those of the mark-up; the files are gzip's, or compress' as LDC made them."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x9d":
        data = subprocess.run(["gzip", "-dc"], input=data, capture_output=True, check=True).stdout
    else:
        data = gzip.decompress(data)
    for line in data.decode("latin-1").splitlines():
        if "<" not in line and line.strip():
            yield " ".join(line.upper().split())
