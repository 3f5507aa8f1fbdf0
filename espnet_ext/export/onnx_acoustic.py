"""`AcousticModel` as two ONNX graphs, and with a waveform generator behind it (`JointModel`) as three.

Between the first two somebody rounds durations and says which token each frame speaks, so that speed, pitch and energy
can be chosen token by token, and no graph has a size that depends on numbers. What a flow draws comes in as noise.
Letters in shapes: B batch, N tokens (with the final <sos/eos>), T mel frames, M mel bins, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.errors import UserError
from espnet_ext.export.onnx_graph import Graph
from espnet_ext.export.onnx_vocoder import vocoder_graph
from espnet_ext.tts.acoustic import AcousticModel
from espnet_ext.tts.adaptor import LONGEST_TOKEN
from espnet_ext.tts.controls import Controls
from espnet_ext.tts.decoder import FlowDecoder, Frames
from espnet_ext.tts.duration import DurationFlow
from espnet_ext.tts.flow_matching import solve
from espnet_ext.tts.joint_generator import Text2Wave
from espnet_ext.tts.voices import Who

Facts = Mapping[str, Any]


def there(lengths: Tensor, x: Tensor) -> Tensor:
    """(B,), (B, N, ...) -> (B, N), true within each length."""
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]


def voices_of(tts: Any) -> dict[str, int]:
    """Inputs that choose a voice, with the number of those that there are, or the size of an embedding."""
    sizes = {"sids": tts.spks, "lids": tts.langs, "spembs": tts.spk_embed_dim}
    return {name: int(size) for name, size in sizes.items() if size}


def _listen(tts: AcousticModel, sids: Tensor | None) -> Tensor | None:
    """As `Adapters.listen`, without asking whether a new voice is among them: a trace would keep the answer."""
    adapters = tts.adapters
    if adapters is None or sids is None:
        return sids
    new = sids >= adapters.known
    adapters._new, adapters._numbers = new, (sids - adapters.known).clamp(min=0)
    return torch.where(new, torch.full_like(sids, adapters.like), sids)


class ReadText(nn.Module):
    """Tokens to encoded tokens with the voice, and how long each is spoken."""

    def __init__(self, tts: AcousticModel) -> None:
        super().__init__()
        self.tts, self.voices = tts, list(voices_of(tts))

    def forward(self, tokens: Tensor, lengths: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded tokens, and frames of each, real.

        Args:
            tokens: (B, N) with <sos/eos>, lengths: (B,).
            more: the voices, (B,) or (B, E); then, where a flow draws durations, its noise (B, N).

        Returns:
            (B, N, D) and (B, N), 0 where padded.
        """
        tts, mask = self.tts, there(lengths, tokens)
        given = dict(zip(self.voices, more, strict=False))
        who = Who(_listen(tts, given.get("sids")), given.get("lids"), given.get("spembs"))
        x, voice = tts.encoder(tokens, mask, who.lids), tts.voices(who)
        x = x if voice is None else x + voice
        x = x if tts.adapters is None else tts.adapters.colour(x)
        logs = self._durations(x, mask, *more[len(self.voices) :])
        lasts = _expm1(logs.clamp(max=8.0)).clamp(tts.adaptor.shortest, LONGEST_TOKEN)
        return x, lasts * mask

    def _durations(self, x: Tensor, mask: Tensor, *noise: Tensor) -> Tensor:
        """As `DurationPredictor.predict`, with noise (B, N) from outside."""
        of = self.tts.adaptor.duration
        if not isinstance(of, DurationFlow):
            return of.predict(x, mask)
        context = of.look_around(x, mask)
        drawn = solve(lambda at, t: of._speed(context, at, t), noise[0][..., None], of.steps)
        frames = _expm1(drawn[..., 0] * of.scale + of.centre) + 0.5
        return (1 + frames.clamp(min=0)).log()


def _expm1(x: Tensor) -> Tensor:
    """ONNX has none."""
    return x.exp() - 1


class SpeakMel(nn.Module):
    """Encoded tokens, and what is said of each frame, to the log-mel spectrogram as a vocoder reads it."""

    mean: Tensor
    std: Tensor

    def __init__(self, tts: AcousticModel, normalize: Any, joint: Text2Wave | None) -> None:
        super().__init__()
        self.tts, self.joint = tts, joint
        mels = tts.decoder.out.out_features
        mean, std = torch.zeros(mels), torch.ones(mels)
        if normalize is not None:
            mean = normalize.mean.float() if normalize.norm_means else mean
            std = normalize.std.float() if normalize.norm_vars else std
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("std", std.detach().clone())

    def forward(
        self,
        encoded: Tensor,
        lengths: Tensor,
        number: Tensor,
        places: Tensor,
        semitones: Tensor,
        loudness: Tensor,
        *more: Tensor,
    ) -> tuple[Tensor, ...]:
        """The spectrogram, the contours, and what a generator of waveforms reads.

        Args:
            encoded: (B, N, D), lengths: (B,).
            number, places: (B, T), see `tts.alignment.frame_tokens`; number is -1 behind an utterance's end.
            semitones, loudness: (B, N), see `tts.controls.Controls`.
            more: with adapters the voices' numbers (B,); then, where a flow draws the mel, its noise (B, T, M).

        Returns:
            (B, T, M), (B, N) or (B, T) for pitch and energy where the model has them, and for a joint model (B, T, C).
        """
        tts, mask, mel_mask = self.tts, there(lengths, encoded), number >= 0
        if tts.adapters is not None:
            _listen(tts, more[0])
            more = more[1:]
        controls = Controls(torch.ones_like(semitones), semitones, loudness)
        spoken = number.clamp(min=0), places
        frames, contours = tts.adaptor.colour(encoded, mask, mel_mask, spoken, controls)
        mel = self._generate(frames, *more)
        mel = (mel * self.std + self.mean) * mel_mask[..., None]
        return mel, *contours.values(), *self._read()

    def _generate(self, frames: Frames, *noise: Tensor) -> Tensor:
        """As the decoder's `generate`, with noise from outside."""
        of = self.tts.decoder
        if not isinstance(of, FlowDecoder):
            found: Tensor = of.generate(frames)
            return found
        mean = of.mean(frames.x)
        return mean + solve(lambda at, t: of._field(frames, mean, at, t), noise[0], of.steps)

    def _read(self) -> tuple[Tensor, ...]:
        return () if self.joint is None else (self.joint.given(self.joint.acoustic.decoder.take()),)


def acoustic_graphs(model: Any) -> tuple[list[Graph], Facts]:
    """The graphs of an `AcousticModel`, `text` and `mel`, or of a `JointModel`, with `vocoder`; and their facts.

    Args:
        model: ESPnet's around it, on the CPU, in evaluation; used for nothing else.

    Raises:
        UserError: if it takes its style from a recording, or its generator is not written as ONNX.
    """
    tts, joint = model.tts, None
    if not isinstance(tts, AcousticModel):
        joint = tts.generator
        tts = joint.acoustic
    if tts.use_gst:
        raise UserError(
            "tts_conf: found use_gst, which is not written as ONNX, expected a model that takes its voice from sids, "
            "lids or spembs; keep this one in torch"
        )
    graphs = [_text(tts), _mel(tts, model.normalize, joint)]
    facts: dict[str, Any] = {
        "kind": "acoustic",
        "eos": tts.eos,
        "longest": tts.longest,
        "numbers": tts.encoder.folding.numbers,
        "prosody": list(tts.encoder.folding.names),
        "voices": voices_of(tts),
        "optional": ["sids"] if tts.voices.speaker is None else [],
        "contours": [name for level in (False, True) for name, _ in tts.adaptor._of(level)],
        "draws": [
            name
            for name, part, kind in (
                ("durations", tts.adaptor.duration, DurationFlow),
                ("mel", tts.decoder, FlowDecoder),
            )
            if isinstance(part, kind)
        ],
        "mels": tts.decoder.out.out_features,
        "vocoder": None,
    }
    if joint is not None:
        wave, facts["vocoder"] = wave_graph(joint.waves, facts["mels"], tts, joint.reads)
        graphs.append(wave)
    return graphs, facts


def wave_graph(waves: Any, mels: int, tts: Any, reads: str) -> tuple[Graph, Facts]:
    """The graph `vocoder` of a generator that reads what a decoder made."""
    width = mels if reads == "mel" else int(tts.decoder.trunk.width)
    bins = SimpleNamespace(n_mels=width)
    stats = {"mean": torch.zeros(width), "std": torch.ones(width)}
    return vocoder_graph(SimpleNamespace(generator=waves, features=bins, **stats))


def _text(tts: AcousticModel) -> Graph:
    # a batch of one first: what the trace takes for a constant is then as good for any batch
    given = [_text_example(tts, *size) for size in ((1, 7), (2, 12), (3, 4))]
    free = {0: "batch", 1: "tokens"}
    axes: dict[str, dict[int, str]] = dict.fromkeys(("tokens", "encoded", "frames", "noise"), free)
    axes |= {name: {0: "batch"} for name in ("lengths", *voices_of(tts))}
    return make_graph("text", ReadText(tts), given, ["encoded", "frames"], axes)


def make_graph(
    name: str,
    module: nn.Module,
    given: Sequence[Mapping[str, Tensor]],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
) -> Graph:
    """A graph from examples of its inputs, the first of which is traced, and axes of more names than it has."""
    axes = {key: axes[key] for key in (*given[0], *outputs)}
    return Graph(name, module, given[0], outputs, axes, given[1:])


def voice_examples(voices: Mapping[str, int], batch: int, seed: int) -> dict[str, Tensor]:
    """Voices of a batch."""
    drawn = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(batch, size, generator=drawn)
        if name == "spembs"
        else torch.randint(size, (batch,), generator=drawn)
        for name, size in voices.items()
    }


def _text_example(tts: AcousticModel, batch: int, tokens: int) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(tokens)
    known = tts.encoder.folding.numbers
    given = {
        "tokens": torch.randint(1, known, (batch, tokens), generator=drawn),
        "lengths": torch.arange(tokens, tokens - batch, -1),
        **voice_examples(voices_of(tts), batch, tokens),
    }
    if isinstance(tts.adaptor.duration, DurationFlow):
        given["noise"] = torch.randn(batch, tokens, generator=drawn)
    return given


def _mel(tts: AcousticModel, normalize: Any, joint: Text2Wave | None) -> Graph:
    given = [_mel_example(tts, *size) for size in ((1, 5, 19), (2, 9, 40), (3, 4, 8))]
    tokens, frames = {0: "batch", 1: "tokens"}, {0: "batch", 1: "frames"}
    axes = dict.fromkeys(("encoded", "semitones", "loudness"), tokens)
    axes |= dict.fromkeys(("number", "places", "noise", "mel", "read"), frames)
    axes |= {name: {0: "batch"} for name in ("lengths", "sids")}
    outputs = ["mel"]
    for level in (False, True):  # in the order in which the adaptor finds them
        for name, contour in tts.adaptor._of(level):
            axes[name] = frames if contour.by_frame else tokens
            outputs.append(name)
    outputs += [] if joint is None else ["read"]
    return make_graph("mel", SpeakMel(tts, normalize, joint), given, outputs, axes)


def _mel_example(tts: AcousticModel, batch: int, tokens: int, frames: int) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(frames)
    last: Any = tts.adaptor.duration.layers[-1]
    places = (torch.arange(frames) + 0.5) * tokens / frames - 0.5
    number = places.round().long().clamp(0, tokens - 1).repeat(batch, 1)
    if batch > 1:
        number[-1, frames - 3 :] = -1
    given = {
        "encoded": torch.randn(batch, tokens, last.in_features, generator=drawn),
        "lengths": torch.full((batch,), tokens),
        "number": number,
        "places": places.repeat(batch, 1),
        "semitones": torch.randn(batch, tokens, generator=drawn),
        "loudness": 0.5 + torch.rand(batch, tokens, generator=drawn),
    }
    if tts.adapters is not None:
        given["sids"] = voice_examples({"sids": int(tts.spks or 1)}, batch, frames)["sids"]
    if isinstance(tts.decoder, FlowDecoder):
        given["noise"] = torch.randn(batch, frames, tts.decoder.mels, generator=drawn)
    return given
