"""What each setting of the sampler does to the scores: steps, solver, guidance, token selection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..generate import SampleSettings
from ..pipeline import Bundle
from ..world.examples import Examples
from ..world.held_out import SQUARE, check_tasks, examples_of
from .scorers import SCORERS
from .scoring import OnProgress, Plan, paint, precision

TASKS = {"depth": "rmse", "segmentation": "miou", "mask": "iou", "text2image": "named"}
STEPS = (1, 2, 4, 8, 16, 32)
# Solvers at eight evaluations of the model, but dopri5, which chooses its own.
SOLVER_STEPS = {"euler": 8, "midpoint": 4, "heun": 4, "rk4": 2, "dopri5": 1}
TEXT_SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
IMAGE_SCALES = (1.0, 1.5, 2.0, 3.0)
KEPT_SHARES = (1 / 9, 2 / 9, 4 / 9, 1.0)  # of all image tokens; 4/9 is the released model's 256
KINDS = ("words", "steps", "solver", "w_text", "w_image", "tokens")

Settings = Callable[[SampleSettings], SampleSettings]


@dataclass(frozen=True)
class Variation:
    """One change against a task's own settings. other_words: each picture gets the instruction of
    another one."""

    kind: str
    label: str
    change: Settings = lambda settings: settings
    other_words: bool = False


@dataclass(frozen=True)
class Effect:
    """Scores by task under one variation, and seconds per picture over all of them."""

    variation: Variation
    scores: dict[str, float]
    seconds: float


def variations(kinds: Sequence[str] = KINDS, image_tokens: int = 576) -> list[Variation]:
    """All that are studied, of the given kinds, after the unchanged settings. image_tokens: how
    many a picture has."""
    found = [Variation("own", "own settings")]
    found += [Variation("words", "another picture's words", other_words=True)]
    for n in STEPS:
        found.append(Variation("steps", f"{n} steps", lambda s, n=n: replace(s, steps=n)))
    for name, n in SOLVER_STEPS.items():
        label = name if name == "dopri5" else f"{name}, {n} steps"
        found.append(
            Variation("solver", label, lambda s, name=name, n=n: replace(s, solver=name, steps=n))
        )
    for w in TEXT_SCALES:
        found.append(Variation("w_text", f"w_text {w:g}", lambda s, w=w: replace(s, w_text=w)))
    for w in IMAGE_SCALES:
        found.append(Variation("w_image", f"w_image {w:g}", lambda s, w=w: replace(s, w_image=w)))
    for name in ("topk", "gumbel"):
        found.append(
            Variation("tokens", f"{name} selection", lambda s, name=name: replace(s, tokens=name))
        )
    for share in KEPT_SHARES:
        n = round(share * image_tokens)
        label = f"{n} of {image_tokens} tokens kept"
        found.append(Variation("tokens", label, lambda s, n=n: replace(s, kept=n)))
    return [one for one in found if one.kind in ("own", *kinds)]


def study(
    bundle: Bundle,
    plan: Plan,
    *,
    tasks: Sequence[str] = tuple(TASKS),
    kinds: Sequence[str] = KINDS,
    on_progress: OnProgress = lambda done, total: None,
) -> Iterator[Effect]:
    """Score plan.count scenes of each task under each variation, one after another."""
    sets = {
        task: examples_of(task, plan.count, SQUARE, plan.seed, False) for task in check_tasks(tasks)
    }
    chosen = variations(kinds, bundle.model.config.image_tokens)
    for number, variation in enumerate(chosen, 1):
        start, scores = time.perf_counter(), {}
        for task, examples in sets.items():
            scores[task] = _score(bundle, task, examples, variation, plan)
        seconds = (time.perf_counter() - start) / (plan.count * len(sets))
        on_progress(number, len(chosen))
        yield Effect(variation, scores, seconds)


def _score(
    bundle: Bundle, task: str, examples: Examples, variation: Variation, plan: Plan
) -> float:
    settings = variation.change(plan.settings or bundle.settings_of(task))
    asked = examples
    if variation.other_words:
        words = examples.instructions
        asked = replace(examples, instructions=[*words[-1:], *words[:-1]])
    with precision(plan.half, bundle.device):
        painted = paint(bundle, asked, settings, plan.batch)
    scores = SCORERS[task](painted.float(), examples)
    return scores[TASKS.get(task, next(iter(scores)))]


def effect_table(effects: Sequence[Effect]) -> str:
    """Markdown: a row for each variation, a column for each task's score."""
    tasks = list(effects[0].scores)
    heads = ["change", *(f"{task} {TASKS.get(task, '')}".strip() for task in tasks), "s a picture"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for effect in effects:
        cells = [effect.variation.label, *(f"{effect.scores[task]:.3f}" for task in tasks)]
        lines.append(f"| {' | '.join([*cells, f'{effect.seconds:.2f}'])} |")
    return "\n".join(lines)


def effects_json(effects: Sequence[Effect]) -> str:
    """JSON text: a list with the kind, the change, the scores and seconds a picture."""
    rows = [
        {
            "kind": effect.variation.kind,
            "change": effect.variation.label,
            "scores": {task: round(value, 5) for task, value in effect.scores.items()},
            "seconds": round(effect.seconds, 4),
        }
        for effect in effects
    ]
    return json.dumps(rows, indent=1) + "\n"


def plot_effects(effects: Sequence[Effect], path: str | Path) -> None:
    """Each task's score along each kind of change, one panel a kind; the dashed line is the task's
    own setting. Needs matplotlib; raises ImportError without it."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    own = next(effect for effect in effects if effect.variation.kind == "own")
    kinds = list(dict.fromkeys(e.variation.kind for e in effects if e is not own))
    figure = Figure(figsize=(5.0, 2.6 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), 1, squeeze=False)[:, 0]
    for panel, kind in zip(panels, kinds, strict=True):
        rows = [effect for effect in effects if effect.variation.kind == kind]
        for number, task in enumerate(own.scores):
            values = [effect.scores[task] for effect in rows]
            label = f"{task} {TASKS.get(task, '')}".strip()
            panel.plot(range(len(rows)), values, "o-", color=f"C{number}", label=label)
            panel.axhline(own.scores[task], color=f"C{number}", linestyle="--", linewidth=0.7)
        panel.set_xticks(range(len(rows)), [e.variation.label for e in rows], fontsize=6)
        panel.set_title(kind, fontsize=9)
        panel.tick_params(axis="y", labelsize=7)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7)
    figure.savefig(path, dpi=130)
