"""Convert any accepted checkpoint to one safetensors file with its configuration in the header."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from ..errors import CheckpointError
from .checkpoint import header, open_checkpoint
from .examine import CheckpointInfo, inspect
from .finite import require_range
from .lora_apply import expected, merged_header, merging, read_uses
from .lora_use import LoraUse
from .weightfile import write_safetensors

DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp8": torch.float8_e4m3fn,
}
FP8 = torch.float8_e4m3fn
# Large matrices of attention and feed-forward only. Norms, gates, modulation, embedders and the
# token sampler are small and matter a lot, so they stay bfloat16.
FP8_WEIGHTS = re.compile(
    r"layers\.\d+\.(attention\.w\w+|feed_forward\.w[123]|input_image_proj)\.weight"
)

OnTensor = Callable[[int, int, str], None]


def convert(
    source: str | Path,
    target: str | Path,
    dtype: str = "bf16",
    *,
    metadata: Mapping[str, str] | None = None,
    on_tensor: OnTensor | None = None,
    loras: Sequence[LoraUse] = (),
    tell: Callable[[str], None] | None = None,
) -> CheckpointInfo:
    """Write source as safetensors in the named dtype, one tensor in memory at a time.

    dtype: "bf16", "fp16", "fp32", or "fp8" (e4m3 for the large matrices, bfloat16 for the rest).
    on_tensor(done, total, name) is called after each tensor. loras: files whose changes become part
    of the weights; the header names them. tell: called with a line on each. Returns what was
    written. Raises CheckpointError when source is not a PixWizard checkpoint, a LoRA does not fit
    it, target cannot be written or would replace source, or a value does not fit the dtype.
    """
    source, target = Path(source), Path(target)
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype {dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target.name} must end in .safetensors")
    opened = open_checkpoint(source)
    if target.exists() and target.samefile(opened.info.path):
        raise CheckpointError(f"{target} is the source itself; name another file")
    if not target.parent.is_dir():
        raise CheckpointError(f"there is no folder {target.parent.absolute()} to write to")
    dtypes = {name: stored_dtype(name, dtype) for name in opened.shapes}
    files = read_uses(loras, opened.shapes)
    if target.exists() and any(target.samefile(use.path) for use in loras):
        raise CheckpointError(f"{target} is a LoRA to merge; name another file")
    for applied in expected(files):
        (tell or _no_one)(applied.line)
    fetch_merged = merging(opened.fetch, files)

    def fetch(name: str) -> torch.Tensor:
        tensor = fetch_merged(name)
        return require_range(tensor, name, dtypes[name]).to(dtypes[name])

    kept = {key: text for key, text in opened.metadata.items() if key != "format"}
    described = {"pixwizard.source": opened.info.path.name, **kept, **(metadata or {})}
    if loras:
        described |= merged_header(opened.metadata, loras)
    write_safetensors(
        target, opened.shapes, dtypes, fetch, header(opened.config, described), on_tensor
    )
    return inspect(target)


def _no_one(line: str) -> None:
    """Nobody listens."""


def stored_dtype(name: str, dtype: str) -> torch.dtype:
    """Type in which a weight of this name is stored in a file of dtype."""
    if dtype == "fp8" and not FP8_WEIGHTS.fullmatch(name):
        return torch.bfloat16
    return DTYPES[dtype]
