"""The transformer and the pieces that callers name."""

from .attention import Attention, sdpa
from .rope import NO_SCALING, RopeScaling
from .token_sampler import gumbel_noise
from .transformer import Layout, PixWizard, Prepared

__all__ = [
    "NO_SCALING",
    "Attention",
    "Layout",
    "PixWizard",
    "Prepared",
    "RopeScaling",
    "gumbel_noise",
    "sdpa",
]
