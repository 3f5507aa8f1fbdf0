"""The processes that train one model together: each takes its share of an update's batches, gradients are added up.

Not DistributedDataParallel: gradients travel once an update, when the last batch is done, whatever number of batches
each process had. So an update is the same for any number of processes, and the model stays what it is.
"""

from __future__ import annotations

import ctypes
import logging
import os
import random
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import distributed

from espnet_ext.errors import UserError
from espnet_ext.train.launch import LOST, PARENT

#: Elements of a gradient that travel at once: 32 MB of fp32.
_AT_ONCE = 1 << 23
#: The longest that one process waits for another: reading data, saving, validating.
_PATIENCE = timedelta(minutes=30)


class Lost(SystemExit):
    """Another process has ended; its own message, or who started it, says why."""


@dataclass(frozen=True)
class Processes:
    """This process among those that train a model.

    Attributes:
        rank: its number, 0 the one that writes files and speaks.
        size: how many there are.
        local: its number on this machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, group: range) -> range:
        """The batches of an update that this process takes."""
        return group[self.rank :: self.size]

    def all(self, value: Any) -> list[Any]:
        """What each process passes, by rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with _others():
            distributed.all_gather_object(found, value)
        return found

    def from_first(self, value: Any) -> Any:
        """What the first process passes."""
        if self.size == 1:
            return value
        found = [value]
        with _others():
            distributed.broadcast_object_list(found, src=0)
        return found[0]

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether it is set in any process."""
        if self.size == 1:
            return flags
        found = torch.tensor(flags, dtype=torch.int32)
        with _others():
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in found)

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Add up each parameter's gradient over the processes; one that has none anywhere gets none."""
        if self.size == 1:
            return
        wanted = self.any(*(p.grad is not None for p in parameters))
        chosen = [p for p, there in zip(parameters, wanted, strict=True) if there]
        for parameter in chosen:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.sum_tensors([p.grad for p in chosen if p.grad is not None])

    def sum_tensors(self, tensors: Sequence[torch.Tensor]) -> None:
        """Add up each tensor over the processes, in place."""
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with _others():
                distributed.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))


ALONE = Processes()


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Tensors of one kind of number, in their order, as many as travel at once."""
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        bucket: list[torch.Tensor] = []
        for tensor in [t for t in tensors if t.dtype == dtype]:
            bucket.append(tensor)
            if sum(t.numel() for t in bucket) >= _AT_ONCE:
                yield bucket
                bucket = []
        if bucket:
            yield bucket


@contextmanager
def _others() -> Iterator[None]:
    """What fails because another process is gone ends this one."""
    try:
        yield
    except RuntimeError as error:
        raise _lost(error) from error


def _lost(error: RuntimeError) -> Lost:
    """What ends this process, said where nobody else will."""
    if PARENT not in os.environ:  # who started this one is another program, which may say less
        logging.error(
            "another process of this training has ended (%s); its own message says why. The same command goes "
            "on from the last checkpoint",
            str(error).splitlines()[0],
        )
    return Lost(LOST)


def tells_of_a_loss(error: BaseException) -> bool:
    """Whether an error is that another process is gone: of weights that are spread any operation may say so."""
    words = ("closed by peer", "reset by peer", "connection refused", "remote process exited")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


@contextmanager
def joined(environment: Mapping[str, str] | None = None) -> Iterator[Processes]:
    """This process among those that `--nproc` or torchrun has started; alone where nobody has.

    Raises:
        UserError: if the others do not come.
    """
    found = os.environ if environment is None else environment
    size = int(found.get("WORLD_SIZE", 1)) if "RANK" in found else 1
    if size == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        where = f"{found.get('MASTER_ADDR')}:{found.get('MASTER_PORT')}"
        raise UserError(
            f"found no {size} processes at {where} ({str(error).splitlines()[0]}), expected all that torchrun or "
            "--nproc starts: is each machine's --node_rank another one, and the port free?"
        ) from error
    _end_with_parent(found)
    try:
        yield Processes(int(found["RANK"]), size, int(found.get("LOCAL_RANK", 0)))
    except RuntimeError as error:
        if tells_of_a_loss(error):
            raise _lost(error) from error
        raise
    distributed.destroy_process_group()  # not after an error: it might wait for the others


def _end_with_parent(environment: Mapping[str, str]) -> None:
    """Have the system send SIGTERM when the process that started this one is killed (Linux only)."""
    parent = environment.get(PARENT)
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if parent else None
    if prctl is not None:
        prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != int(parent or 0):
            raise Lost(LOST)


def draw_from(*seed: int) -> None:
    """Set all generators by some numbers: what is drawn on a batch depends on neither process nor resume."""
    start = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(start)
    np.random.seed(start)
    torch.manual_seed(start)


@torch.no_grad()
def share_buffers(
    model: torch.nn.Module, before: Mapping[str, torch.Tensor], group: range, processes: Processes
) -> None:
    """Counters and the running figures of batch normalisation, as if one process had seen all batches of an update.

    Args:
        model: after the update; its buffers change.
        before: `shared_buffers` of it before the update.
        group: all batches of the update.
        processes: who took part.
    """
    moments = _momentum(model)
    now = shared_buffers(model)
    changes = {}
    for name, tensor in now.items():
        if name in moments:
            changes[name] = tensor - before[name] * (1 - moments[name]) ** len(
                processes.share(group)
            )
            later = range(processes.rank + 1, processes.size)
            done = sum(len(group[rank :: processes.size]) for rank in later)
            changes[name] *= (1 - moments[name]) ** done
        else:
            changes[name] = tensor - before[name]
    processes.sum_tensors(list(changes.values()))
    for name, tensor in now.items():
        kept = (1 - moments[name]) ** len(group) if name in moments else 1
        tensor.copy_(before[name] * kept + changes[name])


@torch.no_grad()
def forget_figures(model: torch.nn.Module, before: Mapping[str, torch.Tensor]) -> None:
    """Running means and variances as they were before an update that is left out: NaN would stay in them."""
    for name in _momentum(model):
        model.get_buffer(name).copy_(before[name])


def shared_buffers(model: torch.nn.Module, copied: bool = False) -> dict[str, torch.Tensor]:
    """What `share_buffers` looks after: whole numbers that count, and running means and variances."""
    moments = _momentum(model)
    return {
        name: tensor.clone() if copied else tensor
        for name, tensor in model.named_buffers()
        if name in moments or (tensor.dtype == torch.int64 and tensor.numel() == 1)
    }


def _momentum(model: torch.nn.Module) -> dict[str, float]:
    """Names of running means and variances with the share that a batch has in them."""
    return {
        f"{name}.{kind}" if name else kind: float(module.momentum)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
        and module.track_running_stats
        and module.momentum is not None
        for kind in ("running_mean", "running_var")
    }
