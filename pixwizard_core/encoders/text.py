"""Turn instructions into text features: Gemma's next-to-last hidden states and CLIP's pooled
text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from ..weights.finite import TEXT_ENCODER, finite_output
from .clip import ClipText
from .gemma import Gemma
from .tokenizer import TextTokenizer, clip_batch, gemma_batch


class TextFeatures(NamedTuple):
    """text: (B,T,D). mask: (B,T) bool, True on words. pooled: (B,P)."""

    text: Tensor
    mask: Tensor
    pooled: Tensor


class TokenBatch(NamedTuple):
    """ids, mask: (B,T) for Gemma, T a multiple of 8. clip_ids, clip_mask: (B,clip length)."""

    ids: Tensor
    mask: Tensor
    clip_ids: Tensor
    clip_mask: Tensor


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """Both tokenizers of a text encoder; the bundled model uses one file for both."""

    gemma: TextTokenizer
    clip: TextTokenizer
    clip_length: int

    def tokenize(self, sentences: Sequence[str]) -> TokenBatch:
        """Ids and masks on the CPU. Instructions are cut at 256 tokens, CLIP's at clip_length."""
        return TokenBatch(
            *gemma_batch(self.gemma, sentences), *clip_batch(self.clip, sentences, self.clip_length)
        )


class TextEncoder(nn.Module):
    """Gemma and CLIP text with their tokenizers.

    No method turns gradients off; training uses `features`.
    """

    def __init__(self, gemma: Gemma, clip: ClipText, tokenizers: Tokenizers):
        super().__init__()
        self.gemma, self.clip, self.tokenizers = gemma, clip, tokenizers

    @property
    def width(self) -> int:
        """D, features per word."""
        return self.gemma.config.hidden_size

    @property
    def pooled_width(self) -> int:
        """P, features of the pooled text."""
        return self.clip.config.projection_dim

    def tokenize(self, sentences: Sequence[str]) -> TokenBatch:
        """Sentences to ids and masks, on the CPU."""
        return self.tokenizers.tokenize(sentences)

    def features(self, ids: Tensor, mask: Tensor, clip_ids: Tensor) -> TextFeatures:
        """Features of tokenised text; all three on the encoder's device. Differentiable.

        CLIP text is causal and read at its first end token, so it needs no mask.
        """
        return TextFeatures(self.gemma(ids, mask), mask.bool(), self.clip(clip_ids))

    def encode(self, sentences: Sequence[str]) -> TextFeatures:
        """Sentences to features on the encoder's device; "" is the empty caption. Raises
        EncoderError when they are not finite."""
        batch = self.tokenize(sentences)
        weight = next(self.gemma.parameters())
        ids, mask, clip_ids = (part.to(weight.device) for part in batch[:3])
        made = self.features(ids, mask, clip_ids)
        for values in (made.text, made.pooled):
            finite_output(values, TEXT_ENCODER, weight.dtype)
        return made

    def forward(self, ids: Tensor, mask: Tensor, clip_ids: Tensor) -> TextFeatures:
        return self.features(ids, mask, clip_ids)
