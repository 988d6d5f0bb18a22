"""How much quality fewer evaluations of the model cost, task by task, against the reference's way.

An evaluation is one branch of one step for one picture. The reference's way is 59 even Euler steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from ..canvas.images import to_pixels
from ..generate import REFERENCE_STEPS, SampleSettings, evaluations
from ..pipeline import Bundle, encode_conditions, solve
from ..presets import SPEEDS, with_speed
from ..world.examples import Examples
from ..world.held_out import SQUARE, check_tasks, examples_of
from .effects import TASKS
from .scorers import SCORERS
from .scoring import OnProgress, Plan, precision

LESS_IS_BETTER = ("rmse", "angle")
GUIDED = 3.0  # scale of the guided variations: a second branch to save
GUIDED_PREFIX = "guided, "  # of their labels
SMALL_LOSS = 2.0  # percent
# The number that tells most of a task; of the others it is the first of their scores.
SCORES = TASKS | dict.fromkeys(("edit", "remove", "replace", "background", "style"), "region_psnr")

Change = Callable[[SampleSettings], SampleSettings]


@dataclass(frozen=True)
class Cost:
    """What one way to sample gives in one task: its score, evaluations for a picture, and percent
    lost against the reference's way with the same guidance (negative = better)."""

    score: float
    evaluations: int
    loss: float


@dataclass(frozen=True)
class Saving:
    """One task: the name of its score, and each way's cost by the way's label."""

    task: str
    score: str
    costs: dict[str, Cost]


def ways(guided: bool, levels: bool = False) -> dict[str, Change]:
    """Ways to sample, the reference's first. guided: those that matter with two branches alone.
    levels: only the reference's and the levels of speed."""

    def to(**values) -> Change:
        return lambda settings: replace(settings, **values)

    def at_speed(name: str) -> Change:
        return lambda settings: with_speed(settings, name)

    reference = {"steps": REFERENCE_STEPS, "solver": "euler", "shift": 1.0}
    prefix = GUIDED_PREFIX if guided else ""
    found = {f"{prefix}reference": to(**reference)}
    found |= {f"{prefix}{name}": at_speed(name) for name in SPEEDS if name != "reference"}
    if levels:
        return found
    if guided:
        for low, high in ((0.0, 0.5), (0.2, 0.8), (0.5, 1.0)):
            found[f"guided in {low:g}–{high:g}"] = to(**reference, interval=(low, high))
        return found
    for steps in (1, 2, 4, 8):
        found[f"euler {steps}"] = to(steps=steps)
    for solver, steps in (("midpoint", 4), ("heun", 4), ("rk4", 2)):
        found[f"{solver} {steps}"] = to(solver=solver, steps=steps)
    for shift in (0.5, 2.0, 4.0):
        found[f"euler 8, shift {shift:g}"] = to(steps=8, shift=shift)
    return found


def study(
    bundle: Bundle,
    plan: Plan,
    tasks: Sequence[str],
    on_progress: OnProgress = lambda done, total: None,
    levels: bool = False,
) -> Iterator[Saving]:
    """Score plan.count scenes under each way, task after task. levels: as in ways()."""
    chosen = {name: (change, None) for name, change in ways(False, levels).items()}
    chosen |= {name: (change, GUIDED) for name, change in ways(True, levels).items()}
    for number, task in enumerate(check_tasks(tasks), 1):
        examples = examples_of(task, plan.count, SQUARE, plan.seed, False)
        yield _study(bundle, plan, task, examples, chosen)
        on_progress(number, len(tasks))


def _study(
    bundle: Bundle,
    plan: Plan,
    task: str,
    examples: Examples,
    chosen: Mapping[str, tuple[Change, float | None]],
) -> Saving:
    """One task. Its conditions are the same for every way, so they are encoded once."""
    parts = [slice(at, at + plan.batch) for at in range(0, plan.count, plan.batch)]
    with torch.no_grad(), precision(plan.half, bundle.device):
        ready = [
            encode_conditions(
                bundle,
                to_pixels(examples.inputs[rows]).to(bundle.device),
                examples.instructions[rows],
            )
            for rows in parts
        ]
    costs, name = {}, ""
    first: dict[float | None, float] = {}
    for label, (change, scale) in chosen.items():
        settings = bundle.settings_of(task)
        settings = change(replace(settings, w_text=scale) if scale else settings)
        with torch.no_grad(), precision(plan.half, bundle.device):
            painted = torch.cat(
                [solve(bundle, *one, list(range(len(one[0]))), settings)[1] for one in ready]
            )
        scores = SCORERS[task](painted.float().cpu(), examples)
        name = SCORES.get(task, next(iter(scores)))
        value = float(scores[name])
        loss = loss_percent(name, value, first.setdefault(scale, value))
        costs[label] = Cost(value, evaluations(settings), loss)
    return Saving(task, name, costs)


def loss_percent(score: str, value: float, reference: float) -> float:
    """Percent by which a score is worse than the reference's; negative if it is better."""
    if not reference:
        return 0.0
    worse = value - reference if score in LESS_IS_BETTER else reference - value
    return 100 * worse / abs(reference)


def savings_table(savings: Sequence[Saving]) -> str:
    """Markdown: a row for each task; the reference's scores, and what each other way loses."""
    labels = list(savings[0].costs)
    lines = [f"| task | score | {' | '.join(labels)} |", f"|{'---|' * (len(labels) + 2)}"]
    for one in savings:
        cells = [
            f"{cost.score:.3f}" if level_of(label) == "reference" else f"{cost.loss:+.1f} %"
            for label, cost in one.costs.items()
        ]
        lines.append(f"| {one.task} | {one.score} | {' | '.join(cells)} |")
    spent = [spread([one.costs[label].evaluations for one in savings]) for label in labels]
    lines.append(f"| evaluations | | {' | '.join(spent)} |")
    verdicts = [verdict(savings, label) for label in labels if level_of(label) in SPEEDS]
    return "\n".join([*lines, "", *filter(None, verdicts)])


def level_of(label: str) -> str:
    """A way's label without the word for the guided ones: of some the name of a level of speed."""
    return label.removeprefix(GUIDED_PREFIX)


def spread(values: Sequence[float]) -> str:
    """The one value, or the least and the most of several."""
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g}–{high:.3g}"


def verdict(savings: Sequence[Saving], label: str) -> str:
    """In which tasks a way stays within SMALL_LOSS of the reference's; "" for that itself."""
    if level_of(label) == "reference":
        return ""
    losses = {one.task: one.costs[label].loss for one in savings}
    fails = [f"{task} ({loss:+.1f} %)" for task, loss in losses.items() if loss > SMALL_LOSS]
    return (
        f"{label} stays within {SMALL_LOSS:g} % in {len(losses) - len(fails)} of {len(losses)} "
        f"tasks; not in: {', '.join(fails) or 'none'}."
    )


def savings_json(savings: Sequence[Saving]) -> str:
    """JSON text: a list of the tasks with score, evaluations and loss by way."""
    return json.dumps([asdict(one) for one in savings], indent=1) + "\n"
