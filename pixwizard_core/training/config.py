"""The settings of a training run, read from a TOML or JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from ..json_text import read_json_file, read_text
from .dataset import Order
from .loop import TrainSettings

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
                changed[name] = replace(part, **_checked(part, value, f"{where}, [{name}]"))
            else:
                changed |= _checked(self, {name: value}, where)
        result = replace(self, **changed)
        seeded = {"seed": result.seed}
        return replace(
            result, data=replace(result.data, **seeded), train=replace(result.train, **seeded)
        )


def read_config(path: str | Path = BUNDLED) -> TrainConfig:
    """Read a settings file on top of the defaults. Raises PixWizardError naming what is wrong."""
    path = Path(path)
    if not path.is_file():
        raise PixWizardError(f"there is no settings file {path.name} in {path.parent.absolute()}")
    values = _json(path) if path.suffix == ".json" else _toml(path)
    return TrainConfig().with_values(values, path.name)


def _json(path: Path) -> dict[str, Any]:
    values = read_json_file(path, PixWizardError)
    if not isinstance(values, dict):
        raise PixWizardError(f"{path.name} should hold one object with settings")
    return values


def _toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:
        raise PixWizardError(
            f"{path.name} is TOML, which needs Python 3.11 or newer; write the same as .json"
        ) from None
    text = read_text(path, PixWizardError)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PixWizardError(f"{path.name} is not TOML: {error}") from None


def _checked(part: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check values against the fields of a dataclass; converts numbers and lists to their types."""
    known = {f.name: getattr(part, f.name) for f in fields(part)}
    result = {}
    for name, value in values.items():
        if name not in known:
            raise PixWizardError(f"{where} has no setting {name!r}; there are {', '.join(known)}")
        result[name] = _like(known[name], value, f"{where}: {name}")
    return result


def _like(usual: Any, value: Any, where: str) -> Any:
    if isinstance(usual, float) and type(value) is int:
        return float(value)
    if isinstance(usual, dict) and isinstance(value, dict):
        return {name: _like(1.0, number, f"{where}: {name}") for name, number in value.items()}
    if isinstance(usual, tuple) and isinstance(value, list):
        return tuple(value)
    if usual is None or type(value) is type(usual):
        return value
    raise PixWizardError(f"{where} should be like {usual!r}. Got: {value!r}")
