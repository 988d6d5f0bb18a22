"""pixwizard train-lora, and pixwizard train on pairs of one's own."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ..config import RELEASED_PARTS
from ..errors import PixWizardError
from .help_text import sentence
from .progress import OnProgress, progress
from .teach_options import (
    FOR_LORA,
    OF_SOURCES,
    SETTINGS,
    add_teach_options,
    add_threads,
    given,
    refuse,
)

TEXT = "train a LoRA for any PixWizard model on your own pairs of pictures"
EXIT_STOPPED = 130
OF_WORLD = ("tasks", "scenes")
WORLD = "world"


def add_train_lora(commands) -> None:
    """Add `pixwizard train-lora` to the subparsers."""
    parser = commands.add_parser("train-lora", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=lambda arguments: teach(arguments, arguments.sources, lora=True))
    add_sources(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the LoRA to")
    parser.add_argument(
        "--config", type=Path, help="TOML or JSON file with settings, and optionally sources"
    )
    parser.add_argument("--device", help="device to train on: cpu, cuda, cuda:1, … (default: cpu)")
    add_threads(parser)
    add_teach_options(parser)
    world = parser.add_argument_group("the demo world as a source")
    world.add_argument("--tasks", help="comma-separated tasks (default: all)")
    world.add_argument("--scenes", type=int, help="examples per task (default: 64)")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the sources of pairs."""
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="folder of pairs, of shards or from `pixwizard data build`; list (.jsonl, .json, "
        ".csv), META file (.yaml) or shard (.tar); or the word world, for the demo world",
    )


def teach(arguments: argparse.Namespace, sources: Sequence[str], lora: bool) -> int:
    """Train on pairs, printing progress, and print what was written."""
    if not lora:
        refuse(arguments, FOR_LORA, "for a whole model, which has no rank")
    import torch

    from ..training.teach.ordered import TeachOrder
    from ..training.teach.processes import joined, own_device
    from ..training.teach.teach import teach as carry_out
    from .models import usable_device

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = own_device(arguments.device or "cpu")
    usable_device(device)
    parts = model_parts(arguments, device, lora)
    lesson = lesson_of(arguments, sources, parts, lora)
    with (
        joined(device, bool(arguments.shard)) as group,
        _parts_shown(group.first) as on_part,
        _asked_to_stop() as asked,
    ):
        result = carry_out(
            TeachOrder(
                lesson, parts, arguments.out, arguments.cache, lora, bool(arguments.resume), _say,
                on_part, lambda: bool(asked), group, device,
            )
        )  # fmt: skip
    if not group.first:
        return 0
    if result.held_out:
        before, after = result.held_out
        _say(f"loss on held-out pairs: {before:.4f} before, {after:.4f} now")
    if result.stopped:
        _say(f"stopped after step {result.steps}; the same command with --resume goes on")
        return EXIT_STOPPED
    print(result.path, flush=True)
    return 0


def model_parts(arguments: argparse.Namespace, device: str, lora: bool):
    """The model that the options select, in parts. Raises PixWizardError when only some parts of
    the released model are given."""
    import torch

    from ..training.teach.parts import lumina_parts, released_parts, small_parts

    files = given(arguments, RELEASED_PARTS)
    if arguments.lumina is not None:
        if lora:
            raise PixWizardError(
                "--lumina begins a whole model, whose new parts a LoRA would leave closed; use "
                "`pixwizard train`"
            )
        refuse(arguments, ("bundle", "model"), "beside --lumina, which gives the first weights")
        return lumina_parts(arguments.lumina, files, device, arguments.seed or 0)
    if not files:
        return small_parts(arguments.bundle, device)
    if arguments.bundle is not None:
        raise PixWizardError("give either --bundle or the parts of the released model, not both")
    whole = not lora or arguments.precision == "float32"
    return released_parts(files, device, torch.float32 if whole else torch.bfloat16)


def lesson_of(arguments: argparse.Namespace, sources: Sequence[str], parts, lora: bool):
    """Sources and settings of the settings file and the command line, which goes first. Raises
    PixWizardError for sources in both, or in neither."""
    from ..training.teach.settings import Lesson, Source, read_lesson, usual

    lesson = Lesson(settings=usual(parts.small, lora))
    if arguments.config:
        lesson = read_lesson(arguments.config, lesson.settings)
    lesson = lesson.with_values(given(arguments, SETTINGS), "the command line")
    if sources and lesson.sources:
        raise PixWizardError(
            f"{arguments.config.name} names sources, and so does the command line; leave one out"
        )
    if not sources:
        refuse(arguments, [*OF_SOURCES, *OF_WORLD], "without a source on the command line")
        if not lesson.sources:
            raise PixWizardError("there is nothing to train on; name a folder or a list of pairs")
    named = tuple(_source(arguments, path) for path in sources) or lesson.sources
    held = tuple(Source(path) for path in arguments.held_out or ()) or lesson.held_out
    return replace(lesson, sources=named, held_out=held)


def _source(arguments: argparse.Namespace, path: str):
    from ..training.teach.settings import Source

    if path == WORLD:
        refuse(arguments, OF_SOURCES, "for the demo world")
        return Source(path, **given(arguments, OF_WORLD))
    refuse(arguments, OF_WORLD, "for pairs of your own")
    return Source(path, **given(arguments, OF_SOURCES))


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _parts_shown(first: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A callback that shows how far reading and encoding are, one bar after another."""
    shown: dict[str, OnProgress] = {}
    with ExitStack() as stack:

        def on_part(what: str, done: int, total: int) -> None:
            if not first:
                return
            if what not in shown:
                stack.close()
                shown[what] = stack.enter_context(progress(what, "pair"))
            shown[what](done, total)

        yield on_part


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that is not empty once Ctrl-C or a request to end has come. A second one ends at
    once."""
    asked: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        print("ending after this step; once more ends at once", file=sys.stderr, flush=True)

    before = {one: signal.signal(one, remember) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
