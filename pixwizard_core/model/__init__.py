"""The transformer and the pieces that callers name."""

from .attention import Attention, sdpa
from .layers import Ops
from .prepared import Layout, Prepared
from .rope import NO_SCALING, RopeScaling
from .token_sampler import gumbel_noise
from .transformer import PixWizard

__all__ = [
    "NO_SCALING",
    "Attention",
    "Layout",
    "Ops",
    "PixWizard",
    "Prepared",
    "RopeScaling",
    "gumbel_noise",
    "sdpa",
]
