"""Utterances as a model wants them: waveform and token ids, read in background processes, padded to batches."""

from __future__ import annotations

import contextlib
import random
import signal
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.audio.read import read
from espnet_ext.datadir import numbers_in, read_table
from espnet_ext.datadir.tables import split_line
from espnet_ext.datadir.vectors import vector
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import TextPipeline

Item = dict[str, np.ndarray]
Preprocessor = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass
class Utterances(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """The utterances of one data directory, or the lines of a text.

    Attributes:
        ids: utterance ids; an index into this dataset is a place in this list.
        tokens: token ids of each, (length,) int64.
        audio: `wav.scp` values; empty for a language model.
        seconds: duration of each; empty for a language model.
        extra: more arrays an utterance, by name: "pitch" as ark entries, "sids" and "durations" as numbers.
        preprocessor: a user's own change to an item, called with (id, item).
    """

    ids: list[str]
    tokens: Sequence[np.ndarray]
    audio: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    extra: dict[str, Mapping[str, str]] = field(default_factory=dict)
    preprocessor: Preprocessor | None = None
    seed: tuple[int, int] = (
        0,
        0,
    )  # (seed of the training, epoch): what a preprocessor draws follows from it

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[str, Item]:
        utt = self.ids[index]
        item: dict[str, Any] = {"text": self.tokens[index]}
        if self.audio:
            samples, _ = read(self.audio[utt], utt)
            item["speech"] = samples[:, 0] if samples.shape[1] == 1 else samples
        for name, table in self.extra.items():
            item[name] = _extra(name, table[utt])
        if self.preprocessor is None:
            return utt, item
        with drawing_from(*self.seed, zlib.crc32(utt.encode())):
            return utt, self.preprocessor(utt, item)

    def lengths(self, batch_type: str) -> list[float]:
        """What the sampler adds up, in seconds, tokens (with <sos/eos>) or utterances.

        Raises:
            UserError: for another unit, or seconds where there is no audio.
        """
        if batch_type == "utterances":
            return [1.0] * len(self)
        if batch_type == "tokens":
            return [len(t) + 1.0 for t in self.tokens]
        if batch_type == "seconds" and self.seconds:
            return self.seconds
        raise UserError(
            f"batch_type: found {batch_type!r}, expected seconds (with audio), tokens or utterances"
        )


@contextlib.contextmanager
def drawing_from(*seed: int) -> Iterator[None]:
    """Within the block the generators of Python, numpy and torch start from `seed`; afterwards they are as before.

    A preprocessor may draw in any process and after any resume: what it draws for an utterance must not depend
    on that.
    """
    start = int(np.random.SeedSequence(seed).generate_state(1)[0])
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(start)
    np.random.seed(start)
    torch.manual_seed(start)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _extra(name: str, value: str) -> np.ndarray:
    """Whole numbers, or the matrix at `file.ark:offset`; of speaker embeddings perhaps the mean of several."""
    if value.lstrip("-").replace(" ", "").isdigit():
        return np.array(value.split(), dtype=np.int64)
    if name == "spembs":
        return vector(value).copy()
    import kaldiio

    matrix = kaldiio.load_mat(value)
    return np.array(matrix, dtype=np.float32)  # a copy: kaldiio gives read-only memory


def _token_arrays(texts: Mapping[str, str], pipeline: TextPipeline, where: str) -> list[np.ndarray]:
    arrays = [np.asarray(pipeline.ids(text), dtype=np.int64) for text in texts.values()]
    for utt, ids in zip(texts, arrays, strict=True):
        if len(ids) == 0:
            raise _no_token(where, utt, texts[utt])
    return arrays


def _no_token(where: str, utt: str, text: str) -> UserError:
    return UserError(f"{where}: the text of {utt} ({text!r}) has no token: remove the utterance")


def read_data_dir(
    directory: str | Path, pipeline: TextPipeline, extra: Mapping[str, Path] | None = None
) -> Utterances:
    """The utterances of a formatted data directory (wav.scp, text, utt2dur, and utt2sid or utt2lid).

    Args:
        directory: made by format_audio and filter_data.
        pipeline: makes token ids of the text.
        extra: more tables by the name a model knows them by, e.g. {"pitch": .../pitch.scp}.

    Raises:
        UserError: if tables are missing or disagree.
    """
    directory = Path(directory)
    audio, texts = read_table(directory / "wav.scp"), read_table(directory / "text")
    tables = {name: read_table(path) for name, path in (extra or {}).items()}
    for name, file in (("sids", "utt2sid"), ("lids", "utt2lid")):
        if (directory / file).is_file():
            tables[name] = read_table(directory / file)
    duration = read_table(directory / "utt2dur")
    for name, table in {"wav.scp": audio, "utt2dur": duration, **tables}.items():
        lacking = next((utt for utt in texts if utt not in table), None)
        if lacking is not None:
            raise UserError(
                f"{directory}: {name} lacks utterance {lacking}, which text has; run fix_data on it"
            )
    seconds = numbers_in(duration, directory / "utt2dur")
    return Utterances(
        ids=list(texts),
        tokens=_token_arrays(texts, pipeline, str(directory)),
        audio=audio,
        seconds=[seconds[utt] for utt in texts],
        extra=tables,  # type: ignore[arg-type]
    )


class FlatTokens(Sequence[np.ndarray]):
    """Token ids of many sentences in one array: 4 bytes a token and 8 a sentence.

    Args:
        values: ids of all sentences, one after the other.
        ends: where in `values` each sentence ends.
    """

    def __init__(self, values: array[int], ends: array[int]) -> None:
        self.values = np.frombuffer(values, np.int32)
        self.ends = np.frombuffer(ends, np.int64)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: Any) -> Any:
        """The ids of one sentence, (length,) int64."""
        place = range(len(self))[index]
        begin = self.ends[place - 1] if place else 0
        return self.values[begin : self.ends[place]].astype(np.int64)


def read_text(files: Sequence[str | Path], pipeline: TextPipeline) -> Utterances:
    """The lines of Kaldi text files (`id sentence`), for a language model; no line is lost to an id used twice.

    Files are read line by line and what is kept is small: they may hold tens of millions of sentences.

    Raises:
        UserError: a file is missing or not such a table, or a sentence has no token.
    """
    ids: list[str] = []
    values, ends = array("i"), array("q")
    earlier: set[str] = set()
    for number, file in enumerate(files, 1):
        mine: set[str] = set()
        for utt, text in _sentences(Path(file), mine):
            tokens = pipeline.ids(text)
            if not tokens:
                raise _no_token(str(file), utt, text)
            ids.append(f"{utt}@{number}" if utt in earlier else utt)
            values.extend(tokens)
            ends.append(len(values))
        mine |= earlier  # the larger one, mostly, gets the smaller one
        earlier = mine
    return Utterances(ids=ids, tokens=FlatTokens(values, ends))


def _sentences(file: Path, seen: set[str]) -> Iterator[tuple[str, str]]:
    """(id, sentence) of each line; ids go to `seen`. A file with a bad line is left to read_table, which says where."""
    if not file.is_file():
        read_table(file)
    with open(file, "rb") as stream:
        for line in stream:
            try:
                utt, text = split_line(line.decode())
            except UnicodeDecodeError:
                utt = text = ""
            if not utt or not text or utt in seen:
                read_table(file)
            seen.add(utt)
            yield utt, text


class Collate:
    """A list of items -> (ids, batch of padded tensors with `<name>_lengths`), as ESPnet's models take it.

    The longest goes first, by speech for ASR and by text for TTS and LM: ESPnet's recurrent encoders ask for it.

    Args:
        text_pad: value behind the end of token ids (-1 for ASR, 0 for TTS and LM).
    """

    not_sequence = ("sids", "lids", "spembs")

    def __init__(self, text_pad: int) -> None:
        self.text_pad = text_pad

    def __call__(self, items: list[tuple[str, Item]]) -> tuple[list[str], dict[str, torch.Tensor]]:
        batch = {}
        lead = "speech" if self.text_pad == -1 else "text"
        items = sorted(items, key=lambda item: -len(item[1].get(lead, ())))  # stable
        for name in items[0][1]:
            tensors = [torch.from_numpy(np.ascontiguousarray(item[name])) for _, item in items]
            pad = 0.0 if tensors[0].is_floating_point() else self.text_pad
            batch[name] = torch.nn.utils.rnn.pad_sequence(
                tensors, batch_first=True, padding_value=pad
            )
            if name not in self.not_sequence:
                batch[f"{name}_lengths"] = torch.tensor([len(t) for t in tensors])
        return [utt for utt, _ in items], batch


@dataclass
class _Careful(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Utterances, or what is wrong with one: an error that crosses processes drags a traceback along."""

    data: Utterances
    collate: Collate

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[str, Item] | UserError:
        try:
            return self.data[index]
        except UserError as error:
            return UserError(str(error))

    def together(self, items: Sequence[Any]) -> Any:
        """A batch, or what is wrong with it."""
        try:
            wrong = next((item for item in items if isinstance(item, UserError)), None)
            return wrong or self.collate(list(items))
        except UserError as error:
            return UserError(str(error))


def loader(
    data: Utterances, batches: list[list[int]], collate: Collate, workers: int
) -> Iterator[tuple[list[str], dict[str, torch.Tensor]]]:
    """Read `batches` in order, in `workers` background processes (0: in this one).

    Raises:
        UserError: for data that cannot be used, and if such a process is killed.
    """
    careful = _Careful(data, collate)
    found: Any = iter(
        torch.utils.data.DataLoader(
            careful,
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=careful.together,
            num_workers=workers,
            # its own: each new loader draws a seed, which would move torch's generator once more after a resume
            generator=torch.Generator().manual_seed(0),
            multiprocessing_context="fork" if workers else None,
            worker_init_fn=_one_thread if workers else None,
        )
    )
    try:
        for batch in found:
            if isinstance(batch, UserError):
                raise batch
            yield batch
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            f"a process that reads data has ended early ({str(error).splitlines()[0]}), expected {workers} that last: "
            "was the memory used up? Lower num_workers; the same command goes on from the last checkpoint"
        ) from error
    finally:
        if workers:
            # else an error's traceback keeps the readers, and at the program's end Python waits for them
            found._shutdown_workers()


def _one_thread(worker: int) -> None:
    """A reader leaves the cores to the model, and SIGTERM to its parent, which first saves its state."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
