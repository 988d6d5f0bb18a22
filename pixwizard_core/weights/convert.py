"""Convert any accepted checkpoint to one safetensors file with its configuration in the header."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from ..errors import CheckpointError
from .checkpoint import Checkpoint, header, open_checkpoint
from .dtypes import FP8_DTYPES
from .examine import CheckpointInfo, inspect
from .finite import require_range
from .layer_choice import IN_8_BITS, Fetch, Lighter, kept_dtype, lighter
from .lora_apply import expected, merged_header, merging, read_uses
from .lora_use import LoraUse
from .quantised import WRITTEN, titles
from .weightfile import write_safetensors

DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp8": torch.float8_e4m3fn,
}
FP8 = torch.float8_e4m3fn
FP8_WEIGHTS = IN_8_BITS["model"]
TARGETS = (*DTYPES, *WRITTEN)  # what can be written

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

    dtype: "bf16", "fp16", "fp32", "fp8" (e4m3 for the large matrices, bfloat16 for the rest), or
    "fp8_scaled" or "int8", with scales, as ComfyUI's quantised loaders read them (layer_choice).
    on_tensor(done, total, name) is called after each tensor. loras: files whose changes become part
    of the weights; the header names them. tell: called with a line on each. Returns what was
    written. Raises CheckpointError when source is not a PixWizard checkpoint, a LoRA does not fit
    it, target cannot be written or would replace source, or a value does not fit the dtype.
    """
    source, target = Path(source), Path(target)
    if dtype not in TARGETS:
        raise CheckpointError(f"dtype {dtype!r} is unknown; choose one of {', '.join(TARGETS)}")
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target.name} must end in .safetensors")
    opened = open_checkpoint(source)
    if target.exists() and target.samefile(opened.info.path):
        raise CheckpointError(f"{target} is the source itself; name another file")
    if not target.parent.is_dir():
        raise CheckpointError(f"there is no folder {target.parent.absolute()} to write to")
    files = read_uses(loras, opened.shapes)
    if target.exists() and any(target.samefile(use.path) for use in loras):
        raise CheckpointError(f"{target} is a LoRA to merge; name another file")
    for applied in expected(files):
        (tell or _no_one)(applied.line)
    low = stored_low(opened)
    if low and dtype not in ("bf16", "fp32") and (opened.packed or dtype != low):
        (tell or _no_one)(twice_line(opened.info.path.name, low))
    made = content(dtype, opened, merging(opened.fetch, files))
    kept = {key: text for key, text in opened.metadata.items() if key != "format"}
    described = {"pixwizard.source": opened.info.path.name, **kept, **(metadata or {})}
    if loras:
        described |= merged_header(opened.metadata, loras)
    described |= made.header
    write_safetensors(
        target, made.shapes, made.dtypes, made.fetch, header(opened.config, described), on_tensor
    )
    return inspect(target)


def content(dtype: str, opened: Checkpoint, fetch: Fetch) -> Lighter:
    """What a file of this dtype holds. fetch: name -> weight."""
    if dtype in WRITTEN:
        return lighter("model", WRITTEN[dtype], opened.shapes, opened.dtypes, fetch)
    dtypes = {name: stored_dtype(name, dtype) for name in opened.shapes}

    def rounded(name: str) -> torch.Tensor:
        return require_range(fetch(name), name, dtypes[name]).to(dtypes[name])

    return Lighter(opened.shapes, dtypes, rounded, {})


def stored_low(opened: Checkpoint) -> str:
    """The 8-bit formats of a file in words, "" without any."""
    names = {FP8: "fp8"}
    stored = [dtype for dtype in FP8_DTYPES if dtype in opened.dtypes.values()]
    found = [names.get(dtype, str(dtype).removeprefix("torch.")) for dtype in stored]
    return " and ".join([*found, *([titles(opened.packed)] if opened.packed else [])])


def twice_line(source: str, stored: str) -> str:
    """A sentence on a file that loses precision twice. stored: its formats in words."""
    return (
        f"{source} is stored as {stored} already, and its errors stay; convert the file "
        "that it was made from, if you have it"
    )


def _no_one(line: str) -> None:
    """Nobody listens."""


def stored_dtype(name: str, dtype: str) -> torch.dtype:
    """Type in which a weight of this name is stored in a file of dtype."""
    return kept_dtype("model", name, DTYPES[dtype])
