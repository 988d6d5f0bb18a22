"""Convert a text encoder to one safetensors file: in bfloat16, or lighter with 8-bit weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError, EncoderError
from ..weights.convert import OnTensor, twice_line
from ..weights.layer_choice import Lighter, lighter, plain_dtype
from ..weights.quantised import WRITTEN, titles
from ..weights.weightfile import open_weights, write_safetensors
from .load import HEADER_KEYS, KEY_TENSORS, EncoderSource, read_source
from .shards import weight_files

KINDS = ("gemma", "clip_text")
TARGETS = ("bf16", *WRITTEN)
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
Tell = Callable[[str], None]


def text_encoder_at(path: str | Path) -> str | None:
    """The text encoder that a file or folder holds, "gemma" or "clip_text", or None. Reads names
    only."""
    try:
        names = {name.removeprefix("model.") for file in weight_files(path) for name in file.shapes}
    except EncoderError:
        return None
    return next((kind for kind in KINDS if KEY_TENSORS[kind] in names), None)


def convert_text_encoder(
    kind: str,
    source: str | Path,
    target: str | Path,
    dtype: str = "bf16",
    *,
    on_tensor: OnTensor | None = None,
    tell: Tell = lambda line: None,
) -> int:
    """Write an encoder as one safetensors file, one tensor in memory at a time, with its tokenizer
    beside it. CLIP's vision half is written too, in bfloat16. Returns the size of the file in
    bytes.

    kind: "gemma" or "clip_text". dtype: "bf16", "fp8_scaled" or "int8". on_tensor(done, total,
    name) is called after each tensor, tell with a line on whatever else happens. Raises
    EncoderError when source is another model, CheckpointError when target cannot be written.
    """
    source, target = Path(source), Path(target)
    if dtype not in TARGETS:
        raise CheckpointError(
            f"a text encoder can be written as {', '.join(TARGETS)}. Got: {dtype}"
        )
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target.name} must end in .safetensors")
    if not target.parent.is_dir():
        raise CheckpointError(f"there is no folder {target.parent.absolute()} to write to")
    found = read_source(kind, source)
    if target.exists() and any(target.samefile(file) for file in found.files):
        raise CheckpointError(f"{target} is the source itself; name another file")
    if found.weights.packed and dtype != "bf16":
        tell(twice_line(source.name, titles(found.weights.packed)))
    made = _content(kind, dtype, found)
    if kind == "clip_text" and (vision := _vision(source)):
        made = _joined(made, vision)
    header = _settings(found) | made.header
    write_safetensors(target, made.shapes, made.dtypes, made.fetch, header, on_tensor)
    for name in _copied_tokenizer(found.folder, target.parent):
        tell(f"copied {name}, which the loader looks for beside the weights")
    return target.stat().st_size


def _content(kind: str, dtype: str, found: EncoderSource) -> Lighter:
    weights = found.weights
    if dtype in WRITTEN:
        return lighter(kind, WRITTEN[dtype], weights.shapes, weights.dtypes, weights.fetch)
    dtypes = {name: plain_dtype(own) for name, own in weights.dtypes.items()}
    return Lighter(weights.shapes, dtypes, weights.fetch, {})


def _vision(source: Path) -> Lighter | None:
    """The vision half beside a CLIP text model, if there is one."""
    try:
        return _content("clip_vision", "bf16", read_source("clip_vision", source))
    except EncoderError:
        return None


def _joined(one: Lighter, other: Lighter) -> Lighter:
    def fetch(name: str):
        return (one if name in one.shapes else other).fetch(name)

    return Lighter(one.shapes | other.shapes, one.dtypes | other.dtypes, fetch, one.header)


def _settings(found: EncoderSource) -> dict[str, str]:
    """Entries of the headers that say which sizes an encoder has."""
    return {
        key: text
        for file in found.files
        for key, text in open_weights(file).metadata.items()
        if key in HEADER_KEYS.values()
    }


def _copied_tokenizer(source: Path, target: Path) -> list[str]:
    """Copy the files of a tokenizer that the target's folder lacks. Returns their names."""
    if (target / TOKENIZER_FILES[0]).exists():
        return []
    copied = [name for name in TOKENIZER_FILES if (source / name).is_file()]
    for name in copied:
        if not (target / name).exists():
            shutil.copyfile(source / name, target / name)
    return copied
