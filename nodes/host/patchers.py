"""The host's patchers around our modules: choose one, give it weights, and make sure that no patch
is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import torch
from torch import Tensor, nn

from ...pixwizard_core.weights.dtypes import FP8_DTYPES
from ...pixwizard_core.weights.finite import require_range
from ...pixwizard_core.weights.layer_choice import kept_dtype
from .quantised import NONE, Packed, parts_of, quantised_ops

CALLBACK = "pixwizard_every_patch"
CASTS = "prev_comfy_cast_weights"  # the host's mark of a layer that did not cast before


def patcher_class(disable_dynamic: bool = False) -> type:
    """The host's patcher: of its dynamic memory manager where that is on, else the plain one."""
    plain = comfy.model_patcher.ModelPatcher
    return plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)


def is_dynamic(patcher) -> bool:
    """Whether the dynamic memory manager has this patcher. Older hosts have none."""
    return getattr(patcher, "is_dynamic", bool)()


class WeightsInFile(dict[str, Tensor]):
    """Weights by name as tensors of the meta device, which have a size and no numbers. pop() reads
    one from its file, so that it can be copied and let go before the next is read.

    shapes, dtypes: what the file holds. fetch: name -> tensor on the CPU. packed: quantised weights
    that stay so, which pop_parts() reads. step: called after each of these.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, torch.dtype],
        fetch: Callable[[str], Tensor],
        packed: Packed = NONE,
        step: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(
            {
                name: torch.empty(shape, dtype=dtypes[name], device="meta")
                for name, shape in shapes.items()
            }
        )
        self.fetch, self.packed, self.step = fetch, packed, step

    def pop(self, name: str) -> Tensor:
        del self[name]
        return self.fetch(name)

    def pop_parts(self, name: str, place: Mapping) -> dict[str, Tensor]:
        """A quantised weight as the host's layers load it. place: arguments of Tensor.to."""
        del self[name]
        parts = parts_of(name, self.packed[name], place)
        self.step()
        return parts


def layers_for(weights: Mapping[str, Tensor], dtype: torch.dtype | None):
    """The host's layers that hold quantised weights, None when none of these stay so. dtype: what
    they compute in."""
    return quantised_ops(dtype) if getattr(weights, "packed", None) else None


def take_weights(
    module: nn.Module, weights: dict[str, Tensor], dtype: torch.dtype, patcher, kind: str
) -> None:
    """Give a module of a patcher exactly these weights, in this precision. Empties the dict on
    the way, so that memory holds them once.

    In fp8 are the weights that converting a model of this kind to fp8 stores so (layer_choice);
    the host would round norms, gates and first and last layers too.

    The dynamic patcher copies a weight to the device from where it lies, which may be the file
    itself. The plain patcher computes with what it is given, so it gets copies that do not depend
    on the file. Quantised weights that stay so are given to the host's layers as they are. Raises
    CheckpointError when a weight is too large for the precision.
    """
    copied = {} if is_dynamic(patcher) else {"device": patcher.offload_device, "copy": True}
    own: dict[str, Tensor] = {}
    for name in list(weights):
        if isinstance(weights, WeightsInFile) and name in weights.packed:
            own |= weights.pop_parts(name, copied)
        else:
            kept = kept_dtype(kind, name, dtype)
            own[name] = require_range(weights.pop(name), name, kept).to(dtype=kept, **copied)
    module.load_state_dict(own, strict=True, assign=True)
    if dtype in FP8_DTYPES:
        note_dtypes(module)


def note_dtypes(module: nn.Module) -> None:
    """Let the dynamic patcher keep each weight in its own type. It brings weights to the device in
    the types that the host noted when it built the module. Older hosts note none."""
    getattr(comfy.model_management, "archive_model_dtypes", lambda module: None)(module)


def apply_every_patch(patcher) -> None:
    """Let a patcher and all its clones also apply what the host accepts and leaves out, whenever
    they load. See patch_the_rest and forget_casts."""
    when = comfy.patcher_extension.CallbacksMP.ON_LOAD
    patcher.add_callback_with_key(when, CALLBACK, patch_the_rest)
    patcher.add_callback_with_key(when, CALLBACK, forget_casts)


def forget_casts(patcher, *_) -> None:
    """Remove the casting marks from the layers of a model that is loaded whole.

    If a compute type is set, which ComfyUI does for every CLIP since 0.8, the plain patcher marks
    layers when it loads them whole, and keeps the marks when it unloads them. When it later loads
    the model in part, it takes the marks to mean that these layers are done, and their patches,
    such as a LoRA's, are lost silently. The layers cast as before.
    """
    if not is_dynamic(patcher) and not patcher.model.model_lowvram:
        for module in patcher.model.modules():
            vars(module).pop(CASTS, None)


def patch_the_rest(patcher, device=None, *_) -> None:
    """Apply patches to parameters that the host does not patch itself. Merging two models makes
    such patches, and the host accepts them.

    The host restores these parameters with the others, because it backs up whatever it patches: the
    plain patcher restores when it unloads, the dynamic one also when it starts to load.
    """
    dynamic = is_dynamic(patcher)
    for name in left_out(patcher.model, dynamic):
        if name in patcher.patches and (dynamic or name not in patcher.backup):
            # The plain patcher leaves these parameters where they are.
            patcher.patch_weight_to_device(name, device_to=device if dynamic else None)


def left_out(model: nn.Module, dynamic: bool) -> Iterator[str]:
    """Names of the parameters that the host loads without their patches: those of modules whose
    children have parameters too and, under the dynamic patcher, those of layers that are not the
    host's."""
    for prefix, module in model.named_modules():
        own = [name for name, _ in module.named_parameters(recurse=False)]
        beside_others = len(own) < sum(1 for _ in module.parameters())
        if beside_others or (dynamic and not hasattr(module, "comfy_cast_weights")):
            yield from (f"{prefix}.{name}" if prefix else name for name in own)
