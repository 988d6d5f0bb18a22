"""A run that can stop and go on: weights, optimiser, average, and the place in the data."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import PixWizardError, reason_of
from ...model import PixWizard
from ...weights.weightfile import unpickle
from ...whole_file import whole_file
from .encode import LATENT, KnownExample
from .heap import return_large_tensors
from .objective import Draw, draw, gather, losses, passes, with_picture
from .optimise import Average, make_optimiser, rate_at
from .order import batches
from .processes import ALONE, ProcessGroup
from .settings import TeachSettings
from .sharding import like, state_like, whole, whole_state
from .store import Store

STATE_FILE = "training.pt"


class Course:
    """Teaches a model the examples of a store.

    trained: the weights that move. shown: how often each example is shown in an epoch. empty: key
    of the empty caption. steps: of the whole run. group: the processes that share the work.
    """

    def __init__(
        self,
        model: PixWizard,
        trained: Sequence[Tensor],
        examples: Sequence[KnownExample],
        shown: Sequence[float],
        store: Store,
        empty: str,
        settings: TeachSettings,
        steps: int,
        group: ProcessGroup = ALONE,
    ) -> None:
        if group.count > settings.batch:
            raise PixWizardError(
                f"a batch of {settings.batch} cannot be shared by {group.count} processes; raise "
                "the batch"
            )
        self.model, self.trained, self.examples = model, list(trained), examples
        self.store, self.empty, self.settings = store, empty, settings
        self.steps, self.group = steps, group
        if settings.checkpointing and self.device.type == "cpu":
            return_large_tensors()
        self.optimiser = make_optimiser(settings, self.trained)
        self.average = Average(self.trained, settings.ema) if settings.ema else None
        sizes = [one.size for one in examples]
        self.order: Iterator[list[int]] = batches(shown, sizes, settings.batch, settings.seed)
        self.step = 0

    @property
    def device(self) -> torch.device:
        return self.trained[0].device

    def advance(self) -> tuple[float, list[tuple[int, float]]]:
        """Do one update: the mean loss of the batch, and (example, loss) of this process's part.

        Raises PixWizardError, having changed no weight, when the loss is not finite.
        """
        numbers = next(self.order)
        self.optimiser.zero_grad(set_to_none=True)
        part = self.backward(numbers)
        total = torch.tensor(sum(loss for _, loss in part), dtype=torch.float64, device="cpu")
        mean = float(self.group.add(total)) / len(numbers)
        if not math.isfinite(mean):
            raise PixWizardError(
                f"the loss is not finite at step {self.step + 1}; lower the rate, or go on from an "
                "earlier state with --resume"
            )
        for one in self.optimiser.param_groups:
            one["lr"] = rate_at(self.settings, self.step, self.steps)
        nn.utils.clip_grad_norm_(self.trained, self.settings.clip_gradients)
        self.optimiser.step()
        self.step += 1
        if self.average:
            self.average.update(self.step)
        return mean, part

    def backward(self, numbers: Sequence[int]) -> list[tuple[int, float]]:
        """Add the gradients of a batch, summed over all processes: (example, loss) of this
        process's part."""
        slots = [
            (place, self.examples[numbers[place]]) for place in self.group.places(len(numbers))
        ]
        found: list[tuple[int, float]] = []
        parts = list(passes(slots, self.settings.at_once))
        # Split weights are gathered by all processes, and their gradients are means over them.
        idle = self.group.most(len(parts)) - len(parts) if self.group.sharded else 0
        scale = (self.group.count if self.group.sharded else 1) / len(numbers)
        for number, some in enumerate([*parts, *parts[-1:] * idle]):
            rows = gather(some, self._draw, self.store, self.empty, self.settings)
            with self.arithmetic():
                each = losses(
                    self.model,
                    with_picture(rows) if self.group.sharded else rows,
                    self.settings.checkpointing,
                )
            counts = number < len(parts)
            (each.sum() * (scale if counts else 0.0)).backward()
            if counts:
                places = [numbers[place] for place, _ in some]
                found += zip(places, each.detach().tolist(), strict=True)
        self.group.add_gradients(self.trained)
        return found

    def arithmetic(self) -> AbstractContextManager[Any]:
        """The block in which the model computes: autocast, or nothing for its own float32."""
        return arithmetic(self.model, self.settings.precision)

    def _draw(self, place: int, known: KnownExample) -> Draw:
        return draw_for(self.model, self.settings, self.step, place, known, self.store)

    @contextmanager
    def averaged(self) -> Generator[None]:
        """The weights that are saved stand in the model within the block."""
        with self.average.in_place() if self.average else nullcontext():
            yield

    def state(self, facts: dict[str, str]) -> dict[str, Any]:
        """All that go_on() needs, with whole tensors in the first process. facts: what the run is
        about. With split weights all processes must call this."""
        keep, average = self.group.first, self.average.values if self.average else []
        return {
            "facts": facts,
            "step": self.step,
            "trained": [whole(one.detach(), keep) for one in self.trained],
            "average": [whole(one, keep) for one in average],
            "optimiser": whole_state(self.optimiser.state_dict(), keep),
        }

    def save(self, path: Path, facts: dict[str, str]) -> None:
        """Write the state in the first process, whole or not at all. With split weights all
        processes must call this. Raises PixWizardError when the disk refuses."""
        state = self.state(facts)
        if not self.group.first:
            return
        with whole_file(path, PixWizardError) as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:  # torch's own writer, when the disk refuses
                raise OSError(reason_of(error, 160)) from error

    def go_on(self, path: Path, facts: dict[str, str]) -> None:
        """Stand where a state was saved; the next steps are those that the run would have done.
        Raises PixWizardError for the state of another run."""
        state = read_state(path)
        if differing := [n for n in facts if facts[n] != state["facts"].get(n)]:
            name = differing[0]
            raise PixWizardError(
                f"{path.parent} holds another run: {name} was {state['facts'].get(name)!r:.80} and "
                f"is {facts[name]!r:.80}; give what it was, or choose another --out"
            )
        with torch.no_grad():
            for one, value in zip(self.trained, state["trained"], strict=True):
                one.copy_(like(value, one))
            for one, value in zip(
                self.average.values if self.average else [], state["average"], strict=True
            ):
                one.copy_(like(value, one))
        self.optimiser.load_state_dict(state_like(state["optimiser"], self.trained))
        self.step = int(state["step"])
        next(islice(self.order, self.step, self.step), None)  # moves on by that many batches


def read_state(path: Path) -> dict[str, Any]:
    """A saved state. Raises PixWizardError for a file that is none."""
    state = unpickle(path)
    names = {"facts", "step", "trained", "average", "optimiser"}
    if not isinstance(state, dict) or not names <= set(cast("dict[str, Any]", state)):
        raise PixWizardError(f"{path} is not the state of a run; choose another --out")
    return cast("dict[str, Any]", state)


def draw_for(
    model: PixWizard,
    settings: TeachSettings,
    step: int,
    place: int,
    known: KnownExample,
    store: Store,
) -> Draw:
    """Chance of an example at a place of a step."""
    latent = tuple(store.get(known.target)[LATENT].shape)
    count = len(store.get(known.tokens)["tokens"])
    return draw(settings, step, place, latent, (len(model.layers), count))


def arithmetic(model: PixWizard, precision: str) -> AbstractContextManager[Any]:
    """autocast to bfloat16, or nothing for float32 weights that compute as they are."""
    weight = model.x_embedder.weight
    half = weight.is_cuda or weight.dtype != torch.float32
    if precision == "float32" or (precision == "auto" and not half):
        return nullcontext()
    return torch.autocast(weight.device.type, dtype=torch.bfloat16)
