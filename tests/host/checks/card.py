"""A graphics card of this machine's processor, so that what the host does with one can be checked
without."""

from __future__ import annotations

import comfy.model_management as management
import torch


class Card:
    """A device of the host with room for so many bytes of weights and no more, on this machine's
    processor: "cpu:0" is the device and "cpu" the main memory it gives weights back to."""

    device = torch.device("cpu", 0)
    LEAST = 2**20  # that the host wants free, instead of the gigabyte of a real card

    def __init__(self, room: int) -> None:
        self.room, self.most, self.seen = room, 0, []
        places = ("get_torch_device", "text_encoder_device", "vae_device")
        self.replaced = {name: lambda *_: self.device for name in places} | {
            "is_device_cpu": lambda *_: False,
            "get_free_memory": self.free,
            "minimum_inference_memory": lambda: self.LEAST,
            "extra_reserved_memory": lambda: 0,
        }

    def held(self) -> int:
        """Bytes of weights on the device."""
        loaded = [m for m in management.current_loaded_models if m.device == self.device]
        return sum(m.model_loaded_memory() for m in loaded)

    def free(self, device=None, torch_free_too=False):
        left = max(0, self.room - self.held())
        return (left, 0) if torch_free_too else left

    def watch(self, module: torch.nn.Module, name: str) -> None:
        def note(*_) -> None:
            self.most = max(self.most, self.held())
            self.seen.append(name)

        module.register_forward_pre_hook(note)

    def __enter__(self) -> Card:
        management.unload_all_models()
        self.kept = {name: getattr(management, name) for name in self.replaced}
        for name, function in self.replaced.items():
            setattr(management, name, function)
        return self

    def __exit__(self, *_) -> None:
        management.unload_all_models()
        for name, function in self.kept.items():
            setattr(management, name, function)
