"""What a run says of itself: a line now and then, train.jsonl, and TensorBoard's curves."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from ...errors import PixWizardError

LOG_FILE = "train.jsonl"
BOARD = "tensorboard"  # the package, and the folder below the run's
SECONDS_BETWEEN = 10.0
STEPS_BETWEEN = 20
Tell = Callable[[str], None]


def clock(seconds: float) -> str:
    """Hours, minutes and seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@dataclass
class Log:
    """Rows of one run. tell: takes a line for a person. begun: step that this process began at."""

    out: Path
    steps: int
    tell: Tell
    begun: int = 0
    writing: bool = True
    sums: list[float] = field(default_factory=list[float])
    board: Any = None

    def __post_init__(self) -> None:
        self.started = self.told = time.monotonic()

    def __enter__(self) -> Log:
        if self.writing and importlib.util.find_spec(BOARD):
            from torch.utils.tensorboard.writer import SummaryWriter

            self.board = cast(Any, SummaryWriter)(str(self.out / BOARD), purge_step=self.begun)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.board is not None:
            self.board.close()

    def step(self, number: int, loss: float, rate: float) -> None:
        """A step is done. Tells and writes a row every STEPS_BETWEEN steps, or after
        SECONDS_BETWEEN, and at the end."""
        self.sums.append(loss)
        now = time.monotonic()
        due = number % STEPS_BETWEEN == 0 or now - self.told >= SECONDS_BETWEEN
        if not due and number < self.steps:
            return
        self.told = now
        mean = sum(self.sums) / len(self.sums)
        self.sums.clear()
        speed = (number - self.begun) / max(now - self.started, 1e-9)
        left = clock((self.steps - number) / speed)
        if self.writing:
            self.tell(
                f"step {number} of {self.steps}  loss {mean:.4f}  {speed:.2f} steps a second  "
                f"{left} left"
            )
        self.row({"step": number, "loss": round(mean, 6), "rate": rate, "per_second": speed})

    def note(self, number: int, name: str, value: float) -> None:
        """A number other than the loss, such as the loss on held-out pairs."""
        if self.writing:
            self.tell(f"step {number} of {self.steps}  {name.replace('_', ' ')} {value:.4f}")
        self.row({"step": number, name: round(value, 6)})

    def row(self, row: dict[str, float]) -> None:
        """Append a row to the log and to the curves. Raises PixWizardError when the disk
        refuses."""
        if not self.writing:
            return
        try:
            with (self.out / LOG_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            reason = error.strerror or str(error)
            raise PixWizardError(f"cannot write {self.out / LOG_FILE}: {reason}") from error
        if self.board is not None:
            for name, value in row.items():
                if name != "step":
                    self.board.add_scalar(name, value, int(row["step"]))
