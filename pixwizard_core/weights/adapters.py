"""How adapters change a weight: LoRA, LoHa, LoKr, GLoRA, OFT, BOFT, plain changes, DoRA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..torch_types import norm, solve_from_right, unflatten
from .finite import all_finite, largest

Parts = Mapping[str, Tensor]


@dataclass(frozen=True)
class Adapter:
    """One change of one weight.

    target: the weight's name in the model. kind: a key of KINDS. parts: its tensors, named as in
    lora_names. scale: factor of the change, alpha / rank. entries: names in the file.
    """

    target: str
    kind: str
    parts: Parts
    scale: float
    entries: tuple[str, ...]

    @property
    def is_dora(self) -> bool:
        return not DORA.isdisjoint(self.parts)


def low_rank(parts: Parts, weight: Tensor) -> Tensor:
    """LoRA: up @ down, as a matrix."""
    return parts["lora_up"].flatten(1) @ parts["lora_down"].flatten(1)


def hadamard(parts: Parts, weight: Tensor) -> Tensor:
    """LoHa: elementwise product of two low-rank matrices. Source: LyCORIS."""
    one = parts["hada_w1_a"] @ parts["hada_w1_b"]
    return one * _like(one, parts["hada_w2_a"] @ parts["hada_w2_b"])


def kronecker(parts: Parts, weight: Tensor) -> Tensor:
    """LoKr: Kronecker product of two matrices, each whole or of low rank. Source: LyCORIS."""
    one, other = (
        parts[name] if name in parts else parts[f"{name}_a"] @ parts[f"{name}_b"]
        for name in ("lokr_w1", "lokr_w2")
    )
    return torch.kron(one.contiguous(), other.contiguous())


def generalized(parts: Parts, weight: Tensor) -> Tensor:
    """GLoRA: weight @ (a1 @ a2) + b1 @ b2, with swapped halves in early files. Source: LyCORIS."""
    a1, a2, b1, b2 = (parts[name].flatten(1) for name in ("a1", "a2", "b1", "b2"))
    if _old_glora(parts, weight):
        return weight @ a2 @ a1 + _like(weight, b2 @ b1)
    return weight @ a1 @ a2 + _like(weight, b1 @ b2)


def _like(one: Tensor, other: Tensor) -> Tensor:
    """The other tensor. Raises unless the shapes match; torch would broadcast a single row or
    column."""
    if one.shape != other.shape:
        raise ValueError(f"{tuple(one.shape)} and {tuple(other.shape)} differ")
    return other


def _old_glora(parts: Parts, weight: Tensor) -> bool:
    """Whether the halves are swapped, as early versions of LyCORIS wrote them."""
    a1, a2, b1, b2 = (parts[name].shape for name in ("a1", "a2", "b1", "b2"))
    old = b2[1] == b1[0] == a1[0] == a2[1]
    new = b2[0] == b1[1] == a1[1] == a2[0]
    if old and new:  # both fit when all sides are equal
        return a2[0] == weight.shape[0] == weight.shape[1]
    return old


def _rotations(blocks: Tensor, limit: float) -> Tensor:
    """Orthogonal matrices from unconstrained ones (..., b, b). limit: largest norm, 0 for none."""
    skew = blocks - blocks.transpose(-1, -2)
    if limit > 0 and not skew.is_meta:
        skew = skew * min(1.0, limit / (float(norm(skew)) + 1e-8))
    one = torch.eye(blocks.shape[-1], dtype=blocks.dtype, device=blocks.device)
    return solve_from_right(one - skew, one + skew)


def _require_rows(blocks: Tensor, weight: Tensor) -> None:
    rows = blocks.shape[-3] * blocks.shape[-2]
    if rows != weight.shape[0]:
        raise ValueError(f"blocks for {rows} rows, the weight has {weight.shape[0]}")


def _limit(parts: Parts) -> float:
    alpha = parts.get("alpha")
    return 0.0 if alpha is None or alpha.is_meta else float(alpha)


def _rescaled(turned: Tensor, parts: Parts, weight: Tensor) -> Tensor:
    if "rescale" in parts:
        turned = turned * parts["rescale"].reshape(weight.shape[0], 1)
    return turned - weight


def orthogonal(parts: Parts, weight: Tensor) -> Tensor:
    """OFT: what rotating blocks of rows of the weight adds. Source: LyCORIS."""
    blocks = parts["oft_blocks"]  # (n, b, b), n b outputs
    _require_rows(blocks, weight)
    turns = _rotations(blocks, _limit(parts))
    rows = unflatten(weight, 0, blocks.shape[:2])
    turned = torch.einsum("knm,kni->kmi", turns, rows).reshape(weight.shape)
    return _rescaled(turned, parts, weight)


def butterfly(parts: Parts, weight: Tensor) -> Tensor:
    """BOFT: what several levels of interleaved block rotations add. Source: LyCORIS."""
    blocks = parts["oft_blocks"]  # (m, n, b, b), n b outputs
    _require_rows(blocks, weight)
    side = blocks.shape[-1]
    turned = weight
    for level, turns in enumerate(_rotations(blocks, _limit(parts))):
        apart = 2**level * (side // 2)
        mixed = unflatten(turned, 0, (-1, 2, apart)).transpose(1, 2).flatten(0, 2)
        mixed = torch.einsum("kij,kjc->kic", turns, unflatten(mixed, 0, (-1, side)))
        apart_again = unflatten(mixed.flatten(0, 1), 0, (-1, apart, 2))
        turned = apart_again.transpose(1, 2).flatten(0, 2)
    return _rescaled(turned, parts, weight)


def plain(parts: Parts, weight: Tensor) -> Tensor:
    """A change stored as it is."""
    return parts["diff"]


def replaced(parts: Parts, weight: Tensor) -> Tensor:
    """What replacing the weight by a stored one adds."""
    return parts["set_weight"] - weight


KINDS = {
    "lora": low_rank, "loha": hadamard, "lokr": kronecker, "glora": generalized,
    "oft": orthogonal, "boft": butterfly, "diff": plain, "set": replaced,
}  # fmt: skip


# Kinds with a strength of alpha / rank, and a part that gives the rank.
RANKS_IN = {"lora": "lora_down", "loha": "hada_w1_b", "lokr": "lokr_w2_b", "glora": "a1"}
DORA = {"dora_scale", "magnitude"}
SURE = 0.25  # share of the dtype's largest number, which a trained weight never reaches by itself
# Parts whose largest numbers, multiplied, bound the change. In a matrix product, the parts in SUMS
# have as many rows as there are terms to add.
FACTORS = {
    "lora": ("lora_up", "lora_down"),
    "loha": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    "lokr": ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"),
    "diff": ("diff",),
}
SUMS = {"lora_down", "hada_w1_b", "hada_w2_b", "lokr_w1_b", "lokr_w2_b"}


def rank_of(kind: str, parts: Parts) -> int | None:
    """The rank that alpha is divided by; None for LoKr of whole matrices, which has none."""
    if kind == "lokr":
        inner = parts.get("lokr_w2_b", parts.get("lokr_w1_b"))
        return None if inner is None else inner.shape[0]
    # For GLoRA the rank is the shorter side, whether or not its halves are swapped.
    return min(parts[RANKS_IN[kind]].shape) if kind == "glora" else parts[RANKS_IN[kind]].shape[0]


def change(adapter: Adapter, weight: Tensor) -> Tensor:
    """What the adapter adds to a weight at strength 1, float32, of the weight's shape.

    weight: any dtype; its device is used. Raises RuntimeError or ValueError for parts that do not
    fit.
    """
    weight = weight.detach().float()
    parts = {name: part.to(weight.device, torch.float32) for name, part in adapter.parts.items()}
    added = KINDS[adapter.kind](parts, weight) * adapter.scale
    if added.shape != weight.shape:
        raise ValueError(f"changes {tuple(added.shape)}, the weight is {tuple(weight.shape)}")
    return decomposed(parts, weight, added) if adapter.is_dora else added


def require_finite_change(adapter: Adapter, weight: Tensor, strength: float) -> None:
    """Raise CheckpointError when adding the adapter at this strength takes the weight out of the
    range of its dtype, which would give black pictures only.

    For the usual kinds the parts' largest numbers decide; the change is computed only when they do
    not.
    """
    limit = torch.finfo(weight.dtype).max
    bound = largest_change(adapter)
    if bound is not None and bound * abs(strength) < SURE * limit:
        return
    total = weight.detach().float() + change(adapter, weight) * strength
    if all_finite(total) and largest(total) <= limit:
        return
    raise CheckpointError(
        f"at strength {strength:g} {adapter.entries[0]} takes {adapter.target} beyond the numbers "
        f"of {str(weight.dtype).removeprefix('torch.')}: lower the strength, or load the model in "
        "bfloat16 or float32. If that does not help, the LoRA is damaged"
    )


def largest_change(adapter: Adapter) -> float | None:
    """Upper bound of the absolute values that an adapter adds at strength 1, from the largest of
    each part; None for kinds that depend on the weight."""
    if adapter.is_dora or adapter.kind not in FACTORS:
        return None
    bound = abs(adapter.scale)
    for name in FACTORS[adapter.kind]:
        if name in adapter.parts:
            part = adapter.parts[name]
            bound *= largest(part) * (part.shape[0] if name in SUMS else 1)
    return bound


def decomposed(parts: Parts, weight: Tensor, added: Tensor) -> Tensor:
    """What DoRA adds: it scales each row or column of the changed weight to the trained length."""
    total = weight + added
    lengths = parts.get("magnitude")
    if lengths is not None:
        rows = True  # PEFT always stores rows
    else:
        lengths = parts["dora_scale"]
        rows = lengths.numel() == lengths.shape[0] == weight.shape[0]
    lengths = lengths.reshape((weight.shape[0], 1) if rows else (1, weight.shape[1]))
    own = norm(total, dim=1 if rows else 0, keepdim=True)
    return total * (lengths / own.clamp_min(torch.finfo(torch.float32).eps)) - weight


def changed_shape(kind: str, parts: Parts, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the change that these parts give. parts: on the meta device. shape: of the weight.

    Raises RuntimeError, ValueError or IndexError for parts that do not fit one another.
    """
    weight = torch.empty(shape, dtype=torch.float32, device="meta")
    added = KINDS[kind](parts, weight)
    if added.shape == weight.shape and not DORA.isdisjoint(parts):
        added = decomposed(parts, weight, added)
    return tuple(added.shape)
