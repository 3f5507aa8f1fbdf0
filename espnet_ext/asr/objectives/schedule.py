"""A weight that changes while a model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Weight:
    """A weight that goes in a straight line from `first` to `last`, and stays.

    Attributes:
        first: at update `begin` and before.
        last: at update `begin + updates` and after; also what holds outside training.
        updates: that the way from `first` to `last` takes; 0 for a constant weight.
        begin: updates before the way begins.

    Example:
        >>> falling = Weight.read("ctc_weight", {"from": 1.0, "to": 0.3, "updates": 100})
        >>> falling.at(0), round(falling.at(50), 2), falling.at(1000)
        (1.0, 0.65, 0.3)
    """

    first: float
    last: float
    updates: int = 0
    begin: int = 0

    @classmethod
    def read(cls, name: str, value: Any) -> Weight:
        """From what stands in a YAML: a number, or {from, to, updates} and perhaps begin.

        Raises:
            ValueError: for anything else, or a negative number.
        """
        if isinstance(value, Weight):
            return value
        found = {"from": value, "to": value} if _is_number(value) else value
        if not isinstance(found, Mapping) or not {"from", "to"} <= set(found):
            raise ValueError(
                f"{name}: found {value!r}, expected a number or {{from: 1.0, to: 0.3, updates: 5000}}"
            )
        unknown = set(found) - {"from", "to", "updates", "begin"}
        if unknown or not all(_is_number(v) and v >= 0 for v in found.values()):
            raise ValueError(
                f"{name}: found {dict(found)}, expected from, to, updates and begin, none of them negative"
            )
        updates = int(found.get("updates", 0))
        if updates == 0 and found["from"] != found["to"]:
            raise ValueError(f"{name}: from {found['from']} to {found['to']} in how many updates?")
        return cls(
            float(found["from"]), float(found["to"]), updates, begin=int(found.get("begin", 0))
        )

    @property
    def used(self) -> bool:
        """Whether it is ever anything but 0."""
        return self.first != 0 or self.last != 0

    @property
    def constant(self) -> bool:
        """Whether it never changes."""
        return self.first == self.last

    def at(self, update: int) -> float:
        """The weight after so many updates."""
        if self.constant:
            return self.last
        done = min(1.0, max(0.0, (update - self.begin) / self.updates))
        return self.first + (self.last - self.first) * done if done < 1 else self.last


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
