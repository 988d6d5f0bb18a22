"""How the page shows nodes and inputs: in which part of our menu, under which label, folded or not.

Ids are what workflows store; what is here may change.
"""

from __future__ import annotations

from collections.abc import Iterable

MENU = "PixWizard"
# Part of the menu: the nodes in it, by their ids without the prefix. Others are in the menu itself.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Load": (
        "LoadTiny", "LoadPixWizard", "LoadModel", "LoadTextEncoder", "LoadVisionEncoder",
        "LoadLora", "ModelOptions", "ModelParts",
    ),
    "Ask": ("Instruction", "Encode", "Region"),
    "Canvas": ("FitToCanvas", "RestoreFromCanvas", "BlankCanvas"),
    "Inpaint": ("PrepareInpaint", "PrepareOutpaint", "Composite", "CutOut"),
    "Sample": ("Sample", "DualCFGGuider", "Schedule", "TiledAnswer"),
    "Read the answer": (
        "DecodeAnswer", "DecodeDepth", "DecodeNormals", "DecodeSegmentation", "DecodeMask",
        "DecodeHighlight", "DecodeBoxes", "DecodeEdges", "PickBox", "MergeDepths", "DepthToMetres",
        "SharpenAnswer", "PickBest",
    ),
    "Save and compare": ("SaveDepth", "SaveLabels", "Compare"),
    "Tools": ("Check", "DemoScene", "ListItem"),
}  # fmt: skip
# Labels that are not the id with blanks.
LABELS = {
    "phrasing": "wording",
    "phrasing_seed": "wording seed",
    "near_m": "nearest, in m",
    "far_m": "farthest, in m",
    "centre": "working size",
    "centre_by": "working size by",
}
# Inputs that few people change, by node.
ADVANCED: dict[str, tuple[str, ...]] = {
    "PixWizard": (
        "speed", "steps", "guidance", "text_guidance", "image_guidance", "centre_by", "centre",
        "fit", "phrasing",
    ),
    "Instruction": ("phrasing", "phrasing_seed"),
    "Region": ("apart",),
    "Sample": ("time_shift", "guided_channels"),
    "DualCFGGuider": ("guided_channels", "start", "end"),
    "TiledAnswer": ("overlap",),
    "DecodeDepth": ("low", "high", "clip_percent", "answer_near"),
    "DecodeSegmentation": ("max_distance", "min_area"),
}  # fmt: skip


def section(node: str) -> str:
    """The place of a node in the menu, as the host writes it."""
    found = next((name for name, nodes in SECTIONS.items() if node in nodes), "")
    return f"{MENU}/{found}" if found else MENU


def label(id: str) -> str:
    """What the page calls an input."""
    return LABELS.get(id, id.replace("_", " "))


def show(node: str, inputs: Iterable) -> None:
    """Give the inputs of a node their labels, and fold those that few people change. A host that
    folds nothing ignores it."""
    for one in inputs:
        one.display_name = label(one.id)
        if one.id in ADVANCED.get(node, ()):
            one.extra_dict = {**(getattr(one, "extra_dict", None) or {}), "advanced": True}
