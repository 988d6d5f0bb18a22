"""Several processes that teach one model together, as torchrun or accelerate start them.

Each computes its own part of every batch; the sums of all are the gradients that one process would
have computed. Without those starters there is one process, and nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

from ...errors import PixWizardError

STARTED_BY = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """rank: number of this process; count: of all. sharded: each holds a piece of every weight, so
    that all must make the same calls of the model."""

    rank: int = 0
    count: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def places(self, batch: int) -> range:
        """The places of a batch that are this process's."""
        return range(self.rank, batch, self.count)

    def add(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def most(self, number: int) -> int:
        """The largest of the numbers that the processes give."""
        if self.count == 1:
            return number
        found = torch.tensor(number, dtype=torch.int64, device="cpu")
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def add_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its sum over all processes; a missing one counts as zero."""
        if self.count == 1 or self.sharded:  # split gradients are sums already
            return
        parts = [
            torch.zeros_like(one) if one.grad is None else one.grad.contiguous()
            for one in parameters
        ]
        flat = self.add(torch.cat([part.reshape(-1).float() for part in parts]))
        start = 0
        for one in parameters:
            part = flat[start : start + one.numel()]
            one.grad = part.view_as(one).to(one.dtype)
            start += one.numel()

    def wait(self) -> None:
        """Let all processes reach this line."""
        self.add(torch.zeros(1, dtype=torch.float32, device="cpu"))


ALONE = ProcessGroup()


@contextmanager
def joined(device: str = "cpu", sharded: bool = False) -> Generator[ProcessGroup]:
    """The group that this process was started in, by nccl on CUDA and gloo on the CPU. sharded:
    each process is to hold a piece of every weight. Raises PixWizardError when the variables that
    torchrun sets are not whole, or nobody answers."""
    found = {name: os.environ.get(name, "") for name in STARTED_BY}
    if not found["WORLD_SIZE"] or found["WORLD_SIZE"] == "1":
        yield ProcessGroup(sharded=sharded)
        return
    if missing := [name for name, value in found.items() if not value]:
        raise PixWizardError(
            f"WORLD_SIZE is set and {', '.join(missing)} is not; start several processes by "
            "torchrun --nproc-per-node=N -m pixwizard_core train-lora …"
        )
    try:
        on_cuda = device.startswith("cuda")
        if on_cuda:
            torch.cuda.set_device(device)
        # Sums of losses are on the CPU, those of gradients where the model is.
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        raise PixWizardError(f"the processes do not find each other: {error}") from error
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size(), sharded)
    finally:
        cast(Any, dist).destroy_process_group()


def own_device(device: str) -> str:
    """The device of this process: with several on one machine, each has a card of its own."""
    local = os.environ.get("LOCAL_RANK", "")
    return f"cuda:{local}" if device == "cuda" and local else device
