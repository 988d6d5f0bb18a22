"""The tools that lay out the shipped workflows: what browser tests saw, and the room it becomes."""

from __future__ import annotations

import json

import pytest

from tests.support.drawn import Room, by_node, by_type, records
from tests.support.layout import GAP, HEADER, TITLE, arrange, resize

NAME = "PixWizard 1 Depth from a photo"
DEPTH = "PixWizard_DecodeDepth"


def record(height: float, *, least: float = 100, moved: float = 0) -> dict:
    """A page that drew one node, saved 200 px high, at this height without its title."""
    saved = {"7": {"pos": {"0": 10, "1": 50}, "size": [300, 200]}}
    node = {"id": "7", "type": DEPTH, "least": least, "wish": 9, "x": 10 + moved, "y": 20}
    places = [{**node, "width": 300, "height": height + TITLE}]
    return {"name": NAME, "places": places, "saved": saved}


def test_rooms_are_the_most_that_any_page_draws():
    told = [record(230, least=90), record(260, least=110), record(200)]
    assert by_type(told) == {DEPTH: Room(110, 260, 9, 60)}
    assert by_node(told) == {(NAME, 7): Room(110, 260, 9, 60)}


def test_rooms_leave_out_a_page_that_moved_the_nodes_itself():
    assert by_type([record(400, moved=25), record(230)]) == {DEPTH: Room(100, 230, 9, 30)}


def test_records_are_read_from_files_of_the_browser_tests(tmp_path):
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for file, height in zip(files, (230, 260), strict=True):
        file.write_text(json.dumps(record(height)) + "\n", encoding="utf-8")
    assert by_type(records(files)) == {DEPTH: Room(100, 260, 9, 60)}


def test_resize_keeps_the_height_of_foreign_nodes_and_adds_what_is_drawn_beyond():
    node = {"type": "PreviewImage", "size": [300, 270]}
    assert resize(node, None, {"PreviewImage": Room(26, 400, 0, 64)}) == 270 + 64
    assert node["size"][1] == 270


@pytest.mark.parametrize(
    ("saved", "least", "wish", "given"),
    [(148, 150, 100, 250), (190, 150, 100, 190), (400, 150, 0, 150)],
)
def test_resize_gives_a_picture_what_a_new_node_has_where_the_file_does_not(
    saved, least, wish, given
):
    node = {"type": DEPTH, "size": [300, saved]}
    assert resize(node, None, {DEPTH: Room(least, least, wish)}) == given
    assert node["size"][1] == given


def test_resize_takes_what_the_page_draws_beyond_the_height_in_the_canvas():
    node = {"type": DEPTH, "size": [300, 200]}
    assert resize(node, None, {DEPTH: Room(150, 286, 100, 86)}) == 286
    assert node["size"][1] == 200


def test_resize_takes_the_room_of_the_type_but_of_the_task_where_fields_depend_on_it():
    for kind, wanted in ((DEPTH, 500), ("PixWizard_Instruction", 190)):
        node = {"type": kind, "size": [300, 100]}
        assert resize(node, Room(180, 190), {kind: Room(400, 500)}) == wanted


@pytest.mark.parametrize("extra", [0, 75])
def test_arrange_puts_the_next_node_below_what_is_drawn(extra):
    def node(number: int, y: float) -> dict:
        return {"id": number, "type": "VAEDecode", "pos": [30, y], "size": [200, 60]}

    group = {"id": 1, "bounding": [0, 0, 400, 400]}
    graph = {"nodes": [node(1, 100), node(2, 110)], "groups": [group], "extra": {}}
    arrange(graph, {}, {"VAEDecode": Room(46, 60 + extra, 0, extra)})
    above, below = (one["pos"][1] for one in graph["nodes"])
    assert above == HEADER + TITLE
    assert below == above + 60 + extra + GAP["node"] + TITLE
    assert group["bounding"][3] >= below + 60 + extra
