"""When a stage was at work: in its last attempt, and in those before that failed or were killed."""

from __future__ import annotations

import json
import os
import threading
import time

BEAT = 5.0  # seconds between two signs of life, and so what a `kill -9` may cost in exactness


class Attempts:
    """Spans of work at one stage, as long as its inputs stay the same.

    with Attempts(path, key) as attempts: the stage at work. Then `forget`, when it has succeeded.

    Attributes:
        spans: [start, end] of each attempt, in seconds since 1970.
    """

    def __init__(self, path: str, key: str) -> None:
        """Read what earlier attempts left in the file `path`; `key` stands for the stage's inputs.

        The file's time is the last sign of life of an attempt that could not write its end.
        """
        self.path, self.key = path, key
        self.spans: list[list[float]] = []
        try:
            with open(path, encoding="utf-8") as stream:
                found = json.load(stream)
            if found["key"] == key:
                self.spans = found["spans"]
                self.spans[-1][1] = max(self.spans[-1][1], os.path.getmtime(path))
        except (OSError, ValueError, KeyError, IndexError):
            pass
        self._over = threading.Event()

    @property
    def last(self) -> float:
        """Seconds of the last attempt."""
        start, end = self.spans[-1]
        return end - start

    def __enter__(self) -> Attempts:
        now = round(time.time(), 3)
        self.spans.append([now, now])
        self._write()
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.spans[-1][1] = max(self.spans[-1][0], round(time.time(), 3))
        self._write()

    def forget(self) -> None:
        """The stage's record holds the spans now."""
        os.remove(self.path)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            try:
                os.utime(self.path)
            except OSError:  # somebody has removed exp/: the stage itself will say so
                return

    def _write(self) -> None:
        from espnet_ext.files import write_json

        write_json(self.path, {"key": self.key, "spans": self.spans})
