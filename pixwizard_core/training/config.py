"""The settings of a training run, read from a TOML or JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from .dataset import Order
from .loop import TrainSettings
from .settings_file import checked, read_table

BUNDLED = Path(__file__).with_name("tiny.toml")


@dataclass(frozen=True)
class TrainConfig:
    """One run. seed: of scenes, initial weights and noise. device: "auto" uses a GPU if there is
    one. compile: compile the blocks, which pays off on a GPU. with_setup: the minutes include
    making the samples. workers: processes that make them. start: source of the weights: "" draws
    them, "bundled" takes the extension's, a folder its dit, text and clip files, and another
    settings file is trained first. data: the samples. train: the schedule.
    """

    seed: int = 0
    device: str = "auto"
    compile: bool = False
    with_setup: bool = False
    workers: int = 1
    start: str = ""
    data: Order = field(default_factory=lambda: Order(scenes=25_000))
    train: TrainSettings = field(default_factory=TrainSettings)

    def with_values(self, values: Mapping[str, Any], where: str = "settings") -> TrainConfig:
        """A copy with some values changed: plain ones by name, those of data and train as nested
        mappings. Raises PixWizardError for an unknown name or a value of the wrong type."""
        changed: dict[str, Any] = {}
        for name, value in values.items():
            if name in ("data", "train"):
                if not isinstance(value, Mapping):
                    raise PixWizardError(f"{where}: [{name}] is a table of settings. Got: {value}")
                part = getattr(self, name)
                changed[name] = replace(part, **checked(part, value, f"{where}, [{name}]"))
            else:
                changed |= checked(self, {name: value}, where)
        result = replace(self, **changed)
        seeded = {"seed": result.seed}
        return replace(
            result, data=replace(result.data, **seeded), train=replace(result.train, **seeded)
        )


def read_config(path: str | Path = BUNDLED) -> TrainConfig:
    """Read a settings file on top of the defaults. Raises PixWizardError naming what is wrong."""
    return TrainConfig().with_values(read_table(path), Path(path).name)
