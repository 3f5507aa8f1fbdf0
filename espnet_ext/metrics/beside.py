"""What stands beside a synthesiser's speech in a table: the recordings, and what is made of their spectrograms.

The recordings' row says what the best possible speech would get, the others what the way from spectrogram to waveform
costs alone: a synthesiser with perfect spectrograms would sound like that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_ext.errors import UserError

RECORDING, GRIFFIN_LIM, VOCODER = "recording", "griffin_lim", "vocoder"


def resynthesise(
    model_dir: Path, data: Path, sets: Sequence[str], output: Path, vocoder: str | None, times: int
) -> list[str]:
    """Speak recordings again from the spectrograms that a synthesiser is trained on.

    Args:
        model_dir: of the synthesiser, with config.yaml.
        data: directory of the sets' data directories.
        sets: their names.
        output: receives griffin_lim/SET and, with a vocoder, vocoder/SET.
        vocoder: folder of a trained vocoder, or None.
        times: iterations of Griffin-Lim; 0 = without it.

    Returns:
        the names of what was made; none where the synthesiser makes no log-mel spectrograms.
    """
    from espnet_ext.audio.features import features_of_model
    from espnet_ext.inference.vocoder import Vocoder, copy_synthesis, griffin_lim
    from espnet_ext.train.config import load_yaml

    try:
        front = features_of_model(load_yaml(model_dir / "config.yaml"))
    except UserError as error:
        print(f"note: recordings are not spoken again: {error}", file=sys.stderr)
        return []
    makers: dict[str, tuple[Any, str]] = {}
    if times:
        makers[GRIFFIN_LIM] = griffin_lim(front, times), f"griffin_lim {times} {front}"
    if vocoder:
        trained = Vocoder.from_dir(vocoder)
        trained.check(front)
        makers[VOCODER] = trained, trained.identity
    for name, (speak, key) in makers.items():
        copy_synthesis(speak, front, data, sets, output / name, 1, 1, key)
    return list(makers)
