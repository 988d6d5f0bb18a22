"""Several sentences in one picture: which tokens of the picture read which sentence.

Each token reads one sentence, that of the region which covers most of it, or else the sentence for
the whole picture. Tokens of a region also do not look at those of other regions, if they are kept
apart. What a token passes on to its neighbours is how a sentence would otherwise reach the wrong
region: a model trained on one change in each picture then makes only one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditioning import Condition, Region, trim_text
from ..errors import SamplingError
from .attention import Attention

KeyValue = tuple[Tensor, Tensor]

LEAST_COVER = 0.25  # of a token; one that a region covers less of is not its own
REST = 0  # the number of the sentence for the whole picture; regions follow


@dataclass(frozen=True, slots=True)
class Voice:
    """A sentence and the tokens that read it.

    text, mask: features (B, T, width), and (B, T) bool or None. pooled: (B, width). tokens: (n,)
    int64, those that read it in any row. held: (B, n, 1) bool, in which rows they do; None for all.
    sees: (B, 1, 1, L) bool, the tokens that these look at; None for all.
    """

    text: Tensor
    mask: Tensor | None
    pooled: Tensor
    tokens: Tensor
    held: Tensor | None
    sees: Tensor | None


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """The voices of a batch, and weights (B, voices): the share of the tokens that read each."""

    voices: tuple[Voice, ...]
    weights: Tensor


def visible(masks: Tensor) -> Tensor:
    """What is left of masks (B, R, ...) in 0..1 when later ones lie on top of earlier ones."""
    above = torch.ones_like(masks[:, 0])
    left: list[Tensor] = []
    for mask in masks.unbind(1)[::-1]:
        left.append(mask * above)
        above = above * (1 - mask)
    return torch.stack(left[::-1], 1)


def owners(masks: Tensor, patch: int) -> Tensor:
    """Which region each token belongs to: (B, L) int64, 0 = none, else the region's number.

    masks: (B, R, h, w) in 0..1, sides multiples of patch. A token belongs to the region of which it
    shows most, if that is LEAST_COVER of the token or more; of equal ones to the later. A region
    that gets no token in this way takes the one of which it covers most, if possible one that is
    not the only token of another region. Raises SamplingError for a region that is left without a
    token in every row.
    """
    cover = torch.nn.functional.avg_pool2d(visible(masks.float()), patch).flatten(2)
    most = torch.full_like(cover[:, 0], LEAST_COVER)
    owner = torch.full_like(most, REST, dtype=torch.int64)
    for number, own in enumerate(cover.unbind(1), REST + 1):
        owner = torch.where(own >= most, number, owner)
        most = torch.maximum(most, own)
    for number, own in enumerate(cover.unbind(1), REST + 1):
        free = own * ~_only_ones(owner, masks.shape[1])
        best = torch.where(free.amax(1, keepdim=True) > 0, free, own).argmax(1, keepdim=True)
        small = ~(owner == number).any(1, keepdim=True) & (own.gather(1, best) > 0)
        owner = owner.scatter(1, best, torch.where(small, number, owner.gather(1, best)))
    for number in range(REST + 1, masks.shape[1] + 1):
        if not bool((owner == number).any()):
            own = masks[:, number - 1 : number], cover[:, number - 1]
            raise SamplingError(f"region {number} has no place in the picture: {_lost(*own)}")
    return owner


def _only_ones(owner: Tensor, count: int) -> Tensor:
    """Which tokens (B, L) are the only one that their region has. count: of regions."""
    held = torch.nn.functional.one_hot(owner, count + 1).sum(1)
    return (held.gather(1, owner) == 1) & (owner != REST)


def _lost(mask: Tensor, cover: Tensor) -> str:
    """Why a region has no token, and what to do. mask: (B, 1, h, w). cover: (B, L), how much of
    each token it shows."""
    if not bool((mask > 0).any()):
        return "its mask is empty; give it another mask"
    touched = int((cover > 0).sum(1).max())
    if not touched:
        return "regions after it cover it; give it another mask, or move it behind them in order"
    tokens = "the one token that it touches" if touched == 1 else "all tokens that it touches"
    others = "another region has" if touched == 1 else "other regions have"
    return f"{others} {tokens}; make its mask larger, or move the masks apart"


def plan_regions(condition: Condition, patch: int) -> tuple[Condition, RegionPlan | None]:
    """How the sentences of a condition are spread over the tokens.

    Regions with equal sentences are one. When a single sentence is left, returns it as a plain
    condition without a plan; otherwise the condition as it is. Raises SamplingError for a region
    without a place, ValueError for latents of several sizes.
    """
    if not isinstance(condition.image_latent, Tensor):
        raise ValueError("regions need latents of one size")
    masks = torch.stack([region.mask for region in condition.regions], 1)
    owner = owners(masks, patch)
    given = (condition, *condition.regions)
    same = _first_equal(given)
    owner = torch.tensor(same, dtype=torch.int64, device=owner.device)[owner]
    used = [number for number in sorted(set(same)) if bool((owner == number).any())]
    if len(used) == 1:
        one = given[used[0]]
        return _with_sentence(condition, one), None
    voices = tuple(_voice(given[number], owner, number, condition.regions_apart) for number in used)
    weights = torch.stack([(owner == number).float().mean(1) for number in used], 1)
    return condition, RegionPlan(voices, weights)


def _with_sentence(condition: Condition, one: Condition | Region) -> Condition:
    return Condition(
        one.text, one.text_mask, one.pooled, condition.image_tokens, condition.has_image,
        condition.image_latent,
    )  # fmt: skip


def _voice(one: Condition | Region, owner: Tensor, number: int, apart: bool) -> Voice:
    text, mask = trim_text(one.text, one.text_mask.bool())
    mine = owner == number
    tokens = mine.any(0).nonzero()[:, 0]
    held, sees = mine[:, tokens, None], None
    if apart and number != REST:
        sees = (mine | (owner == REST))[:, None, None]
        sees = None if bool(sees.all()) else sees
    mask = None if mask is None else mask[:, None, None]
    return Voice(text, mask, one.pooled, tokens, None if bool(held.all()) else held, sees)


def _first_equal(given: Sequence[Condition | Region]) -> list[int]:
    """For each sentence the number of the first that is the same."""
    trimmed = [trim_text(one.text, one.text_mask.bool()) for one in given]

    def equal(one: int, other: int) -> bool:
        pairs = zip(trimmed[one], trimmed[other], strict=True)
        pooled = torch.equal(given[one].pooled, given[other].pooled)
        return pooled and all(_same(a, b) for a, b in pairs)

    return [next(i for i in range(number + 1) if equal(i, number)) for number in range(len(given))]


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and torch.equal(one, other)


def attend_by_voice(
    q_self: Tensor,
    q: Tensor,
    key_value: KeyValue,
    texts: Sequence[KeyValue],
    opening: Tensor,
    plan: RegionPlan,
    attend: Attention,
) -> Tensor:
    """Self-attention plus gated attention to text (B, L, n*d), each token with its own voice.

    q_self, q: queries (B, n, L, d) of both. key_value: of the picture's tokens. texts: keys and
    values of each voice. opening: (n*d,), how far the gate of the text is open. The memory beyond
    that of plain attention is one output.
    """
    mixed: Tensor | None = None
    for voice, text_kv in zip(plan.voices, texts, strict=True):
        part = attend(q_self[:, :, voice.tokens], *key_value, voice.sees)
        text = attend(q[:, :, voice.tokens], *text_kv, voice.mask)
        part = torch.addcmul(part, text, opening)
        if mixed is None:
            mixed = part.new_empty(part.shape[0], q.shape[2], part.shape[2])
        if voice.held is not None:
            part = torch.where(voice.held, part, mixed[:, voice.tokens])
        mixed[:, voice.tokens] = part
    if mixed is None:
        raise ValueError("a plan of regions has no voice")
    return mixed
