"""Prepared conditions of one sampling run: computed at the first step, reused at the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from ...pixwizard_core.conditioning import Condition
from ...pixwizard_core.model import Prepared
from .region_conds import same_regions, same_tensors

LIMIT = 8  # entries; a run needs one for each batch of branches, and more only for regions


class PreparedCache:
    """Finds Prepared by the content of its condition, so a change that the host or another node
    makes between steps is noticed. The image latent is not compared: of what is prepared, only the
    token layout depends on it, and its shape decides that."""

    def __init__(self) -> None:
        self._entries: list[tuple[Condition, Hashable, Prepared]] = []

    def get(
        self, condition: Condition, options: Hashable, prepare: Callable[[], Prepared]
    ) -> Prepared:
        """Prepared of a condition under these options. prepare() makes it when it is new. With
        weights in training it is made at each call, because they change between steps."""
        for known, known_options, prepared in self._entries:
            if known_options == options and _same(known, condition):
                return replace(prepared, image_latent=condition.image_latent)
        prepared = prepare()
        if _trained(prepared):
            return prepared
        self._entries = [*self._entries[1 - LIMIT :], (condition, options, prepared)]
        return prepared


def _trained(prepared: Prepared) -> bool:
    """Whether gradients would flow through what was prepared."""
    pairs = [pair for layer in prepared.layers for pair in (layer.text, layer.image) if pair]
    return any(t.requires_grad for t in (prepared.constant, *(t for pair in pairs for t in pair)))


def _same(one: Condition, other: Condition) -> bool:
    if [row.shape for row in one.image_latent] != [row.shape for row in other.image_latent]:
        return False
    if one.regions_apart != other.regions_apart or not same_regions(one.regions, other.regions):
        return False
    return same_tensors(one, other, ("has_image", "text_mask", "pooled", "text", "image_tokens"))
