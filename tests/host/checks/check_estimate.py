"""The memory that the host sets aside for a step, against a count of what the step holds.

Counted on the meta device, where tensors have a size and no data: every tensor that is alive at
once, but for weights and inputs. Attention counts as a flash kernel does, by its output alone. What
a device's allocator and libraries need on top is not in it.
"""

from __future__ import annotations

import weakref

import comfy.ops
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SIDES = (512, 768, 1024)
WITHIN = 0.2
TEXT, MIB = 96, 2**20


class Alive(TorchDispatchMode):
    """Bytes of the meta tensors that operations make, now and at most; own ones are not counted."""

    def __init__(self, own) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known = {tensor.untyped_storage()._cdata: 0 for tensor in own}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage) -> None:
        if storage._cdata not in self.known:
            self.known[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._free, storage._cdata)

    def _free(self, key: int) -> None:
        self.now -= self.known.pop(key, 0)


def flash(q, k, v, mask=None) -> torch.Tensor:
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    return torch.cat([q, k[:, :, :0], v[:, :, :0]], 2).transpose(1, 2).flatten(2)


def held_by_a_step(setup, network, rows: int, side: int) -> int:
    """Bytes alive at the most, in preparing the conditions and in one step with them."""
    condition_class = setup.module("pixwizard_core.conditioning").Condition
    config, cells = network.config, side // 8

    def meta(*shape: int) -> torch.Tensor:
        return torch.empty(*shape, dtype=torch.bfloat16, device="meta")

    parts = {
        "text": meta(rows, TEXT, config.cap_feat_dim),
        "pooled": meta(rows, config.cap_clip_feat_dim),
        "image_tokens": meta(rows, config.image_tokens, config.image_feat_dim),
        "image_latent": meta(rows, 4, cells, cells),
    }
    masks = {"text_mask": torch.ones(rows, TEXT), "has_image": torch.ones(rows)}
    condition = condition_class(**parts, **{name: mask.bool() for name, mask in masks.items()})
    x = meta(rows, 4, cells, cells)
    with Alive([*network.parameters(), *parts.values(), x]) as alive:
        prepared = network.prepare(condition, base_seqlen=1024)
        network.velocity(x, torch.full((rows,), 0.5), prepared, attention=flash)
    return alive.most


def check_estimate_is_near_what_a_step_holds(setup):
    native, transformer = setup.module("nodes.native"), setup.module("nodes.transformer")
    config = setup.module("pixwizard_core.config").PRESETS["PixWizard_2B_GQA_patch2"]
    network = transformer.Transformer(
        dtype=torch.bfloat16,
        device="meta",
        operations=comfy.ops.disable_weight_init,
        **config.to_dict(),
    )
    found = {}
    for side in SIDES:
        for rows in (1, 2):
            held = held_by_a_step(setup, network, rows, side)
            # What BaseModel.memory_required says of bfloat16 and a flash attention.
            area = rows * (side // 8) ** 2
            said = area * 2 * 0.01 * native.Config.memory_usage_factor * MIB
            found[f"{side} px, {rows} rows"] = round(held / MIB), round(said / MIB)
            assert abs(said / held - 1) < WITHIN, found
    return found
