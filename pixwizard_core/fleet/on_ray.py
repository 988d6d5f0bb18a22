"""The engine of many processes or machines: Ray Data with a pool of actors, a model in each.

Ray Data distributes the work, keeps the pool, restarts a worker that dies and gives it its chain
again, and streams the results. Workers receive lists of paths and return lines of the index;
pictures never pass through Ray's object store, so its memory stays small. All machines must see the
inputs and the output folder.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from .index import Record, as_line
from .job import Job
from .journal import FOLDER, go_on
from .plan import Chain
from .work import Worker

MEGABYTE = 1 << 20
LEAST_STORE_MB = 80  # Ray refuses less than 75 MB
IN_FLIGHT = 2  # chains at a worker, so that the next one is there when one ends
TableRow = dict[str, Any]

# Of Ray Data. With blocks of one byte each record is a block, delivered as soon as it is there.
SETTINGS = {
    "target_max_block_size": 1,
    "execution_no_progress_timeout_s": -1,  # a slow model is no fault
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    "_max_num_blocks_in_streaming_gen_buffer": 16,  # with 2, a worker waits for its driver
}


@dataclass(frozen=True, slots=True)
class RayOptions:
    """workers: actors. address: of a running cluster; None starts one here for this run.
    store_mb: memory of the object store here, in megabytes. retries: of an item whose worker
    ended."""

    workers: int = 1
    address: str | None = None
    store_mb: int = 128
    retries: int = 2


def run_on_ray(
    job: Job,
    chains: Sequence[Chain],
    options: RayOptions,
    on_event: Callable[[str], None] = lambda text: None,
) -> Iterator[Record]:
    """Records of all items in the chains, as they are finished.

    A worker that ends is replaced and goes on where it was; an item that ends its workers is given
    up after `retries`. on_event: told in a line of each worker that delivers for the first time.
    Raises PixWizardError without Ray, or when workers cannot start.
    """
    journals = Path(job.out) / FOLDER / uuid.uuid4().hex
    met: set[int] = set()
    try:
        with session(options, options.workers * job.threads) as ray:
            # Nothing is fetched ahead: what is delivered is what a crash cannot cost.
            results = _results(ray.data, job, chains, options, str(journals))
            for batch in results.iter_batches(batch_size=None, prefetch_batches=0):
                for record, process in zip(batch["record"], batch["process"], strict=True):
                    if process not in met:
                        met.add(process)
                        on_event(f"a worker started, process {process}")
                    yield json.loads(record)
    finally:
        shutil.rmtree(journals, ignore_errors=True)
        with suppress(OSError):  # there are those of another part
            journals.parent.rmdir()


@contextmanager
def session(options: RayOptions, cpus: int) -> Generator[Any]:
    """Ray, running for the block: the one that is there, the cluster of the options, or one started
    here for cpus processors. Raises PixWizardError without Ray, and when a worker fails in the
    block."""
    ray = _ray()
    own = not ray.is_initialized()
    if own:
        _start(ray, options, cpus)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise PixWizardError(f"a worker failed: {_reason(error)}") from error
    finally:
        if own:
            ray.shutdown()


def configure(results: Any, options: RayOptions) -> None:
    """Set how Ray Data runs a dataset whose rows are records."""
    settings = {**SETTINGS, "max_consecutive_actor_init_deaths": options.retries}
    for name, value in settings.items():
        setattr(results.context, name, value)


@dataclass(frozen=True, slots=True)
class ChainCell:
    """A chain as one cell of a table, which would take it to pieces otherwise."""

    chain: Chain


class Remote:
    """What lives in an actor's process: chains in, a row for each record out."""

    def __init__(self, job: Job, retries: int, journals: str) -> None:
        # Ray shows each actor its own GPU and no other.
        self.worker = Worker(job, retries, job.device.split(":")[0])
        self.retries, self.journals = retries, Path(journals)

    def __call__(self, row: TableRow) -> Iterator[TableRow]:
        chain = row["handed"].chain
        for record in go_on(self.worker, chain, self.retries, self.journals):
            yield {"record": as_line(record), "process": os.getpid()}


def _results(data, job: Job, chains: Sequence[Chain], options: RayOptions, journals: str):
    """The dataset of rows that Remote gives, one chain a block and so a task."""
    rows = [{"handed": ChainCell(chain)} for chain in chains]
    results = data.from_items(rows, override_num_blocks=len(rows)).flat_map(
        Remote,
        fn_constructor_args=(job, options.retries, journals),
        compute=data.ActorPoolStrategy(
            size=min(options.workers, len(rows)), max_tasks_in_flight_per_actor=IN_FLIGHT
        ),
        num_cpus=job.threads,
        num_gpus=1 if job.device.startswith("cuda") else 0,
    )
    configure(results, options)
    return results


def _start(ray, options: RayOptions, cpus: int) -> None:
    """Join a cluster, or start one with as many processors as workers need."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if options.address:
        ray.init(address=options.address, **quiet)
        return
    ray.init(
        num_cpus=cpus,
        object_store_memory=max(LEAST_STORE_MB, options.store_mb) * MEGABYTE,
        include_dashboard=False,
        **quiet,
    )


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _ray():
    # Ray would otherwise set how many threads and which GPUs a process sees when none are asked.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError:
        raise PixWizardError(
            'the engine "ray" is not installed: pip install "pixwizard[ray]", or use --engine local'
        ) from None
    for handler in logging.getLogger("ray.data").handlers:  # its log file keeps what it says
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.ERROR)
    return ray
