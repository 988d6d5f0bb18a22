"""The host's dynamic memory manager on this machine's processor.

On NVIDIA cards the newest hosts leave weights where they are, copy each layer's to the card when it
is used and as long as there is room, and apply LoRA patches on the way. The allocator beneath is a
library for graphics cards; here plain memory takes its place, and all else is the host's own code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import comfy.cli_args
import comfy.model_management as management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import safetensors.torch
import torch
from card import Card

LARGE = 2**40


def where_it_is(check: Callable) -> Callable:
    """The check on hosts that have such a manager; on others it only says that there is none."""

    @functools.wraps(check)
    def run(setup):
        if hasattr(comfy.model_patcher, "ModelPatcherDynamic"):
            return check(setup)
        return "this host has no dynamic memory manager"

    return run


class HostBuffer:
    """Main memory that copies to a card quickly; never grown, since pinning is off."""

    size = 0

    def __init__(self, *_) -> None: ...

    def truncate(self, *_, **__) -> None: ...


class Room:
    """Memory of the card for one model's layers, given out in the order of use."""

    limit = LARGE  # bytes of a model that fit; a check lowers it

    def __init__(self, size: int, device: int) -> None:
        self.offset = 0
        with torch.inference_mode(False):
            self.memory = torch.empty(0, dtype=torch.uint8)
        self.present: dict[int, int] = {}  # bytes by place of what is on the card
        self.pinned = self.faults = self.refused = self.generation = 0
        Room.made.append(self)

    made: list[Room] = []  # noqa: RUF012

    def prioritize(self) -> None: ...

    def alloc(self, size: int) -> tuple[Room, int, int]:
        place, self.offset = self.offset, self.offset + size
        with torch.inference_mode(False):  # memory is of no mode
            self.memory = torch.cat([self.memory, torch.zeros(size, dtype=torch.uint8)])
        return self, place, size

    def fault(self, place: int, size: int) -> bytes | None:
        """A signature of what lies there, which stays the same while it is kept; None = no room."""
        self.faults += 1
        if place not in self.present and self.loaded_size() + size > Room.limit:
            self.refused += 1
            return None
        self.present[place] = size
        self.pinned += 1
        return bytes([self.generation % 256])

    def unpin(self, place: int, size: int) -> None:
        self.pinned -= 1

    def loaded_size(self) -> int:
        return sum(self.present.values())

    def free_memory(self, size: int) -> int:
        freed, self.present = self.loaded_size(), {}
        self.generation += 1
        self.memory.fill_(255)  # whoever reads on reads nothing that was there
        return freed


def tensor_of(allocation: tuple[Room, int, int], device) -> torch.Tensor:
    room, place, size = allocation
    return room.memory[place : place + size]


def read_whole(path: str):
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


class DynamicCard(Card):
    """A card whose models are under the dynamic manager while the block runs.

    room: bytes of each model's layers that may be on the card at once.
    """

    def __init__(self, room: int = LARGE) -> None:
        super().__init__(LARGE)
        self.replaced["is_device_cpu"] = lambda device: device == torch.device("cpu")
        self.limit = room

    def replacements(self) -> list[tuple[object, str, object]]:
        import comfy.memory_management  # older hosts have none

        aimdo, cast = comfy.model_patcher.comfy_aimdo, comfy.ops.cast_bias_weight

        def cast_to_the_card(layer, input=None, *arguments, **named):
            # Tensors of "cpu:0" say "cpu", and would be taken for weights that stayed behind.
            if input is not None and named.get("device") is None:
                named["device"] = self.device
            return cast(layer, input, *arguments, **named)

        patcher = comfy.model_patcher
        return [
            (patcher, "CoreModelPatcher", patcher.ModelPatcherDynamic),
            (comfy.memory_management, "aimdo_enabled", True),
            (comfy.cli_args.args, "disable_pinned_memory", True),
            (aimdo.host_buffer, "HostBuffer", HostBuffer),
            (aimdo.model_vbar, "ModelVBAR", Room),
            (comfy.ops.comfy_aimdo.torch, "aimdo_to_tensor", tensor_of),
            (comfy.ops, "cast_bias_weight", cast_to_the_card),
            (comfy.utils, "load_safetensors", read_whole),
            (Room, "limit", self.limit),
            (Room, "made", []),
        ]

    def __enter__(self) -> DynamicCard:
        super().__enter__()
        self.before = []
        for holder, name, value in self.replacements():
            self.before.append((holder, name, getattr(holder, name)))
            setattr(holder, name, value)
        return self

    def __exit__(self, *_) -> None:
        super().__exit__(*_)
        for holder, name, value in self.before:
            setattr(holder, name, value)

    def unload(self) -> None:
        management.unload_all_models()
