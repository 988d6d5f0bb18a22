"""Options of pixwizard run that go beyond the paper: the best of several answers, sharp answers,
layers, regions (docs/beyond.md)."""

from __future__ import annotations

import argparse
import sys

from ..errors import PixWizardError
from .progress import progress
from .regions import REGION_FORM

SHARP_HELP = (
    "let masks, highlights, depth, normals and classes follow the edges of a picture that is "
    "larger than the model's size (docs/beyond.md)"
)


def best_help(first: str, where: str) -> str:
    """Help text of --best. first: the first seed. where: what becomes of the scores."""
    return (
        f"ask N times, with the seeds from {first} on, and keep the answer that agrees best with "
        f"the others and with what is known of the picture; {where}"
    )


def add_beyond_options(parser: argparse.ArgumentParser) -> None:
    """Add --best, --sharp, --layers, --region and --regions-together."""
    parser.add_argument(
        "--best", type=int, metavar="N", help=best_help("--seed", "all scores are printed")
    )
    parser.add_argument("--sharp", action="store_true", help=SHARP_HELP)
    parser.add_argument(
        "--layers", metavar="NAMES",
        help="in place of a task: cut out these things, the frontmost first, as pictures with "
        "transparency, and fill the background; names have commas between them",
    )  # fmt: skip
    parser.add_argument(
        "--region", action="append", metavar=REGION_FORM,
        help="an instruction in your own words for the white part of a mask picture, or the opaque "
        "part of one with transparency; --task or --instruction is for the rest. Repeat it for "
        "more regions, later ones on top",
    )  # fmt: skip
    parser.add_argument(
        "--regions-together",
        action="store_true",
        help="let regions look at each other while the picture is painted",
    )


def check_best(arguments: argparse.Namespace) -> None:
    """Raise PixWizardError for a --best that cannot be chosen, before anything is loaded."""
    from ..best import check_count, way_of
    from ..tasks import FREE_TEXT

    check_count(arguments.best)
    if arguments.region:
        raise PixWizardError("--best rates one instruction for a whole picture; leave out --region")
    way_of(arguments.task or FREE_TEXT)


def choose_best(arguments: argparse.Namespace, bundle, request, stem: str):
    """The best of several answers at the model's size, its canvas, and entries of the report. The
    scores are printed too."""
    from ..best import best_of
    from ..tasks import FIELDS

    words = {name: getattr(arguments, name) for name in FIELDS}
    with progress(stem, "answer") as advance:
        found = best_of(
            bundle, arguments.task, request.instructions, words, request.image_01, arguments.best,
            seed=request.seeds, settings=request.settings, fit=request.fit, centre=request.centre,
            on_progress=advance,
        )  # fmt: skip
    report = found.report()
    scores = ", ".join(f"seed {seed} {score:.3f}" for seed, score in report["scores"].items())
    sure = f"; confidence {report['confidence']:.3f}" if "confidence" in report else ""
    print(f"{stem}: the best is seed {report['best_seed']} of {scores}{sure}", file=sys.stderr)
    print(f"scores are the {report['scored_by']}", file=sys.stderr)
    return found.best.painted_01, found.canvas, report


def sharp_report(kind: str, canvas) -> bool | str:
    """Whether the answer was sharpened, or the reason why not, which is printed too."""
    from ..decode import not_sharpened

    reason = not_sharpened(kind, canvas)
    if reason:
        print(f"--sharp has no effect: {reason}", file=sys.stderr)
    return reason or True
