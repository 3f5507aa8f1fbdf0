"""What a model looked at: attention of the recogniser, alignment of the synthesiser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.report.markup import esc, figure, missing
from espnet_ext.report.pictures import Ticks, picture

if TYPE_CHECKING:
    import numpy as np


def read_attention(model: Path | None) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Utterance -> (attention (heads, out, in), its tokens); empty where nothing was kept."""
    import numpy as np

    path = model / "attention.npz" if model else None
    if path is None or not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        names = [name for name in arrays.files if not name.endswith(".tokens")]
        return {
            name: (arrays[name], [str(t) for t in arrays[f"{name}.tokens"]])
            for name in names
            if f"{name}.tokens" in arrays.files and arrays[name].ndim == 3
        }


def asr_attention(model: Path | None, count: int = 2) -> str:
    """Tokens against time: the mean over the heads, with each head in a fold."""
    found = read_attention(model)
    if not found:
        return missing("No attention picture: training kept none (exp/<model>/attention.npz).")
    shown = []
    for utt, (weights, tokens) in list(found.items())[:count]:
        rows = [*tokens, "<end>"][: weights.shape[1]]
        alt = f"Attention of {utt}: {len(rows)} tokens against {weights.shape[2]} frames"
        mean = weights.mean(axis=0)[::-1]  # the first token on top
        high = max(120, 15 * len(rows))
        drawn = picture(mean, alt, "time →", "", (), _rows(rows[::-1]), (420, high))
        shown.append(f"<div><h4>{esc(utt)}</h4>{drawn}</div>")
    caption = (
        "Each row is a token that the recogniser wrote; bright is where in the recording it listened. "
        "A line that falls from left to right means that it follows the speech."
    )
    return figure(f'<div class="pair">{"".join(shown)}</div>', caption)


def tts_attention(model: Path | None, count: int = 2) -> str:
    """Frames against tokens of the synthesiser's alignment."""
    found = read_attention(model)
    if not found:
        return missing("No alignment picture: training kept none (exp/<model>/attention.npz).")
    shown = []
    for utt, (weights, tokens) in list(found.items())[:count]:
        drawn = _alignment(utt, weights[0], tokens)
        shown.append(f"<div><h4>{esc(utt)}</h4>{drawn}</div>")
    caption = (
        "Which phoneme (row) is spoken at which moment (column), as the synthesiser found out by itself; "
        "a staircase from the top left to the bottom right means that it did."
    )
    return figure(f'<div class="pair">{"".join(shown)}</div>', caption)


def _alignment(utt: str, weights: np.ndarray, tokens: list[str]) -> str:
    """Weights (T frames, N tokens), or (N, T) as some models keep them, drawn with tokens as rows."""
    matrix = weights.T if weights.shape[1] in (len(tokens), len(tokens) + 1) else weights
    rows = [*tokens, "<end>"][: matrix.shape[0]]
    alt = f"Alignment of {utt}: {matrix.shape[0]} tokens against {matrix.shape[1]} frames"
    height = max(140, min(12 * len(rows), 620))
    step = max(1, -(-12 * len(rows) // height))
    labels = [label if i % step == 0 else "" for i, label in enumerate(rows)]
    return picture(matrix[::-1], alt, "time →", "", (), _rows(labels[::-1]), (420, height))


def _rows(labels: list[str]) -> Ticks:
    """A label in the middle of each row, from the bottom."""
    return [((i + 0.5) / len(labels), label) for i, label in enumerate(labels)]
