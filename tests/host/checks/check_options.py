"""The Model Options node: attention, positions and image tokens, as the core computes them."""

from __future__ import annotations

import torch
from small import LATENT, SEED, STEPS, Small, Spy, apart, close, refused

EXACT = 1e-5
DEFAULTS = {
    "proportional_attention": True, "extrapolation": "auto", "rope_factor": 1.0, "watershed": 0.3,
    "token_selection": "topk", "token_seed": SEED, "kept_tokens": 0,
}  # fmt: skip


def changed(setup, small, **inputs):
    node = setup.module("nodes.loaders.model_options").ModelOptions
    return node.execute(small.patcher, **{**DEFAULTS, **inputs}).args[0]


def drawn(setup, small, **inputs):
    return changed(setup, small, token_selection="gumbel", **inputs)


def check_defaults_change_nothing(setup):
    small = Small(setup, centre=64)
    again = small.by_guider(3.0, 1.5, patcher=changed(setup, small))
    return close(again, small.by_guider(3.0, 1.5), 0.0, "with the defaults")


def check_attention_and_positions_are_the_cores(setup):
    small, found = Small(setup, centre=64), {}  # 16 tokens trained, 24 in the picture
    scaling = setup.module("pixwizard_core.model").RopeScaling
    for name, inputs, settings in (
        ("plain", {"proportional_attention": False, "extrapolation": "off"},
         {"proportional": False}),
        ("off", {"extrapolation": "off"}, {}),
        ("manual", {"extrapolation": "manual", "rope_factor": 2.0, "watershed": 0.6},
         {"rope": scaling(2.0, 0.6)}),
    ):  # fmt: skip
        ours = small.by_guider(3.0, 1.5, patcher=changed(setup, small, **inputs))
        found[name] = close(ours, small.by_core(w_text=3.0, w_image=1.5, **settings), EXACT, name)
        assert apart(ours, small.by_guider(3.0, 1.5)) > 1e-4, f"{name} changed nothing"
    return found


def check_kept_tokens_count(setup):
    small, found = Small(setup), {}
    for count in (0, 16, 100, 4096):
        ours = small.by_guider(3.0, 1.5, patcher=changed(setup, small, kept_tokens=count))
        wanted = small.by_core(w_text=3.0, w_image=1.5, kept=count or None)
        found[count] = close(ours, wanted, EXACT, f"{count} tokens")
    return found


def check_drawn_tokens_are_the_cores(setup):
    small, found = Small(setup), {}
    patched = drawn(setup, small)
    for text, image in ((1.0, 1.0), (4.0, 1.0), (3.0, 1.5)):
        ours = small.by_guider(text, image, patcher=patched)
        wanted = small.by_core(w_text=text, w_image=image, tokens="gumbel")
        found[f"{text} {image}"] = close(ours, wanted, EXACT, f"drawn at {text}, {image}")
        assert apart(ours, small.by_guider(text, image)) > 1e-4, "drawing changed nothing"
    full, image_only, _ = small.branches()
    stock = small.by_ksampler(full, image_only, 4.0, patched)
    found["KSampler"] = close(
        stock, small.by_core(w_text=4.0, tokens="gumbel"), EXACT, "drawn in the stock KSampler"
    )
    return found


def check_drawn_tokens_depend_on_their_seed_only(setup):
    small = Small(setup)
    patched = drawn(setup, small)
    first = small.by_guider(3.0, 1.5, patcher=patched)
    close(small.by_guider(3.0, 1.5, patcher=patched), first, 0.0, "a second run")
    close(small.by_guider(3.0, 1.5, patcher=patched.clone()), first, 0.0, "a clone")
    close(small.by_guider(3.0, 1.5, patcher=drawn(setup, small)), first, 0.0, "a second node")
    other = drawn(setup, small, token_seed=SEED + 9)
    assert apart(small.by_guider(3.0, 1.5, patcher=other), first) > 1e-4
    single = Small(setup)
    single.batch = 1
    for name in ("picture", "tokens", "empty_latent", "noise"):
        setattr(single, name, getattr(small, name)[1:])
    alone = single.by_guider(3.0, 1.5, patcher=drawn(setup, single, token_seed=SEED + 1))
    return close(alone, first[1:], EXACT, "second picture alone")


def check_drawn_tokens_do_not_depend_on_how_branches_are_batched(setup):
    small = Small(setup)
    patched = drawn(setup, small)
    together = small.by_guider(3.0, 1.5, patcher=patched)
    model = small.patcher.model
    model.memory_required = lambda *a, **k: 1 << 60  # nothing fits: one branch in a forward
    try:
        with Spy(small.patcher) as spy:
            apart_ = small.by_guider(3.0, 1.5, patcher=patched)
    finally:
        del model.memory_required
    assert len(spy.calls) == 3 * STEPS, spy.calls
    return close(apart_, together, EXACT, "branches one by one")


def check_last_node_counts(setup):
    """Two of them in a row: the second replaces what the first had set, wrappers as well."""
    small = Small(setup)
    node = setup.module("nodes.loaders.model_options").ModelOptions
    back = node.execute(drawn(setup, small, kept_tokens=5), **DEFAULTS).args[0]
    key = setup.module("nodes.loaders.model_options").WRAPPERS_KEY
    left = [kind for kind, wrappers in back.wrappers.items() if wrappers.get(key)]
    assert not left, left
    return close(small.by_guider(3.0, 1.5, patcher=back), small.by_guider(3.0, 1.5), 0.0, "back")


def check_other_models_are_refused(setup):
    class Other:
        model = torch.nn.Module()

    Other.model.diffusion_model = torch.nn.Linear(*LATENT)
    error = setup.module("pixwizard_core.errors").CheckpointError
    node = setup.module("nodes.loaders.model_options").ModelOptions
    return refused(error, ("PixWizard", "Load Model"), node.execute, Other(), *DEFAULTS.values())
