"""The folders in which a ComfyUI keeps models, found without running it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import CheckpointError, reason_of

Folders = Mapping[str, list[Path]]  # kind of models, such as "vae" -> its folders in order

# ComfyUI's own folders for a kind, if they differ from the one folder of that name.
OWN = {
    "diffusion_models": ("diffusion_models", "unet"),
    "text_encoders": ("text_encoders", "clip"),
}
OLD_KINDS = {"unet": "diffusion_models", "clip": "text_encoders"}  # names in older settings
KINDS = ("diffusion_models", "checkpoints", "LLM", "text_encoders", "clip_vision", "vae")
EXTRA = "extra_model_paths.yaml"


def models_folder(comfyui: Path) -> Path:
    """The folder "models" of a ComfyUI. comfyui: its folder, or its models folder. Raises
    CheckpointError when it is neither."""
    for folder in (comfyui / "models", comfyui):
        if folder.name == "models" and folder.is_dir():
            return folder
    raise CheckpointError(
        f"there is no folder models in {comfyui.absolute()}; give the folder of ComfyUI, "
        "which holds main.py and models"
    )


def model_folders(comfyui: Path) -> tuple[Folders, list[str]]:
    """The folders of each kind of model, and one line for each setting that could not be read.

    Those in extra_model_paths.yaml follow ComfyUI's own, or come first if marked as default. Raises
    CheckpointError when there is no ComfyUI.
    """
    models = models_folder(comfyui)
    folders = {kind: [models / name for name in OWN.get(kind, (kind,))] for kind in KINDS}
    file = models.parent / EXTRA
    if not file.is_file():
        return folders, []
    try:
        extra = _extra(file)
    except CheckpointError as error:
        return folders, [str(error)]
    for kind, folder, first in extra:
        known = folders.get(OLD_KINDS.get(kind, kind))
        if known is not None and folder not in known:
            known.insert(0 if first else len(known), folder)
    return folders, []


def _extra(file: Path) -> list[tuple[str, Path, bool]]:
    """(kind, folder, whether it comes first) of each line in extra_model_paths.yaml."""
    try:
        import yaml
    except ImportError:
        raise CheckpointError(
            f"{file.name} is not read: that needs PyYAML (pip install pyyaml), so folders listed "
            "there are not searched"
        ) from None
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return [
            (
                kind,
                _below(file.parent, section.get("base_path"), line),
                bool(section.get("is_default")),
            )
            for section in (content or {}).values()
            if isinstance(section, dict)
            for kind, lines in section.items()
            if isinstance(kind, str)
            and kind not in ("base_path", "is_default")
            and isinstance(lines, str)
            for line in lines.split("\n")
            if line.strip()
        ]
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"{file.name} cannot be read ({reason_of(error, 160)}), so folders listed there are "
            "not searched"
        ) from error


def _below(folder: Path, base: object, line: str) -> Path:
    """A path of extra_model_paths.yaml: relative to base_path, which is relative to the file."""
    start = folder / Path(str(base)).expanduser() if base else folder
    return start / line.strip()
