"""The transformer and the pieces that callers name."""

from .attention import Attention, sdpa
from .rope import RopeScaling
from .token_sampler import gumbel_noise
from .transformer import Layout, Prepared, PixWizard

__all__ = ["Attention", "Layout", "PixWizard", "Prepared", "RopeScaling", "gumbel_noise", "sdpa"]
