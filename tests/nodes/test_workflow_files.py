"""The shipped workflows and blueprints as files: consistent in themselves and with the schemas."""

from __future__ import annotations

import itertools
import re
import uuid

import pytest

from pixwizard_core.tasks import TASKS
from tests.fakes.host import REPO
from tests.support import blueprint, workflow

WORKFLOWS = workflow.every()
PATHS = WORKFLOWS + sorted((REPO / "subgraphs").glob("*.json"))
NOTE = "MarkdownNote"
FEW = 7  # nodes that need no groups
TITLE = 30  # px of the page above a node's place
ABSOLUTE = re.compile(r"[\"' (](/[a-z]+/|~/|[A-Za-z]:\\\\)")
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
FIELDS_OF = {"caption": 1, "target": 2, "question": 6}  # places in the values of Instruction


def every_workflow():
    return pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def graph_of(path) -> dict:
    """A workflow, or the inside of a blueprint with its links written as a workflow's."""
    saved = workflow.load(path)
    if path.parent.name != "subgraphs":
        return saved
    inside = blueprint.definition(saved)
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return {**inside, "links": [[link[key] for key in keys] for link in inside["links"]]}


def overlap(one: list, other: list) -> bool:
    """Whether two boxes [x, y, width, height] share area."""
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def box(node: dict) -> list:
    (x, y), (width, height) = node["pos"], node["size"]
    return [x, y - TITLE, width, height + TITLE]


@every_workflow()
def test_links_agree_with_both_ends(path):
    graph = graph_of(path)
    nodes = {node["id"]: node for node in graph["nodes"]}
    for number, source, slot, target, target_slot, kind in graph["links"]:
        if source != blueprint.INPUT:
            output = nodes[source]["outputs"][slot]
            assert number in output["links"]
            assert output["type"] == kind
        else:
            assert number in graph["inputs"][slot]["linkIds"]
        if target != blueprint.OUTPUT:
            assert nodes[target]["inputs"][target_slot]["link"] == number
        else:
            assert graph["outputs"][target_slot]["linkIds"] == [number]
    known = {link[0] for link in graph["links"]}
    used = [slot["link"] for node in nodes.values() for slot in node["inputs"]]
    left = [n for node in nodes.values() for out in node["outputs"] for n in out["links"] or []]
    assert {number for number in used if number is not None} <= known
    assert set(left) <= known
    assert len(left) == len(set(left))


@every_workflow()
def test_ids_are_unique(path):
    saved, graph = workflow.load(path), graph_of(path)
    uuid.UUID(saved["id"])
    for listed in (graph["nodes"], graph["groups"]):
        assert len({one["id"] for one in listed}) == len(listed)
    assert len({link[0] for link in graph["links"]}) == len(graph["links"])
    if "last_node_id" in graph:
        assert graph["last_node_id"] == max(node["id"] for node in graph["nodes"])
        assert graph["last_link_id"] == max(link[0] for link in graph["links"])


def test_no_two_files_share_an_id():
    saved = [workflow.load(path) for path in PATHS]
    ids = [one["id"] for one in saved]
    ids += [sub["id"] for one in saved for sub in one.get("definitions", {}).get("subgraphs", [])]
    assert len(set(ids)) == len(ids)


@every_workflow()
def test_values_fill_the_widgets_of_our_nodes(nodes, path):
    for node in graph_of(path)["nodes"]:
        if not node["type"].startswith("PixWizard_"):
            continue
        schema = nodes[node["type"].removeprefix("PixWizard_")].define_schema()
        shown = [socket for socket in schema.inputs if socket.io_type in WIDGETS]
        count = sum(1 + bool(s.settings.get("control_after_generate")) for s in shown)
        assert len(node["widgets_values"]) == count, node["type"]
        outputs = [[out["name"], out["type"]] for out in node["outputs"]]
        wanted = [[out.display_name, out.io_type] for out in schema.outputs]
        assert outputs == wanted[: len(outputs)], node["type"]
        known = {socket.id for socket in schema.inputs}
        assert {slot["name"] for slot in node["inputs"]} <= known, node["type"]


@every_workflow()
def test_tasks_get_the_fields_they_need(path):
    """An Instruction must write its sentence: each required field is typed in or linked."""
    for node in graph_of(path)["nodes"]:
        if node["type"] != "PixWizard_Instruction":
            continue
        task = TASKS[node["widgets_values"][0]]
        linked = {slot["name"] for slot in node["inputs"] if slot["link"] is not None}
        for field, place in FIELDS_OF.items():
            optional = all("[" in phrase for phrase in task.phrasings)
            if field in task.fields and not optional:
                assert field in linked or node["widgets_values"][place], f"{task.id}: {field}"


@every_workflow()
def test_short_nodes_get_the_words_they_need(extension, path):
    """fields_of() refuses a request that lacks words."""
    fields_of = extension("nodes.short.words").fields_of
    for node in graph_of(path)["nodes"]:
        if node["type"] == workflow.SHORT:
            task, words, _seed, _after, new_words, colour = node["widgets_values"][:6]
            linked = {slot["name"] for slot in node["inputs"] if slot["link"] is not None}
            assert fields_of(task, "linked" if "words" in linked else words, new_words, colour)


@every_workflow()
def test_nothing_points_outside_the_model_folders(path):
    assert not ABSOLUTE.search(path.read_text(encoding="utf-8"))
    for node in graph_of(path)["nodes"]:
        if node["type"] in workflow.MODEL_FILES:
            names = [value for value in node["widgets_values"] if isinstance(value, str)]
            assert names
            assert not any(".." in name or name.startswith("/") for name in names)


@every_workflow()
def test_nothing_lies_on_top_of_another(path):
    graph = graph_of(path)
    for one, other in itertools.combinations(graph["nodes"], 2):
        assert not overlap(box(one), box(other)), f"{one['type']} and {other['type']}"
    frames = [group["bounding"] for group in graph["groups"]]
    for one, other in itertools.combinations(frames, 2):
        assert not overlap(one, other), f"groups at {one} and {other}"


@every_workflow()
def test_groups_hold_every_node_and_the_graph_reads_left_to_right(path):
    graph = graph_of(path)
    frames = [group["bounding"] for group in graph["groups"]]
    working = [node for node in graph["nodes"] if node["type"] != NOTE]
    assert frames or len(working) <= FEW
    assert all(group["title"] for group in graph["groups"])
    place = {}
    for node in graph["nodes"]:
        around = [frame for frame in frames if overlap(frame, box(node))]
        if node["type"] == "MarkdownNote":
            assert not around
        elif frames:
            assert len(around) == 1, node["type"]
            place[node["id"]] = around[0][0]
        else:
            place[node["id"]] = node["pos"][0]
    # A second row begins at the left again: what one row found may be an input of the next.
    back = [
        link
        for link in graph["links"]
        if link[1] in place and link[3] in place and place[link[1]] > place[link[3]]
    ]
    assert len(back) <= 1, back


@every_workflow()
def test_file_is_named_plainly_and_explained(path):
    if path.parent.name == "subgraphs":
        saved = workflow.load(path)
        assert blueprint.definition(saved)["name"] == path.stem == saved["nodes"][0]["title"]
        return
    assert re.fullmatch(r"PixWizard [1-9]\d* [A-Z][A-Za-z ]+", path.stem)
    notes = [n for n in workflow.load(path)["nodes"] if n["type"] == "MarkdownNote"]
    assert notes
    assert notes[0]["widgets_values"][0].startswith("# ")


def test_templates_are_numbered_once_and_named_once():
    numbers, titles = map(workflow.number, WORKFLOWS), map(workflow.title, WORKFLOWS)
    assert len(set(numbers)) == len(set(titles)) == len(WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=workflow.title)
def test_notes_name_templates_that_are_there(path):
    """A note names another template by its number and title: *6 Edit by instruction*."""
    notes = [n["widgets_values"][0] for n in workflow.load(path)["nodes"] if n["type"] == NOTE]
    named = re.findall(r"\*(\d+ [^*]+)\*", "\n".join(notes))
    assert set(named) <= {one.stem.removeprefix("PixWizard ") for one in WORKFLOWS}
    stale = r"\*(demo_\w+|\w+_anything|\w+_to_\w+|select_by_text|stock_samplers)\*"
    assert not re.search(stale, "\n".join(notes))


@pytest.mark.parametrize("path", workflow.shipped(True), ids=lambda p: p.stem)
def test_workflows_of_the_released_model_say_that_files_are_needed(path):
    notes = [n for n in workflow.load(path)["nodes"] if n["type"] == "MarkdownNote"]
    assert "do not come with this extension" in notes[0]["widgets_values"][0]
