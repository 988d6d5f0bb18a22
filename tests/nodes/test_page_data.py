"""What the nodes tell the page: the task table, and what they found."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess

import pytest
import torch

from pixwizard_core import tasks
from pixwizard_core.bundle import MODEL_FILE
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.taught import taught_by
from pixwizard_core.weights.checkpoint import open_checkpoint
from pixwizard_core.weights.published import PARTS
from tests.fakes.host import REPO
from tests.support.workflow import MODEL_FILES

ROWS = {**tasks.TASKS, tasks.FREE_TEXT: tasks.CUSTOM}
FIELDS = {
    "full": {
        "caption": " a wooden\n floor. ",
        "target": "the red ball. ",
        "colour": "blue",
        "question": "What  floats? ",
    },
    "bare": {"caption": "", "target": "the red ball", "colour": "cyan", "question": " "},
    "vowel": {
        "caption": "an owl",
        "target": "the egg",
        "colour": "orange",
        "question": "What flies?",
    },
}


def told(nodes) -> dict:
    inputs = nodes["Instruction"].define_schema().inputs
    return {socket.id: socket for socket in inputs}["task"].extra_dict["pixwizard"]


def test_page_gets_every_task_and_colour(nodes):
    data = json.loads(json.dumps(told(nodes)))
    assert set(data["tasks"]) == {*tasks.TASKS, tasks.FREE_TEXT}
    assert data["tasks"]["highlight"]["fields"] == ["target", "colour"]
    assert data["tasks"]["inpaint"]["optional"] == ["caption"]
    assert data["colours"]["orange"] == [255, 128, 0]


def test_page_gets_how_the_known_models_are_asked_and_what_they_do_not_know(nodes):
    data = told(nodes)
    assert set(data["models"]) == {"PixWizard_LoadTiny", "released"}
    opened = open_checkpoint(BUNDLE / MODEL_FILE)
    taught = taught_by(opened.metadata, opened.config, MODEL_FILE)
    tiny = data["models"]["PixWizard_LoadTiny"]
    assert tiny["forms"] == {id: task.trained(taught) for id, task in ROWS.items()}
    assert tiny["not_taught"] == [id for id in tasks.TASKS if id not in taught.tasks]
    assert "face" in tiny["not_taught"]
    assert data["models"]["released"]["forms"]["depth"] == "Depth estimation"
    assert data["models"]["released"]["not_taught"] == ["lineart"]


def test_page_offers_the_trained_wording_as_the_schema_spells_it(nodes):
    inputs = {socket.id: socket for socket in nodes["Instruction"].define_schema().inputs}
    settings = inputs["phrasing"].settings
    assert told(nodes)["as_trained"] == settings["default"] == settings["min"] == -1
    code = (REPO / "web" / "sentence.js").read_text(encoding="utf-8")
    assert "const AS_TRAINED = -1;" in code


def test_loaders_of_files_say_on_the_page_what_they_lack():
    """What the released model's workflows load; web/missing_models.js has a list of its own."""
    code = (REPO / "web" / "missing_models.js").read_text(encoding="utf-8")
    listed = re.findall(r"PixWizard_\w+", re.search(r"const NODES = \[(.*?)\]", code, re.DOTALL)[1])
    own = [name for name in MODEL_FILES if name.startswith("PixWizard_")]
    assert sorted(listed) == sorted(own)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_page_tells_results_of_one_graph_from_those_of_another():
    """web/origins.js, by tests/browser/origins.test.js, which needs no page."""
    command = ["node", "--test", str(REPO / "tests" / "browser" / "origins.test.js")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"^# pass (1[89]|[2-9]\d)$", done.stdout, re.MULTILINE), done.stdout[-500:]


def test_page_gets_every_part_of_the_released_model_with_its_list(nodes):
    inputs = nodes["LoadPixWizard"].define_schema().inputs
    pages = [(getattr(one, "extra_dict", None) or {}).get("pixwizard", {}) for one in inputs]
    parts = [page["part"] for page in pages if "part" in page]
    assert [part["title"] for part in parts] == [part.title for part in PARTS.values()]
    assert [part["place"] for part in parts] == [part.by_hand for part in PARTS.values()]
    assert all(part["page"].startswith("https://") and part["size"] for part in parts)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("given", FIELDS.values(), ids=FIELDS)
def test_page_shows_the_sentence_that_is_sent(nodes, given):
    """web/sentence.js against tasks.instruction, for every phrasing of every task, and the form of
    the released model."""
    rows = told(nodes)["tasks"]
    script = (
        f"import {{missing, sentence}} from '{(REPO / 'web' / 'sentence.js').as_uri()}';"
        "const [rows, given] = JSON.parse(process.argv[1]);"
        "console.log(JSON.stringify(Object.fromEntries(Object.entries(rows).map(([id, row]) => "
        "[id, missing(row, given).length ? [] : "
        "[...row.phrasings.map((_, i) => sentence(row, i, given)), "
        "sentence(row, -1, given, forms[id])]]))));"
    ).replace("[rows, given]", "[rows, given, forms]")
    forms = told(nodes)["models"]["released"]["forms"]
    command = ["node", "--input-type=module", "-e", script, json.dumps([rows, given, forms])]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    for task_id, row in rows.items():
        needed = [f for f in row["fields"] if not given[f].strip() and f not in row["optional"]]
        numbers = [*range(len(row["phrasings"])), tasks.TRAINED]
        wanted = [] if needed else [
            tasks.instruction(task_id, phrasing=number, **given) for number in numbers
        ]  # fmt: skip
        assert shown[task_id] == wanted, task_id


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_page_picks_the_wording_that_the_server_picks(nodes):
    rows = told(nodes)["tasks"]
    script = (
        f"import {{chosen, sentence}} from '{(REPO / 'web' / 'sentence.js').as_uri()}';"
        "const [row, given] = JSON.parse(process.argv[1]);"
        "console.log(JSON.stringify([-1, 0, 1, 7, 12345].map((seed) => "
        "sentence(row, chosen(row, 3, seed), given))));"
    )
    for task_id in ("depth", "box", "custom"):
        given = FIELDS["full"]
        content = json.dumps([rows[task_id], given])
        command = ["node", "--input-type=module", "-e", script, content]
        shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        free = task_id == tasks.FREE_TEXT  # which has one wording only
        wanted = [
            None if free else tasks.instruction(task_id, phrasing=3, **given),
            *(tasks.instruction(task_id, seed=seed, **given) for seed in (0, 1, 7, 12345)),
        ]
        assert shown == wanted, task_id


def test_mask_tells_the_area_of_each_object(nodes):
    picture = torch.zeros(1, 8, 10, 3)
    picture[:, 1:3, 1:3] = 1  # 4 px
    picture[:, 5:7, 4:9] = 1  # 10 px
    found = nodes["DecodeMask"].execute(picture, 0.5, False, 0, False, 0, 0.0)
    assert found.ui["pixwizard_objects"] == [{"areas_px": [10, 4]}]


def test_segmentation_tells_its_legend(nodes):
    name, rgb = "person", (60, 220, 230)
    picture = torch.tensor(rgb).view(1, 1, 1, 3).expand(1, 4, 4, 3) / 255
    found = nodes["DecodeSegmentation"].execute(picture, "PixWizard Tiny world", "*")
    (entry,) = found.ui["pixwizard_legend"]
    assert (entry["name"], tuple(entry["rgb"]), entry["area_percent"]) == (name, tuple(rgb), 100.0)


def test_fields_that_depend_on_a_choice_name_it_and_its_values(nodes):
    """What web/used_fields.js shows and hides: the other input is one of the node's choices, the
    values are among its own, and not all of them."""
    found = {}
    for name, node in nodes.items():
        sockets = {socket.id: socket for socket in node.define_schema().inputs}
        for id, socket in sockets.items():
            told = (getattr(socket, "extra_dict", None) or {}).get("pixwizard", {})
            for other, values in told.get("used_when", {}).items():
                options = sockets[other].settings.get("options", [False, True])
                assert set(values) < set(options), f"{name}.{id}"
                found.setdefault(name, []).append(id)
    assert found == {
        "Schedule": ["steps", "time_shift"],
        "Sample": [
            "text_guidance",
            "image_guidance",
            "steps",
            "time_shift",
            "guided_channels",
            "sampler",
        ],
        "DualCFGGuider": ["text_guidance", "image_guidance", "guided_channels"],
        "FitToCanvas": ["centre"],
        "DecodeDepth": ["low", "high"],
        "DecodeMask": ["threshold"],
        "Compare": [
            "near_m",
            "far_m",
            "near",
            "align",
            "palette",
            "palette_text",
            "prediction_format",
            "truth_format",
        ],
        "PickBox": ["index"],
        "ModelOptions": ["rope_factor", "watershed"],
        "PrepareInpaint": ["centre", "context", "one_crop"],
        "PrepareOutpaint": ["centre"],
        "PixWizard": [
            "words",
            "new_words",
            "colour",
            "steps",
            "text_guidance",
            "image_guidance",
            "centre",
            "extend_to",
            "width",
            "height",
        ],
    }


def test_page_shows_the_result_of_every_node_that_gives_one(nodes):
    """Output nodes, and those that draw a view: web/result_view.js lists them by name."""
    page = (REPO / "web" / "result_view.js").read_text(encoding="utf-8")
    shown = set(re.findall(r"^  PixWizard_(\w+): \{", page, re.MULTILINE))
    draws = re.compile(r"\bviews\.\w+\(")
    giving = {
        name
        for name, node in nodes.items()
        if node.define_schema().is_output_node or draws.search(inspect.getsource(node))
    }
    assert shown == giving
