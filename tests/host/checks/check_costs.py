"""What a run costs beside the models: encoders called once, and little time in between."""

from __future__ import annotations

import time

import comfy.model_management
import torch
from small import Small

MOST_BESIDE = 0.02
STEPS, SIDE = 4, 48


class Counts:
    """Calls of functions while they are wrapped."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def wrap(self, owner, name: str, called: str) -> None:
        inner = getattr(owner, name)

        def counting(*arguments, **named):
            self.calls[called] = self.calls.get(called, 0) + 1
            return inner(*arguments, **named)

        setattr(owner, name, counting)


def check_encoders_and_autoencoder_run_once(setup):
    """A whole run with three branches: one picture and two texts encoded, one latent decoded."""
    load, condition = setup.module("nodes.loaders.load"), setup.module("nodes.conditions.encode")
    sample = setup.module("nodes.sampling.sample")
    model, clip, vision, vae = load.LoadTiny.execute().args[:4]
    counts = Counts()
    counts.wrap(vae.first_stage_model, "encode", "pictures to latents")
    counts.wrap(vae.first_stage_model, "decode", "latents to pictures")
    counts.wrap(vision.model, "forward", "pictures to tokens")
    counts.wrap(clip.cond_stage_model, "encode_token_weights", "texts")
    picture = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(0))
    encoded = condition.Encode.execute(clip, vision, vae, picture, "Estimate depth.").args
    full, image_only, none, latent = encoded
    (samples,) = sample.Sample.execute(
        model, full, image_only, none, 4.0, 1.5, latent, 0, STEPS, 1.0, "first 3", "euler"
    ).args
    vae.decode(samples["samples"])
    wanted = {
        "pictures to latents": 1,
        "latents to pictures": 1,
        "pictures to tokens": 1,
        "texts": 2,
    }
    assert counts.calls == wanted, counts.calls
    return counts.calls


def check_little_time_passes_outside_the_network(setup):
    """Sample with two branches: processor time of the node less that of the network's forwards."""
    small = Small(setup, batch=1)
    config = setup.module("pixwizard_core.config").ModelConfig.build(
        **{**SIZES_OF_A_LARGER_ONE, "cap_feat_dim": 32, "cap_clip_feat_dim": 24}
    )
    shapes = setup.module("pixwizard_core.weights.checkpoint").expected_shapes(config)
    generator = torch.Generator().manual_seed(0)
    weights = {n: torch.randn(s, generator=generator) * 0.02 for n, s in shapes.items()}
    patcher = small.native.make_patcher(config, weights, small.options, dtype=torch.float32)
    small.picture = torch.randn(1, 4, SIDE, SIDE, generator=generator)
    branches, latent = small.branches(), {"samples": torch.zeros(1, 4, SIDE, SIDE)}
    inside, network = 0.0, patcher.model.diffusion_model
    inner = network._forward

    def timed(*arguments, **named):
        nonlocal inside
        start = time.process_time()
        try:
            return inner(*arguments, **named)
        finally:
            inside += time.process_time() - start

    network._forward = timed
    comfy.model_management.load_models_gpu([patcher])
    node = setup.module("nodes.sampling.sample").Sample
    arguments = (patcher, *branches, 4.0, 1.0, latent, 0, STEPS, 1.0, "first 3", "euler")
    node.execute(*arguments)
    inside, start = 0.0, time.process_time()
    node.execute(*arguments)
    whole = time.process_time() - start
    beside = 1 - inside / whole
    assert beside < MOST_BESIDE, f"{100 * beside:.1f} % of {whole:.2f} s"
    return f"{100 * beside:.2f} % of {whole:.2f} s"


SIZES_OF_A_LARGER_ONE = {
    "dim": 512,
    "n_layers": 6,
    "n_heads": 8,
    "n_kv_heads": 4,
    "image_feat_dim": 16,
}
