"""From text to the waveform in one module: the acoustic model, and a vocoder's generator behind it.

Letters in shapes: B batch, T mel frames, M mel bins, D width of the decoder, S frames of a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.errors import UserError
from espnet_ext.tts.acoustic import AcousticModel
from espnet_ext.tts.decoder import Frames, TransformerDecoder
from espnet_ext.tts.joint_windows import Windows
from espnet_ext.tts.options import one_of
from espnet_ext.vocoder.build import generator as make_generator

Conf = Mapping[str, Any]
READS = ("hidden", "mel")


@dataclass(frozen=True)
class Decoded:
    """What the decoder has made of a batch.

    Attributes:
        hidden: (B, T, D), before the projection to mel.
        mel: (B, T, M), normalised, after the post-net.
        mask: (B, T).
    """

    hidden: Tensor
    mel: Tensor
    mask: Tensor


class OpenDecoder(TransformerDecoder):
    """A decoder that hands out what its projection reads; the weights are the given one's, with their names."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        nn.Module.__init__(self)
        self.ssim_weight, self.trunk = decoder.ssim_weight, decoder.trunk
        self.out, self.postnet = decoder.out, decoder.postnet
        self._last: Decoded | None = None

    def _both(self, frames: Frames) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(frames)
        mel = self.out(hidden)
        after = mel if self.postnet is None else self.postnet(mel, frames.mask)
        self._last = Decoded(hidden, after, frames.mask)
        return mel, after

    def take(self) -> Decoded:
        """What was made last, which is then forgotten here."""
        assert self._last is not None, "nothing has been decoded"
        found, self._last = self._last, None
        return found


def open_acoustic_model(idim: int, odim: int, conf: Conf, **voices: Any) -> AcousticModel:
    """An AcousticModel whose decoder hands out its hidden states.

    Raises:
        ValueError: for options that are not AcousticModel's, voices among them, or a decoder of another kind than
            transformer.
    """
    if not isinstance(conf, Mapping):
        raise ValueError(f"acoustic: found {conf!r}, expected options with their values")
    inside = sorted(set(conf) & set(voices))
    if inside:
        raise ValueError(
            f"acoustic: found {', '.join(inside)}, expected them one level higher, in tts_conf itself"
        )
    model = AcousticModel(idim, odim, **{**conf, **voices})
    if not isinstance(model.decoder, TransformerDecoder):
        raise ValueError(
            "acoustic.decoder.kind: found one that draws, expected transformer: the waveform is made in one pass"
        )
    model.decoder = OpenDecoder(model.decoder)
    return model


class Text2Wave(nn.Module):
    """Both parts, one behind the other.

    A trained acoustic model's and a trained vocoder's weights fit under `acoustic.` and `waves.`. With `reads: mel`
    the spectrogram goes from the one's normalisation to the other's by four vectors that come with them; without
    trained parts both are the same.

    Args:
        acoustic: made by `open_acoustic_model`.
        reads: "hidden": the generator reads the decoder's hidden states (JETS, Lim et al. 2022); "mel": its
            spectrogram.
        generator: name or package.module:Class, of espnet_ext/vocoder/build.py.
        generator_conf: without in_channels and hop_length.
        features: feats_extract_conf of the front end.

    Attributes:
        upsample_factor: samples of a frame, which ESPnet asks for.

    Raises:
        ValueError: for an unknown `reads`.
        UserError: for a generator that has a likelihood, or options that do not fit.
    """

    own_mean: Tensor
    own_std: Tensor
    read_mean: Tensor
    read_std: Tensor

    def __init__(
        self,
        acoustic: AcousticModel,
        reads: str,
        generator: str,
        generator_conf: Conf,
        features: Conf,
    ) -> None:
        super().__init__()
        self.acoustic, self.reads = acoustic, one_of("reads", reads, READS)
        mels = int(acoustic.decoder.out.out_features)
        width = int(acoustic.decoder.trunk.width) if reads == "hidden" else mels
        self.waves = make_generator(
            {
                "generator": generator,
                "generator_conf": {"in_channels": width, **generator_conf},
                "feats_extract": "fbank",
                "feats_extract_conf": dict(features),
            }
        )
        if hasattr(self.waves, "loss"):
            raise UserError(
                f"generator: found {generator!r}, which learns by a likelihood of its own; expected one that "
                "discriminators judge, such as hifigan, istftnet or vocos"
            )
        self.upsample_factor = int(features["hop_length"])
        for name in ("own", "read"):
            self.register_buffer(f"{name}_mean", torch.zeros(mels))
            self.register_buffer(f"{name}_std", torch.ones(mels))

    @property
    def needs_f0(self) -> bool:
        """Whether the generator is trained with F0."""
        return bool(getattr(self.waves, "needs_f0", False))

    def given(self, made: Decoded) -> Tensor:
        """What the generator reads, (B, T, D or M); zeros behind an utterance's end."""
        x = made.hidden
        if self.reads == "mel":
            x = (made.mel * self.own_std + self.own_mean - self.read_mean) / self.read_std
        return x * made.mask[..., None]

    def window(self, made: Decoded, windows: Windows, f0: Tensor | None) -> tuple[Tensor, Tensor]:
        """Windows of what was decoded, F0 (B, S) in Hz or None -> what was read (B, D or M, S), (B, 1, S * hop)."""
        x = windows.of_frames(self.given(made)).transpose(1, 2)
        more = {} if f0 is None else {"f0": f0}
        return x, self.waves(x, **more).float()

    def whole(self, made: Decoded) -> Tensor:
        """The waveform of a batch, (B, T * hop)."""
        return self.waves(self.given(made).transpose(1, 2))[:, 0].float()
