"""The host's patchers around our modules: choose one, give it weights, and make sure that no patch
is dropped."""

from __future__ import annotations

from collections.abc import Iterator

import comfy.model_patcher
import comfy.patcher_extension
from torch import Tensor, nn

from ...pixwizard_core.weights.finite import require_range

CALLBACK = "pixwizard_every_patch"
CASTS = "prev_comfy_cast_weights"  # the host's mark of a layer that casts where it did not


def patcher_class(disable_dynamic: bool = False) -> type:
    """The host's patcher: of its dynamic memory manager where that is on, else the plain one."""
    plain = comfy.model_patcher.ModelPatcher
    return plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)


def is_dynamic(patcher) -> bool:
    """Whether the dynamic memory manager has this patcher. Older hosts have none."""
    return getattr(patcher, "is_dynamic", bool)()


def take_weights(module: nn.Module, weights: dict[str, Tensor], dtype, patcher) -> None:
    """Give the module of a patcher exactly these weights in this precision, and empty the dict on
    the way, so that they are in memory once.

    The dynamic patcher copies to the device from where a weight lies, which may be the file itself.
    The plain one computes with what it is given: copies, which do not depend on the file. Raises
    CheckpointError when a weight is too large for the precision.
    """
    copied = {} if is_dynamic(patcher) else {"device": patcher.offload_device, "copy": True}
    own = {
        name: require_range(weights.pop(name), name, dtype).to(dtype=dtype, **copied)
        for name in list(weights)
    }
    module.load_state_dict(own, strict=True, assign=True)


def apply_every_patch(patcher) -> None:
    """Let a patcher, and all clones of it, also apply what the host takes and leaves out (see
    patch_the_rest and forget_casts) whenever it loads."""
    when = comfy.patcher_extension.CallbacksMP.ON_LOAD
    patcher.add_callback_with_key(when, CALLBACK, patch_the_rest)
    patcher.add_callback_with_key(when, CALLBACK, forget_casts)


def forget_casts(patcher, *_) -> None:
    """Take the marks of casting off the layers of a model that is loaded whole.

    Where a compute type is set (ComfyUI does that for every CLIP from 0.8 on), the plain patcher
    marks layers when it loads them whole, keeps the marks when it unloads them, and takes them for
    a sign that a later load in part has dealt with these layers: their patches, such as a LoRA's,
    would be lost without a word. The layers cast as before.
    """
    if not is_dynamic(patcher) and not patcher.model.model_lowvram:
        for module in patcher.model.modules():
            vars(module).pop(CASTS, None)


def patch_the_rest(patcher, device=None, *_) -> None:
    """Apply patches to parameters that the host does not patch itself: merging two models makes
    such patches, and it takes them.

    It restores these with the others, for it keeps a backup of whatever it patches: the plain
    patcher when it unloads, the dynamic one also when it starts to load.
    """
    dynamic = is_dynamic(patcher)
    for name in left_out(patcher.model, dynamic):
        if name in patcher.patches and (dynamic or name not in patcher.backup):
            # The plain patcher leaves these parameters where they are.
            patcher.patch_weight_to_device(name, device_to=device if dynamic else None)


def left_out(model: nn.Module, dynamic: bool) -> Iterator[str]:
    """Names of the parameters that the host loads without their patches: those whose module has
    children with parameters of their own, and under the dynamic patcher those of layers that are
    not the host's."""
    for prefix, module in model.named_modules():
        own = [name for name, _ in module.named_parameters(recurse=False)]
        beside_others = len(own) < sum(1 for _ in module.parameters())
        if beside_others or (dynamic and not hasattr(module, "comfy_cast_weights")):
            yield from (f"{prefix}.{name}" if prefix else name for name in own)
