"""Cases of one guided velocity and of a whole sampling run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..conditioning import Condition
from ..errors import SamplingError
from ..model import PixWizard, Prepared
from ..sampling import GUIDED_CHANNELS, SOLVERS, combine, needed_branches, times
from ..torch_types import split
from .checks import Check, allowed, close
from .model_cases import read_condition, read_options, spread_noise
from .vectors import Case, VectorFile, Vectors

BRANCHES = ("full", "image_only", "none")
LOOSE_RTOL = 1e-3  # the reference's default
TIGHT_RTOL = 1e-4  # from here down dopri5 is held to the tolerance of fixed steps

NoisyVelocity = Callable[[Tensor, float, Tensor | None], Tensor]  # of (x, t, noise)
Draws = Callable[[int], Tensor | None]  # the noise of an evaluation, by its number


def guided_case(vectors: Vectors, file: VectorFile, case: Case) -> list[Check]:
    """One guided velocity: plain gives all branch copies, prepared what a run uses."""
    model, inputs, args = vectors.model(file, case), case["inputs"], case["args"]
    state = vectors.place_state(file.tensors[inputs["x"]])
    condition = read_condition(
        vectors, file, case, model, vectors.place(file.tensors[inputs["input_x"]])
    )
    noise = None
    if "gumbel" in case:
        noise = spread_noise(file.tensors[case["gumbel"]][0], condition.has_image)
        noise = noise.to(vectors.device)
    run = GuidedRun(model, condition, args)
    wanted = file.tensors[case["outputs"]["out"]]
    tolerance = allowed("guided", vectors.dtype)
    rows = len(state) // len(BRANCHES)
    time = float(args["t"])
    return [
        close("plain", run.plain(state, time, noise), wanted, tolerance),
        close("prepared", run.prepared(state[:rows], time, noise), wanted[:rows], tolerance),
    ]


class GuidedRun:
    """Guided velocity of one condition whose rows are the branches full, image only, none."""

    def __init__(self, model: PixWizard, condition: Condition, args: Case) -> None:
        self.model, self.condition = model, condition
        self.dtype = condition.pooled.dtype
        self.w_text, self.w_image = args["text_cfg_scale"], args["image_cfg_scale"]
        self.options = read_options(args)
        self.rows = len(condition) // len(BRANCHES)
        self.prepared_branches = {
            name: model.prepare(self._rows(name), keep_candidates=True, **self.options)
            for name in needed_branches(self.w_text, self.w_image)
        }
        self.prepared_all: Prepared | None = None

    def plain(self, state: Tensor, t: float, noise: Tensor | None = None) -> Tensor:
        """All branches in one batch, nothing kept: (3*B, C, h, w), as the reference returns it.

        Only the first third of state is read; the channels that are not guided differ by branch.
        """
        first = state[: self.rows].repeat(len(BRANCHES), 1, 1, 1)
        time = torch.full((len(first),), t, device=state.device)
        velocity = self.model(
            first.to(self.dtype), time, self.condition, gumbel=noise, **self.options
        ).to(state)
        full, image, none = velocity.split(self.rows)
        guided = none + self.w_image * (image - none) + self.w_text * (full - image)
        guided = guided[:, :GUIDED_CHANNELS].repeat(len(BRANCHES), 1, 1, 1)
        return torch.cat([guided, velocity[:, GUIDED_CHANNELS:]], dim=1)

    def prepared(self, x: Tensor, t: float, noise: Tensor | None = None) -> Tensor:
        """Only the branches that do not cancel, from conditions prepared once: (B, C, h, w)."""
        time = torch.full((len(x),), t, device=x.device)
        velocities: dict[str, Tensor] = {}
        for name, prepared in self.prepared_branches.items():
            if noise is not None:
                prepared = prepared.redraw(noise[:, self._slice(name)])
            velocities[name] = self.model.velocity(x.to(self.dtype), time, prepared).to(x)
        return combine(velocities, self.w_text, self.w_image)

    def prepared_copies(self, state: Tensor, t: float, noise: Tensor | None = None) -> Tensor:
        """Like plain, from conditions prepared once: what an error norm over all copies needs."""
        if self.prepared_all is None:
            self.prepared_all = self.model.prepare(
                self.condition, keep_candidates=True, **self.options
            )
        prepared = self.prepared_all if noise is None else self.prepared_all.redraw(noise)
        first = state[: self.rows].repeat(len(BRANCHES), 1, 1, 1)
        time = torch.full((len(first),), t, device=state.device)
        velocity = self.model.velocity(first.to(self.dtype), time, prepared).to(state)
        parts: dict[str, Tensor] = dict(zip(BRANCHES, split(velocity, self.rows), strict=True))
        needed = {name: parts[name] for name in self.prepared_branches}
        guided = combine(needed, self.w_text, self.w_image)[:, :GUIDED_CHANNELS]
        return torch.cat(
            [guided.repeat(len(BRANCHES), 1, 1, 1), velocity[:, GUIDED_CHANNELS:]], dim=1
        )

    def _slice(self, name: str) -> slice:
        start = BRANCHES.index(name) * self.rows
        return slice(start, start + self.rows)

    def _rows(self, name: str) -> Condition:
        return self.condition.rows(self._slice(name))


def ode_case(vectors: Vectors, file: VectorFile, case: Case) -> list[Check]:
    """A whole sampling run: grid, times of evaluation, trajectory and end, both ways."""
    model, inputs, args = vectors.model(file, case), case["inputs"], case["args"]
    noise_latent = vectors.place_state(file.tensors[inputs["z_1"]])
    image = vectors.place_state(file.tensors[inputs["image_latent"]])
    latents = vectors.place(torch.cat([image, image, noise_latent]))
    condition = read_condition(vectors, file, case, model, latents)
    run = GuidedRun(model, condition, args)
    adaptive = args["sampling_method"] == "dopri5"
    # The reference's adaptive error norm spans every branch copy of the state.
    copies = noise_latent.repeat(len(BRANCHES), 1, 1, 1)
    ways = {
        "plain": (run.plain, copies),
        "prepared": (run.prepared_copies, copies) if adaptive else (run.prepared, noise_latent),
    }
    # The reference counts grid points, this project intervals.
    grid = times(args["num_steps"] - 1, args.get("time_shifting_factor") or 1.0)
    loose = adaptive and args.get("rtol", LOOSE_RTOL) > TIGHT_RTOL
    tolerance = allowed("dopri5" if loose else "ode", vectors.dtype)
    recorded = {name: file.tensors[tensor] for name, tensor in case["outputs"].items()}
    on_grid = allowed("grid", torch.float32)
    checks: list[Check] = []
    for label, (velocity, start) in ways.items():
        path = solve(args, velocity, start, grid, _draws(vectors, file, case, condition))
        end = path.states[-1]
        checks.append(close(label, end[: run.rows], recorded["final"], tolerance))
        if "final_all_branches" in recorded and len(end) > run.rows:
            wanted = recorded["final_all_branches"]
            checks.append(close(f"{label} all branches", end, wanted, tolerance))
        if "trajectory_branch0" in recorded:
            found = torch.cat([state[:1] for state in path.states])
            wanted = recorded["trajectory_branch0"]
            checks.append(close(f"{label} trajectory", found, wanted, tolerance))
        if "eval_t" in recorded and not adaptive:
            found = torch.tensor(path.evaluated)
            checks.append(close(f"{label} times", found, recorded["eval_t"], on_grid))
    if "time_grid" in recorded:
        checks.append(close("grid", grid, recorded["time_grid"], on_grid))
    return checks


class Path(NamedTuple):
    """States at each time of the grid, and the times at which the velocity was asked for."""

    states: list[Tensor]
    evaluated: list[float]


def solve(
    args: Case, velocity: NoisyVelocity, start: Tensor, grid: Tensor, draws: Draws
) -> Path:
    """Run the solver a case names. velocity(x, t, noise); draws(evaluation index) gives noise."""
    method = args["sampling_method"]
    if method not in SOLVERS:
        raise SamplingError(f"the solver {method!r} is not known here; known: {list(SOLVERS)}")
    keys = ("atol", "rtol") if method == "dopri5" else ()
    path = Path([start], [])

    def step(x: Tensor, t: float) -> Tensor:
        path.evaluated.append(t)
        return velocity(x, t, draws(len(path.evaluated) - 1))

    def keep(_: int, x: Tensor) -> None:
        path.states.append(x)

    SOLVERS[method](step, start, grid, keep, **{key: args[key] for key in keys if key in args})
    return path


def _draws(vectors: Vectors, file: VectorFile, case: Case, condition: Condition) -> Draws:
    """evaluation index -> Gumbel noise for all rows, or None when the case draws none."""
    if "gumbel" not in case:
        return lambda index: None
    recorded = file.tensors[case["gumbel"]]
    return lambda index: spread_noise(recorded[index], condition.has_image).to(vectors.device)
