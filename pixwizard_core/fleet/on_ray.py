"""The engine of many processes or machines: actors on Ray, each with a model of its own.

Actors get lists of paths and give back lines of the index; pictures never pass through Ray's object
store, so its memory stays small. All machines must see the inputs and the output folder.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import PixWizardError
from .index import Record
from .job import Job
from .plan import Chain, Todo
from .work import Worker, failed, work

MEGABYTE = 1 << 20
LEAST_STORE_MB = 80  # Ray refuses less than 75 MB
LOST = "the worker that did it ended without a word, {times} times; out of memory, or a crash"


@dataclass(frozen=True, slots=True)
class RayOptions:
    """workers: actors. address: of a running cluster; None starts one here for this run.
    store_mb: memory of the object store here, in megabytes. retries: of an item whose worker
    ended."""

    workers: int = 1
    address: str | None = None
    store_mb: int = 128
    retries: int = 2


@dataclass
class Running:
    """A chain that an actor is doing. left: its items without a record yet, by name."""

    actor: Any
    chain: Chain
    left: dict[str, Todo] = field(default_factory=dict)


def run_on_ray(
    job: Job,
    chains: Sequence[Chain],
    options: RayOptions,
    on_event: Callable[[str], None] = lambda text: None,
) -> Iterator[Record]:
    """Records of all items in the chains, as they are finished.

    A worker that ends is replaced and what it had not finished is done again; an item whose worker
    ended too often is given up. on_event: told in a line of each worker's start and end. Raises
    PixWizardError without Ray.
    """
    ray = _ray()
    own = not ray.is_initialized()
    if own:
        _start(ray, job, options)
    try:
        yield from _Pool(ray, job, options, on_event).run(chains)
    finally:
        if own:
            ray.shutdown()


class Remote:
    """What lives in an actor's process."""

    def __init__(self, job: Job, retries: int) -> None:
        self.worker = Worker(job, retries)

    def pid(self) -> int:
        return os.getpid()

    def do(self, chain: Chain) -> Iterator[Record]:
        yield from work(self.worker, chain)


class _Pool:
    def __init__(self, ray, job: Job, options: RayOptions, on_event) -> None:
        self.ray, self.job, self.options, self.on_event = ray, job, options, on_event
        gpu = job.device.startswith("cuda")
        make = ray.remote(num_cpus=job.threads, num_gpus=1 if gpu else 0, max_restarts=0)
        self.kind = make(Remote)
        self.lost: dict[str, int] = {}  # how often an item's worker ended

    def run(self, chains: Sequence[Chain]) -> Iterator[Record]:
        todo = deque(chains)
        running: dict[Any, Running] = {}
        try:
            for actor in [self._actor() for _ in range(min(self.options.workers, len(todo)))]:
                self._assign(actor, todo, running)
            while running:
                # Any of the streams with something new, or that has ended.
                ready, _ = self.ray.wait(list(running), num_returns=1)
                yield from self._advance(ready[0], todo, running)
        finally:
            for work_left in running.values():
                self.ray.kill(work_left.actor)

    def _actor(self):
        actor = self.kind.remote(self.job, self.options.retries)
        self._say(actor)
        return actor

    def _say(self, actor) -> None:
        try:
            self.on_event(f"a worker started, process {self.ray.get(actor.pid.remote())}")
        except self.ray.exceptions.RayActorError as error:
            raise PixWizardError(f"a worker could not start: {_reason(error)}") from error

    def _assign(self, actor, todo: deque, running: dict) -> None:
        if not todo:
            self.ray.kill(actor)
            return
        chain = todo.popleft()
        stream = actor.do.options(num_returns="streaming").remote(chain)
        left = {one.item.name: one for batch in chain for one in batch}
        running[stream] = Running(actor, chain, left)

    def _advance(self, stream, todo: deque, running: dict) -> Iterator[Record]:
        now = running[stream]
        try:
            record = self.ray.get(next(stream))
        except StopIteration:
            del running[stream]
            self._assign(now.actor, todo, running)
        except self.ray.exceptions.RayActorError as error:
            del running[stream]
            self.on_event(f"a worker ended: {_reason(error)}")
            yield from self._redo(now, todo)
            if todo:
                self._assign(self._actor(), todo, running)
        else:
            now.left.pop(record["name"], None)
            yield record

    def _redo(self, ended: Running, todo: deque) -> Iterator[Record]:
        """Queue what an ended worker left, first its next item alone, since it may be the cause."""
        again = []
        for batch in ended.chain:
            left = tuple(one for one in batch if one.item.name in ended.left)
            blamed = not again and bool(left)
            if blamed:
                for one in left:
                    self.lost[one.item.name] = self.lost.get(one.item.name, 0) + 1
            times = max((self.lost.get(one.item.name, 0) for one in left), default=0)
            if blamed and times > self.options.retries:
                for one in left:
                    yield failed(one, PixWizardError(LOST.format(times=times)))
            elif left:
                again.append(left)
        if again:
            todo.appendleft(tuple(again))


def _start(ray, job: Job, options: RayOptions) -> None:
    """Join a cluster, or start one with just as many processors as workers need."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if options.address:
        ray.init(address=options.address, **quiet)
        return
    ray.init(
        num_cpus=options.workers * job.threads,
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
    except ImportError:
        raise PixWizardError(
            'the engine "ray" is not installed: pip install "pixwizard[ray]", or use --engine local'
        ) from None
    return ray
