"""Trained models that judge speech: a listener's opinion (DNSMOS, UTMOS), and whether two voices are one person's.

None of them is part of this package, and none is fetched: DNSMOS and the speaker encoder are files in the packages
speechmos and Resemblyzer, or given by their paths, UTMOS is a local copy of a torch hub repository. Every utterance is
judged alone, so that no padding changes its score.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from espnet_ext.audio import voiceprint
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    import numpy as np

RATE = 16000  # Hz, of all of them
INSTALLED = "installed"  # instead of a path: the file in its package
_DNSMOS_SECONDS = 9.01
_DNSMOS_FIT = (-0.06766283, 1.11546468, 0.04602535)  # raw overall score -> P.835 scale
_LEVEL = 10 ** (-30 / 20)  # root mean square at which voices are compared


class Judge(Protocol):
    """Says one thing about an utterance.

    Attributes:
        name: of the figure, a key of speech_tables.MEASURES.
    """

    name: str

    def __call__(self, speech: np.ndarray, recording: np.ndarray) -> float | None:
        """The figure for `speech` (S,) of which `recording` (R,) is the real one, both at 16 kHz."""


def file_of(place: str, package: str, inside: str) -> Path:
    """A model's file: `place` itself, or for "installed" the one in a package, which is not imported.

    Raises:
        UserError: if it is not there.
    """
    if place != INSTALLED:
        if not Path(place).exists():
            raise UserError(
                f"{place}: found no such file, expected a model, or the word {INSTALLED}"
            )
        return Path(place)
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        if (Path(folder) / inside).is_file():
            return Path(folder) / inside
    raise UserError(
        f"found no package {package} with {inside}, expected it: pip install --no-deps {package}, or give the path of "
        "such a file"
    )


class Dnsmos:
    """Overall quality, 1 to 5, by DNSMOS P.835 (C. K. A. Reddy et al., ICASSP 2022), of its sig_bak_ovr.onnx.

    The model hears 9.01 seconds at a time: shorter speech is repeated, longer speech heard every second.

    Args:
        place: of the .onnx file, or "installed".
    """

    name = "dnsmos"

    def __init__(self, place: str = INSTALLED) -> None:
        from espnet_ext.inference.onnx_session import Session

        self.session = Session(file_of(place, "speechmos", "dnsmos_models/sig_bak_ovr.onnx"), 1)
        self.input = next(iter(self.session.inputs))

    def __call__(self, speech: np.ndarray, recording: np.ndarray) -> float | None:
        import numpy as np

        length = int(_DNSMOS_SECONDS * RATE)
        if not len(speech):
            return None
        while len(speech) < length:
            speech = np.concatenate([speech, speech])
        pieces = int(len(speech) // RATE - _DNSMOS_SECONDS) + 1  # as its authors count them
        raw = [self._overall(speech[at * RATE :][:length]) for at in range(pieces)]
        return float(np.polyval(_DNSMOS_FIT, raw).mean())

    def _overall(self, piece: np.ndarray) -> float:
        given = piece.clip(-1, 1).astype("float32")[None]
        return float(self.session(**{self.input: given})[0][0][2])


class Utmos:
    """Naturalness, 1 to 5, by UTMOS (T. Saeki et al., Interspeech 2022), of a copy of its torch hub repository.

    Args:
        place: folder with hubconf.py, whose `utmos22_strong(pretrained=True)` gives a model that is called with a wave
            (1, S) and its rate. Weights must lie where its hubconf.py looks for them; nothing is fetched for it here.
    """

    name = "utmos"

    def __init__(self, place: str) -> None:
        import torch

        if not (Path(place) / "hubconf.py").is_file():
            raise UserError(
                f"{place}: found no hubconf.py, expected a copy of UTMOS' torch hub repository"
            )
        try:
            hub: Any = torch.hub
            self.model = hub.load(place, "utmos22_strong", source="local", trust_repo=True).eval()
        except Exception as error:  # whatever other people's code raises
            raise UserError(
                f"{place}: utmos22_strong did not load ({type(error).__name__}: {str(error)[:200]}), expected a copy "
                "with its weights"
            ) from error

    def __call__(self, speech: np.ndarray, recording: np.ndarray) -> float | None:
        import torch

        with torch.no_grad():
            given = torch.from_numpy(speech.astype("float32"))[None]
            return float(self.model(given, RATE)) if len(speech) else None


class SpeakerSimilarity:
    """Cosine between the voice of the speech and that of the recording, 0 to 1; above 0.8 mostly one person.

    By the embeddings of espnet_ext.audio.voiceprint. Speech is brought to -30 dB of full scale before, whether quiet or
    loud, so that the level makes no other voice.

    Args:
        place: of its pretrained.pt, or "installed".
    """

    name = "speaker_similarity"

    def __init__(self, place: str = INSTALLED) -> None:
        self.weights = file_of(place, "resemblyzer", "pretrained.pt")
        voiceprint.embed(_noise(), weights=self.weights)  # other weights are refused now

    def __call__(self, speech: np.ndarray, recording: np.ndarray) -> float | None:
        import numpy as np

        if not np.any(speech) or not np.any(recording):
            return None
        return float(np.dot(*(self.embedding(wave) for wave in (speech, recording))))

    def embedding(self, wave: np.ndarray) -> np.ndarray:
        """(256,), of length 1."""
        level = float((wave.astype("float64") ** 2).mean() ** 0.5)
        return voiceprint.embed((wave * (_LEVEL / level)).astype("float32"), weights=self.weights)


def _noise() -> np.ndarray:
    import numpy as np

    return np.random.default_rng(0).standard_normal(RATE // 10).astype(np.float32)


def judges(dnsmos: str | None, utmos: str | None, speaker: str | None) -> list[Judge]:
    """Those that are asked for by the places of their models; see each."""
    found: list[Judge] = [Dnsmos(dnsmos)] if dnsmos else []
    found += [Utmos(utmos)] if utmos else []
    return found + ([SpeakerSimilarity(speaker)] if speaker else [])


def judge(found: Sequence[Judge], speech: str, recording: str) -> dict[str, Any]:
    """What each says of the audio of two wav.scp entries, by its name."""
    from espnet_ext.audio.read import load

    if not found:
        return {}
    pair = load(speech, RATE)[0], load(recording, RATE)[0]
    return {one.name: one(*pair) for one in found}
