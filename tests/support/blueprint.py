"""Subgraph blueprints as plain workflows, which every host can run."""

from __future__ import annotations

import copy

INPUT, OUTPUT = -10, -20  # what links call the outside of a subgraph
SCENE_SIZE = (160, 128)  # width and height of the picture a blueprint is fed
SCENE = {"image": "IMAGE", "caption": "STRING", "target": "STRING"} | {
    "depth": "IMAGE", "mask": "MASK"
}  # fmt: skip
WHOLE = "pixwizard"
MODELS = {"model": "MODEL", "clip": "CLIP", "clip_vision": "CLIP_VISION", "vae": "VAE"} | {
    WHOLE: "PIXWIZARD"
}
VIEWERS = {"IMAGE": ("PreviewImage", "images"), "MASK": ("MaskPreview", "mask")}
ANY_VIEWER = ("PreviewAny", "source")


def definition(saved: dict) -> dict:
    """The only subgraph of a blueprint. Raises ValueError for what the page refuses to load."""
    (node,) = saved["nodes"]
    found = [one for one in saved["definitions"]["subgraphs"] if one["id"] == node["type"]]
    if len(found) != 1 or len(saved["definitions"]["subgraphs"]) != 1:
        raise ValueError("a blueprint is a single subgraph node with its definition")
    return found[0]


def promoted(saved: dict) -> dict[str, list[tuple[int, str]]]:
    """The fields that a blueprint shows: for each of their names, the nodes inside, and the names
    of their own fields."""
    inside = definition(saved)
    nodes = {node["id"]: node for node in inside["nodes"]}
    found: dict[str, list[tuple[int, str]]] = {}
    for link in inside["links"]:
        if link["origin_id"] != INPUT:
            continue
        target = nodes[link["target_id"]]["inputs"][link["target_slot"]]
        if "widget" in target:
            name = inside["inputs"][link["origin_slot"]]["name"]
            found.setdefault(name, []).append((link["target_id"], target["widget"]["name"]))
    return found


def on_a_scene(saved: dict) -> dict:
    """The inside of a blueprint as a workflow: a demo scene and the bundled model at its inputs,
    viewers at its outputs. Fields keep their values."""
    inside = copy.deepcopy(definition(saved))
    last = max(node["id"] for node in inside["nodes"])
    chosen = [7, "fixed", 4, *SCENE_SIZE, "none", "xyxy"]
    scene = _node(last + 1, "PixWizard_DemoScene", chosen, SCENE)
    tiny = _node(last + 2, "PixWizard_LoadTiny", [], MODELS)
    nodes, links = [*inside["nodes"], scene, tiny], []
    fields = {place for places in promoted(saved).values() for place in places}
    for node in inside["nodes"]:
        for slot in node["inputs"]:
            if (node["id"], slot["name"]) in fields:
                slot["link"] = None
    by_id = {node["id"]: node for node in inside["nodes"]}
    for link in inside["links"]:
        if link["target_id"] != OUTPUT:
            slot = by_id[link["target_id"]]["inputs"][link["target_slot"]]
            if slot["link"] is None:
                continue
        source, slot = link["origin_id"], link["origin_slot"]
        target, target_slot = link["target_id"], link["target_slot"]
        if source == INPUT:
            name = inside["inputs"][slot]["name"]
            feeder, outputs = (tiny, MODELS) if name in MODELS else (scene, SCENE)
            source, slot = feeder["id"], list(outputs).index(name)
        if target == OUTPUT:
            kind, name = VIEWERS.get(link["type"], ANY_VIEWER)
            target, target_slot = nodes[-1]["id"] + 1, 0
            viewer = _node(target, kind, [], {})
            viewer["inputs"] = [{"name": name, "type": link["type"], "link": link["id"]}]
            nodes.append(viewer)
        links.append([link["id"], source, slot, target, target_slot, link["type"]])
    return {"nodes": nodes, "links": links}


def _node(number: int, kind: str, values: list, outputs: dict[str, str]) -> dict:
    given = [{"name": name, "type": of, "links": []} for name, of in outputs.items()]
    return {"id": number, "type": kind, "inputs": [], "outputs": given, "widgets_values": values}
