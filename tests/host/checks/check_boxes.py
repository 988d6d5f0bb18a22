"""Boxes in the host's own nodes, each of them executed on what ours give."""

from __future__ import annotations

import importlib
import json
import os
import sys

import comfyui_version
import torch
from check_data_nodes import Graph, Kept, kept, outlined

import nodes

BOX = {"x": 20, "y": 30, "width": 50, "height": 50}
# Nodes of newer hosts: (module, class) by id.
CONSUMERS = {
    "ImageCrop": ("comfy_extras.nodes_images", "ImageCrop"),
    "CropByBBoxes": ("comfy_extras.nodes_sdpose", "CropByBBoxes"),
    "DrawBBoxes": ("comfy_extras.nodes_rtdetr", "DrawBBoxes"),
    "ImageCropV2": ("comfy_extras.nodes_images", "ImageCropV2"),
    "CreateBoundingBoxes": ("comfy_extras.nodes_bounding_boxes", "CreateBoundingBoxes"),
}
ALL_SINCE = (0, 33)


def consumers() -> set[str]:
    """The box nodes that this host has, made known to its executor."""
    found = {}
    sys.path.insert(0, os.getcwd())  # the host's "utils" folder, before comfy/utils.py
    for id, (module, name) in CONSUMERS.items():
        try:
            found[id] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    sys.path.pop(0)
    nodes.NODE_CLASS_MAPPINGS |= found
    version = tuple(int(part) for part in comfyui_version.__version__.split(".")[:2])
    assert version < ALL_SINCE or set(found) == set(CONSUMERS), found
    assert "ImageCrop" in found, "every host has it"
    return set(found)


def check_boxes_of_one_picture_reach_the_hosts_own_nodes(setup):
    source, answer = outlined()
    known, graph = consumers(), Graph()
    picture = graph.give("source", source)
    found = graph.ours("DecodeBoxes", image=graph.give("answer", answer), source=picture)
    one = graph.ours("PickBox", boxes=[found, 1], image=picture)
    scene = graph.ours("DemoScene", seed=3)
    graph.keep(one, 11, "one")
    graph.keep(scene, 12, "scene")
    sides = {side: [one, 6 + i] for i, side in enumerate(("x", "y", "width", "height"))}
    graph.keep(graph.add("ImageCrop", image=picture, **sides), 1, "ints")
    if "CropByBBoxes" in known:
        fitted = {"output_width": 64, "output_height": 64, "padding": 0, "keep_aspect": "stretch"}
        for name, boxes, image in (("crop", found, picture), ("true", scene, [scene, 0])):
            slot = 1 if boxes == found else 11
            crop = graph.add("CropByBBoxes", image=image, bboxes=[boxes, slot], **fitted)
            graph.keep(crop, 1, name)
    if "DrawBBoxes" in known:
        graph.keep(graph.add("DrawBBoxes", image=picture, bboxes=[found, 1]), 1, "drawn")
    if "ImageCropV2" in known:
        graph.keep(graph.add("ImageCropV2", image=picture, crop_region=[one, 0]), 1, "region")
    if "CreateBoundingBoxes" in known:
        # As the page posts a list that is no link.
        size = {"width": 128, "height": 96, "editor_state": {"__value__": []}}
        for name, boxes in (("listed", [found, 1]), ("text", [one, 5])):
            made = graph.add("CreateBoundingBoxes", bboxes=boxes, **size)
            graph.keep(made, 2, name)
    graph.run()
    inside = source[:, 30:80, 20:70]
    assert torch.equal(kept("ints"), inside)
    assert json.loads(kept("one", 2)) == [{"x": 45, "y": 55}]
    if "CropByBBoxes" in known:
        assert kept("crop").shape == (1, 64, 64, 3)
        assert (kept("crop").mean((1, 2)) - inside.mean((1, 2))).abs().max() < 0.02
        assert kept("true").shape == (1, 64, 64, 3)
    if "DrawBBoxes" in known:
        changed = (kept("drawn") - source).abs().amax(-1)[0] > 0.1
        rows, columns = changed.nonzero().unbind(1)
        assert abs(int(columns.min()) - 20) < 4, columns.min()
        assert abs(int(rows.max()) - 80) < 4, rows.max()
    if "ImageCropV2" in known:
        assert torch.equal(kept("region"), inside)
    if "CreateBoundingBoxes" in known:
        for name in ("listed", "text"):
            ((box,),) = kept(name, 1)
            assert {side: box[side] for side in BOX} == BOX, (name, box)
    return sorted(known)


def check_pick_box_reads_boxes_masks_and_json(setup):
    source, answer = outlined()
    graph = Graph()
    image = graph.give("answer", torch.cat([answer, answer]))
    found = graph.ours("DecodeBoxes", image=image, source=graph.give("source", source))
    for slot, name in ((0, "bbox"), (1, "dicts"), (3, "text"), (7, "json")):
        graph.keep(graph.ours("PickBox", boxes=[found, slot], picture=1), 11, name)
    graph.keep(graph.ours("PickBox", mask=[found, 4], pick="all"), 11, "mask")
    graph.run()
    for name in ("bbox", "dicts", "text", "json", "mask"):
        for box in Kept.VALUES[f"{name}.0"]:
            assert {side: box[side] for side in BOX} == BOX, (name, box)
    (size, segs), mask = kept("mask", 4), kept("mask", 3)
    assert (size, len(segs), mask.shape) == ((96, 128), 1, (1, 96, 128))
