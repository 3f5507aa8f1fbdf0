"""At SIGTERM the other processes ended while the first one wrote, which was then killed if that took half a minute."""

from dataclasses import dataclass, field

import pytest

from espnet_ext.train import checkpoint
from espnet_ext.train.loop import Stopped
from espnet_ext.train.processes import Processes
from tests.train.test_loop import trainer


@dataclass(frozen=True)
class Noted(Processes):
    """Notes when it waits for the others."""

    seen: list[str] = field(default_factory=list)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Alone, after all."""
        self.seen.append("met")
        return flags


def test_they_meet_after_the_last_checkpoint(tmp_path, monkeypatch):
    found = trainer(tmp_path, values=tuple(map(float, range(8))))
    found.processes = Noted()
    save = checkpoint.save

    def saving(folder, state):
        save(folder, state)
        found.processes.seen.append("saved")

    monkeypatch.setattr(checkpoint, "save", saving)
    found.stop_asked = True
    with pytest.raises(Stopped):
        found.fit()
    assert found.processes.seen == ["met", "saved", "met"]
