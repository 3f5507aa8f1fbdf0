"""What comes into a synthesiser, checked: tokens, numbers of voices, lengths.

Letters in shapes: B batch, N tokens (with the final <sos/eos>), T mel frames.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from espnet_ext.errors import UserError


def with_eos(text: Tensor, lengths: Tensor, eos: int) -> tuple[Tensor, Tensor]:
    """Append <sos/eos> to every text of (B, N - 1) -> (B, N), lengths."""
    text = F.pad(text[:, : int(lengths.max())], (0, 1))
    return text.scatter(1, lengths[:, None], eos), lengths + 1


def known_numbers(given: Tensor | None, known: int, name: str) -> Tensor:
    """Speakers' or languages' numbers (B,), all of them known.

    Args:
        given: (B,) or (B, 1).
        known: how many there are.
        name: sids or lids.

    Raises:
        UserError: if none is given, or one is not from 0 to known - 1.
    """
    found = None if given is None else given.reshape(-1)
    if found is None or bool(((found < 0) | (found >= known)).any()):
        what = (
            "none"
            if found is None
            else str(int(found.max() if found.max() >= known else found.min()))
        )
        raise UserError(
            f"{name}: found {what}, expected numbers from 0 to {known - 1} (utt2{name[:-1]} of the data directory, "
            f"--{'voice' if name == 'sids' else 'language'} of synthesize); "
            f"the number of voices is tts_conf's {'spks' if name == 'sids' else 'langs'}"
        )
    return found


def require_room(text_lengths: Tensor, mel_lengths: Tensor) -> None:
    """Every token has a frame.

    Raises:
        UserError: for an utterance with more tokens than frames.
    """
    if bool((text_lengths > mel_lengths).any()):
        worst = int((text_lengths - mel_lengths).argmax())
        raise UserError(
            f"found an utterance of {int(text_lengths[worst])} tokens in {int(mel_lengths[worst])} mel frames, "
            "expected a frame or more a token: filter such utterances out (filter_data), or lower n_shift"
        )


class TooLong(UserError):
    """More than a model's context."""


def require_context(length: int, longest: int, unit: str) -> None:
    """No more than the model has seen in training.

    Args:
        length: of the longest utterance of a batch.
        longest: what is allowed.
        unit: "tokens" or "mel frames".

    Raises:
        TooLong: if it is longer.
    """
    if length > longest:
        raise TooLong(
            f"found an utterance of {length} {unit}, expected at most {longest} (tts_conf's longest): "
            "give the text sentence by sentence; in training, filter by length"
        )


def require_tokens(text: Tensor, lengths: Tensor, known: int) -> None:
    """Every text has tokens, all of them the model's.

    Args:
        text: (B, N) without <sos/eos>, lengths: (B,).
        known: size of the vocabulary.

    Raises:
        UserError: for an empty text, or a number that no token has.
    """
    if int(lengths.min()) < 1:
        raise UserError("found a text of no tokens, expected at least one: give at least one word")
    low, high = int(text.min()), int(text.max())
    if low < 0 or high >= known:
        raise UserError(
            f"found token {low if low < 0 else high}, expected numbers from 0 to {known - 1}: was the text "
            "converted with another model's token list?"
        )


def require_finite(values: Tensor, what: str) -> Tensor:
    """`values`, if they are numbers.

    Args:
        values: of any shape, made by a model.
        what: they are, for the message.

    Raises:
        UserError: for NaN or infinity.
    """
    if not bool(values.isfinite().all()):
        raise UserError(
            f"found NaN or infinity in the {what}, expected numbers: the weights are damaged or the training "
            "diverged; take another checkpoint"
        )
    return values
