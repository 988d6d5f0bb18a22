"""The host's step caches: steps are left out, and each branch of the guidance keeps its own."""

from __future__ import annotations

from contextlib import contextmanager

import comfyui_version
import torch
from comfy_extras import nodes_easycache
from small import STEPS, Small, Spy, apart, close

EXACT = 1e-5
SCALES = {"one branch": (1.0, 1.0), "two branches": (4.0, 1.0), "three branches": (3.0, 1.5)}
BRANCHES_APART = tuple(map(int, comfyui_version.__version__.split(".")[:2])) >= (0, 8)


def with_cache(small, node, threshold: float):
    settings = {"start_percent": 0.1, "end_percent": 0.95, "verbose": False}
    return node.execute(small.patcher, reuse_threshold=threshold, **settings).args[0]


@contextmanager
def foreseeable(small):
    """A network whose output less its input is a constant of each branch: what EasyCache keeps is
    then exactly what a step left out would have given."""
    network = small.patcher.model.diffusion_model

    def velocity(x, t, prepared, **_):
        return prepared.constant.mean(1).reshape(-1, 1, 1, 1) - x

    network.velocity = velocity
    try:
        yield
    finally:
        del network.velocity


def check_easy_cache_keeps_branches_apart(setup):
    """On hosts from 0.8 on. Before, each branch of a shared forward gets what was kept of all."""
    small, found = Small(setup, batch=1), {}
    cached = with_cache(small, nodes_easycache.EasyCacheNode, 3.0)
    with foreseeable(small):
        for name, scales in SCALES.items():
            plain = small.by_guider(*scales)
            found[name] = apart(small.by_guider(*scales, patcher=cached), plain)
    assert found["one branch"] < EXACT, found
    # The README says from which host on it may be used.
    assert (max(found.values()) < EXACT) == BRANCHES_APART, found
    return found


def check_caches_leave_steps_out(setup):
    """The network runs less often, and the picture stays near."""
    small, found = Small(setup), {}
    easy, lazy = nodes_easycache.EasyCacheNode, nodes_easycache.LazyCacheNode
    right = SCALES if BRANCHES_APART else ["one branch"]
    network, calls = small.patcher.model.diffusion_model, []
    inner = network.velocity
    for node, names in ((easy, right), (lazy, SCALES)):
        for name in names:
            plain = small.by_guider(*SCALES[name])
            calls.clear()
            network.velocity = lambda *a, **k: calls.append(1) or inner(*a, **k)
            made = small.by_guider(*SCALES[name], patcher=with_cache(small, node, 3.0))
            del network.velocity
            what = f"{node.__name__}, {name}"
            assert len(calls) < STEPS, f"{what}: no step was left out"
            found[what] = len(calls), close(made, plain, 1.0, what)
    return found


def check_caches_without_tolerance_change_nothing(setup):
    small, found = Small(setup), {}
    for node in (nodes_easycache.EasyCacheNode, nodes_easycache.LazyCacheNode):
        patched = with_cache(small, node, 0.0)
        with Spy(patched) as spy:
            made = small.by_guider(3.0, 1.5, patcher=patched)
        assert len(spy.calls) == STEPS, spy.calls
        found[node.__name__] = close(made, small.by_guider(3.0, 1.5), 0.0, node.__name__)
    full, image_only, _ = small.branches()
    stock = small.by_ksampler(full, image_only, 4.0, patched)
    return found, close(stock, small.by_ksampler(full, image_only, 4.0), 0.0, "stock KSampler")


def check_a_cache_forgets_between_runs(setup):
    small = Small(setup)
    cached = with_cache(small, nodes_easycache.LazyCacheNode, 3.0)
    first = small.by_guider(3.0, 1.5, patcher=cached)
    small.by_guider(1.0, 1.0, patcher=cached)
    again = small.by_guider(3.0, 1.5, patcher=cached)
    assert torch.equal(first, again)
