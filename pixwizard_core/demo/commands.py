"""The commands about the bundled model: pixwizard evaluate and pixwizard train."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..progress import progress

EVALUATE = "score a small model on scenes it never saw, task by task"
TRAIN = "train the small model on the demo world, or a LoRA of any PixWizard"
CEILING_SCENES = 96
PARTS = ("model", "gemma", "clip", "vae")


def add_evaluate(commands) -> None:
    """Add `pixwizard evaluate` to the subparsers."""
    parser = commands.add_parser("evaluate", help=EVALUATE, description=EVALUATE)
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--world", action="store_true", help="on the demo world, whose truth is exact (default)"
    )
    parser.add_argument(
        "--tasks",
        default="trained",
        help="trained (default: what the model has learned), all, headline, or depth,mask,…",
    )
    parser.add_argument("--count", type=int, default=96, help="scenes a task")
    parser.add_argument("--wide", type=int, default=32, help="scenes of other shapes; 0 skips them")
    parser.add_argument("--phrasings", default="both", choices=("seen", "held-out", "both"))
    parser.add_argument("--steps", type=int, help="solver intervals, instead of each task's own")
    parser.add_argument("--effects", action="store_true", help="also vary the sampler's settings")
    parser.add_argument("--referring", action="store_true", help="also masks by kind of phrase")
    parser.add_argument("--resume", action="store_true", help="keep the tasks that OUT already has")
    parser.add_argument("--effect-count", type=int, default=24, help="scenes a task and change")
    parser.add_argument("--out", type=Path, help="folder for scores.md, scores.json and plots")
    parser.add_argument("--bundle", type=Path, help="folder of another small model (default: ours)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, …")
    parser.add_argument("--half", action="store_true", help="bfloat16: faster on many machines")
    parser.add_argument("--batch", type=int, default=32, help="pictures at a time")
    parser.add_argument("--seed", type=int, help="another set of scenes")


def evaluate(arguments: argparse.Namespace) -> int:
    """Score, print the tables, and write them where asked."""
    from ..cli_run import load_small
    from .score_report import goal_table, table
    from .scoring import score_world

    plan, tasks = _plan(arguments), tasks_of(arguments.tasks, arguments.bundle)
    bundle = load_small(arguments.bundle, arguments.device)
    about = _about(bundle, plan)
    done = _scored(arguments.out, about) if arguments.resume else {}

    def keep(result) -> None:
        done[result.task] = result
        if arguments.out:
            _write_scores(arguments.out, list(done.values()), about)

    with progress("scoring", "picture") as advance:
        left = [task for task in tasks if task not in done]
        score_world(bundle, left, plan, on_task=keep, on_progress=advance)
    results = [done[task] for task in tasks]
    parts = [table(results), goal_table(results)]
    if arguments.referring:
        parts.append(_referring(bundle, plan))
    if arguments.effects:
        parts.append(_effects(bundle, tasks, arguments, plan))
    text = "\n\n".join(part for part in parts if part) + "\n"
    print(text, end="")
    if arguments.out:
        (arguments.out / "scores.md").write_text(text, encoding="utf-8")
        _plot(results, arguments.out / "scores.png")
        print(f"Scores are in {arguments.out.absolute()}", file=sys.stderr)
    return 0


def _about(bundle, plan) -> dict:
    """What scores depend on, besides the task."""
    import hashlib

    weights = hashlib.sha256()
    for tensor in bundle.model.state_dict().values():
        weights.update(tensor.detach().cpu().float().numpy().tobytes())
    return {
        "seed": plan.seed,
        "count": plan.count,
        "wide_scenes": plan.wide,
        "phrasings": list(plan.phrasings),
        "half": plan.half,
        "steps": plan.settings.steps if plan.settings else None,
        "weights": weights.hexdigest()[:16],
    }


def _scored(folder: Path | None, about: dict) -> dict:
    """Tasks that a folder has scores of, made in the same way by the same weights."""
    from ..errors import PixWizardError
    from .score_report import from_json

    if folder is None:
        raise PixWizardError("--resume needs --out, the folder with the scores so far")
    path = folder / "scores.json"
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    found = {name: value for name, value in json.loads(text).items() if name != "tasks"}
    if found != about:
        other = [name for name in about if found.get(name) != about[name]]
        raise PixWizardError(
            f"{path} has scores made otherwise ({', '.join(other)}); choose another --out or leave "
            "--resume away"
        )
    return {result.task: result for result in from_json(text)}


def _plan(arguments: argparse.Namespace):
    from dataclasses import replace

    from ..errors import PixWizardError
    from ..presets import TINY_SETTINGS
    from .scoring import Plan

    if min(arguments.count, arguments.batch, arguments.effect_count) < 1 or arguments.wide < 0:
        raise PixWizardError("--count, --effect-count and --batch must be at least 1, --wide 0")
    both = ("seen", "held_out")
    plan = Plan(
        count=arguments.count,
        wide=arguments.wide,
        ceiling=min(arguments.count, CEILING_SCENES),
        phrasings=both
        if arguments.phrasings == "both"
        else (arguments.phrasings.replace("-", "_"),),
        batch=arguments.batch,
        half=arguments.half,
    )
    if arguments.steps is not None:
        plan = replace(plan, settings=replace(TINY_SETTINGS, steps=arguments.steps))
    return plan if arguments.seed is None else replace(plan, seed=arguments.seed)


def tasks_of(text: str, bundle: Path | None = None) -> list[str]:
    from ..encoders.tiny import BUNDLE
    from .examples import WORLD_TASKS
    from .score_report import HEADLINE
    from .scoring import check_tasks, trained_tasks

    if text == "trained":
        return trained_tasks(bundle or BUNDLE)
    sets = {"all": list(WORLD_TASKS), "headline": list(HEADLINE)}
    return sets.get(text) or check_tasks([name.strip() for name in text.split(",")])


def _referring(bundle, plan) -> str:
    from . import referring

    with progress("phrases", "picture") as advance:
        done = 0

        def on_batch(count: int) -> None:
            nonlocal done
            done += count
            advance(done, plan.count)

        return referring.referring_table(referring.study(bundle, plan, on_batch))


def _effects(bundle, tasks: list[str], arguments: argparse.Namespace, plan) -> str:
    """The study, on those of its usual tasks that are scored, or else on all that are."""
    from dataclasses import replace

    from . import effects

    plan = replace(plan, count=arguments.effect_count, settings=None)
    chosen = [task for task in effects.TASKS if task in tasks] or tasks
    with progress("varying", "setting") as advance:
        found = list(
            effects.study(bundle, plan, tasks=chosen, kinds=effects.KINDS, on_progress=advance)
        )
    if arguments.out:
        text = effects.effects_json(found)
        (arguments.out / "effects.json").write_text(text, encoding="utf-8")
        _plot(found, arguments.out / "effects.png", effects.plot_effects)
    return effects.effect_table(found)


def _write_scores(folder: Path, results, about: dict) -> None:
    from .score_report import as_json

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(as_json(results, **about), encoding="utf-8")


def _plot(results, path: Path, draw=None) -> None:
    from .score_report import plot

    try:
        (draw or plot)(results, path)
    except ImportError:
        print("no plots: matplotlib is not installed", file=sys.stderr)


def add_train(commands) -> None:
    """Add `pixwizard train` to the subparsers."""
    parser = commands.add_parser("train", help=TRAIN, description=TRAIN)
    parser.set_defaults(command=train)
    parser.add_argument(
        "--config", type=Path, help="TOML or JSON settings (default: those of the bundled model)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for what was trained")
    parser.add_argument(
        "--work", type=Path, help="folder for samples and checkpoint (default: OUT/work)"
    )
    budget = parser.add_argument_group("instead of what the settings file says")
    budget.add_argument("--minutes", type=float, help="time to train")
    budget.add_argument("--steps", type=int, help="train so many steps, however long it takes")
    budget.add_argument("--batch", type=int, help="samples a step")
    budget.add_argument("--scenes", type=int, help="scenes to make and reuse")
    budget.add_argument("--tasks", help="tasks of every scene, with commas")
    budget.add_argument(
        "--start", help='folder of weights to go on from, "bundled", or "" for none'
    )
    budget.add_argument("--workers", type=int, help="processes that make samples")
    budget.add_argument("--seed", type=int)
    budget.add_argument("--device", help="auto, cpu, cuda, …")
    budget.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="faster steps after minutes of preparation; needs a C++ compiler",
    )
    lora = parser.add_argument_group("a LoRA instead of a whole model")
    lora.add_argument(
        "--lora", metavar="LIST", help="JSONL of input, target, instruction; or: world"
    )
    lora.add_argument("--rank", type=int, default=16)
    lora.add_argument("--alpha", type=float, help="strength is alpha / rank (default: rank)")
    lora.add_argument("--rate", type=float, default=3e-4, help="learning rate")
    lora.add_argument("--bundle", type=Path, help="folder of a small model (default: ours)")
    for part in PARTS:
        lora.add_argument(f"--{part}", type=Path, help="of the released model")


def train(arguments: argparse.Namespace) -> int:
    """Train, with a line of progress now and then, and say what was written."""
    return _train_lora(arguments) if arguments.lora else _train_bundle(arguments)


def _train_bundle(arguments: argparse.Namespace) -> int:
    from .train import train_bundle
    from .train_config import BUNDLED, read_config

    config = read_config(arguments.config or BUNDLED).with_values(_changes(arguments), "command")
    if arguments.steps is not None:
        config = config.with_values({"with_setup": False})

    def on_row(row: dict, run) -> None:
        budget = run.settings
        goal = f"{budget.steps} steps" if budget.steps else f"{budget.minutes:g} min"
        print(
            f"step {row['step']:>6}  {row['minutes']:7.2f} min of {goal}  "
            f"{row['samples']:>9} samples  loss {row['loss']:.4f}",
            flush=True,
        )

    run = train_bundle(config, arguments.out, arguments.work or arguments.out / "work", on_row)
    print(f"{run.step} steps; the weights are in {arguments.out.absolute()}")
    return 0


def _changes(arguments: argparse.Namespace) -> dict:
    """What the command line says otherwise than the settings file."""

    def given(*names: str) -> dict:
        values = {name: getattr(arguments, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    data = given("scenes")
    budget = {"steps": 0} if arguments.minutes and not arguments.steps else {}
    if arguments.tasks:
        data["tasks"] = tasks_of(arguments.tasks)
    return {
        **given("seed", "device", "compile", "workers", "start"),
        "data": data,
        "train": {**budget, **given("minutes", "steps", "batch")},
    }


def _train_lora(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from ..lora import LoraSettings, save_lora
    from .examples import WORLD_TASKS
    from .lora_training import (
        DEFAULTS,
        PlainSampler,
        empty_caption,
        encode_triples,
        read_triples,
        train_lora,
        world_samples,
    )

    triples = None if arguments.lora == "world" else read_triples(arguments.lora)
    bundle = _base(arguments)
    seed, steps = arguments.seed or 0, arguments.steps or 500
    if triples:
        samples = encode_triples(bundle, triples)
    else:
        tasks = tasks_of(arguments.tasks) if arguments.tasks else list(WORLD_TASKS)
        samples = world_samples(bundle, tasks, arguments.scenes or 64, seed)
    settings = replace(
        DEFAULTS,
        learning_rate=arguments.rate,
        batch=arguments.batch or DEFAULTS.batch,
        seed=seed,
    )
    lora = LoraSettings(arguments.rank, arguments.alpha, seed=seed)
    sampler = PlainSampler(samples, empty_caption(bundle))
    losses = []
    for loss in train_lora(bundle, sampler, lora, steps=steps, settings=settings):
        losses.append(loss)
        if len(losses) % 20 == 0 or len(losses) == steps:
            recent = losses[-20:]
            print(f"step {len(losses)} of {steps}  loss {sum(recent) / len(recent):.4f}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "lora.safetensors"
    save_lora(bundle.model, path, {"steps": str(steps), "rank": str(arguments.rank)})
    print(path)
    return 0


def _base(arguments: argparse.Namespace):
    """The model a LoRA is trained for: a small one, or the released one from its four parts."""
    from ..bundle import load_released
    from ..cli_run import load_small, usable_device
    from ..errors import PixWizardError

    parts = [getattr(arguments, part) for part in PARTS]
    device = arguments.device or "cpu"
    if not any(parts):
        return load_small(arguments.bundle, device)
    if not all(parts):
        raise PixWizardError(
            f"the released model has four parts: {', '.join('--' + part for part in PARTS)}"
        )
    return load_released(*parts, device=usable_device(device))
