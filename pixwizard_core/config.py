"""Shape of a PixWizard transformer: one frozen dataclass, checked on creation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import CheckpointError

RELEASED_PARTS = ("model", "gemma", "clip", "vae")  # what the released model is loaded from

# Far beyond any model of this kind; a file with larger numbers is damaged or malicious.
LARGEST, LARGEST_OF = 1 << 17, {"n_layers": 1024, "patch_size": 64, "in_channels": 1024}
MAX_COND_DIM = 1024  # the reference caps the width of its timestep, task and image embeddings


def swiglu_width(dim: int, multiple_of: int = 256) -> int:
    """Hidden width of the feed-forward: two thirds of 4*dim, rounded up to multiple_of."""
    hidden = int(2 * (4 * dim) / 3)
    return -(-hidden // multiple_of) * multiple_of


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Numbers that determine every weight shape of the transformer, and two token counts that
    determine none.

    ffn_dim: SwiGLU hidden width. cap_feat_dim: width of the text features (Gemma).
    cap_clip_feat_dim: width of the pooled text (CLIP). image_feat_dim: width of the image tokens
    (CLIP vision). image_tokens: how many of them a picture has; sample_tokens: how many of those
    each block keeps.
    Raises ValueError when the numbers do not fit together.
    The values of the released models are in PRESETS.
    """

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    ffn_dim: int
    patch_size: int = 2
    in_channels: int = 4
    learn_sigma: bool = True
    qk_norm: bool = True
    norm_eps: float = 1e-5
    cap_feat_dim: int = 2048
    cap_clip_feat_dim: int = 768
    image_feat_dim: int = 1024
    sample_tokens: int = 256
    image_tokens: int = 576

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            largest = LARGEST_OF.get(field.name, LARGEST)
            if field.type == "int" and (type(value) is not int or not 1 <= value <= largest):
                raise ValueError(
                    f"{field.name} must be a positive integer up to {largest}. Got: {value!r:.40}"
                )
            if field.type == "bool" and type(value) is not bool:
                raise ValueError(f"{field.name} must be true or false. Got: {value!r:.40}")
        if not isinstance(self.norm_eps, float) or not 0 < self.norm_eps < 1:
            raise ValueError(f"norm_eps must be between 0 and 1. Got: {self.norm_eps!r:.40}")
        if self.sample_tokens > self.image_tokens:
            raise ValueError(
                f"sample_tokens {self.sample_tokens} is more than image_tokens {self.image_tokens}"
            )
        if self.dim % self.n_heads:
            raise ValueError(f"dim {self.dim} is not divisible by n_heads {self.n_heads}")
        if self.head_dim % 4:
            raise ValueError(
                f"head width {self.head_dim} (dim {self.dim} / {self.n_heads} heads) must be a "
                "multiple of 4: rotary positions use row and column pairs"
            )
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads {self.n_heads} is not divisible by n_kv_heads {self.n_kv_heads}"
            )
        if self.dim % 4:
            raise ValueError(f"dim must be a multiple of 4 (token scorer widths). Got: {self.dim}")

    @classmethod
    def build(
        cls,
        *,
        dim: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        multiple_of: int = 256,
        **rest: Any,
    ) -> ModelConfig:
        """Config with derived numbers filled in: kv heads default to heads, ffn_dim computed."""
        return cls(
            dim=dim,
            n_heads=n_heads,
            n_kv_heads=n_kv_heads or n_heads,
            ffn_dim=swiglu_width(dim, multiple_of),
            **rest,
        )

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    @property
    def cond_dim(self) -> int:
        return min(self.dim, MAX_COND_DIM)

    @property
    def out_channels(self) -> int:
        return self.in_channels * 2 if self.learn_sigma else self.in_channels

    def to_dict(self) -> dict[str, int | float | bool]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Config from a file's header. Raises CheckpointError on unknown or unfit values."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise CheckpointError(
                f"model config has unknown entries {unknown}; this file may need a newer release"
            )
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"model config does not fit together: {error}") from error


PRESETS: dict[str, ModelConfig] = {
    "PixWizard_2B_GQA_patch2": ModelConfig.build(dim=2304, n_layers=24, n_heads=32, n_kv_heads=8),
    "PixWizard_2B_patch2": ModelConfig.build(dim=2304, n_layers=24, n_heads=32),
}

TINY = ModelConfig.build(
    dim=256,
    n_layers=6,
    n_heads=8,
    n_kv_heads=4,
    multiple_of=64,
    cap_feat_dim=128,
    cap_clip_feat_dim=128,
    image_feat_dim=96,
    image_tokens=144,
    sample_tokens=64,
)
