"""torch.compile: the core's step is one graph, and the host's compile node gives the same picture.

The backend runs the traced graphs as they are: what is looked at is tracing, not speed.
"""

from __future__ import annotations

import comfy.ldm.modules.attention as attention
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from small import LATENT, Small, apart, close

EXACT = 1e-5


def check_a_step_of_the_core_is_one_graph(setup):
    small, found = Small(setup), {}
    condition = small.condition("words")
    padded = small.conditioning.concatenate([condition, small.condition("empty")])
    x, t = torch.randn(4, 4, *LATENT), torch.full((4,), 0.4)
    for name, given, settings in (
        ("plain attention", condition, {}),
        ("proportional attention", condition, {"base_seqlen": 64}),
        ("texts of two lengths", padded, {}),
        ("no image", condition.without_image(x[:2]), {}),
    ):
        prepared = small.twin.prepare(given, **settings)
        inputs = x[: len(given)], t[: len(given)], prepared
        torch._dynamo.reset()
        # fullgraph refuses to run when the graph breaks anywhere
        compiled = torch.compile(small.twin.velocity, backend="aot_eager", fullgraph=True)
        wanted = small.twin.velocity(*inputs)
        found[name] = close(compiled(*inputs), wanted, EXACT, name)
    torch._dynamo.reset()
    return found


def compiled_run(small, keys: list[str]) -> tuple[torch.Tensor, dict]:
    """A guided result with these parts compiled as the host's node does it; reasons of breaks."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    patched = small.patcher.clone()
    set_torch_compile_wrapper(patched, backend="eager", keys=keys)
    out = small.by_guider(3.0, 1.5, patcher=patched)
    breaks = dict(torch._dynamo.utils.counters["graph_break"])
    torch._dynamo.reset()
    return out, breaks


def check_compiled_models_give_the_same_picture(setup):
    small = Small(setup)
    chosen = small.transformer.optimized_attention
    # The one a GPU uses. The CPU's default asks the system for its free memory at every call.
    small.transformer.optimized_attention = attention.attention_pytorch
    try:
        return compiled_runs(small)
    finally:
        small.transformer.optimized_attention = chosen


def compiled_runs(small) -> dict:
    plain, found = small.by_guider(3.0, 1.5), {}
    blocks = [f"diffusion_model.layers.{index}" for index in range(len(small.twin.layers))]
    for name, keys in (("whole", ["diffusion_model"]), ("blocks", blocks)):
        out, breaks = compiled_run(small, keys)
        close(out, plain, EXACT, name)
        found[name] = sum(breaks.values()), [reason[:200] for reason in breaks]
    close(small.by_guider(3.0, 1.5), plain, 0.0, "afterwards without")
    assert found["blocks"] == (0, []), found
    (reason,) = found["whole"][1]
    assert "_prepared" in reason, found
    assert apart(plain, small.noise) > 1e-2
    return found
