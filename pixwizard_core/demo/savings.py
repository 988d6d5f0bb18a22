"""What fewer evaluations of the model cost in quality, task by task, against the reference's way.

An evaluation is one branch of one step for one picture. The reference's way is 59 even Euler steps.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..generate import REFERENCE_STEPS, SampleSettings
from ..pipeline import Bundle
from ..presets import SPEEDS, with_speed
from .effects import TASKS
from .scorers import SCORERS
from .scoring import SQUARE, OnProgress, Plan, check_tasks, examples_of, paint, precision

LESS_IS_BETTER = ("rmse", "angle")
GUIDED = 3.0  # scale of the guided variations: a second branch to save
SMALL_LOSS = 2.0  # percent

Change = Callable[[SampleSettings], SampleSettings]


@dataclass(frozen=True)
class Cost:
    """One task: its score, evaluations for a picture, and percent lost against the reference's way
    with the same guidance (negative = better)."""

    score: float
    evaluations: float
    loss: float


@dataclass(frozen=True)
class Saving:
    """One way to sample, and what it costs by task."""

    label: str
    costs: dict[str, Cost]


def ways(guided: bool) -> dict[str, Change]:
    """Ways to sample, the reference's first. guided: those that matter with two branches alone."""

    def to(**values) -> Change:
        return lambda settings: replace(settings, **values)

    reference = {"steps": REFERENCE_STEPS, "solver": "euler", "shift": 1.0}
    if guided:
        spans = ((0.0, 0.5), (0.2, 0.8))
        inner = {
            f"guided in {low:g}–{high:g}": to(**reference, interval=(low, high))
            for low, high in spans
        }
        return {"guided, reference": to(**reference), **inner, "guided, fast": to(**SPEEDS["fast"])}
    found = {"reference": to(**reference)}
    found |= {name: lambda s, n=name: with_speed(s, n) for name in SPEEDS if name != "reference"}
    for steps in (1, 2, 4, 8):
        found[f"euler {steps}"] = to(steps=steps)
    for solver, steps in (("midpoint", 4), ("heun", 4), ("rk4", 2)):
        found[f"{solver} {steps}"] = to(solver=solver, steps=steps)
    for shift in (0.5, 2.0, 4.0):
        found[f"euler 8, shift {shift:g}"] = to(steps=8, shift=shift)
    for reuse in (0.05, 0.1):
        found[f"reference, reuse {reuse:g}"] = to(**reference, reuse=reuse)
    return found


@contextmanager
def counted(bundle: Bundle) -> Iterator[tuple[Bundle, list[int]]]:
    """The bundle, and a list that gets the number of rows of each evaluation of its model."""
    rows: list[int] = []
    model = copy.copy(bundle.model)
    inner = bundle.model.velocity

    def velocity(latents, t, prepared, **options):
        rows.append(len(latents))
        return inner(latents, t, prepared, **options)

    model.velocity = velocity
    yield replace(bundle, model=model), rows


def study(
    bundle: Bundle,
    plan: Plan,
    tasks: Sequence[str],
    on_progress: OnProgress = lambda done, total: None,
) -> Iterator[Saving]:
    """Score plan.count scenes of each task under each way, one after another."""
    sets = {
        task: examples_of(task, plan.count, SQUARE, plan.seed, False) for task in check_tasks(tasks)
    }
    chosen = {name: (change, None) for name, change in ways(False).items()}
    chosen |= {name: (change, GUIDED) for name, change in ways(True).items()}
    first: dict[tuple, float] = {}
    for number, (label, (change, scale)) in enumerate(chosen.items(), 1):
        costs = {}
        for task, examples in sets.items():
            settings = bundle.settings_of(task)
            settings = change(replace(settings, w_text=scale) if scale else settings)
            with counted(bundle) as (used, rows), precision(plan.half, bundle.device):
                painted = paint(used, examples, settings, plan.batch)
            scores = SCORERS[task](painted.float(), examples)
            name = TASKS.get(task, next(iter(scores)))
            against = first.setdefault((task, scale), scores[name])
            costs[task] = Cost(
                scores[name], sum(rows) / plan.count, loss_percent(name, scores[name], against)
            )
        on_progress(number, len(chosen))
        yield Saving(label, costs)


def loss_percent(score: str, value: float, reference: float) -> float:
    """Percent by which a score is worse than the reference's, below 0 when it is better."""
    if not reference:
        return 0.0
    worse = value - reference if score in LESS_IS_BETTER else reference - value
    return 100 * worse / abs(reference)


def savings_table(savings: Sequence[Saving]) -> str:
    """Markdown: a row for each way; score, percent lost and evaluations by task."""
    heads = [f"{task} {TASKS.get(task, '')}".strip() for task in savings[0].costs]
    lines = [f"| way | {' | '.join(heads)} |", f"|{'---|' * (len(heads) + 1)}"]
    for one in savings:
        cells = [
            f"{cost.score:.3f} ({cost.loss:+.1f} %, {cost.evaluations:g})"
            for cost in one.costs.values()
        ]
        lines.append(f"| {one.label} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", verdict(savings)])


def verdict(savings: Sequence[Saving]) -> str:
    """In which tasks the level "fast" stays within SMALL_LOSS of the reference's way."""
    fast = next(one for one in savings if one.label == "fast")
    holds = [task for task, cost in fast.costs.items() if cost.loss <= SMALL_LOSS]
    fails = [f"{t} ({c.loss:+.1f} %)" for t, c in fast.costs.items() if c.loss > SMALL_LOSS]
    return (
        f"In brackets: percent lost against the reference's way with the same guidance, and "
        f"evaluations for a picture. fast stays within {SMALL_LOSS:g} % in: "
        f"{', '.join(holds) or 'none'}; not in: {', '.join(fails) or 'none'}."
    )


def savings_json(savings: Sequence[Saving]) -> str:
    """JSON text: a list of the ways with score, evaluations and loss by task."""
    rows = [
        {
            "way": one.label,
            "tasks": {
                task: {"score": c.score, "evaluations": c.evaluations, "loss_percent": c.loss}
                for task, c in one.costs.items()
            },
        }
        for one in savings
    ]
    return json.dumps(rows, indent=1) + "\n"
