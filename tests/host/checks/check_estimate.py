"""The memory that the host sets aside for a step, against a count of what the step holds.

Counted on the meta device, where tensors have a size and no data: every tensor that is alive at
once, but for weights and inputs. Attention counts as a flash kernel does, by its output alone. What
a device's allocator and libraries need on top is not in it.
"""

from __future__ import annotations

import comfy.ops
import torch

SIDES = (512, 768, 1024)
WITHIN = 0.2
TEXT, MIB = 96, 2**20


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

    def step() -> None:
        prepared = network.prepare(condition, base_seqlen=1024)
        network.velocity(x, torch.full((rows,), 0.5), prepared, attention=flash)

    peak_bytes = setup.module("pixwizard_core.bench.memory").peak_bytes
    return peak_bytes(step, [*network.parameters(), *parts.values(), x])


def check_estimate_is_near_what_a_step_holds(setup):
    native = setup.module("nodes.model.host_model")
    transformer = setup.module("nodes.model.transformer")
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
            said = area * 2 * 0.01 * native.ModelFamily.memory_usage_factor * MIB
            found[f"{side} px, {rows} rows"] = round(held / MIB), round(said / MIB)
            assert abs(said / held - 1) < WITHIN, found
    return found
