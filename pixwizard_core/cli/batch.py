"""The command that runs a task on any number of pictures: pixwizard batch."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from ..errors import PixWizardError
from ..tasks import FIELDS
from .batch_beyond import add_batch_beyond, beyond_of, check_beyond, refuse_others, tell_beyond
from .models import (
    add_model_options,
    add_strength_option,
    model_files,
    tell_loras,
    usable_device,
)
from .progress import progress
from .run import let_pixels
from .settings import AUTO, add_setting_options, given_settings, near_of, range_of, tell_settings
from .wording import add_field_options, add_phrasing_option, tell_unused, warn_of_untaught

TEXT = "run a task on any number of pictures, videos or rows of a list; resumable"
EXIT_FAILURES = 1
SHOWN_FAILURES = 20
LOCAL_WORKERS = 4
THREADS = 1
STORE_MB = 128
BATCH_HELP = "pictures per forward pass; only rounding differs (default: %(default)s)"


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pixwizard batch`."""
    parser.add_argument(
        "inputs", nargs="*", metavar="IN",
        help="pictures, folders, glob patterns, videos, or lists (.csv, .jsonl) with a path column",
    )  # fmt: skip
    asked = parser.add_argument_group("what to do (rows of a list can override these)")
    asked.add_argument("--task", help="task, such as depth, mask, box, inpaint or edit")
    asked.add_argument(
        "--instruction",
        metavar="TEXT",
        help="instruction in your own words; --task then only says how to decode the answer",
    )
    add_field_options(asked, colour=["--color"])
    add_phrasing_option(asked)
    frames = parser.add_argument_group("videos and frames")
    frames.add_argument(
        "--frames", action="store_true", help="treat each folder as a sequence of video frames"
    )
    frames.add_argument(
        "--every", type=int, default=1, metavar="N",
        help="process every Nth frame (default: %(default)s)",
    )  # fmt: skip
    frames.add_argument(
        "--temporal", type=float, metavar="START", nargs="?", const=0.0,
        help="use the same noise for all frames, for less flicker; a START above 0 and below 1 "
        "also starts each frame that far towards the previous result (default of START: 0)",
    )  # fmt: skip
    add_setting_options(parser)
    add_batch_beyond(parser)
    parser.add_argument(
        "--batch", type=int, default=1,
        help=BATCH_HELP,
    )  # fmt: skip
    add_engine_options(parser)
    parser.add_argument(
        "--collect", action="store_true", help="combine the result lists of all shards, and exit"
    )
    add_strength_option(add_model_options(parser))


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add options for the engine; none of them changes a result."""
    work = parser.add_argument_group("execution (does not affect results)")
    add_engine(work)
    work.add_argument(
        "--workers", type=int,
        help=f"worker processes (default: one per GPU, or per CPU core up to {LOCAL_WORKERS})",
    )  # fmt: skip
    work.add_argument(
        "--threads", type=int, default=THREADS, help="CPU threads per worker (default: %(default)s)"
    )
    work.add_argument(
        "--retries", type=int, default=2,
        help="retries after a temporary failure (default: %(default)s)",
    )  # fmt: skip
    work.add_argument(
        "--shard", default="1/1", metavar="I/N",
        help="process only part I of N (default: %(default)s)",
    )  # fmt: skip
    add_ray_options(parser)


def add_engine(work) -> None:
    """Add --engine to the group work."""
    work.add_argument(
        "--engine", default="local", choices=("local", "ray"),
        help="run on this machine or on a Ray cluster (default: %(default)s)",
    )  # fmt: skip


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of --engine ray."""
    ray = parser.add_argument_group("Ray (with --engine ray)")
    ray.add_argument(
        "--ray-address",
        metavar="ADDR",
        help="address of a running cluster (default: start one on this machine)",
    )
    ray.add_argument(
        "--object-store-mb",
        type=int,
        metavar="MB",
        help=f"shared memory for Ray in MB (default: {STORE_MB})",
    )


def batch(arguments: argparse.Namespace) -> int:
    """Process what is left, and report what failed. Returns the exit status."""
    from ..files.left_out import LeftOut
    from ..fleet.fits import check_item
    from ..fleet.index import shards_without_a_list
    from ..fleet.plan import identify
    from ..fleet.runner import collect
    from ..fleet.sources import find

    refuse_others(arguments)
    if arguments.collect:
        if lacking := shards_without_a_list(arguments.out):
            print(f"without a list so far: shards {', '.join(lacking)}", file=sys.stderr)
        count, parquet = collect(arguments.out)
        print(f"{count} items in {arguments.out / 'index.jsonl'}{' and .parquet' * parquet}")
        return 0
    if not arguments.inputs:
        raise PixWizardError("give pictures, folders, globs, videos or lists to work on")
    if arguments.every < 1:
        raise PixWizardError(f"--every must be at least 1. Got: {arguments.every}")
    check_beyond(arguments)
    job = job_of(arguments)
    job = replace(job, **beyond_of(arguments, job.model.own.centres))
    asked = {name: getattr(arguments, name) or "" for name in WORDS}
    left_out = LeftOut()
    with progress("decoding films", "frame") as advance:
        found = find(
            arguments.inputs, frames=arguments.frames, every=arguments.every, out=arguments.out,
            tell=left_out.tell, on_frame=lambda count: advance(count, 0, 0),
        )  # fmt: skip
    if arguments.every > 1 and not any(one.frame is not None for one in found):
        print(f"--every {arguments.every} changes nothing: no input has frames", file=sys.stderr)
    for path, note in {one.path: one.note for one in found if one.note}.items():
        left_out.note(path, note)
    with progress("looking at", "picture") as advance:
        items, failures = identify(
            found,
            asked,
            lambda seen, failed: advance(seen, len(found), failed),
            job.model.taught,
            lambda item: check_item(item, job),
        )
    tell_beyond(items, job)
    if not arguments.instruction:
        tell_unused(arguments, (item.task for item in items))
    warn_of_untaught(job.model.taught, (item.task for item in items))
    for line in left_out.lines():
        print(line, file=sys.stderr)
    return finish(carry_out(arguments, job, items, failures, left_out.rows))


WORDS = ("task", "instruction", "phrasing", *FIELDS)


def job_of(arguments: argparse.Namespace):
    """The Job that the options describe. Raises PixWizardError for a wrong value."""
    from ..decode import tiny_world
    from ..fleet.job import Job, Temporal

    _check_counts(arguments)
    let_pixels(arguments)
    model = model_files(arguments)
    usable_device(arguments.device)
    tell_loras(model.lora_changes())
    start = getattr(arguments, "temporal", None)
    tell_settings(arguments)
    return Job(
        out=str(arguments.out.absolute()),
        model=model,
        model_hash=model.fingerprint(),
        device=arguments.device,
        seed=arguments.seed,
        preset=arguments.preset or AUTO,
        overrides=given_settings(arguments),
        fit=arguments.fit,
        centre=arguments.centre,
        batch=arguments.batch,
        near=near_of(arguments),
        range_m=range_of(arguments),
        palette=None if model.released else tiny_world(),
        temporal=None if start is None else Temporal(start),
        threads=arguments.threads,
        max_pixels=arguments.max_pixels,
    )


def _check_counts(arguments: argparse.Namespace) -> None:
    for name in ("threads", "batch"):
        if getattr(arguments, name) < 1:
            raise PixWizardError(f"--{name} must be at least 1. Got: {getattr(arguments, name)}")
    if arguments.workers is not None and arguments.workers < 1:
        raise PixWizardError(f"--workers must be at least 1. Got: {arguments.workers}")
    if arguments.retries < 0:
        raise PixWizardError(f"--retries must be at least 0. Got: {arguments.retries}")
    start = getattr(arguments, "temporal", None)
    if start is not None and not 0 <= start < 1:
        raise PixWizardError(f"--temporal is a time from 0 to below 1. Got: {start}")
    if start is not None and arguments.batch > 1:
        raise PixWizardError("--temporal processes one frame after another; leave --batch at 1")


def carry_out(arguments: argparse.Namespace, job, items, failures, left_out=()):
    """Run the job with the chosen engine. Returns the runner's Report."""
    from ..fleet.runner import run_fleet

    workers = arguments.workers or default_workers(arguments.device)
    shard = shard_of(arguments.shard)
    with progress(arguments.engine, "picture") as advance:
        return run_fleet(
            job, items, engine_of(arguments, workers), workers=workers, shard=shard,
            failures=failures, left_out=left_out, on_progress=advance,
        )  # fmt: skip


def default_workers(device: str) -> int:
    """One for each GPU, or for each core that this process may use, at most LOCAL_WORKERS."""
    import os

    import torch

    if device == "cuda":
        return max(1, torch.cuda.device_count())
    if device != "cpu":
        return 1
    usable = getattr(os, "sched_getaffinity", None)
    return min(LOCAL_WORKERS, len(usable(0)) if usable else os.cpu_count() or 1)


def engine_of(arguments: argparse.Namespace, workers: int):
    """The chosen engine: a function from job and chains to records."""
    options = ray_options(arguments, workers, arguments.retries)
    if options is None:
        from ..fleet.local import run_local

        return lambda job, chains: run_local(job, chains, workers, arguments.retries)
    from ..fleet.on_ray import run_on_ray

    return lambda job, chains: run_on_ray(job, chains, options, _told)


def ray_options(arguments: argparse.Namespace, workers: int, retries: int = 2):
    """The RayOptions of --engine ray, None for the engine local. Raises PixWizardError for an
    option of Ray without it."""
    if arguments.engine == "local":
        if arguments.ray_address is not None or arguments.object_store_mb is not None:
            raise PixWizardError("--ray-address and --object-store-mb need --engine ray")
        return None
    from ..fleet.on_ray import RayOptions

    store_mb = STORE_MB if arguments.object_store_mb is None else arguments.object_store_mb
    return RayOptions(workers, arguments.ray_address, store_mb, retries)


def _told(event: str) -> None:
    print(f"ray: {event}", file=sys.stderr, flush=True)


def shard_of(text: str) -> tuple[int, int]:
    """(i, n) of "i/n", counted from 1."""
    part, _, of = text.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise PixWizardError(f"--shard is I/N with I from 1 to N, such as 2/4. Got: {text}")
    return int(part), int(of)


def finish(report) -> int:
    """Print what a run did. Returns the exit status."""
    counts = f"{report.done} done, {report.skipped} done before, {len(report.failures)} failed"
    beside = " and index.parquet" if report.parquet else ""
    print(f"{counts}; the list is {report.index}{beside}")
    for failure in report.failures[:SHOWN_FAILURES]:
        print(f"failed: {failure['path']}: {failure['error']}", file=sys.stderr)
    if len(report.failures) > SHOWN_FAILURES:
        more = len(report.failures) - SHOWN_FAILURES
        print(f"and {more} more; all are in {report.listed_failures}", file=sys.stderr)
    return EXIT_FAILURES if report.failures else 0
