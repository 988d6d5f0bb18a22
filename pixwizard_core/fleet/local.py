"""The engine of one process: worker threads around one copy of the weights, or one copy per GPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from queue import Queue

import torch

from .index import Record
from .job import Job
from .plan import Chain
from .work import Worker, work

FULL = 64  # records that wait before workers do


def devices_of(device: str, workers: int) -> list[str]:
    """The device of each worker: "cuda" is spread over the GPUs there are."""
    count = torch.cuda.device_count() if device == "cuda" else 0
    return [f"cuda:{i % count}" if count > 1 else device for i in range(workers)]


def run_local(
    job: Job, chains: Sequence[Chain], workers: int = 1, retries: int = 2, bundle=None
) -> Iterator[Record]:
    """Records of all items in the chains, as they are finished. What stops a worker is raised
    here. bundle: one that is loaded already, for all workers."""
    devices = devices_of(job.device, workers)
    loaded = {place: bundle or job.model.load(place) for place in set(devices)}
    todo: Queue = Queue()
    for chain in chains:
        todo.put(chain)
    results: Queue = Queue(FULL)
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=_serve, args=(job, retries, place, loaded[place], todo, results, stop),
            name=f"pixwizard-worker-{number}", daemon=True,
        )
        for number, place in enumerate(devices)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        stop.set()
        while any(thread.is_alive() for thread in threads):  # free those that wait to deliver
            while not results.empty():
                results.get_nowait()
            for thread in threads:
                thread.join(0.05)


def _serve(job, retries, place, bundle, todo: Queue, results: Queue, stop) -> None:
    try:
        worker = Worker(job, retries, place, bundle)
        while not stop.is_set() and not todo.empty():
            try:
                chain = todo.get_nowait()
            except Exception:  # another worker was faster
                break
            for record in work(worker, chain):
                results.put(record)
                if stop.is_set():
                    return
        results.put(None)
    except BaseException as error:
        results.put(error)
