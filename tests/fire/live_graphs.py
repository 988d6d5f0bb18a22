"""A small graph around any one node, as a prompt for a live server."""

from __future__ import annotations

from tests.fire.test_hostile_models import SOUND_NAMES

PREFIX = "PixWizard_"
CENTRE = 32
SCENE, FIT, TINY, ENCODE, NODE = "scene", "fit", "tiny", "encode", "node"
ASK = "ask"
# Where a link of each type comes from.
SOURCES = {
    "IMAGE": [FIT, 0],
    "MASK": [FIT, 1],
    "PIXWIZARD_CANVAS": [FIT, 2],
    "PIXWIZARD_ABOUT": [ASK, 1],
    "PIXWIZARD": [TINY, 4],
    "MODEL": [TINY, 0],
    "CLIP": [TINY, 1],
    "CLIP_VISION": [TINY, 2],
    "VAE": [TINY, 3],
    "CONDITIONING": [ENCODE, 0],
    "LATENT": [ENCODE, 3],
}
SCENE_MASK = 4  # place among the outputs of Demo Scene
SMALL = {"width": 64, "height": 64, "steps": 1, "centre": CENTRE, "caption": "a red ball"}
SMALL |= {"target": "the red ball", "instruction": "Estimate the depth."}


def options_of(spec: list) -> list | None:
    """The choices of an input of /object_info, or None."""
    settings = spec[1] if len(spec) > 1 else {}
    return spec[0] if isinstance(spec[0], list) else settings.get("options")


def combos(info: dict) -> list[tuple[str, str]]:
    """(node, input) of each choice that a PixWizard node offers."""
    return [
        (kind, name)
        for kind, about in info.items()
        if kind.startswith(PREFIX)
        for group in ("required", "optional")
        for name, spec in about["input"].get(group, {}).items()
        if options_of(spec) is not None
    ]


def value_of(name: str, spec: list, optional: bool):
    """A sound value of an input, or None to leave it out."""
    settings, options = (spec[1] if len(spec) > 1 else {}), options_of(spec)
    if name in SOUND_NAMES and options is not None:
        return SOUND_NAMES[name]
    if name in SMALL:
        return SMALL[name]
    if options is not None:
        return settings.get("default", options[0])
    if "default" in settings:
        return settings["default"]
    kinds = spec[0].split(",")
    if "BBOX" in kinds or "BOUNDING_BOX" in kinds:
        return None
    return None if optional else next((SOURCES[kind] for kind in kinds if kind in SOURCES), None)


def around(info: dict, kind: str, /, **changes) -> dict:
    """The prompt that runs a node of this kind with sound inputs, and these instead."""
    prompt = {
        SCENE: "DemoScene",
        FIT: "FitToCanvas",
        TINY: "LoadTiny",
        ENCODE: "Encode",
        ASK: "Instruction",
    }
    prompt = {name: {"class_type": PREFIX + it, "inputs": {}} for name, it in prompt.items()}
    prompt[NODE] = {"class_type": kind, "inputs": {}}
    for number, node in prompt.items():
        groups = info[node["class_type"]]["input"]
        for group in ("required", "optional"):
            for name, spec in groups.get(group, {}).items():
                value = value_of(name, spec, group == "optional")
                if value is not None:
                    node["inputs"][name] = value
        if number == FIT:
            node["inputs"]["image"] = [SCENE, 0]
    prompt[NODE]["inputs"].update(changes)
    if kind == f"{PREFIX}RestoreFromCanvas":
        prompt[NODE]["inputs"] = {"image": [FIT, 0], **prompt[NODE]["inputs"]}
    if kind == f"{PREFIX}Compare":
        prompt[NODE]["inputs"].update(prediction=[FIT, 0], truth=[FIT, 0], **changes)
    if kind == f"{PREFIX}PickBox":
        prompt[NODE]["inputs"] = {"mask": [SCENE, SCENE_MASK], **prompt[NODE]["inputs"]}
    if kind == f"{PREFIX}CutOut":
        prompt[NODE]["inputs"] = {"masks": [SCENE, SCENE_MASK], **prompt[NODE]["inputs"]}
    if kind == f"{PREFIX}SharpenAnswer":
        prompt[NODE]["inputs"] = {**prompt[NODE]["inputs"], "source": [SCENE, 0], **changes}
    if kind == f"{PREFIX}TiledAnswer":
        prompt[ASK]["inputs"]["task"] = "canny"  # tiles do not serve every task
    if not info[kind].get("output_node"):
        prompt["shown"] = {"class_type": "PreviewAny", "inputs": {"source": [NODE, 0]}}
    return prompt
