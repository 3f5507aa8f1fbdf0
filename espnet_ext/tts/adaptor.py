"""The variance adaptor: durations, pitch and energy between encoder and decoder (Ren et al. 2021, section 2.3).

Letters in shapes: B batch, N tokens (with the final <sos/eos>), T mel frames, D width.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from espnet_ext.asr.blocks import length_mask
from espnet_ext.errors import UserError
from espnet_ext.tts.alignment import frame_tokens, hard_path, spread
from espnet_ext.tts.blocks import Source
from espnet_ext.tts.contour import SEMITONE, Contour, ContourOptions
from espnet_ext.tts.controls import Controls
from espnet_ext.tts.decoder import Frames
from espnet_ext.tts.duration import DurationOptions, make_durations, stretched
from espnet_ext.tts.inputs import require_finite

#: most frames of one token, whatever is predicted
LONGEST_TOKEN = 400


class Adaptor(nn.Module):
    """Tokens to frames.

    Contours by token come before the length regulator, those by frame after it.

    Args:
        width: D.
        duration, pitch, energy: options of the predictors.
        shortest: frames that each token lasts at least, at its own speed.
    """

    def __init__(
        self,
        width: int,
        duration: DurationOptions,
        pitch: ContourOptions,
        energy: ContourOptions,
        shortest: float = 1.0,
    ) -> None:
        super().__init__()
        self.shortest = shortest
        self.duration = make_durations(width, duration)
        self.contours = nn.ModuleDict(
            {
                name: Contour(name, width, options)
                for name, options in (("pitch", pitch), ("energy", energy))
                if options.level != "none"
            }
        )

    def _of(self, by_frame: bool) -> Iterator[tuple[str, Contour]]:
        for name, contour in self.contours.items():
            assert isinstance(contour, Contour)
            if contour.by_frame == by_frame:
                yield name, contour

    def train_on(
        self,
        x: Tensor,
        text_mask: Tensor,
        mel_mask: Tensor,
        durations: Tensor,
        pitch: Tensor | None,
        energy: Tensor | None,
    ) -> tuple[Frames, dict[str, Tensor]]:
        """Frames by the true durations and contours, and the predictors' losses.

        Args:
            x: (B, N, D), text_mask: (B, N), mel_mask: (B, T).
            durations: (B, N), which add up to the utterances' frames.
            pitch, energy: (B, T, 1), where the model has them.

        Raises:
            UserError: if a contour that the model has is not given.
        """
        given = {"pitch": pitch, "energy": energy}
        path = hard_path(durations, mel_mask.shape[1])
        # the encoder is not bent to the durations: they are a matter of the alignment
        losses = self.duration.losses(x.detach(), text_mask, durations)
        tokens, number, places = x, *frame_tokens(durations, mel_mask.shape[1])
        for by_frame, mask in ((False, text_mask), (True, mel_mask)):
            x = spread(tokens, number) if by_frame else x
            around = x
            for name, contour in self._of(by_frame):
                track = contour.target(_required(given[name], name), path, mel_mask)
                losses |= contour.losses(around, mask, track)
                x = x + contour.embed(track)
            tokens = tokens if by_frame else x
        return Frames(x, mel_mask, Source(tokens, text_mask, places)), losses

    def durations(self, x: Tensor, mask: Tensor, controls: Controls, drawn: float) -> Tensor:
        """(B, N, D), mask (B, N), deviation of what is drawn -> frames of each token (B, N)."""
        lengths = self.duration.predict(x, mask, drawn).float().clamp(max=8.0).expm1()
        lengths = require_finite(lengths.clamp(self.shortest, LONGEST_TOKEN), "durations")
        return stretched(lengths, controls.length, mask)

    def speak(
        self, x: Tensor, mask: Tensor, durations: Tensor, controls: Controls
    ) -> tuple[Frames, dict[str, Tensor]]:
        """Frames by predicted contours, and these: log F0 (0 = no voice), amplitude.

        Args:
            x: (B, N, D), mask: (B, N).
            durations: (B, N).
            controls: see there.
        """
        mel_mask = length_mask(durations.sum(1))
        return self.colour(x, mask, mel_mask, frame_tokens(durations, mel_mask.shape[1]), controls)

    def colour(
        self,
        x: Tensor,
        mask: Tensor,
        mel_mask: Tensor,
        spoken: tuple[Tensor, Tensor],
        controls: Controls,
    ) -> tuple[Frames, dict[str, Tensor]]:
        """The same, for frames of which it is known what they speak.

        Args:
            x: (B, N, D), mask: (B, N), mel_mask: (B, T).
            spoken: which token each frame speaks and where in it the frame is, (B, T) each, see `frame_tokens`.
            controls: see there; their lengths are in `spoken` already.
        """
        found: dict[str, Tensor] = {}
        shifts = {
            "pitch": SEMITONE * controls.semitones,
            "energy": controls.loudness.clamp(min=1e-4).log(),
        }
        tokens, (number, places) = x, spoken
        for by_frame, where in ((False, mask), (True, mel_mask)):
            x = spread(tokens, number) if by_frame else x
            around = x
            for name, contour in self._of(by_frame):
                shift = shifts[name].gather(1, number) if by_frame else shifts[name]
                track = contour.predict(around, where, shift)
                found[name] = contour.reading(track) * where
                x = x + contour.embed(track)
            tokens = tokens if by_frame else x
        return Frames(x, mel_mask, Source(tokens, mask, places)), found


def _required(given: Tensor | None, name: str) -> Tensor:
    if given is None:
        raise UserError(
            f"found no {name} in the data, expected {name}_extract in the YAML; or set tts_conf's {name}: "
            "{level: none}"
        )
    return given
