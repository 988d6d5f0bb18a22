"""Patches that other nodes put on a MODEL: which of them act on this network, and what the log says
about the others. Their keys and places are the host's, in model_options."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ...pixwizard_core.errors import SamplingError
from ...pixwizard_core.sampling import GUIDED_CHANNELS

CFG, BRANCH_FUNCTION = "sampler_cfg_function", "sampler_calc_cond_batch_function"
BEFORE, BEHIND = "sampler_pre_cfg_function", "sampler_post_cfg_function"
BLOCK = "double_block"  # what the host calls a block of ours
ROPE = "rope_options"
SHOWN = 4  # hooks that a message names

# Nodes that hook into a UNet's attention, and guide by it in a function that runs after the
# guidance. Without the hook, that function fails, or runs the network again for nothing.
WITHOUT_THEIR_HOOK = {
    "SelfAttentionGuidance": "attn1 of a UNet's middle block",
    "PerturbedAttentionGuidance": "attn1 of a UNet's middle block",
}


class RunLog:
    """What was logged in the current run, so that each warning is logged once."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def begin(self) -> None:
        self._names.clear()

    def warn(self, name: str, text: str) -> None:
        """Log a warning, unless one of this name was in this run."""
        if name not in self._names:
            self._names.add(name)
            logging.warning("PixWizard: %s", text)


def reference_cfg(args: dict) -> Tensor:
    """Guidance for the stock samplers as the reference does it: the last channel is not guided."""
    cond, uncond = args["cond"], args["uncond"]
    guided = uncond + (cond - uncond) * args["cond_scale"]
    return torch.cat([guided[:, :GUIDED_CHANNELS], cond[:, GUIDED_CHANNELS:]], 1)


def replaces_reference(options: dict) -> bool:
    """Whether another node's guidance replaces reference_cfg."""
    return options.get(CFG) not in (None, reference_cfg)


def guidance_is_patched(options: dict) -> bool:
    """Whether a node attached anything before, in or after the guidance."""
    return replaces_reference(options) or any(
        options.get(key) for key in (BRANCH_FUNCTION, BEFORE, BEHIND)
    )


def patch_name(function: Callable) -> str:
    """The node that made a patch, as far as it can be told: a function's qualified name begins with
    the class that defined it."""
    if getattr(function, "__module__", "") == "comfy.model_patcher":  # it wraps the node's function
        inner = [cell.cell_contents for cell in function.__closure__ or ()]
        function = next(filter(callable, inner), function)
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return name.partition(".")[0]


def unused_hooks(options: dict, blocks: int) -> dict[str, list[str]]:
    """Patches in transformer_options for which a network of this many blocks has no place: by the
    name of the node, the hooks it asked for."""
    found: dict[str, list[str]] = {}
    for hook, functions in options.get("patches", {}).items():
        for function in functions if hook != BLOCK else ():
            found.setdefault(patch_name(function), []).append(hook)
    for kind, places in options.get("patches_replace", {}).items():
        for place, function in places.items():
            known = kind == "dit" and place[0] == BLOCK and place[1] < blocks
            if not known:
                hook = " ".join(map(str, (kind, *place)))
                found.setdefault(patch_name(function), []).append(hook)
    if options.get(ROPE):
        found["ScaleROPE"] = [ROPE]
    return found


def warn_unused(log: RunLog, options: dict, blocks: int, control) -> None:
    """Log a warning for each node whose patches have no place in this network, and for a
    ControlNet."""
    for name, hooks in unused_hooks(options, blocks).items():
        hooks = list(dict.fromkeys(hooks))
        more = f" and {len(hooks) - SHOWN} more" if len(hooks) > SHOWN else ""
        log.warn(
            name,
            f"{name} patches {', '.join(hooks[:SHOWN])}{more}; a PixWizard model of {blocks} "
            f"blocks has no such place, so this part of {name} changes nothing",
        )
    if control is not None:
        log.warn("control", "a ControlNet has no effect: a PixWizard model has no place for it")


def one_run(executor, *arguments, **named):
    """Wraps a sampling run of the host, whichever sampler node started it, and logs which patches
    are skipped or act differently from PixWizard's own guidance. Raises SamplingError for a
    model_sampling of another kind of network."""
    guider = executor.class_obj
    patcher, options = guider.model_patcher, guider.model_options
    log = patcher.model.diffusion_model.run_log
    log.begin()
    require_flow(patcher.get_model_object("model_sampling"))
    behind = options.get(BEHIND, [])
    for name, hook in WITHOUT_THEIR_HOOK.items():
        if any(patch_name(function) == name for function in behind):
            log.warn(
                name, f"{name} needs {hook}, which a PixWizard model does not have; it is skipped"
            )
    kept = [function for function in behind if patch_name(function) not in WITHOUT_THEIR_HOOK]
    if len(kept) < len(behind):  # the options are the run's own copy
        options[BEHIND] = kept
    if replaces_reference(options) and not getattr(guider, "guides_all_channels", False):
        name = patch_name(options[CFG])
        log.warn(
            f"{name} guides",
            f"{name} replaces PixWizard's guidance of the first {GUIDED_CHANNELS} latent "
            "channels: it guides all 4",
        )
    return executor(*arguments, **named)


def require_flow(sampling) -> None:
    """Raise SamplingError unless a model_sampling follows a straight path from noise to image.
    Checks its denoised image at half way, its scaling of the input, and its time."""
    sigma, x, out = (
        torch.tensor([0.5], dtype=torch.float32, device="cpu"),
        torch.full((1, 1, 1, 1), 2.0, dtype=torch.float32, device="cpu"),
        torch.ones(1, 1, 1, 1, dtype=torch.float32, device="cpu"),
    )
    try:
        values = (
            float(sampling.calculate_denoised(sigma, out, x)),
            float(sampling.calculate_input(sigma, x)),
            float(sampling.timestep(sigma)) / float(getattr(sampling, "multiplier", 1.0)),
        )
    except Exception:
        values = ()
    if [round(value, 4) for value in values] != [1.5, 2.0, 0.5]:
        name = type(sampling).__qualname__.partition(".")[0]
        raise SamplingError(
            f"{name} is for another kind of model: PixWizard goes in a straight line from noise to "
            "image (a flow). Remove that node; ModelSamplingSD3 and ModelSamplingAuraFlow can set "
            "a time shift"
        )
