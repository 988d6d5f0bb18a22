"""Workflows as the page saves them, turned into what the server runs, with the server's own node
list."""

from __future__ import annotations

import json
import re
from pathlib import Path

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
ON_PAGE_ONLY = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
ACTIVE = 0  # mode of a node that is neither muted nor bypassed
# Inputs that name a file in the user's model folders, which no test machine has.
MODEL_FILES = {
    "PixWizard_LoadPixWizard": ("model_name", "gemma", "clip_name", "vae_name"),
    "PixWizard_LoadModel": ("model_name",),
    "PixWizard_LoadTextEncoder": ("gemma", "clip"),
    "PixWizard_LoadVisionEncoder": ("clip_vision",),
    "VAELoader": ("vae_name",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "ControlNetLoader": ("control_net_name",),
}
FOLDER = Path(__file__).resolve().parents[2] / "workflows"
NUMBERED = re.compile(r"PixWizard (\d+) (.+)")
YOURS = {"LoadVideo": ("file",), "PixWizard_LoadLora": ("lora_name",)}  # to be chosen
WHOLE_LOADER = "PixWizard_LoadPixWizard"  # has the outputs of Load Tiny
BUNDLED_OUTPUTS = {  # which output of Load Tiny stands for a loader's
    "PixWizard_LoadModel": 0,
    "PixWizard_LoadTextEncoder": 1,
    "PixWizard_LoadVisionEncoder": 2,
    "VAELoader": 3,
}
OTHERS_MODELS = ("CheckpointLoaderSimple", "ControlNetLoader")
SMALL = {"steps": 1, "centre": 128}
BLANK = {"width": 161, "height": 97}
SHORT = "PixWizard_PixWizard"
NUMBERS_COUNT = {"speed": "as set", "centre_by": "as set"}  # of the short node: no auto
CHOICE_WITH_MORE = "COMFY_DYNAMICCOMBO_V3"  # each of its options may bring inputs of its own


def title(path: Path) -> str:
    """"Depth from a photo" of "PixWizard 1 Depth from a photo.json"."""
    return NUMBERED.fullmatch(path.stem)[2]


def number(path: Path) -> int:
    """The place of a template in the list."""
    return int(NUMBERED.fullmatch(path.stem)[1])


def titled(name: str) -> Path:
    """The shipped template of this title."""
    (path,) = [path for path in FOLDER.glob("*.json") if title(path) == name]
    return path


class WorkflowError(ValueError):
    """A saved workflow that does not fit the server's nodes."""


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def needs_files(workflow: dict) -> bool:
    """Whether a workflow loads models that do not come with the extension."""
    return any(node["type"] in MODEL_FILES for node in workflow["nodes"])


def has_node(workflow: dict, kind: str) -> bool:
    """Whether a saved workflow has a node of this type."""
    return any(node["type"] == kind for node in workflow["nodes"])


def every() -> list[Path]:
    """The shipped templates in the order of their numbers."""
    return sorted(FOLDER.glob("*.json"), key=number)


def others_models(workflow: dict) -> bool:
    """Whether a workflow loads models that are no PixWizard."""
    return any(node["type"] in OTHERS_MODELS for node in workflow["nodes"])


def shipped(with_files: bool) -> list[Path]:
    """The templates that need model files, or those that do not, in their order."""
    return [path for path in every() if needs_files(load(path)) == with_files]


def is_widget(spec: list) -> bool:
    """Whether an input of /object_info is shown as a widget. spec: [type or options, settings]."""
    settings = spec[1] if len(spec) > 1 else {}
    if settings.get("forceInput") or settings.get("hidden"):
        return False
    return isinstance(spec[0], list) or spec[0] in (*WIDGET_TYPES, CHOICE_WITH_MORE)


def widget_slots(
    inputs: dict, values: list, before: str = ""
) -> list[tuple[str | None, list | None]]:
    """(name, spec) for each of the values that the widgets of these inputs have; (None, None) for
    helpers that only the page has. before: of the names, for the inputs of a choice."""
    slots: list[tuple[str | None, list | None]] = []
    for group in ("required", "optional"):
        for name, spec in inputs.get(group, {}).items():
            if not is_widget(spec):
                continue
            slots.append((before + name, spec))
            settings = spec[1] if len(spec) > 1 else {}
            if settings.get("control_after_generate") or settings.get("image_upload"):
                slots.append((None, None))
            if spec[0] == CHOICE_WITH_MORE and len(slots) <= len(values):
                chosen = values[len(slots) - 1]
                (more,) = [one["inputs"] for one in settings["options"] if one["key"] == chosen]
                slots += widget_slots(more, values[len(slots) :], f"{before}{name}.")
    return slots


def to_prompt(workflow: dict, object_info: dict) -> dict:
    """API prompt of a saved workflow. Raises WorkflowError for what the server would trip over."""
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in ON_PAGE_ONLY:
            if node["type"] in ("Reroute", "PrimitiveNode"):
                raise WorkflowError(f"node {node['id']}: {node['type']} is not supported here")
            continue
        if node.get("mode", ACTIVE) != ACTIVE:
            raise WorkflowError(f"node {node['id']} is muted or bypassed")
        if node["type"] not in object_info:
            raise WorkflowError(f"node {node['id']}: the server has no {node['type']}")
        info = object_info[node["type"]]
        inputs = {**_widgets(node, info), **_links(node, links, info)}
        for name in info["input"].get("required", {}):
            if name not in inputs:
                raise WorkflowError(f"node {node['id']} ({node['type']}): nothing for {name!r}")
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    _check_links(workflow, object_info)
    return prompt


def _widgets(node: dict, info: dict) -> dict:
    values = node.get("widgets_values", [])
    slots = widget_slots(info["input"], values)
    optional = info["input"].get("optional", {})
    while len(slots) > len(values) and slots[-1][0] in optional:
        slots.pop()  # a newer host has more; they keep their defaults
    if len(slots) != len(values):
        raise WorkflowError(
            f"node {node['id']} ({node['type']}): {len(values)} widget values for {len(slots)} "
            "widgets"
        )
    chosen = {}
    for (name, spec), value in zip(slots, values, strict=True):
        if name is None:
            continue
        if name not in {**MODEL_FILES, **YOURS}.get(node["type"], ()):
            _check_value(node, name, spec, value)
        chosen[name] = value
    return chosen


def _check_value(node: dict, name: str, spec: list, value) -> None:
    """A choice must be offered, and a number inside its range."""
    settings = spec[1] if len(spec) > 1 else {}
    options = spec[0] if isinstance(spec[0], list) else settings.get("options")
    if spec[0] == CHOICE_WITH_MORE:
        options = [one["key"] for one in options]
    if options is not None and value not in options:
        raise WorkflowError(f"node {node['id']} ({node['type']}): {name} has no choice {value!r}")
    if spec[0] in ("INT", "FLOAT") and not (
        settings.get("min", value) <= value <= settings.get("max", value)
    ):
        raise WorkflowError(f"node {node['id']} ({node['type']}): {name} cannot be {value!r}")


def _links(node: dict, links: dict, info: dict) -> dict:
    known = {name for group in info["input"].values() for name in group}
    linked = {}
    for slot in node.get("inputs", []):
        if slot.get("link") is None:
            continue
        if slot["name"] not in known:
            raise WorkflowError(f"node {node['id']} ({node['type']}) has no input {slot['name']!r}")
        _, source, source_slot, *_ = links[slot["link"]]
        linked[slot["name"]] = [str(source), source_slot]
    return linked


def _check_links(workflow: dict, object_info: dict) -> None:
    """Every link ends where the nodes say, and carries a type that both ends have on the server."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, source_slot, target, target_slot, kind in workflow["links"]:
        output = object_info[nodes[source]["type"]]["output"][source_slot]
        wanted = nodes[target]["inputs"][target_slot]
        accepted = _accepted(object_info[nodes[target]["type"]], wanted["name"])
        if output != kind or wanted["link"] != number or not accepted & {kind, "*"}:
            raise WorkflowError(
                f"link {number} carries {kind}, its output is {output}, its input takes "
                f"{', '.join(sorted(accepted))}"
            )


def _accepted(info: dict, name: str) -> set[str]:
    """Types that an input of /object_info takes."""
    kind = next(group[name][0] for group in info["input"].values() if name in group)
    return {"COMBO"} if isinstance(kind, list) else set(kind.split(","))


def painted_by_others(prompt: dict) -> set[str]:
    """Numbers of the nodes that load other people's models, and of all that depend on them."""

    def depends(key: str) -> bool:
        node = prompt[key]
        before = [value[0] for value in node["inputs"].values() if isinstance(value, list)]
        return node["class_type"] in OTHERS_MODELS or any(map(depends, before))

    return {key for key in prompt if depends(key)}


def on_bundled_model(prompt: dict) -> dict:
    """The prompt with the bundled model, without what other people's models paint."""
    others = painted_by_others(prompt)
    kinds = {key: node["class_type"] for key, node in prompt.items()}

    def moved(value):
        loader = kinds[value[0]] if isinstance(value, list) else None
        if loader == WHOLE_LOADER:
            return ["tiny", value[1]]
        return ["tiny", BUNDLED_OUTPUTS[loader]] if loader in BUNDLED_OUTPUTS else value

    changed = {"tiny": {"class_type": "PixWizard_LoadTiny", "inputs": {}}}
    for key in kinds.keys() - others:
        if kinds[key] not in (WHOLE_LOADER, *BUNDLED_OUTPUTS):
            inputs = {name: moved(value) for name, value in prompt[key]["inputs"].items()}
            changed[key] = {"class_type": kinds[key], "inputs": inputs}
    return changed


def small(prompt: dict) -> dict:
    """The prompt with one step and a small canvas."""

    def changed(node: dict) -> dict:
        given = SMALL | (NUMBERS_COUNT if node["class_type"] == SHORT else {})
        return node["inputs"] | {name: given[name] for name in given if name in node["inputs"]}

    return {key: {**node, "inputs": changed(node)} for key, node in prompt.items()}


def small_and_ours(prompt: dict) -> dict:
    """The prompt, small and without what other people's models paint."""
    kept = {key: prompt[key] for key in prompt.keys() - painted_by_others(prompt)}
    for key, node in kept.items():
        if (
            node["class_type"] == "PixWizard_BlankCanvas"
            or node["inputs"].get("task") == "text2image"
        ):
            kept[key] = {**node, "inputs": node["inputs"] | BLANK}
    return small(kept)


def saved_size(name: str, source: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the picture that a shipped workflow saves when it is made small. source:
    of the picture that it loads."""
    width, height = source
    if name == "Text to image":
        return BLANK["width"], BLANK["height"]
    return (round(height * 16 / 9), height) if name == "Outpaint a photo" else (width, height)
