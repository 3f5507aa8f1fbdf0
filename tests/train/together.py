"""A small training in this process or in several: `python tests/train/together.py FOLDER key=value ...`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_ext.train.config import TRAINING, parse_overrides
from espnet_ext.train.launch import end_at_once
from espnet_ext.train.loop import Trainer
from espnet_ext.train.optimise import Optimiser
from espnet_ext.train.processes import joined
from espnet_ext.train.sharded import shard


class Points:
    """Utterances that are vectors."""

    def __init__(self, number: int, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        self.values = torch.randn(number, 6, generator=drawn)
        self.ids, self.seed = [f"u{i}" for i in range(number)], (0, 0)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[str, Tensor]:
        return self.ids[index], self.values[index]

    def lengths(self, unit: str) -> list[float]:
        """All the same."""
        return [1.0] * len(self)


class Net(torch.nn.Module):
    """Dropout, batch normalisation, a counter, and a part that not every batch uses (but where `always`)."""

    def __init__(self, always: bool = False) -> None:
        super().__init__()
        self.always = always
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3)
        )
        self.out, self.rare = torch.nn.Linear(8, 1), torch.nn.Linear(8, 1)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Any], Tensor]:
        """(B, 6) -> ESPnet's three answers."""
        if self.training:
            self.seen += 1
        hidden = self.layers(x)
        used = bool(x[0, 0] > 1)
        y = self.out(hidden)
        if used or self.always:
            y = y + used * self.rare(hidden)
        loss = (y - x.sum(1, keepdim=True)).square().mean()
        return loss, {"loss": loss.detach()}, torch.tensor(float(len(x)))


class InOrder:
    """Batches of three."""

    def batches(self, epoch: int, shuffle: bool = True) -> list[list[int]]:
        """Another order each epoch."""
        order = torch.randperm(33, generator=torch.Generator().manual_seed(epoch)).tolist()
        return [order[i : i + 3] for i in range(0, 33, 3)]


def collate(items: list[Any]) -> Any:
    """Ids, and the vectors as one batch."""
    return [utt for utt, _ in items], {"x": torch.stack([x for _, x in items])}


def make(folder: Path, processes: Any, **changes: Any) -> Trainer:
    """A trainer of eleven batches an epoch."""
    torch.manual_seed(0)
    given = {"optim": "adamw", "optim_conf": {"lr": 0.02}, "max_epoch": 3, "num_workers": 0}
    units = {"batch_type": "utterances", "batch_size": 3}
    config = {**TRAINING, **given, **units, **changes}
    model = Net(always=config["fsdp"])
    if config["fsdp"] and processes.size > 1:
        shard(model, "cpu", processes.size)
    parts = [Optimiser(model.parameters(), config)], [({}, 0)], config
    data = Points(33, 1), Points(9, 2), collate, InOrder()
    return Trainer(model, *parts, *data, folder, "same", processes=processes)  # type: ignore[arg-type]


def main(folder: str, *changes: str) -> None:
    """Train; `kill=RANK:UPDATE` ends a process by force, `fail=RANK:UPDATE` by an error."""
    found = parse_overrides(changes)
    ends = {k: found.pop(k) for k in ("kill", "fail", "term") if k in found}
    with joined() as processes:
        trainer = make(Path(folder), processes, **found)
        forward = trainer.step.forward

        def ending(batch: Any, extra: Any) -> Any:
            for how, when in ends.items():
                if when == f"{processes.rank}@{trainer.progress.at.updates}":
                    Path(folder, "ended").touch()
                    _end(how)
            return forward(batch, extra)

        trainer.step.forward = ending  # type: ignore[method-assign]
        trainer.fit()
        state = trainer.form.final(trainer.model)
        if processes.first:
            seen = {name: t.double().tolist() for name, t in state.items()}
            Path(folder, "weights.json").write_text(json.dumps(seen))


def _end(how: str) -> None:
    if how == "fail":
        print("bad luck", file=sys.stderr)
        raise SystemExit(1)
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGTERM)


if __name__ == "__main__":
    end_at_once(lambda: main(*sys.argv[1:]) or 0)
