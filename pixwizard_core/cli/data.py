"""pixwizard data: build instruction pairs from photographs, list pairs, and check a list."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import PixWizardError
from ..seeds import seed_argument
from .progress import progress

TEXT = "build instruction pairs from photographs, list the pairs of folders, check a list"
EXIT_FOUND = 1  # the command worked and found faults


def add_data(commands) -> None:
    """Add `pixwizard data` and its own sub-commands to the subparsers."""
    parser = commands.add_parser("data", help=TEXT, description=TEXT)
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_build(inner)
    _add_list(inner)
    _add_check(inner)
    _add_shards(inner)


def _command(inner, name: str, run, text: str) -> argparse.ArgumentParser:
    parser = inner.add_parser(name, help=text, description=text)
    parser.set_defaults(command=run)
    return parser


def _add_build(inner) -> None:
    text = "make inputs, targets, sentences and lists from a folder of photographs"
    parser = _command(inner, "build", _build, text)
    parser.add_argument("photographs", type=Path, help="folder; captions in .txt of equal names")
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and lists")
    parser.add_argument(
        "--tasks", help="tasks with commas (default: all that photographs and maps can show)"
    )
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="DIR",
        help="folder of depth/, depth_m/, normal/, segmentation/, hed/, lineart/, pose/ … with "
        "pictures of the photographs' names",
    )
    parser.add_argument(
        "--objects",
        type=Path,
        metavar="PATH",
        help="named objects of the photographs: a folder of RefCOCO, or COCO's instances .json",
    )
    parser.add_argument("--seed", type=seed_argument, default=0, help="of all random choices")
    parser.add_argument(
        "--side", type=int, default=768, help="at most SIDE² pixels a picture; 0 keeps the size"
    )
    parser.add_argument(
        "--each", type=int, default=0, help="tasks that each photograph shows, drawn; 0 for all"
    )
    parser.add_argument("--sentences", type=int, default=3, help="wordings of a pair, at most")
    parser.add_argument(
        "--least", type=int, default=64, help="px of the shorter side, below which it is left out"
    )
    parser.add_argument(
        "--validation", type=float, default=0.0, help="share of photographs listed apart, 0 to 1"
    )
    parser.add_argument(
        "--per-metre", type=float, default=1000.0, help="units of depth_m/ in a metre (1000)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")


def _build(arguments: argparse.Namespace) -> int:
    from ..data.build import build
    from ..data.build_photo import BuildOrder
    from ..data.photos import find_photos, with_things
    from ..data.recipes import ALL_TASKS, buildable, check_buildable
    from ..data.things import find_things
    from ..files.left_out import LeftOut

    if arguments.tasks is not None:
        check_buildable(_names(arguments.tasks))  # before anything is read
    left = LeftOut()
    photos = find_photos(arguments.photographs, left, arguments.maps)
    if arguments.objects:
        photos = with_things(photos, find_things(arguments.objects, left), left)
    tasks = _names(arguments.tasks) if arguments.tasks else buildable(photos, ALL_TASKS)
    names = ("seed", "side", "each", "sentences", "least", "validation", "per_metre")
    order = BuildOrder(tasks, **{name: getattr(arguments, name) for name in names})
    with progress("building", "photograph") as advance:
        result = build(
            photos, order, arguments.out, workers=arguments.workers, left_out=left,
            on_progress=advance,
        )  # fmt: skip
    others = [task for task in ALL_TASKS if task not in tasks]
    if others and not arguments.tasks:
        print(f"no photograph has what these need, so they are not built: {', '.join(others)}")
    for line in _per_task(result.records, arguments.out):
        print(line)
    for line in [*result.notes(), *left.lines()]:
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


def _add_list(inner) -> None:
    text = "list the pairs of a folder, or rewrite a list as another kind"
    parser = _command(inner, "list", _list, text)
    parser.add_argument(
        "source",
        type=Path,
        help="folder of pairs; list (.jsonl, .json, .csv); META "
        "(.yaml); edit set (.parquet, or a folder of them), whose pictures go beside --out",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="list to write: .jsonl, .csv, .json (released)"
    )
    parser.add_argument("--inputs", help="folder of the inputs, below the source or absolute")
    parser.add_argument("--targets", help="folder of the targets, likewise")
    parser.add_argument("--instruction", default="", help="one sentence for all pairs")
    parser.add_argument("--task", default="", help="ask for this task; captions come from .txt")
    parser.add_argument("--seed", type=seed_argument, default=0, help="of the share META takes")


def _list(arguments: argparse.Namespace) -> int:
    from ..data.edit_sets import parquet_files, unpack
    from ..data.folders import Wording, pairs_in
    from ..data.lists import write_list
    from ..data.meta import read_pairs
    from ..data.sizes import measured

    if packed := parquet_files(arguments.source):
        _refuse(arguments, "inputs", "targets", "instruction", "task", "seed")
        pairs, left = unpack(packed, arguments.out.with_suffix(""))
        notes = left.lines()
    elif arguments.source.is_dir():
        _refuse(arguments, "seed")
        found = pairs_in(
            arguments.source, inputs=arguments.inputs, targets=arguments.targets,
            wording=Wording(arguments.instruction, arguments.task),
        )  # fmt: skip
        pairs, notes = found.pairs, found.left_out.lines()
    else:
        _refuse(arguments, "inputs", "targets", "instruction", "task")
        listed = read_pairs(arguments.source, arguments.seed)
        pairs, notes = list(listed.pairs), list(listed.notes)
    pairs, unread = measured(pairs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_list(arguments.out, pairs)
    for line in notes:
        print(line)
    for line in unread[:10]:
        print(f"pixwizard: {line}", file=sys.stderr)
    lost = f", {len(unread)} left out since their target cannot be read" if unread else ""
    print(f"{arguments.out}: {len(pairs)} pairs{lost}")
    return EXIT_FOUND if unread else 0


def _refuse(arguments: argparse.Namespace, *names: str) -> None:
    """Raise PixWizardError for an option that the source has no use for."""
    given = [name for name in names if getattr(arguments, name)]
    if given:
        raise PixWizardError(f"--{given[0]} does nothing for {arguments.source.name}; leave it out")


def _add_check(inner) -> None:
    text = "look for missing, broken, unlike, tiny, doubled and leaking pairs of a list"
    parser = _command(inner, "check", _check, text)
    parser.add_argument("source", type=Path, help="list (.jsonl, .json, .csv) or META (.yaml)")
    parser.add_argument(
        "--validation", type=Path, metavar="LIST", help="list whose pictures must not be in it"
    )
    parser.add_argument("--least", type=int, default=64, help="px of a target's shorter side")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet")
    parser.add_argument("--count", type=int, default=24, help="pairs on the sheet")
    parser.add_argument("--seed", type=seed_argument, default=0, help="of the pairs on the sheet")
    parser.add_argument("--workers", type=int, default=2, help="threads")


def _check(arguments: argparse.Namespace) -> int:
    from ..data.check import check_pairs
    from ..data.meta import read_pairs
    from ..data.sheet import contact_sheet
    from ..files.picture_files import save_picture

    listed = read_pairs(arguments.source)
    held = read_pairs(arguments.validation) if arguments.validation else None
    with progress("checking", "picture") as advance:
        report = check_pairs(
            listed.pairs, held.pairs if held else (), least=arguments.least,
            workers=arguments.workers, on_progress=advance,
        )  # fmt: skip
    for line in [*listed.notes, *(held.notes if held else ()), *report.lines()]:
        print(line)
    if arguments.sheet:
        save_picture(arguments.sheet, contact_sheet(listed.pairs, arguments.count, arguments.seed))
        print(arguments.sheet)
    return EXIT_FOUND if report.faults else 0


def _add_shards(inner) -> None:
    text = "pack the pairs of a list into WebDataset shards"
    parser = _command(inner, "shards", _shards, text)
    parser.add_argument("source", type=Path, help="list (.jsonl, .json, .csv) or META (.yaml)")
    parser.add_argument("--out", type=Path, required=True, help="folder for pairs-000000.tar, …")
    parser.add_argument("--per-shard", type=int, default=1000, help="pairs in a shard")
    parser.add_argument("--seed", type=seed_argument, default=0, help="of the share META takes")


def _shards(arguments: argparse.Namespace) -> int:
    from ..data.meta import read_pairs
    from ..data.shards import write_shards

    listed = read_pairs(arguments.source, arguments.seed)
    with progress("packing", "pair") as advance:
        shards, left = write_shards(listed.pairs, arguments.out, arguments.per_shard, advance)
    for line in listed.notes:
        print(line)
    for line in left[:10]:
        print(f"pixwizard: {line}", file=sys.stderr)
    lost = f", {len(left)} left out since a picture cannot be read" if left else ""
    print(f"{arguments.out}: {len(listed.pairs) - len(left)} pairs in {len(shards)} shards{lost}")
    return EXIT_FOUND if left else 0
