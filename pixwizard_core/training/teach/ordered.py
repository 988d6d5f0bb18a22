"""What teach() is asked to do, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .parts import ModelParts
from .processes import ALONE, ProcessGroup
from .settings import Lesson

Tell = Callable[[str], None]
OnPart = Callable[[str, int, int], None]  # what is done, how far, of how many


@dataclass(frozen=True)
class TeachOrder:
    """What to do. out: folder of results. cache: folder of what encoders give, which runs may
    share; None takes one below out. lora: a LoRA, or the whole model. resume: go on with the run in
    out. tell: takes a line for a person; on_part: told how far reading and encoding are. stop:
    asked after each step whether to end early; all is saved then. group: the processes that share
    the work; when it is sharded, each holds a piece of every weight."""

    lesson: Lesson
    parts: ModelParts
    out: Path
    cache: Path | None = None
    lora: bool = True
    resume: bool = False
    tell: Tell = lambda line: None
    on_part: OnPart = lambda what, done, total: None
    stop: Callable[[], bool] = lambda: False
    group: ProcessGroup = ALONE
    device: str = "cpu"

    def part(self, what: str) -> Callable[[int, int], None]:
        """A callback that is told how far a part of the work is, (done, total)."""
        return lambda done, total: self.on_part(what, done, total)


@dataclass(frozen=True, slots=True)
class TeachResult:
    """path: of the file. steps: done, of all runs. stopped: whether it ended early. loss: mean of
    the last steps. held_out: the loss on held-out pairs before and at the end, if there are any."""

    path: Path
    steps: int
    stopped: bool
    loss: float
    held_out: tuple[float, float] | None = None
