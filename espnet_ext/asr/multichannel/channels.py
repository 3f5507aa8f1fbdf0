"""A recogniser of one channel learns from recordings of several."""

from __future__ import annotations

from typing import Any

import numpy as np

from espnet_ext.errors import UserError
from espnet_ext.train.augment import Augment


class OneChannel(Augment):
    """Each training utterance is heard by one of its microphones, another one in each epoch.

    Which one follows from (seed, epoch, utterance), so that a resumed training hears the same; ESPnet's default front
    end draws one for a whole batch. Validation always hears the same microphone. Recordings of one channel stay.

    In a YAML: `preprocessor: espnet_ext.asr.multichannel.channels:OneChannel`.

    Args:
        train: whether this is training data.
        channels: which are drawn from, counted from 0; None: all. Validation takes the first of them.
        conf: as of Augment, which is applied to the channel.
    """

    def __init__(self, train: bool, channels: list[int] | None = None, **conf: Any) -> None:
        super().__init__(train, **conf)
        if channels is not None and not (
            channels and all(isinstance(c, int) and c >= 0 for c in channels)
        ):
            raise UserError(
                f"preprocessor_conf: found channels: {channels!r}, expected a list such as [0, 2, 3]"
            )
        self.channels = channels

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, Any]:
        """Change "speech" (T, C) to (T,), and both tokens and speech as Augment does.

        Raises:
            UserError: for a channel that is not there.
        """
        speech = data.get("speech")
        if speech is not None and speech.ndim == 2:
            among = list(range(speech.shape[1])) if self.channels is None else self.channels
            if max(among) >= speech.shape[1]:
                raise UserError(
                    f"utterance {uid}: found {speech.shape[1]} channels, expected channel {max(among)} "
                    "(counted from 0): change channels in preprocessor_conf"
                )
            chosen = among[int(np.random.randint(len(among)))] if self.train else among[0]
            data["speech"] = np.ascontiguousarray(speech[:, chosen])
        return super().__call__(uid, data)
