"""The loss of a step: flow matching on stored results, each example with chance of its own.

x_t = t x1 + (1 - t) x0 with x0 noise and x1 the target's latent; the model learns x1 - x0. What is
drawn for an example depends on the seed, the step and its place in the batch alone, so a batch may
be split over processes or passed in parts and gives the same gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...canvas import Size
from ...conditioning import Condition, pad_text
from ...model import PixWizard, gumbel_noise
from ..loop import change_weights
from .encode import LATENT, TOKENS, WEIGHTS, KnownExample
from .order import mixed
from .settings import TeachSettings
from .store import Store

Slot = tuple[int, KnownExample]  # place in the batch, and what it shows


@dataclass(frozen=True, slots=True)
class Draw:
    """Chance of one example. fate: in 0..1, what it loses. which: in 0..1, the sentence. time: 0 =
    noise, 1 = image. noise: (4, h, w). gumbel: (layers, N)."""

    fate: float
    which: float
    time: float
    noise: Tensor
    gumbel: Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """Examples of one size for a pass through the model. gumbel: (layers, B, N). weights: of the
    loss, (B, 1, h, w), None where all places count the same."""

    target: Tensor
    noise: Tensor
    times: Tensor
    condition: Condition
    gumbel: Tensor
    weights: Tensor | None


def draw(
    settings: TeachSettings, step: int, place: int, latent: tuple[int, ...], tokens: tuple[int, int]
) -> Draw:
    """What chance decides for an example. latent: shape of its target's. tokens: layers of the
    model, and image tokens."""
    generator = torch.Generator().manual_seed(mixed(settings.seed, "example", step, place))
    fate, which, even = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    normal = torch.randn((), generator=generator, dtype=torch.float64)
    leaning = torch.sigmoid(normal * settings.time_spread + settings.time_mean)
    time = float(leaning) if settings.time_spread else even
    noise = torch.randn(latent, generator=generator, dtype=torch.float32)
    return Draw(fate, which, time, noise, gumbel_noise(tokens, generator))


def passes(slots: Sequence[Slot], at_once: int) -> Iterator[list[Slot]]:
    """The examples of a step by size, at most at_once together (0: no limit)."""
    by_size: dict[Size, list[Slot]] = {}
    for slot in slots:
        by_size.setdefault(slot[1].size, []).append(slot)
    for same in by_size.values():
        part = at_once or len(same)
        yield from (same[start : start + part] for start in range(0, len(same), part))


def gather(
    slots: Sequence[Slot],
    draws: Callable[[int, KnownExample], Draw],
    store: Store,
    empty: str,
    settings: TeachSettings,
) -> Rows:
    """Look up what a pass needs, on the CPU. draws: chance of a place. empty: key of the empty
    caption."""
    drawn = [draws(place, known) for place, known in slots]
    texts: list[dict[str, Tensor]] = []
    keep: list[bool] = []
    for one, (_, known) in zip(drawn, slots, strict=True):
        without_text, without_image = fate_of(one.fate, settings)
        sentence = known.texts[int(one.which * len(known.texts))]
        texts.append(store.get(empty if without_text else sentence))
        keep.append(not without_image)
    shown = [known for _, known in slots]
    target = torch.stack([store.get(known.target)[LATENT] for known in shown])
    source = torch.stack([store.get(known.source)[LATENT] for known in shown])
    tokens = torch.stack([store.get(known.tokens)[TOKENS] for known in shown])
    noise = torch.stack([one.noise for one in drawn])
    present = torch.tensor(keep, dtype=torch.bool)
    longest = max(len(text["text"]) for text in texts)
    condition = Condition(
        text=torch.cat([pad_text(text["text"][None], longest) for text in texts]),
        text_mask=torch.stack([torch.arange(longest) < len(text["text"]) for text in texts]),
        pooled=torch.stack([text["pooled"] for text in texts]),
        image_tokens=tokens * present[:, None, None].to(tokens),
        has_image=present,
        image_latent=torch.where(present[:, None, None, None], source, noise),
    )
    return Rows(
        target,
        noise,
        torch.tensor([one.time for one in drawn], dtype=torch.float32),
        condition,
        torch.stack([one.gumbel for one in drawn], 1),
        _weights(shown, source, target, store, settings.focus),
    )


def with_picture(rows: Rows) -> Rows:
    """The same rows, passed through all parts of the model: as if one of them had a picture. Empty
    image tokens add nothing."""
    present = torch.ones_like(rows.condition.has_image)
    return replace(rows, condition=replace(rows.condition, has_image=present))


def fate_of(fate: float, settings: TeachSettings) -> tuple[bool, bool]:
    """Whether an example loses its words, and whether it loses its picture."""
    text, both, image = settings.drop_text, settings.drop_both, settings.drop_image
    return fate < text + both, text <= fate < text + both + image


def _weights(
    shown: Sequence[KnownExample], source: Tensor, target: Tensor, store: Store, focus: float
) -> Tensor | None:
    """Weights with mean 1 in every example, None where all are 1."""
    weights = change_weights(source, target, focus) if focus else None
    if any(known.weights for known in shown):
        plain = torch.ones_like(target[:1, :1])[0]
        masks = [store.get(k.weights)[WEIGHTS] if k.weights else plain for k in shown]
        weights = torch.stack(masks) * (1.0 if weights is None else weights)
    return None if weights is None else weights / weights.mean((2, 3), keepdim=True)


def losses(model: PixWizard, rows: Rows, again: bool = False) -> Tensor:
    """Squared velocity error of each example, (B,), weighted. again: compute each block twice to
    keep its activations out of memory (gradient checkpointing)."""
    device = model.x_embedder.weight.device
    target, noise = rows.target.to(device), rows.noise.to(device)
    at = rows.times.to(device)[:, None, None, None]
    moved = (at * target + (1 - at) * noise).to(target)
    # The scores have gradients only where their own weights are trained.
    soft = any(part.requires_grad for part in model.layers[0].out_conv.parameters())

    def hook(_: int, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        return cast(Tensor, checkpoint(run, x, use_reentrant=False))

    velocity = model(
        moved,
        rows.times.to(device),
        rows.condition.to(device),
        gumbel=rows.gumbel.to(device),
        straight_through=soft,
        block_hook=hook if again else None,
    )
    errors = (velocity.float() - (target - noise)).square()
    if rows.weights is not None:
        errors = errors * rows.weights.to(device)
    return errors.mean((1, 2, 3))
