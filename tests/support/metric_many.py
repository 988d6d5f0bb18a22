"""A large set of stand-in pictures through `pixwizard evaluate data`: what each stage costs in time
and memory, and that runs killed in the middle end with the same numbers.

    python -m tests.support.metric_many FOLDER [COUNT [SIDE [SECONDS]]]

Networks have random weights, transformers' ones are small. With SECONDS it kills itself after that
time and exits with 75; the same command goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pixwizard_core.world.held_out import HELD_OUT_SEED, examples_of
from tests.support.metric_networks import backbone_file, write_weights
from tests.support.metric_packages import name_operators
from tests.support.paper_data import put

COUNT, SIDE, SCENES = 5000, 48, 250
TASK, STEPS = "derain", 1
MEASURES = ("l1", "fidelity", "canny_f1", "lpips_alex", "clip", "dino")
KILLED = "dino"  # the measure that is killed in the middle
AGAIN, SHARD = "paint a part again", "1/25"
NOT_YET = 75
COMMAND = "from tests.support.metric_packages import name_operators; name_operators(); from " \
    "pixwizard_core.cli.entry import main; raise SystemExit(main())"  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What one run of a stage took: seconds on the clock and of the processor, and the peak in MB.
    killed: it did not end by itself."""

    stage: str
    clock: float
    cpu: float
    peak: float
    killed: bool


@dataclass(frozen=True)
class Stage:
    """command: what to run. half: whether half of its answers are listed, when its first run is
    killed; None does not kill it."""

    name: str
    command: list[str]
    half: Callable[[], bool] | None = None


class Costs:
    """The costs of all runs, kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.is_file() else []
        self.known = [Cost(**json.loads(line)) for line in lines]

    def of(self, stage: Stage) -> list[Cost]:
        return [cost for cost in self.known if cost.stage == stage.name]

    def ended(self, stage: Stage) -> bool:
        return any(not cost.killed for cost in self.of(stage))

    def add(self, cost: Cost) -> None:
        self.known.append(cost)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(cost)) + "\n")

    def row(self, stage: Stage, count: int) -> str:
        """A line of the table: all runs of a stage together."""
        runs = self.of(stage)
        clock, cpu = sum(run.clock for run in runs), sum(run.cpu for run in runs)
        peak, each = max(run.peak for run in runs), 1000 * cpu / count
        return (f"| {stage.name} | {len(runs) - 1} | {clock:.0f} s | {cpu:.0f} s | {each:.1f} ms | "
                f"{peak:.0f} MB |")  # fmt: skip


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def ran(command: list[str], log: Path, kill: Callable[[], bool] | None = None):
    """(seconds on the clock, seconds of the processor, peak in MB, whether it was killed) of a
    process. kill: asked again and again whether to kill it now. Raises RuntimeError when it fails.
    """
    begun, peak, killed = time.monotonic(), 0.0, False
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        while True:
            # What wait4() says of the peak begins with that of this process.
            peak = peak_of(process.pid) or peak
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if kill and not killed and kill():
                os.kill(process.pid, signal.SIGKILL)
                killed = True
            time.sleep(0.2)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not killed:
        raise RuntimeError(f"{command} gave {process.returncode}; see {log}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, peak, killed


def peak_of(pid: int) -> float:
    """The most memory that a running process has held so far, in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), 0.0)


def evaluation(folder: Path, side: int, out: str, *more: str) -> list[str]:
    return [
        sys.executable, "-c", COMMAND, "evaluate", "data", "pairs", "--root", str(folder / "data"),
        "--weights", str(folder / "weights"), "--out", str(folder / out), "--task", TASK,
        "--steps", str(STEPS), "--centre", str(side), "--workers", "1", "--save", *more,
    ]  # fmt: skip


def write_pictures(folder: Path, count: int, side: int) -> None:
    """input/ and target/: rendered scenes, each shifted sideways by other numbers of pixels. Files
    that are there stay."""
    some = examples_of(TASK, min(count, SCENES), (side, side), HELD_OUT_SEED, held_out=False)
    for n in range(count):
        scene, shift = n % SCENES, n // SCENES
        for kind, pictures in (("input", some.inputs), ("target", some.targets)):
            path = folder / kind / f"{n:05}.png"
            if not path.is_file():
                put(path, pictures[scene].roll(shift, -1))


def stages(folder: Path, count: int, side: int) -> list[Stage]:
    """All stages, in order. Painting and one measure are killed in the middle and go on."""

    def half(path: Path) -> Callable[[], bool]:
        return lambda: lines_in(path) >= count // 2

    values = folder / "out" / "measures" / f"{KILLED}.jsonl"
    write = "from tests.support.metric_many import Path, write_pictures; write_pictures(" \
        f"Path({str(folder / 'data')!r}), {count}, {side})"  # fmt: skip
    measured = [
        Stage(name, evaluation(folder, side, "out", "--metrics", name),
              half(values) if name == KILLED else None)
        for name in MEASURES
    ]  # fmt: skip
    return [
        Stage("render", [sys.executable, "-c", write]),
        Stage("paint", evaluation(folder, side, "out"), half(folder / "out" / "index.jsonl")),
        Stage("find nothing to paint", evaluation(folder, side, "out")),
        *measured,
        Stage("read all back", evaluation(folder, side, "out", "--metrics", ",".join(MEASURES))),
        Stage(AGAIN, evaluation(folder, side, "again", "--shard", SHARD)),
    ]


def values_of(path: Path) -> dict[str, object]:
    """The values of a measure by answer, as kept."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {row["key"]: row["values"] for row in rows}


def values_again(folder: Path, side: int) -> None:
    """Print how many values of the killed measure differ from those of a run without a kill."""
    kept = folder / "out" / "measures" / f"{KILLED}.jsonl"
    before = kept.with_name("before.jsonl")
    if not before.is_file():
        shutil.move(kept, before)
    ran(evaluation(folder, side, "out", "--metrics", KILLED), folder / "log.txt")
    first, second = values_of(before), values_of(kept)
    differ = sum(first.get(key) != value for key, value in second.items())
    print(f"{KILLED}: {differ} of {len(second)} values differ from those of the killed run")


def answers_again(folder: Path) -> None:
    """Print how many answers that were painted again differ from those of the killed run."""
    files = [path.relative_to(folder / "again") for path in (folder / "again").rglob("*.png")]
    differ = sum((folder / "again" / file).read_bytes() != (folder / "out" / file).read_bytes()
                 for file in files)  # fmt: skip
    print(f"paint: {differ} of {len(files)} answers differ from those of the killed run")


def main() -> int:
    """Run the stages, print a line for each, and what differs after a kill."""
    place, *numbers = sys.argv[1:]
    folder, begun = Path(place).absolute(), time.monotonic()
    count, side, seconds = [*map(int, numbers), *(COUNT, SIDE, 0)[len(numbers) :]]
    name_operators()
    if not (folder / "weights").is_dir():
        backbone_file(write_weights(folder / "weights"), "alex")
    costs, some = Costs(folder / "costs.jsonl"), stages(folder, count, side)

    def late() -> bool:
        return bool(seconds) and time.monotonic() - begun > seconds

    for stage in some:
        while not costs.ended(stage):
            first = stage.half if not costs.of(stage) else None
            kill = lambda first=first: late() or bool(first and first())  # noqa: E731
            costs.add(Cost(stage.name, *ran(stage.command, folder / "log.txt", kill)))
            if late():
                return NOT_YET
    print("| stage | kills | clock | processor | each | peak |\n|---|---|---|---|---|---|")
    for stage in some:
        print(costs.row(stage, count))
    values_again(folder, side)
    answers_again(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
