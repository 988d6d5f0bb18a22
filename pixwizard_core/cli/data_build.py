"""pixwizard data build: make instruction pairs from photographs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..seeds import seed_argument
from .batch import add_engine, add_ray_options, ray_options
from .help_text import sentence
from .progress import progress

EXIT_FOUND = 1  # the command worked and found faults


def add_command(inner, name: str, run, text: str) -> argparse.ArgumentParser:
    """Add a sub-command of `pixwizard data`. text: what it does."""
    parser = inner.add_parser(name, help=text, description=sentence(text))
    parser.set_defaults(command=run)
    return parser


def add_build(inner) -> None:
    """Add `pixwizard data build` to the subparsers."""
    text = "build inputs, targets, instructions and lists from a folder of photographs"
    parser = add_command(inner, "build", _build, text)
    parser.add_argument(
        "photographs", type=Path,
        help="folder of photographs, with captions in .txt files of the same names; with --layout, "
        "a dataset's folder or file",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write pictures and lists to"
    )
    parser.add_argument(
        "--tasks",
        help="comma-separated tasks (default: all that the photographs, captions and maps allow)",
    )
    parser.add_argument(
        "--layout",
        choices=("nyu", "hypersim", "ade20k"),
        help="take photographs and maps from a dataset as released: NYU Depth V2's labelled .mat, "
        "Hypersim's folders, or ADE20K (default: a folder of photographs)",
    )
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="DIR",
        help="folder with ready-made maps in depth/, depth_m/, normal/, segmentation/, hed/, "
        "lineart/, pose/ and so on, each file named after its photograph",
    )
    parser.add_argument(
        "--objects",
        type=Path,
        metavar="PATH",
        help="named objects in the photographs: a RefCOCO folder, RefCOCO's Parquet files, or a "
        "COCO instances .json file",
    )
    parser.add_argument(
        "--seed", type=seed_argument, default=0,
        help="seed of all random choices (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--side",
        type=int,
        default=768,
        help="shrink pictures to at most SIDE² px; 0 keeps their size (default: %(default)s)",
    )
    parser.add_argument(
        "--each",
        type=int,
        default=0,
        metavar="N",
        help="use N random tasks per photograph; 0 uses all (default: %(default)s)",
    )
    parser.add_argument(
        "--sentences", type=int, default=3,
        help="maximum number of instructions per pair (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--least",
        type=int,
        default=64,
        metavar="PX",
        help="leave out photographs whose shorter side is below PX (default: %(default)s)",
    )
    parser.add_argument(
        "--validation",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of photographs, from 0 to below 1, to list separately for validation "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--per-metre",
        type=float,
        default=1000.0,
        metavar="UNITS",
        help="units per metre in the depth_m/ files (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="number of worker processes (default: %(default)s)"
    )
    add_engine(parser)
    add_ray_options(parser)


def _build(arguments: argparse.Namespace) -> int:
    from ..data.build import build
    from ..data.build_photo import BuildOrder
    from ..data.layouts import find_layout
    from ..data.photos import find_photos, with_maps, with_things
    from ..data.recipes import ALL_TASKS, buildable, check_buildable
    from ..data.things import find_things
    from ..files.left_out import LeftOut

    if arguments.tasks is not None:
        check_buildable(_names(arguments.tasks))  # before anything is read
    left, notes = LeftOut(), []
    ray = ray_options(arguments, arguments.workers)
    if arguments.layout:
        found = find_layout(arguments.layout, arguments.photographs, left)
        photos, notes = found.photos, found.notes
        if arguments.maps:
            photos = with_maps(photos, [one.name for one in photos], arguments.maps, left)
    else:
        photos = find_photos(arguments.photographs, left, arguments.maps)
    if arguments.objects:
        photos = with_things(photos, find_things(arguments.objects, left), left)
    tasks = _names(arguments.tasks) if arguments.tasks else buildable(photos, ALL_TASKS)
    names = ("seed", "side", "each", "sentences", "least", "validation", "per_metre")
    order = BuildOrder(tasks, **{name: getattr(arguments, name) for name in names})
    with progress("building", "photograph") as advance:
        result = build(
            photos, order, arguments.out, workers=arguments.workers, ray=ray, left_out=left,
            on_progress=advance,
        )  # fmt: skip
    others = [task for task in ALL_TASKS if task not in tasks]
    if others and not arguments.tasks:
        print(f"no photograph has what these need, so they are not built: {', '.join(others)}")
    for line in _per_task(result.records, arguments.out):
        print(line)
    for line in [*notes, *result.notes(), *left.lines()]:
        print(line)
    for record in result.failed[:10]:
        print(f"pixwizard: {record['name']}: {record['error']}", file=sys.stderr)
    lost = f", {len(result.failed)} failed (failures.jsonl)" if result.failed else ""
    print(f"{result.built} pairs built, {result.kept} kept{lost}; {arguments.out.absolute()}")
    return EXIT_FOUND if result.failed else 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _per_task(records, out: Path) -> list[str]:
    """task, pairs, megabytes of the pictures that only its own folder holds."""
    counts: dict[str, int] = {}
    files: dict[str, set[str]] = {}
    for record in records:
        task = record["task"]
        counts[task] = counts.get(task, 0) + 1
        files.setdefault(task, set()).update(record["files"].values())
    lines = []
    for task, count in sorted(counts.items()):
        size = sum((out / name).stat().st_size for name in files[task])
        lines.append(f"{task:18} {count:>8} pairs  {size / 1e6:10.1f} MB")
    return lines
