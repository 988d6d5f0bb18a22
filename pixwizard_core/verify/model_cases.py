"""Cases that run the transformer: one forward, one guided velocity, a whole sampling run.

Each goes two ways. "plain" is what the reference does: everything recomputed, every branch run.
"prepared" is what this project runs: conditions prepared once, cancelling branches left out.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..conditioning import Condition
from ..errors import SamplingError
from ..model import PixWizard, RopeScaling
from ..sampling import GUIDED_CHANNELS, SOLVERS, combine, needed_branches, times
from .checks import Check, allowed, close
from .trace import record, trace_checks
from .vectors import NO_IMAGE, VectorFile, Vectors

BRANCHES = ("full", "image_only", "none")
TIGHT_RTOL = 1e-4  # from here down dopri5 is well-conditioned and is held to the fixed-step tolerance


def read_condition(
    vectors: Vectors, file: VectorFile, case: dict, model: PixWizard, image_latent
) -> Condition:
    """The conditions of a case; image_latent in the structure of its latents."""
    inputs, tensors = case["inputs"], file.tensors
    names = inputs["input_clip_x"]
    tokens = [vectors.image_tokens(file, name, model.config) for name in names]
    present = [name != NO_IMAGE and bool(t.any()) for name, t in zip(names, tokens, strict=True)]
    return Condition(
        text=vectors.place(tensors[inputs["cap_feats"]]),
        text_mask=vectors.place(tensors[inputs["cap_mask"]]).bool(),
        pooled=vectors.place(tensors[inputs["cap_pooled_feats"]]),
        image_tokens=vectors.place(torch.stack(tokens)),
        has_image=torch.tensor(present, device=vectors.device),
        image_latent=image_latent,
    )


def read_options(args: dict) -> dict:
    """Rotary scaling and proportional attention as the model takes them."""
    base = args.get("base_seqlen") if args.get("proportional_attn") else None
    factor, watershed = args.get("scale_factor"), args.get("scale_watershed")
    return {
        "rope": RopeScaling(
            1.0 if factor is None else factor, 1.0 if watershed is None else watershed
        ),
        "base_seqlen": base,
    }


def spread_noise(noise: Tensor, has_image: Tensor) -> Tensor:
    """Recorded Gumbel noise (layers, rows with an image, N) -> (layers, all rows, N)."""
    spread = noise.new_zeros(noise.shape[0], len(has_image), noise.shape[-1])
    spread[:, has_image.to(noise.device)] = noise
    return spread


def forward_case(vectors: Vectors, file: VectorFile, case: dict) -> list[Check]:
    """One forward: outputs by both ways, and the intermediates the case records."""
    model = vectors.model(file, case)
    inputs, options = case["inputs"], read_options(case.get("args", {}))
    latents = _read_latents(vectors, file, inputs["x"])
    image_latents = _read_latents(vectors, file, inputs["input_x"])
    condition = read_condition(vectors, file, case, model, image_latents)
    t = _read_times(vectors, file, inputs["t"], len(latents))
    noise = None
    if "gumbel" in case:
        noise = spread_noise(file.tensors[case["gumbel"]][0], condition.has_image)
        noise = noise.to(vectors.device)
    with record(model) as trace:
        plain = model(latents, t, condition, gumbel=noise, **options)
    # Latents of one size go through the prepared way as one tensor, which takes no padding.
    stacked = len({latent.shape for latent in latents}) == 1
    if stacked:
        latents = torch.stack(list(latents))
        condition = replace(condition, image_latent=torch.stack(list(image_latents)))
    prepared = model.prepare(condition, keep_candidates=noise is not None, **options)
    if noise is not None:
        prepared = prepared.redraw(noise)
    results = {"plain": plain, "prepared": model.velocity(latents, t, prepared)}
    tolerance = allowed("forward", vectors.dtype)
    checks = []
    for label, outputs in results.items():
        found = [
            close(label, outputs[index], file.tensors[case["outputs"][name]], tolerance)
            for index, name in _output_names(case, len(outputs))
        ]
        checks.append(max(found, key=lambda check: check.ratio))
    return checks + trace_checks(vectors, file, case, model, condition, trace, noise)


def guided_case(vectors: Vectors, file: VectorFile, case: dict) -> list[Check]:
    """One guided velocity. The plain way gives all branch copies, the prepared way what a run uses."""
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

    def __init__(self, model: PixWizard, condition: Condition, args: dict) -> None:
        self.model, self.condition = model, condition
        self.dtype = condition.pooled.dtype
        self.w_text, self.w_image = args["text_cfg_scale"], args["image_cfg_scale"]
        self.options = read_options(args)
        self.rows = len(condition) // len(BRANCHES)
        self.prepared_branches = {
            name: model.prepare(self._rows(name), keep_candidates=True, **self.options)
            for name in needed_branches(self.w_text, self.w_image)
        }
        self.prepared_all = None

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
        velocities = {}
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
        parts = dict(zip(BRANCHES, velocity.split(self.rows), strict=True))
        needed = {name: parts[name] for name in self.prepared_branches}
        guided = combine(needed, self.w_text, self.w_image)[:, :GUIDED_CHANNELS]
        return torch.cat(
            [guided.repeat(len(BRANCHES), 1, 1, 1), velocity[:, GUIDED_CHANNELS:]], dim=1
        )

    def _slice(self, name: str) -> slice:
        start = BRANCHES.index(name) * self.rows
        return slice(start, start + self.rows)

    def _rows(self, name: str) -> Condition:
        rows = self._slice(name)
        return replace(
            self.condition,
            **{key: getattr(self.condition, key)[rows] for key in Condition.__slots__},
        )


def ode_case(vectors: Vectors, file: VectorFile, case: dict) -> list[Check]:
    """A whole sampling run: grid, times of evaluation, trajectory and end, both ways."""
    model, inputs, args = vectors.model(file, case), case["inputs"], case["args"]
    noise_latent = vectors.place_state(file.tensors[inputs["z_1"]])
    image = vectors.place_state(file.tensors[inputs["image_latent"]])
    latents = vectors.place(torch.cat([image, image, noise_latent]))
    condition = read_condition(vectors, file, case, model, latents)
    run = GuidedRun(model, condition, args)
    method = args["sampling_method"]
    if method not in SOLVERS:
        raise SamplingError(f"the solver {method!r} is not known here; known: {list(SOLVERS)}")
    adaptive = method == "dopri5"
    options = {key: args[key] for key in ("atol", "rtol") if adaptive and key in args}
    # The reference counts grid points, this project intervals.
    grid = times(args["num_steps"] - 1, args.get("time_shifting_factor") or 1.0)
    # The reference's adaptive error norm spans every branch copy of the state.
    copies = noise_latent.repeat(len(BRANCHES), 1, 1, 1)
    ways = {"plain": (run.plain, copies)}
    if adaptive:
        ways["prepared"] = (run.prepared_copies, copies)
    else:
        ways["prepared"] = (run.prepared, noise_latent)
    tensors, outputs = file.tensors, case["outputs"]
    loose = adaptive and options.get("rtol", 1e-3) > TIGHT_RTOL
    tolerance = allowed("dopri5" if loose else "ode", vectors.dtype)
    checks = []
    for label, (velocity, start) in ways.items():
        draws = _draws(vectors, file, case, condition)
        evaluated: list[float] = []

        def step(x: Tensor, t: float, velocity=velocity, draws=draws, evaluated=evaluated) -> Tensor:
            evaluated.append(t)
            return velocity(x, t, draws(len(evaluated) - 1))

        states = [start]
        end = SOLVERS[method](step, start, grid, lambda _, x, s=states: s.append(x), **options)
        rows = run.rows
        checks.append(close(label, end[:rows], tensors[outputs["final"]], tolerance))
        if "final_all_branches" in outputs and len(end) > rows:
            wanted = tensors[outputs["final_all_branches"]]
            checks.append(close(f"{label} all branches", end, wanted, tolerance))
        if "trajectory_branch0" in outputs:
            path = torch.cat([state[:1] for state in states])
            wanted = tensors[outputs["trajectory_branch0"]]
            checks.append(close(f"{label} trajectory", path, wanted, tolerance))
        if "eval_t" in outputs and not adaptive:
            wanted = tensors[outputs["eval_t"]]
            times_used = torch.tensor(evaluated)
            checks.append(close(f"{label} times", times_used, wanted, allowed("grid", torch.float32)))
    if "time_grid" in outputs:
        wanted = tensors[outputs["time_grid"]]
        checks.append(close("grid", grid, wanted, allowed("grid", torch.float32)))
    return checks


def _draws(vectors: Vectors, file: VectorFile, case: dict, condition: Condition):
    """evaluation index -> Gumbel noise for all rows, or None when the case draws none."""
    if "gumbel" not in case:
        return lambda index: None
    recorded = file.tensors[case["gumbel"]]
    return lambda index: spread_noise(recorded[index], condition.has_image).to(vectors.device)


def _read_latents(vectors: Vectors, file: VectorFile, names: list[str] | str) -> list[Tensor]:
    """Latents as a list of (C, h, w), from a list of names or one name of a batch."""
    if isinstance(names, str):
        return list(vectors.place(file.tensors[names]))
    return [vectors.place(file.tensors[name]) for name in names]


def _read_times(vectors: Vectors, file: VectorFile, t: str | float, rows: int) -> Tensor:
    # Times stay float32: half precision would move them.
    if isinstance(t, str):
        return file.tensors[t].to(vectors.device)
    return torch.full((rows,), float(t), device=vectors.device)


def _output_names(case: dict, rows: int) -> list[tuple[int, str]]:
    names = [(index, f"out{index}") for index in range(rows) if f"out{index}" in case["outputs"]]
    if len(names) != rows:
        raise ValueError(f"{rows} latents but {len(names)} recorded outputs")
    return names
