"""Which text tokens of a CONDITIONING the model uses, even if other nodes joined texts."""

from __future__ import annotations

import torch
from torch import Tensor

from ...pixwizard_core.errors import EncoderError


def tokens_used(text: Tensor, mask: Tensor | None) -> Tensor:
    """Which of the text features (B, T, width) are used: (B, T) int64, 1 = used.

    mask: what came with them; None uses every token. ConditioningConcat appends the tokens of a
    second text and keeps the mask of the first. Appended tokens are used if their features are not
    all zero, because our encoder makes padding zero. The result is int64, since the host would cast
    a bool to float. Raises EncoderError for any other shape, and for a text of which no token is
    used.
    """
    rows, tokens = text.shape[:2]
    if mask is None:
        return torch.ones(rows, tokens, dtype=torch.long, device=text.device)
    whole = mask.numel() == rows * tokens
    known = mask.reshape(rows, tokens) if whole else mask.reshape(-1, mask.shape[-1])
    if len(known) in (1, rows) and known.shape[1] <= tokens:
        known = known.ne(0).expand(rows, -1)
        appended = text[:, known.shape[1] :].ne(0).any(-1).to(known.device)
        used = torch.cat([known, appended], 1)
        if bool(used.any(1).all()):
            return used.long()
    raise EncoderError(
        f"a conditioning has {tokens} text tokens and a mask of shape {tuple(mask.shape)}; each "
        "text needs a mask of its own length with at least one token to use. Connect the "
        "conditioning of Encode itself, or join two of them with ConditioningConcat or "
        "ConditioningCombine"
    )
