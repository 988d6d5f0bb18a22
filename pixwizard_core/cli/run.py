"""The commands that run a model: pixwizard run and pixwizard demo."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CanvasError, PixWizardError
from ..seeds import later_seed
from ..tasks import TRAINED
from ..taught import Taught
from .beyond import add_beyond_options, check_best, choose_best, sharp_report
from .inputs import refuse_many, size_of
from .layers import check_layers, write_layers
from .models import (
    add_model_options,
    add_small_options,
    add_strength_option,
    asked_loras,
    load_asked,
    load_small_asked,
    model_files,
)
from .progress import progress
from .regions import read_regions, tell_regions
from .settings import (
    add_setting_options,
    chosen_settings,
    near_of,
    range_of,
    settings_report,
    tell_settings,
)
from .tiles import add_tile_options, check_tiles, known_sizes, write_tiled
from .wording import (
    add_field_options,
    add_phrasing_option,
    lora_lines,
    only_words,
    task_lines,
    tell_unused,
    warn_of_untaught,
)

if TYPE_CHECKING:
    from torch import Tensor

TEXT_TO_IMAGE = "text2image"


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pixwizard demo`."""
    parser.add_argument(
        "--out", type=Path, default=Path("pixwizard_demo"),
        help="folder to write to (default: %(default)s)",
    )  # fmt: skip
    add_small_options(parser)


def demo(arguments: argparse.Namespace) -> int:
    """Run the demonstration; print its scores and the paths of its files."""
    from ..demo.show import show

    bundle = load_small_asked(arguments)
    with progress("demo", "task") as advance:
        report = show(bundle, arguments.out, advance)
    for task, result in report["tasks"].items():
        scores = ", ".join(f"{name} {value:.3f}" for name, value in result["scores"].items())
        print(f"{task:<13} {result['seconds']:6.1f} s   {scores}   “{result['instruction']}”")
    print(f"Pictures, contact_sheet.png and report.json are in {arguments.out.absolute()}")
    return 0


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pixwizard run`."""
    parser.add_argument(
        "pictures", type=Path, nargs="*", help="input pictures of any size and format"
    )
    asked = parser.add_argument_group("what to do: a task, or an instruction in your own words")
    asked.add_argument("--task", help="task, such as depth, mask, box or edit (see --tasks)")
    asked.add_argument(
        "--instruction", metavar="TEXT", help="instruction in your own words, in place of --task"
    )
    add_phrasing_option(asked)
    add_field_options(asked, colour=["--color"])
    asked.add_argument(
        "--size", metavar="WxH",
        help="size in px of the picture that text2image makes without an input (default: 768x768, "
        "or the model's own side)",
    )  # fmt: skip
    asked.add_argument(
        "--tasks", action="store_true",
        help="list all tasks and the instructions that this model expects, and exit",
    )  # fmt: skip
    add_setting_options(parser)
    add_beyond_options(parser)
    add_tile_options(parser)
    add_strength_option(add_model_options(parser))


def let_pixels(arguments: argparse.Namespace) -> None:
    """Apply --max-pixels to this process. Raises PixWizardError for an invalid number."""
    from ..files.picture_files import allow_pixels

    if arguments.max_pixels is None:
        return
    if arguments.max_pixels < 1:
        raise PixWizardError(f"--max-pixels must be at least 1. Got: {arguments.max_pixels}")
    allow_pixels(arguments.max_pixels)


def run(arguments: argparse.Namespace) -> int:
    """Run the task on each picture, write the decoded results, and print the files."""
    if arguments.tasks:
        model = model_files(arguments)
        lines = [line for use in model.loras for line in lora_lines(use)]
        print("\n".join([*task_lines(model.taught), *lines]))
        return 0
    from ..files.data_files import write_json

    if arguments.layers is not None:
        return _cut_apart(arguments)
    check_tiles(arguments)
    if arguments.best is not None:
        check_best(arguments)
    model = model_files(arguments)
    taught, loras = model.taught, {}
    if model.loras:
        loras = {"loras": [str(use) for use in model.loras]}
    sentence = _sentence(arguments, taught)
    let_pixels(arguments)
    range_of(arguments)  # refuse an invalid range before loading anything
    tiled = arguments.tile is not None
    named: Sequence[tuple[str, Any]] = (
        known_sizes(_paths(arguments)) if tiled else _pictures(arguments)
    )
    regions = read_regions(arguments)
    bundle = load_asked(arguments)
    notes = warn_of_untaught(taught, [arguments.task] if arguments.task else [])
    settings = chosen_settings(arguments, bundle.settings_of(arguments.task or ""))
    tell_settings(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    asked = {"sentence": sentence, "settings": settings}
    for number, (stem, picture) in enumerate(named or [_blank(arguments, bundle.centres)]):
        seed = later_seed(arguments.seed, number * (arguments.best or 1))
        answer = write_tiled if tiled else partial(_write_whole, regions=regions)
        files, facts = answer(arguments, bundle, stem, picture, **asked, seed=seed)
        names = {what: path.name for what, path in files.items()}
        report = {
            "instruction": sentence, "seed": seed, **settings_report(settings), "files": names,
            **loras, **facts,
        }  # fmt: skip
        if notes:
            report["notes"] = notes
        files["report"] = arguments.out / f"{stem}_report.json"
        write_json(files["report"], report)
        for path in files.values():
            print(path)
    return 0


def _write_whole(
    arguments: argparse.Namespace, bundle, stem: str, image_01: Tensor, *, sentence: str,
    settings, seed: int, regions: Sequence[Any],
) -> tuple[dict[str, Path], dict[str, object]]:  # fmt: skip
    """Answer a picture as a whole and write its meaning. Returns files, and report entries."""
    from ..decode import Hints, at_source_size, bundled_palette
    from ..files.answers import write_answer
    from ..pipeline import Request
    from ..pipeline import run as carry_out
    from ..tasks import find_task

    kind = find_task(arguments.task).decoder if arguments.task else "image"
    request = Request(
        image_01, sentence, seed, settings, arguments.fit, arguments.centre, regions=regions,
        regions_apart=not arguments.regions_together,
    )  # fmt: skip
    if arguments.best:
        model_image_01, canvas, chosen = choose_best(arguments, bundle, request, stem)
    else:
        with progress(stem) as advance:
            result = carry_out(bundle, request, advance)
        model_image_01, canvas = result.model_image_01, result.canvas
        chosen = tell_regions(arguments, result.notes, stem)
    hints = Hints(
        image_01, arguments.colour or "red", bundled_palette(bundle.palette), near_of(arguments),
        range_of(arguments),
    )  # fmt: skip
    colour, sharp = hints.colour, arguments.sharp
    painted = at_source_size(kind, model_image_01, image_01, canvas, colour, sharp=sharp)
    files, facts = write_answer(arguments.out, stem, kind, painted, hints)
    if arguments.sharp:
        facts["sharp"] = sharp_report(kind, canvas)
    return files, {**chosen, "canvas": _canvas_report(canvas), **facts}


def _cut_apart(arguments: argparse.Namespace) -> int:
    """Carry out --layers for each picture, and print the files."""
    names = check_layers(arguments)
    let_pixels(arguments)
    named = _pictures(arguments, "")
    bundle = load_asked(arguments)
    warn_of_untaught(bundle.taught, ["mask", "inpaint"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    written = set[Path]()
    for number, (stem, image_01) in enumerate(named):
        seed = later_seed(arguments.seed, number * (len(names) + 1))
        for path in write_layers(arguments, bundle, stem, image_01, names, seed, written):
            print(path)
    return 0


def _canvas_report(canvas) -> dict[str, object]:
    """The size that the model worked at, in px, as entries of the report."""
    return {"centre": canvas.centre, "size": list(canvas.model), "fit": canvas.fit}


def _sentence(arguments: argparse.Namespace, taught: Taught) -> str:
    from ..tasks import FIELDS, instruction, read_phrasing

    if not arguments.task and not arguments.instruction and arguments.lora:
        arguments.instruction = only_words(asked_loras(arguments))
    if bool(arguments.task) == bool(arguments.instruction):
        raise PixWizardError("say what to do: --task NAME (see --tasks) or --instruction TEXT")
    if arguments.instruction:
        if arguments.phrasing:
            raise PixWizardError("--phrasing words a task; with --instruction the words are yours")
        return arguments.instruction
    tell_unused(arguments, [arguments.task])
    words = {name: getattr(arguments, name) for name in FIELDS}
    chosen = read_phrasing(arguments.phrasing or TRAINED)
    return instruction(arguments.task, **words, **chosen, taught=taught)


def _pictures(arguments: argparse.Namespace, ending: str | None = None) -> list[tuple[str, Tensor]]:
    """(name for the files, picture) of all inputs. Empty for text to image, which needs no picture.
    ending: as in _paths()."""
    from ..files.picture_files import open_picture

    return [(stem, open_picture(path)) for stem, path in _paths(arguments, ending)]


def _paths(arguments: argparse.Namespace, ending: str | None = None) -> list[tuple[str, Path]]:
    """(name for the files, path) of all inputs; equal names get a number. ending: of the names, by
    default the task."""
    task = arguments.task or "edit"
    if not arguments.pictures:
        if arguments.task != TEXT_TO_IMAGE:
            raise CanvasError(f"give at least one picture (only --task {TEXT_TO_IMAGE} needs none)")
        size_of(arguments.size or "1x1")  # refuse an invalid size before loading anything
        return []
    if arguments.size is not None:
        raise CanvasError("--size is for new pictures without an input; leave it out")
    named, used = [], set()
    for number, path in enumerate(arguments.pictures):
        refuse_many(path, alone=arguments.layers is not None)
        stem = path.stem if path.stem not in used else f"{path.stem}_{number}"
        while stem in used:
            stem += "_"
        used.add(stem)
        own = f"_{task}" if ending is None else ending
        named.append((stem + own, path))
    return named


def _blank(arguments: argparse.Namespace, centres: Sequence[int]) -> tuple[str, Tensor]:
    """(name, blank picture) for painting from words alone."""
    import torch

    from ..canvas import blank_size

    width, height = size_of(arguments.size) if arguments.size else blank_size(centres)
    return TEXT_TO_IMAGE, torch.zeros(1, 3, height, width)
