"""A course of training on random results, small enough for a test and for its processes."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import torch
import torch.multiprocessing as mp

from pixwizard_core.canvas import Size
from pixwizard_core.training.teach.course import Course
from pixwizard_core.training.teach.encode import KnownExample
from pixwizard_core.training.teach.processes import ALONE, joined
from pixwizard_core.training.teach.settings import TeachSettings
from pixwizard_core.training.teach.sharding import shard, whole
from pixwizard_core.training.teach.store import Store
from pixwizard_core.weights.lora import LoraSettings, add_lora, trainable
from tests.support.tiny import tiny_model

SETTINGS = TeachSettings(steps=6, batch=4, rank=2, warmup=2, rate=1e-2, ema=0.9)
EMPTY = "empty"


def store_of(folder) -> tuple[Store, list[KnownExample]]:
    """Five examples of two sizes with random results, the last with weights of its loss."""
    store, generator = Store(folder), torch.Generator().manual_seed(0)

    def put(key: str, **shapes: tuple[int, ...]) -> str:
        store.put(key, {n: torch.randn(s, generator=generator) for n, s in shapes.items()})
        return key

    put(EMPTY, text=(2, 12), pooled=(10,))
    known = []
    for number in range(5):
        size = Size(64, 48) if number < 3 else Size(48, 64)
        cells = (4, size.height // 8, size.width // 8)
        known.append(
            KnownExample(
                size,
                put(f"source{number}", latent=cells),
                put(f"tokens{number}", tokens=(16, 6)),
                put(f"target{number}", latent=cells),
                (put(f"words{number}", text=(4 + number, 12), pooled=(10,)),),
            )
        )
    store.put("weights4", {"weights": torch.zeros(1, 8, 6)})
    store.get("weights4")["weights"][:, :4] = 1.0
    known[4] = dataclasses.replace(known[4], weights="weights4")
    return store, known


def course(folder, group=ALONE, lora=True, **changes) -> Course:
    store, known = store_of(folder)
    settings = dataclasses.replace(SETTINGS, **changes)
    model = tiny_model()
    if lora:
        add_lora(model, LoraSettings(settings.rank))
    else:
        model.requires_grad_(True)
    if group.sharded:
        shard(model, "cpu")
    trained = trainable(model) if lora else list(model.parameters())
    shown = [1.0] * len(known)
    return Course(model, trained, known, shown, store, EMPTY, settings, settings.steps, group)


def gradients(one: Course, numbers: list[int]) -> list[torch.Tensor]:
    one.backward(numbers)
    return [part.grad.clone() for part in one.trained]


def spawn_two(work, folder) -> None:
    """Run work(rank, folder, port) in two processes that can find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(work, (str(folder), port), nprocs=2)


def join_as(rank: int, port: int) -> None:
    """Set what a starter of processes would set for one of two."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def in_two(rank: int, folder: str, port: int) -> None:
    """One of two processes: its gradients of a batch, and its weights after three steps."""
    join_as(rank, port)
    with joined() as group:
        one = course(f"{folder}/{rank}", group)
        found = gradients(one, [0, 1, 3, 4])
        one.optimiser.zero_grad(set_to_none=True)
        for _ in range(3):
            one.advance()
        torch.save((found, [part.detach() for part in one.trained]), f"{folder}/{rank}.pt")


# Sizes differ within it, so the first of two processes makes two passes and the second one.
UNEVEN = [0, 1, 3, 2]
DROPPED = {"drop_image": 0.5, "drop_text": 0.0, "drop_both": 0.0}
FACTS = {"data": "d", "base": "b"}


def in_two_sharded(rank: int, folder: str, port: int) -> None:
    """One of two processes with split weights, for a LoRA and for a whole model: gradients of a
    batch, weights after three steps, a state, and the weights a step after it, gone on or not."""
    join_as(rank, port)
    with joined(sharded=True) as group:
        for lora in (True, False):
            place = f"{folder}/{'lora' if lora else 'model'}"
            one = course(f"{place}/{rank}", group, lora, **DROPPED)
            one.backward(UNEVEN)
            found = [
                torch.zeros(part.shape) if part.grad is None else whole(part.grad)
                for part in one.trained
            ]
            one.optimiser.zero_grad(set_to_none=True)
            pieces = sum(part.to_local().numel() for part in one.trained)
            for _ in range(3):
                one.advance()
            trained = [whole(part.detach()) for part in one.trained]
            one.save(Path(f"{place}/training.pt"), FACTS)
            group.wait()
            again = course(f"{place}/again{rank}", group, lora, **DROPPED)
            again.go_on(Path(f"{place}/training.pt"), FACTS)
            for each in (one, again):
                each.advance()
            after = [[whole(p.detach()) for p in each.trained] for each in (one, again)]
            torch.save((found, trained, pieces, *after), f"{place}/{rank}.pt")
