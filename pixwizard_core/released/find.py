"""Find the files that are parts of the released model by their content. Reads only names, shapes
and dtypes; the result for a file is cached until the file changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..encoders.architectures import expected_shapes, require_fit
from ..encoders.load import KEY_TENSORS, EncoderSource, read_source
from ..encoders.shards import SHARD, weight_files
from ..encoders.vae import sd_vae_family
from ..errors import CheckpointError, EncoderError, PixWizardError
from ..weights.checkpoint import open_checkpoint
from ..weights.examine import FOREIGN, PART, inspect
from ..weights.locate import ARGUMENTS_NAME, RELEASED_NAMES
from ..weights.published import ORIGIN
from ..weights.quantised import titles
from ..weights.recognise import PIXWIZARD
from ..weights.weightfile import WEIGHT_ENDINGS, bulk, open_weights, size_in_words
from .places import Folders

DEEPEST = 5  # levels of folders below a model folder; the hub's cache needs three
HALVES = ("clip_text", "clip_vision")
# Of several files that fit, those that load fast and compute as released come first.
STORED_ORDER = (
    "bfloat16", "float16", "float32", "float64", "int8", "fp8_scaled", "float8_e4m3fn",
    "float8_e5m2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartFile:
    """A file, or a folder of shards, that is a part. what: a description. widths: output widths of
    an encoder, or those that the transformer needs, by encoder."""

    path: Path
    what: str
    widths: tuple[tuple[str, int], ...] = ()
    rank: tuple = ()


@dataclass(frozen=True, slots=True)
class Search:
    """found: files that are the part, best first. near: similar files that cannot be used, with the
    reason. searched: the folders searched."""

    found: tuple[PartFile, ...]
    near: tuple[tuple[Path, str], ...]
    searched: tuple[Path, ...]


def search(
    part: str, kinds: Sequence[str], folders: Folders, fits: PartFile | None = None
) -> Search:
    """Search for a part in the folders of these kinds, in this order; stops after the first kind
    that has it.

    part: "model", "gemma", "clip" (both halves in one place), "clip_text", "clip_vision" or "vae".
    fits: the transformer that an encoder must suit.
    """
    near, searched = [], []
    for kind in kinds:
        roots = [folder for folder in folders.get(kind, ()) if folder.is_dir()]
        searched += roots
        found = []
        for path in dict.fromkeys(place for root in roots for place in _places(part, root)):
            verdict = _kept(part, path)
            if isinstance(verdict, str):
                near += [(path, verdict)] if verdict else []
            elif unfit := _unfit(verdict, fits):
                near.append((path, unfit))
            else:
                found.append(verdict)
        if found:
            found.sort(key=lambda one: (*one.rank, str(one.path)))
            return Search(tuple(found), tuple(near), tuple(searched))
    return Search((), tuple(near), tuple(searched))


def identify(part: str, path: Path) -> PartFile:
    """Identify a file or folder as a part. Raises PixWizardError saying why it is not, with an
    empty reason if it has nothing to do with the part."""
    return IDENTIFY[part](path)


def _places(part: str, root: Path) -> Iterator[Path]:
    """Candidates for a part below a folder: folders of an encoder, and single files."""
    for here, files in walk(root):
        if part in ("gemma", "clip", *HALVES) and here != root and is_model_folder(files):
            yield here
        else:
            yield from (
                here / name
                for name in files
                if name.lower().endswith(WEIGHT_ENDINGS)
                and name != ARGUMENTS_NAME
                and not _is_later_shard(name)
            )


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder below a folder of models and the names of its files, in order. Follows links,
    skips hidden folders."""
    seen = set()
    for folder, names, files in os.walk(root, followlinks=True):
        here = Path(folder)
        real = here.resolve()
        names[:] = sorted(name for name in names if not name.startswith("."))
        if real in seen:  # a link to a folder already visited
            names[:] = []
            continue
        if len(here.relative_to(root).parts) >= DEEPEST:
            names[:] = []
        seen.add(real)
        yield here, sorted(files)


def is_model_folder(files: Iterable[str]) -> bool:
    """Whether file names are those of one model in the hub's layout."""
    return any(
        name == "config.json" or name.endswith(".index.json") or _is_later_shard(name)
        for name in files
    )


def _is_later_shard(name: str) -> bool:
    """Whether a file is a later shard, represented by the first one."""
    shard = SHARD.search(name)
    return shard is not None and int(shard[1]) > 1


def _kept(part: str, path: Path) -> PartFile | str:
    try:
        return _verdict(part, path, state_of(path))
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def state_of(path: Path) -> tuple:
    """Names, times and sizes, which change when a file, or one in a folder, is replaced. Raises
    OSError."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


@lru_cache(maxsize=4096)
def _verdict(part: str, path: Path, state: tuple) -> PartFile | str:
    """The part that a file is, or why it is none. state: part of the cache key, so that a changed
    file is read again."""
    try:
        return identify(part, path)
    except PixWizardError as error:
        return str(error).replace(ORIGIN, "").rstrip(" .;")


def _unfit(found: PartFile, transformer: PartFile | None) -> str:
    """Why an encoder does not suit a transformer, "" when it does."""
    wanted = dict(transformer.widths) if transformer else {}
    for name, width in found.widths:
        if wanted.get(name, width) != width:
            return f"it gives {width} features, the transformer wants {wanted[name]}"
    return ""


def _model(path: Path) -> PartFile:
    info = inspect(path)
    if info.kind.startswith((PART, FOREIGN)) or info.kind == PIXWIZARD:
        info = open_checkpoint(path).info
    if info.config is None:
        raise CheckpointError("")
    rank = (
        not info.preset,
        path.suffix not in (".safetensors", ".sft"),
        _stored_rank(info.stored),
        RELEASED_NAMES.index(path.name) if path.name in RELEASED_NAMES else -1,
    )
    widths = (
        ("gemma", info.config.cap_feat_dim),
        ("clip_text", info.config.cap_clip_feat_dim),
        ("clip_vision", info.config.image_feat_dim),
    )
    name = info.preset or f"PixWizard of width {info.config.dim}"
    return PartFile(path, f"{name}, {info.stored}, {size_in_words(info.n_bytes)}", widths, rank)


def _encoder(*kinds: str) -> Callable[[Path], PartFile]:
    def look(path: Path) -> PartFile:
        sources = [_source(kind, path, kinds) for kind in kinds]
        if kinds == ("gemma",) and not (sources[0].folder / "tokenizer.json").is_file():
            raise EncoderError("there is no tokenizer.json beside it")
        files = [open_weights(file) for file in sources[0].files]
        widths = tuple((kind, _width(kind, one)) for kind, one in zip(kinds, sources, strict=True))
        names = {"gemma": "Gemma 2B", "clip_text": "CLIP text", "clip_vision": "CLIP vision"}
        told = " and ".join(names[kind] for kind in kinds)
        if sources[0].own:
            told += " of its own size"
        dtype, n_bytes = bulk(files)
        stored = next((titles(one.weights.packed) for one in sources if one.weights.packed), dtype)
        rank = (sources[0].own, files[0].container != "safetensors", _stored_rank(stored))
        return PartFile(path, f"{told}, {stored}, {size_in_words(n_bytes)}", widths, rank)

    return look


def _source(kind: str, path: Path, kinds: Sequence[str]) -> EncoderSource:
    """An encoder in which every name and shape fits. Raises EncoderError, empty for a file that is
    none of kinds."""
    try:
        source = read_source(kind, path)
    except EncoderError as error:
        if not _resembles(kinds, path):
            raise EncoderError("") from error
        raise EncoderError(str(error).split(". PixWizard needs")[0]) from error
    try:
        require_fit(expected_shapes(kind, source.config), source.weights.shapes, path.name)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise EncoderError(f"no {kind} model has its settings ({error})") from error
    return source


def _resembles(kinds: Sequence[str], path: Path) -> bool:
    """Whether a file that is not usable as an encoder should be mentioned."""
    try:
        names = {name for file in weight_files(path) for name in file.shapes}
    except EncoderError:
        return True  # damaged, or with shards missing
    keys = {KEY_TENSORS[kind] for kind in kinds}
    return any(name.removeprefix("model.") in keys for name in names)


def _width(kind: str, source: EncoderSource) -> int:
    return int(source.config["projection_dim" if kind == "clip_text" else "hidden_size"])


def _vae(path: Path) -> PartFile:
    file = open_weights(path)
    family = sd_vae_family(file)
    if family is None:
        raise CheckpointError("")
    if family == "unknown":
        raise CheckpointError(
            "it is the VAE of SDXL or of Stable Diffusion 1.5, whose weights have the same names "
            "and shapes; if it is SDXL's, put sdxl into its name, or choose it by hand"
        )
    if family != "SDXL":
        raise CheckpointError(f"it is the VAE of {family}, as its config.json says")
    dtype, n_bytes = bulk([file])
    rank = (file.container != "safetensors", dtype != "float32", _stored_rank(dtype))
    return PartFile(path, f"SDXL VAE, {dtype}, {size_in_words(n_bytes)}", (), rank)


def _stored_rank(name: str) -> int:
    return STORED_ORDER.index(name) if name in STORED_ORDER else len(STORED_ORDER)


IDENTIFY: dict[str, Callable[[Path], PartFile]] = {
    "model": _model,
    "gemma": _encoder("gemma"),
    "clip": _encoder(*HALVES),
    "clip_text": _encoder("clip_text"),
    "clip_vision": _encoder("clip_vision"),
    "vae": _vae,
}
