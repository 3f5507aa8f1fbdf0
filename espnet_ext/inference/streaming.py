"""Recognition while somebody speaks: sound in pieces of any length, words as they are said, sentences at pauses.

The encoder works chunk by chunk and remembers what attention and convolutions look back to, so that it gives what the
offline encoder gives under the mask of the chunks. CTC prefix beam search goes along. At a pause, or when the sentence
gets long, the encoder hears the sentence as a whole, the attention decoder chooses among CTC's prefixes (the two passes
of Zhang et al. 2020, U2), CTC's best path gives the times, and a new sentence begins.

Letters in shapes: T samples, F feature frames, M mel bins, S encoder frames, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.asr.packed import pack
from espnet_ext.audio.resample import as_float
from espnet_ext.bridge.load import load_model, text_pipeline
from espnet_ext.bridge.tasks import sampling_rate
from espnet_ext.errors import UserError
from espnet_ext.inference.confidence import Platt, described
from espnet_ext.inference.packed_options import packed_options
from espnet_ext.inference.pretrained import find_model
from espnet_ext.inference.results import NOTHING, Hypothesis, Piece
from espnet_ext.inference.streaming_features import FeatureStream
from espnet_ext.inference.streaming_live import at_rate
from espnet_ext.inference.streaming_options import StreamOptions, options_of
from espnet_ext.inference.streaming_partials import Shown, joined, units
from espnet_ext.inference.streaming_search import Heard, PrefixBeam, rescored
from espnet_ext.search.align import align
from espnet_ext.train.config import check_keys

__all__ = ["Listener", "Said", "StreamOptions", "StreamingSpeech2Text"]

#: Seconds of a sentence that is heard again as a whole: attention needs memory by its square.
_WHOLE = 60.0


@dataclass(frozen=True)
class Said:
    """What is known of a sentence at a time.

    Attributes:
        heard: seconds of sound that had come when this was known.
        start: where the sentence begins in the sound.
        words: so far; where a script writes no spaces, its characters.
        final: whether the sentence is over.
        hypothesis: all about it when it is over, its words with times and confidences; None before.
    """

    heard: float
    start: float
    words: tuple[str, ...]
    final: bool = False
    hypothesis: Hypothesis | None = None

    @property
    def text(self) -> str:
        """The words, as a person reads them."""
        return joined(self.words) if self.hypothesis is None else self.hypothesis.text


class StreamingSpeech2Text:
    """Recognises streams with a model that was trained in chunks (encoder_conf: {chunk: {...}}).

    Args:
        model: an ESPnetASRModel on the CPU, in evaluation.
        pipeline: its text side.
        rate: of the sound, Hz.
        options: how to listen.

    Raises:
        UserError: if the model cannot listen to streams.
    """

    def __init__(
        self, model: Any, pipeline: Any, rate: int, options: StreamOptions | None = None
    ) -> None:
        _check(model)
        self.model, self.pipeline, self.rate = model, pipeline, rate
        self.options = options or StreamOptions()
        hop = model.frontend.stft.hop_length
        self.frame = model.encoder.subsampling.factor * hop / rate  # seconds of an encoder frame
        self.chunk = max(1, round(self.options.chunk / self.frame))
        wants = ("interctc_use_conditioning", "ctc_trim")
        self.wants_ctc = any(getattr(model.encoder, name, False) for name in wants)
        chunks = model.encoder.chunks
        self.again = self.options.again and chunks.offline_share > 0 and chunks.decode != self.chunk

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        cache: str | Path | None = None,
        options: StreamOptions | None = None,
        **changes: Any,
    ) -> StreamingSpeech2Text:
        """Use a model by its name.

        Args:
            name: see pretrained.find_model: a folder, a zip, a name of the model zoo or of Hugging Face.
            cache: where archives are unpacked to.
            options: how to listen; None = as the packed model's own decoding says.
            changes: options by name, e.g. silence=0.5.

        Raises:
            UserError: if there is no such model, it cannot listen to streams, or there is no such option.
        """
        check_keys(changes, vars(StreamOptions()), "from_pretrained")
        files = find_model(name, "asr", cache)
        options = replace(options or options_of(packed_options(files)), **changes)
        return cls._load(files["asr_train_config"], files["asr_model_file"], options)

    @classmethod
    def from_dir(
        cls,
        model_dir: str | Path,
        weights: str = "valid.acc.ave.pth",
        options: StreamOptions | None = None,
    ) -> StreamingSpeech2Text:
        """Use what the training stages left in `exp/...`."""
        return cls._load(Path(model_dir) / "config.yaml", Path(model_dir) / weights, options)

    @classmethod
    def _load(
        cls, config: str | Path, weights: str | Path, options: StreamOptions | None
    ) -> StreamingSpeech2Text:
        model, found = load_model("asr", config, weights)
        pack(model)
        return cls(model, text_pipeline(found), sampling_rate("asr", found) or 16000, options)

    def start(self) -> Listener:
        """Somebody who listens to one stream from its beginning."""
        return Listener(self)

    def live(self, blocks: Iterable[np.ndarray], rate: int | None = None) -> Iterator[Said]:
        """What is known of sound that is still coming, as soon as it is known.

        Args:
            blocks: samples (N,) or (N, C) of any number, float in [-1, 1] or integers, from whatever yields them: a
                queue that a microphone's callback fills, `streaming_live.growing` of a file that is being written.
            rate: of the blocks, Hz; None = the model's.

        Raises:
            UserError: for blocks of another form. What `blocks` raises comes after the end of the sentence so far.
        """
        listener = self.start()
        try:
            for samples in at_rate(blocks, rate or self.rate, self.rate):
                yield from listener.feed(samples)
        except Exception:
            yield from listener.end()
            raise
        yield from listener.end()

    def __call__(self, samples: np.ndarray, piece: float = 0.1) -> list[Said]:
        """All that is known of a signal (T,) as it comes in pieces of so many seconds."""
        listener, step = self.start(), max(1, round(piece * self.rate))
        found: list[Said] = []
        for begin in range(0, len(samples), step):
            found += listener.feed(samples[begin : begin + step])
        return found + listener.end()


def _check(model: Any) -> None:
    encoder = model.encoder
    if not getattr(encoder, "can_stream", False) or encoder.chunks is None:
        raise UserError(
            f"encoder: found {type(encoder).__name__} that was not trained in chunks, expected encoder_conf: "
            "{chunk: {sizes: [8, 16, 32]}} of espnet_ext.asr.encoder:CnnConformerEncoder in training"
        )
    for name in ("preencoder", "postencoder"):
        if getattr(model, name, None) is not None:
            raise UserError(f"{name}: found one, expected none for a stream")
    if not hasattr(model.ctc, "log_softmax"):
        raise UserError("found a model without CTC, expected one for a stream: ctc_weight > 0")


class Sentence:
    """What is kept of the sentence that is being said.

    Args:
        engine: who listens.
        begin: encoder frames of the stream before it.
    """

    def __init__(self, engine: StreamingSpeech2Text, begin: int) -> None:
        options, encoder = engine.options, engine.model.encoder
        self.begin = begin
        self.stream = encoder.start_stream(engine.chunk, options.left)
        self.beam = PrefixBeam(options.beam, eos=engine.model.eos)
        self.shown = Shown(engine.pipeline.text, options.margin)
        self.feats: list[Tensor] = []  # (F, M) of each chunk
        self.encoded: list[Tensor] = []  # (S, D) of each chunk
        self.log_probs: list[Tensor] = []  # (S, V) of each chunk
        self.quiet = 0  # frames of blank at the end

    @property
    def frames(self) -> int:
        """S of all chunks."""
        return sum(map(len, self.encoded))

    def add(self, encoded: Tensor, log_probs: Tensor) -> None:
        """A chunk (S, D), (S, V)."""
        self.encoded.append(encoded)
        self.log_probs.append(log_probs)
        self.beam.feed(log_probs.numpy())
        spoken = log_probs.argmax(dim=-1).nonzero()
        last = int(spoken[-1]) + 1 if len(spoken) else 0
        self.quiet = len(log_probs) - last + (0 if last else self.quiet)


class Listener:
    """Listens to one stream.

    Args:
        engine: with the model.
    """

    def __init__(self, engine: StreamingSpeech2Text) -> None:
        self.engine, self.options = engine, engine.options
        self.features = FeatureStream(engine.model.frontend, engine.model.normalize)
        self.waiting = torch.zeros(0, 0)  # features of a chunk that is not complete, (F, M)
        self.frames = 0  # encoder frames so far
        self.sentence = Sentence(engine, 0)
        self.ended = False

    def feed(self, samples: np.ndarray) -> list[Said]:
        """What is known anew with the next samples (T,), float in [-1, 1] or integers.

        Raises:
            UserError: for samples of another form or that are no numbers, or after the end.
        """
        return self._hear(self._checked(samples), last=False)

    def end(self) -> list[Said]:
        """What is known when nothing follows; the last of it, if there is any, is final."""
        found = self._hear(torch.zeros(0), last=True)
        self.ended = True
        return found + self._close()

    # -- how it is done --------------------------------------------------------------------------------------------

    def _checked(self, samples: np.ndarray) -> Tensor:
        samples = np.asarray(samples)
        if samples.ndim != 1:
            raise UserError(f"found samples of shape {samples.shape}, expected (T,): one channel")
        samples = as_float(samples)
        if self.ended or not np.isfinite(samples).all():
            what = "samples after the end" if self.ended else "samples that are no numbers"
            raise UserError(f"found {what}, expected those of a stream: begin another one")
        return torch.from_numpy(samples.astype(np.float32))

    def _hear(self, samples: Tensor, last: bool) -> list[Said]:
        feats = self.features.feed(samples, last)
        self.waiting = torch.cat((self.waiting, feats)) if len(self.waiting) else feats
        size = self.engine.chunk * self.engine.model.encoder.subsampling.factor
        found: list[Said] = []
        while len(self.waiting) >= size or (last and len(self.waiting)):
            chunk, self.waiting = self.waiting[:size], self.waiting[size:]
            found += self._chunk(chunk)
        return found

    def _chunk(self, feats: Tensor) -> list[Said]:
        """One chunk of features (F, M)."""
        self._encode(feats)
        sentence, frame = self.sentence, self.engine.frame
        before = sentence.shown.words
        quiet = sentence.quiet * frame
        words = sentence.shown.update(sentence.beam.best(), quiet >= self.options.pause)
        found = [] if words == before else [self._said(words)]
        return found + self._close() if self._is_over(sentence, quiet) else found

    @torch.no_grad()
    def _encode(self, feats: Tensor) -> None:
        sentence, model = self.sentence, self.engine.model
        more = {"ctc": model.ctc} if self.engine.wants_ctc else {}
        encoded, sentence.stream = model.encoder.forward_chunk(feats[None], sentence.stream, **more)
        sentence.feats.append(feats)
        sentence.add(encoded[0], model.ctc.log_softmax(encoded)[0].float())
        self.frames += encoded.shape[1]

    def _is_over(self, sentence: Sentence, quiet: float) -> bool:
        options, seconds = self.options, sentence.frames * self.engine.frame
        spoken = bool(sentence.beam.best()[0].tokens)
        if (
            options.silence
            and quiet >= options.silence
            and (spoken or quiet >= 4 * options.silence)
        ):
            return True
        long = options.longest and seconds >= options.longest
        return bool(long and (quiet >= options.pause or seconds >= 1.5 * options.longest))

    def _said(self, words: Sequence[str], hypothesis: Hypothesis | None = None) -> Said:
        heard = self.features.samples / self.engine.rate
        start = self.sentence.begin * self.engine.frame
        final = hypothesis is not None
        return Said(round(heard, 3), round(start, 3), tuple(words), final, hypothesis)

    def _close(self) -> list[Said]:
        """The sentence is over; another one begins. Of one without words nobody hears."""
        hypothesis = self._final(self.sentence)
        found = self._said([word.text for word in hypothesis.words], hypothesis)
        silent = not found.words and not self.sentence.shown.words
        self.sentence = Sentence(self.engine, self.frames)
        return [] if silent else [found]

    @torch.no_grad()
    def _heard_again(self, sentence: Sentence) -> tuple[Tensor, Tensor, list[Heard]]:
        """The sentence, heard as a whole: see `_final`."""
        model, feats = self.engine.model, torch.cat(sentence.feats)[None]
        more = {"ctc": model.ctc} if self.engine.wants_ctc else {}
        found = model.encoder(feats, torch.tensor([feats.shape[1]]), **more)[0]
        encoded = found[0] if isinstance(found, tuple) else found
        log_probs = model.ctc.log_softmax(encoded)[0].float()
        beam = PrefixBeam(self.options.beam, eos=model.eos)
        beam.feed(log_probs.numpy())
        return encoded[0], log_probs, beam.best()

    def _final(self, sentence: Sentence) -> Hypothesis:
        heard = sentence.beam.best()
        if not sentence.encoded or not heard[0].tokens:
            return NOTHING
        model = self.engine.model
        if self.engine.again and sentence.frames * self.engine.frame <= _WHOLE:
            encoded, log_probs, heard = self._heard_again(sentence)  # (S, D), (S, V)
        else:
            encoded, log_probs = torch.cat(sentence.encoded), torch.cat(sentence.log_probs)
        if model.decoder is not None and self.options.ctc_weight < 1:
            heard = rescored(model.decoder, encoded, heard, model.eos, self.options.ctc_weight)
        nbest = [self._hypothesis(one) for one in heard]
        path = align([log_probs], [nbest[0].token_ids])[0]
        frame, text_of = self.engine.frame, self.engine.pipeline.text
        platt = Platt(self.options.confidence_scale, self.options.confidence_shift)
        found = described(nbest, path, frame, text_of, platt, units)
        start = sentence.begin * frame
        return replace(found, words=_later(found.words, start), pieces=_later(found.pieces, start))

    def _hypothesis(self, heard: Heard) -> Hypothesis:
        names, text = self.engine.model.token_list, self.engine.pipeline.text(heard.tokens)
        tokens = tuple(names[token] for token in heard.tokens)
        return Hypothesis(text, tokens, heard.tokens, heard.score)


def _later(pieces: Sequence[Piece], start: float) -> tuple[Piece, ...]:
    """With times from the beginning of the stream."""

    def moved(time: float | None) -> float | None:
        return None if time is None else round(time + start, 3)

    return tuple(replace(p, start=moved(p.start), end=moved(p.end)) for p in pieces)
