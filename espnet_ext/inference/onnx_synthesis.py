"""Synthesisers made of graphs, each with an `inference` as the model in torch has it.

Letters in shapes: N tokens (with the final <sos/eos> where a model appends it), T mel frames, M mel bins, E size of an
embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_ext.errors import UserError
from espnet_ext.inference.onnx_session import Session, open_graph
from espnet_ext.inference.onnx_vocoder import GraphVocoder
from espnet_ext.tts.alignment import frame_tokens
from espnet_ext.tts.controls import Control, read_controls
from espnet_ext.tts.duration import stretched
from espnet_ext.tts.flow_matching import noise_like
from espnet_ext.tts.inputs import known_numbers, require_context, require_finite, require_tokens

Facts = Mapping[str, Any]


class OnnxSynthesiser:
    """What synthesisers of all kinds have.

    Args:
        folder: that export_onnx wrote.
        facts: its manifest.
        precision: "fp32", "int8", ...
        threads: of an operation; None = as many as torch has.

    Attributes:
        require_vocoder: whether it makes a mel spectrogram only.
        spks, langs, spk_embed_dim: of the voices that it has; None = one.
    """

    def __init__(self, folder: Path, facts: Facts, precision: str, threads: int | None) -> None:
        self.facts, self.voices = facts, facts["voices"]
        self.graphs: dict[str, Session] = {
            name: open_graph(folder, name, precision, threads) for name in facts["graphs"]
        }
        sizes = self.voices if isinstance(self.voices, Mapping) else {}
        self.spks, self.langs = sizes.get("sids"), sizes.get("lids")
        self.spk_embed_dim = sizes.get("spembs")
        waves = facts.get("vocoder")
        self.require_vocoder = waves is None
        self.waves: GraphVocoder | None = None
        if waves is not None:
            self.waves = GraphVocoder(self.graphs["vocoder"], waves, threads)

    def _tokens(self, text: Tensor) -> dict[str, np.ndarray]:
        """The first graph's inputs: (N - 1,) -> tokens (1, N), lengths (1,)."""
        eos = self.facts["eos"]
        tokens = text.numpy()[None] if eos is None else np.append(text.numpy(), eos)[None]
        return {"tokens": tokens, "lengths": np.array([tokens.shape[1]])}

    def _voice(self, **given: Tensor | None) -> dict[str, np.ndarray]:
        """The inputs that choose a voice, of a batch of one.

        Raises:
            UserError: if one is missing, or not known.
        """
        return {name: self._one(name, given[name]) for name in self.voices}

    def _given(self, text: Tensor, **voice: Tensor | None) -> dict[str, np.ndarray]:
        """The first graph's inputs, of a voice."""
        return {**self._tokens(text), **self._voice(**voice)}

    def _one(self, name: str, value: Tensor | None) -> np.ndarray:
        size = self.voices[name] if isinstance(self.voices, Mapping) else None
        if value is None and name in self.facts.get("optional", ()):
            return np.zeros(1, np.int64)
        if name != "spembs" and size is not None:
            return known_numbers(value, size, name).cpu().numpy()
        if value is None:
            raise UserError(f"found no {name}, expected them: the model has several voices")
        row = value.detach().cpu().numpy().reshape(1, -1)
        if name == "spembs" and size not in (None, row.shape[1]):
            raise UserError(f"spembs: found {row.shape[1]} numbers, expected {size}")
        return row if name == "spembs" else row[:, 0]


def refuse_following(use_teacher_forcing: bool) -> None:
    """Raises UserError where a recording's timing is asked for."""
    if use_teacher_forcing:
        raise UserError(
            "use_teacher_forcing: found true, expected false: graphs read texts, no recordings; use the model in torch"
        )


class OnnxAligned(OnnxSynthesiser):
    """`AlignedFastSpeech`."""

    def inference(
        self,
        text: Tensor,
        alpha: float = 1.0,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        use_teacher_forcing: bool = False,
    ) -> dict[str, Tensor]:
        """As the model's: token ids (N - 1,) -> feat_gen_denorm (T, M), duration (N,)."""
        refuse_following(use_teacher_forcing)
        given = self._given(text, sids=sids, lids=lids, spembs=spembs)
        encoded, frames = self.graphs["text"](**given)
        lengths = torch.from_numpy(frames)
        durations = stretched(lengths, alpha, torch.ones_like(lengths, dtype=torch.bool))[0]
        places = np.repeat(np.arange(len(durations)), durations.numpy())[None]
        (mel,) = self.graphs["mel"](encoded=encoded, places=places)
        return {"feat_gen_denorm": torch.from_numpy(mel[0]), "duration": durations}


class OnnxAcoustic(OnnxSynthesiser):
    """`AcousticModel`, or a `JointModel` with its waveform."""

    def __init__(self, folder: Path, facts: Facts, precision: str, threads: int | None) -> None:
        super().__init__(folder, facts, precision, threads)
        self.longest = int(facts["longest"])

    def inference(
        self,
        text: Tensor,
        alpha: Control = 1.0,
        pitch_shift: Control = 0.0,
        energy_factor: Control = 1.0,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        noise_scale: float = 0.667,
        noise_scale_dur: float = 0.8,
        use_teacher_forcing: bool = False,
    ) -> dict[str, Tensor]:
        """As the model's.

        Args:
            text: (N - 1,) token ids.
            alpha, pitch_shift, energy_factor: for all tokens, or one for each; see `AcousticModel.inference`.
            sids, lids: (1,); spembs: (E,).
            noise_scale, noise_scale_dur: deviation of what a flow draws for the mel and for durations.
            use_teacher_forcing: False.

        Returns:
            feat_gen_denorm (T, M), duration (N,), pitch and energy (N,) or (T,) where predicted, wav of a JointModel.

        Raises:
            UserError: see `AcousticModel.speak`.
        """
        refuse_following(use_teacher_forcing)
        require_tokens(text[None], torch.tensor([len(text)]), self.facts["numbers"])
        require_context(len(text), self.longest, "tokens")
        given, voice = self._tokens(text), self._voice(sids=sids, lids=lids, spembs=spembs)
        lengths, mask = given["lengths"], torch.ones(1, given["tokens"].shape[1], dtype=torch.bool)
        controls = read_controls(mask, alpha, pitch_shift, energy_factor)
        noise = self._drawn("durations", noise_scale_dur, mask.shape[1], 1)[..., 0]
        encoded, lasts = self.graphs["text"](**given, **voice, noise=noise)
        require_finite(torch.from_numpy(lasts), "durations")
        durations = stretched(torch.from_numpy(lasts), controls.length, mask)
        frames = int(durations.sum())
        require_context(frames, self.longest, "mel frames")
        number, places = frame_tokens(durations, frames)
        mel, *others = self.graphs["mel"](
            encoded=encoded,
            lengths=lengths,
            number=number.numpy(),
            places=places.numpy(),
            semitones=controls.semitones.numpy(),
            loudness=controls.loudness.numpy(),
            noise=self._drawn("mel", noise_scale, frames, self.facts["mels"]),
            **voice,
        )
        found = {"feat_gen_denorm": require_finite(torch.from_numpy(mel[0]), "spectrogram")}
        if self.waves is not None:
            found["wav"] = self.waves(others.pop()[0])
        contours = zip(self.facts["contours"], others, strict=True)
        found |= {name: torch.from_numpy(values[0]) for name, values in contours}
        return {**found, "duration": durations[0]}

    def _drawn(self, what: str, scale: float, length: int, width: int) -> np.ndarray:
        """What the model in torch would draw, (1, length, width); it is drawn where a flow wants it alone."""
        zeros = torch.zeros(1, length, width)
        if what not in self.facts["draws"]:
            return zeros.numpy()
        return (scale * noise_like(zeros)).contiguous().numpy()


class OnnxStock(OnnxSynthesiser):
    """What ESPnet's VITS and JETS have in common: the waveform comes with them."""

    #: that it has durations is told by this name, see `Text2Speech.has_words`
    duration_predictor = None

    def _wave(
        self, mel: np.ndarray, durations: np.ndarray, **more: np.ndarray
    ) -> dict[str, Tensor]:
        """(1, T, D), (N,) -> wav (T * hop,), duration (N,)."""
        assert self.waves is not None
        return {"wav": self.waves(mel[0], **more), "duration": torch.from_numpy(durations)}


class OnnxVits(OnnxStock):
    """ESPnet's VITS."""

    def inference(
        self,
        text: Tensor,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        noise_scale: float = 0.667,
        noise_scale_dur: float = 0.8,
        alpha: float = 1.0,
        use_teacher_forcing: bool = False,
    ) -> dict[str, Tensor]:
        """As the model's, with other draws than torch's at the same seed: token ids (N,) -> wav, duration (N,)."""
        refuse_following(use_teacher_forcing)
        given = self._given(text, sids=sids, lids=lids, spembs=spembs)
        noise = noise_scale_dur * torch.randn(1, 2, len(text))
        encoded, frames, *voice = self.graphs["text"](**given, noise=noise.numpy())
        require_finite(torch.from_numpy(frames), "durations")
        durations = np.ceil(frames[0] * np.float32(alpha)).astype(np.int64)
        durations[0] += durations.sum() == 0
        number = np.repeat(np.arange(len(durations)), durations)[None]
        drawn = noise_scale * torch.randn(1, number.shape[1], self.facts["width"])
        more = {"voice": voice[0]} if voice else {}
        (mel,) = self.graphs["mel"](encoded=encoded, number=number, noise=drawn.numpy(), **more)
        return self._wave(mel, durations, **more)


class OnnxJets(OnnxStock):
    """ESPnet's JETS."""

    def inference(
        self,
        text: Tensor,
        sids: Tensor | None = None,
        lids: Tensor | None = None,
        spembs: Tensor | None = None,
        use_teacher_forcing: bool = False,
    ) -> dict[str, Tensor]:
        """As the model's: token ids (N,) -> wav, duration (N,)."""
        refuse_following(use_teacher_forcing)
        given = self._given(text, sids=sids, lids=lids, spembs=spembs)
        encoded, frames = self.graphs["text"](**given)
        require_finite(torch.from_numpy(frames), "durations")
        durations = np.maximum(np.round(frames), 0).astype(np.int64)
        durations[:] += durations.sum() == 0
        number = np.arange(durations.sum())[None]
        (mel,) = self.graphs["mel"](encoded=encoded, durations=durations, number=number)
        return self._wave(mel, durations[0])


KINDS: dict[str, type[OnnxSynthesiser]] = {
    "aligned": OnnxAligned,
    "acoustic": OnnxAcoustic,
    "vits": OnnxVits,
    "jets": OnnxJets,
}
