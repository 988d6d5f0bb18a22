"""pixwizard train: the small model on the demo world, or a LoRA of any PixWizard."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import RELEASED_PARTS
from ..seeds import seed_argument

TRAIN = "train the small model on the demo world, or a LoRA of any PixWizard"


def add_train(commands) -> None:
    """Add `pixwizard train` to the subparsers."""
    parser = commands.add_parser("train", help=TRAIN, description=TRAIN)
    parser.set_defaults(command=train)
    parser.add_argument(
        "--config", type=Path, help="TOML or JSON settings (default: the bundled model's)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for what was trained")
    parser.add_argument(
        "--work", type=Path, help="folder for samples and checkpoint (default: OUT/work)"
    )
    budget = parser.add_argument_group("overrides the settings file")
    budget.add_argument("--minutes", type=float, help="time to train")
    budget.add_argument("--steps", type=int, help="train this many steps, however long it takes")
    budget.add_argument("--batch", type=int, help="samples a step")
    budget.add_argument("--scenes", type=int, help="scenes to make and reuse")
    budget.add_argument(
        "--photographs", type=int, help="pieces of photographs to make and reuse, beside the scenes"
    )
    budget.add_argument(
        "--autoencoder", help="file whose latents the model is trained in (default: the bundled)"
    )
    budget.add_argument("--tasks", help="tasks of every scene, with commas")
    budget.add_argument(
        "--start", help='folder of weights to continue from, "bundled", or "" for none'
    )
    budget.add_argument("--workers", type=int, help="number of processes that make samples")
    budget.add_argument("--seed", type=seed_argument)
    budget.add_argument("--device", help="auto, cpu, cuda, …")
    budget.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="faster steps after some minutes of preparation; needs a C++ compiler",
    )
    lora = parser.add_argument_group("a LoRA instead of a whole model")
    lora.add_argument(
        "--lora", metavar="LIST", help="JSONL of input, target, instruction; or: world"
    )
    lora.add_argument("--rank", type=int, default=16)
    lora.add_argument("--alpha", type=float, help="strength is alpha / rank (default: rank)")
    lora.add_argument("--rate", type=float, default=3e-4, help="learning rate")
    lora.add_argument(
        "--bundle", type=Path, help="folder of a small model (default: the bundled one)"
    )
    for part in RELEASED_PARTS:
        lora.add_argument(f"--{part}", type=Path, help="of the released model")


def train(arguments: argparse.Namespace) -> int:
    """Train, printing progress now and then, and print what was written."""
    return _train_lora(arguments) if arguments.lora else _train_bundle(arguments)


def _train_bundle(arguments: argparse.Namespace) -> int:
    from ..training.config import BUNDLED, read_config
    from ..training.small_model import train_bundle

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
    """The command line's changes to the settings file."""

    def given(*names: str) -> dict:
        values = {name: getattr(arguments, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    from ..evaluation.score_report import tasks_of

    data = given("scenes", "photographs", "autoencoder")
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

    from ..evaluation.score_report import tasks_of
    from ..training.lora import (
        DEFAULTS,
        PlainSampler,
        empty_caption,
        encode_triples,
        read_triples,
        train_lora,
        world_samples,
    )
    from ..weights.lora import LoraSettings, save_lora
    from ..weights.lora_header import lora_header
    from ..world.examples import WORLD_TASKS

    tasks: list[str] = []
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
    known = {"steps": steps, "rank": arguments.rank, "alpha": lora.alpha or lora.rank}
    known |= {"learning_rate": settings.learning_rate, "batch": settings.batch, "seed": seed}
    words = [triple.instruction for triple in triples or ()]
    header = lora_header(words, [] if triples else tasks, _name_of_base(arguments), known)
    save_lora(bundle.model, path, header)
    print(path)
    return 0


def _base(arguments: argparse.Namespace):
    """The model a LoRA is trained for: a small one, or the released one from its four parts."""
    from ..bundle import load_released
    from .models import load_small, released_parts, usable_device

    parts, device = released_parts(arguments), arguments.device or "cpu"
    if not parts:
        return load_small(arguments.bundle, device)
    return load_released(*parts, device=usable_device(device))


def _name_of_base(arguments: argparse.Namespace) -> str:
    """What the model is called that a LoRA was trained for."""
    from ..bundle import MODEL_FILE, about
    from ..encoders.tiny import BUNDLE
    from ..weights.checkpoint import open_checkpoint

    return about(open_checkpoint(arguments.model or (arguments.bundle or BUNDLE) / MODEL_FILE)).name
