"""A newcomer's words in the page's search, among all nodes and blueprints of the host.

tests/browser/search.js ranks them as the page does.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error

import pytest

from tests.support.paths import ROOT

SEARCH = ROOT / "tests" / "browser" / "search.js"
SHORT = "PixWizard"
BLUEPRINT = "SubgraphBlueprint."  # how the page names them
ALIASES = "BlueprintSearchAliases"
FIRST = 5  # what the page's dialog shows without scrolling
# Word: the first of our nodes that it must find.
WORDS = {
    "estimate depth": SHORT, "depth map": SHORT, "depth estimation": SHORT, "normal map": SHORT,
    "surface normals": SHORT, "segment": "DecodeSegmentation", "semantic segmentation": SHORT,
    "edge detection": SHORT, "canny": SHORT, "sketch": SHORT, "line art": SHORT, "pose": SHORT,
    "text to mask": SHORT, "select by text": SHORT, "detect": SHORT, "object detection": SHORT,
    "highlight": "DecodeHighlight", "edit image": SHORT, "remove object": SHORT, "erase": SHORT,
    "erase object": SHORT, "add object": SHORT, "replace object": SHORT, "background": SHORT,
    "change background": SHORT, "style transfer": SHORT, "recolor": SHORT, "colorize": SHORT,
    "inpaint": "PrepareInpaint", "outpaint": "PrepareOutpaint", "expand image": SHORT,
    "uncrop": SHORT, "denoise": SHORT, "remove noise": SHORT, "deblur": SHORT,
    "sharpen": "SharpenAnswer",  # the page puts the node that has the word in its name first
    "derain": SHORT, "dehaze": SHORT, "shadow removal": SHORT, "low light": SHORT,
    "restore photo": SHORT, "watermark": SHORT, "upscale": SHORT, "super resolution": SHORT,
    "text to image": SHORT, "pixwizard": SHORT,
}  # fmt: skip
# Word: the first of our blueprints that it must find, before any of our nodes.
BLUEPRINTS = {
    "depth estimation": "Depth Estimation", "normal map": "Normal Map", "segment": "Segment",
    "pose": "Pose", "select by text": "Select by Text", "detect": "Detect",
    "edit image": "Edit Image", "erase": "Erase or Remove", "background": "Background Replacement",
    "inpaint": "Inpaint", "outpaint": "Outpaint", "denoise": "Denoise and Restore",
    "text to image": "Text to Image",
}  # fmt: skip
# No answer of the model is larger than its picture, so none of ours may be called so. It is found
# by its aliases alone, which come after every node with the word in its name.
FURTHER = {"upscale"}
# Words that no node of the host has in its name: ours must come first of all.
OURS_ALONE = {
    "estimate depth", "depth map", "depth estimation", "surface normals", "segment",
    "semantic segmentation",  "text to mask", "select by text",
    "object detection", "highlight", "remove object", "erase object", "add object",
    "replace object", "change background", "uncrop", "remove noise", "derain", "dehaze",
    "shadow removal", "low light", "restore photo", "watermark", "pixwizard",
}  # fmt: skip


@pytest.fixture(scope="module")
def found(server):
    """The names that each word finds, best first."""
    of_host = list(server.json("/object_info").values())
    if not any(node.get("search_aliases") for node in of_host):  # blueprints bring theirs anywhere
        pytest.skip("this version searches names only")
    nodes = [*blueprints(server), *of_host]
    modules = SEARCH.parent / "node_modules" / "fuse.js"
    if shutil.which("node") is None or not modules.is_dir():
        pytest.skip("needs node and: npm ci --prefix tests/browser")
    try:
        often = server.json("/assets/sorted-custom-node-map.json")
    except urllib.error.HTTPError:  # a page without its numbers ranks by the words alone
        often = {}
    asked = {"nodes": nodes, "words": list(WORDS), "often": often}
    done = subprocess.run(
        ["node", str(SEARCH)], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    by_name = {node["name"]: node for node in nodes}
    return json.loads(done.stdout), by_name, asked["often"]


def blueprints(server) -> list[dict]:
    """Blueprints of the host, ours among them, as the page has them in its list of nodes; none
    from a host without such a list."""
    try:
        listed = server.json("/global_subgraphs")
    except urllib.error.HTTPError:
        return []
    whole = [server.json(f"/global_subgraphs/{id}") for id in listed]
    return [
        {
            "name": f"{BLUEPRINT}{one['name']}",
            "display_name": one["name"],
            "search_aliases": (json.loads(one["data"]).get("extra") or {}).get(ALIASES, []),
        }
        for one in whole
    ]


def is_ours(name: str) -> bool:
    return name.startswith("PixWizard_") or name.endswith("(PixWizard)")


def test_every_word_finds_the_node_that_does_it(found):
    first = {
        word: next((name for name in names if name.startswith("PixWizard_")), "nothing of ours")
        for word, names in found[0].items()
    }
    assert first == {word: f"PixWizard_{name}" for word, name in WORDS.items()}


def test_words_of_a_blueprint_find_it_before_our_nodes(found):
    if not any(name.startswith(BLUEPRINT) for name in found[1]):
        pytest.skip("this host has no blueprints")
    first = {word: next(filter(is_ours, found[0][word])) for word in BLUEPRINTS}
    assert first == {
        word: f"{BLUEPRINT}{name} (PixWizard)" for word, name in BLUEPRINTS.items()
    }


def test_words_that_no_other_node_has_find_ours_first(found):
    behind = {word: found[0][word][:3] for word in OURS_ALONE if not is_ours(found[0][word][0])}
    assert behind == {}


def test_ours_are_among_the_first_that_are_shown(found):
    names, by_name, _ = found
    if not any(name.startswith(BLUEPRINT) for name in by_name):
        pytest.skip("this host has no blueprints, by whose names most words find ours")
    place = {
        word: next(i for i, name in enumerate(listed, 1) if is_ours(name))
        for word, listed in names.items()
    }
    assert {word for word, number in place.items() if number > FIRST} == FURTHER, place


def test_nothing_stands_before_ours_without_a_reason(found):
    """Only what has the word, or a like one, in its own name, or what people use more often."""
    names, by_name, often = found
    for word, listed in names.items():
        ours = next(i for i, name in enumerate(listed) if is_ours(name))
        for name in listed[:ours]:
            texts = f"{name} {by_name[name]['display_name']}".lower()
            parts = [part[:5] for part in re.split(r"\W+", word)]
            assert often.get(name) or all(part in texts for part in parts), (word, name)
