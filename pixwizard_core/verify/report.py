"""Run every case of a folder and say what agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import PixWizardError
from .checks import Check
from .encoder_cases import encoder_case
from .guided_cases import guided_case, ode_case
from .model_cases import forward_case
from .other_cases import checkpoint_case, clip_case, rope_case, shapes_cases, sizes_cases
from .trace import patch_checks, time_checks
from .vectors import Case, VectorFile, Vectors

# Kinds a folder must hold; "checkpoint" is a forward whose weights stand in the released layout.
KINDS = (
    "forward",
    "forward_with_cfg",
    "sample_ode",
    "rope",
    "clip_preprocess",
    "find_closest_size",
    "checkpoint",
    "encoder",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: its checks, or why it could not run."""

    name: str
    checks: list[Check] = field(default_factory=list[Check])
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error and bool(self.checks) and all(check.ok for check in self.checks)

    def line(self) -> str:
        """Max abs difference, tolerance and verdict of the check nearest to its tolerance."""
        verdict = "ok  " if self.ok else "FAIL"
        if self.error:
            return f"{verdict} {self.name}: {self.error}"
        worst = max(self.checks, key=lambda check: check.ratio, default=None)
        if worst is None:
            return f"{verdict} {self.name}: the case holds nothing to compare"
        paths = [check for check in self.checks if check.label in ("plain", "prepared")]
        shown = [f"{check.label} {check.difference:.1e}" for check in paths]
        if worst not in paths:
            shown.append(f"{worst.label} {worst.difference:.1e}")
        others = len(self.checks) - len(shown)
        if others > 0:
            shown.append(f"{others} more")
        detail = f"  ({', '.join(shown)})" if len(self.checks) > 1 else ""
        return (
            f"{verdict} {self.name:<44} max {worst.difference:.2e}  "
            f"tolerance {worst.tolerance:.0e}{detail}"
        )


@dataclass(frozen=True, slots=True)
class VerifyReport:
    outcomes: list[Outcome]

    @property
    def passed(self) -> int:
        return sum(outcome.ok for outcome in self.outcomes)

    @property
    def failed(self) -> int:
        return len(self.outcomes) - self.passed

    @property
    def ok(self) -> bool:
        return self.failed == 0 and self.passed > 0

    def total(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


def verify(
    folder: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> VerifyReport:
    """Run every case of a folder of reference vectors.

    on_outcome is called as each case ends. A kind that is absent counts as a failure, and so does
    a folder without vectors. dtypes below float32 get tolerances widened by their precision.
    """
    outcomes: list[Outcome] = []
    for outcome in _outcomes(Path(folder), torch.device(device), dtype):
        outcomes.append(outcome)
        if on_outcome:
            on_outcome(outcome)
    return VerifyReport(outcomes)


@torch.inference_mode()
def _outcomes(folder: Path, device: torch.device, dtype: torch.dtype) -> Iterator[Outcome]:
    try:
        vectors = Vectors.open(folder, device, dtype)
    except PixWizardError as error:
        yield Outcome(folder.name or str(folder), error=str(error))
        return
    seen: set[str] = set()
    for file in vectors.files:
        for kind, name, run in _cases(vectors, file):
            seen.add(kind)
            yield _attempt(f"{file.name} {name}", run)
    for kind in KINDS:
        if kind not in seen:
            yield Outcome(kind, error="no case of this kind in the folder")


Run = Callable[[], list[Check]]


def _cases(vectors: Vectors, file: VectorFile) -> Iterable[tuple[str, str, Run]]:
    """(kind, case name, what to run) for each case of a file."""
    if file.kind == "find_closest_size":
        for name, run in sizes_cases(file):
            yield file.kind, name, run
        return
    if file.kind is None:
        for name, run in shapes_cases(file):
            yield "shapes", name, run
        return
    runners: dict[str, Callable[[Vectors, VectorFile, Case], list[Check]]] = {
        "forward": forward_case,
        "forward_with_cfg": guided_case,
        "sample_ode": ode_case,
        "rope": rope_case,
        "clip_preprocess": clip_case,
        "encoder": encoder_case,
    }
    runner = runners.get(file.kind)
    if runner is None:
        yield file.kind, "", lambda: _unknown(file)
        return
    for index, case in enumerate(file.cases):
        yield (
            file.kind,
            str(case.get("name", index)),
            lambda case=case: runner(vectors, file, case),
        )
    if file.kind == "forward":
        extras = {"tensor_path.x": patch_checks, "t_embed.t": time_checks}
        for tensor, check in extras.items():
            if tensor in file.content.get("tensors", {}):
                name = tensor.split(".")[0]
                yield file.kind, name, lambda c=check: c(vectors, file, vectors.model(file, {}))
    if "weights" in file.content:
        yield "checkpoint", "checkpoint", lambda: checkpoint_case(vectors, file)


def _unknown(file: VectorFile) -> list[Check]:
    raise PixWizardError(f"cases of kind {file.kind!r} are not known here")


def _attempt(name: str, run: Run) -> Outcome:
    """Run a case. Whatever stops it makes it a failed case."""
    try:
        return Outcome(name, run())
    except PixWizardError as error:
        return Outcome(name, error=str(error))
    except Exception as error:
        return Outcome(name, error=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
