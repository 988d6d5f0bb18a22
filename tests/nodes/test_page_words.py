"""The words on the views: what web/ asks for is there in every language, and nothing else is."""

from __future__ import annotations

import json
import re

import pytest

from pixwizard_core.tasks import COLOURS, CUSTOM, TASKS
from tests.fakes.host import REPO
from tests.nodes.test_page_texts import OTHER_LANGUAGES, leaves, read
from tests.nodes.test_views import called, image, some_mask
from tests.support.page_texts import LOCALES

OURS = "pixwizard"
ASKED = re.compile(r'\bword\(\s*(?:"([^"]+)"|`([^`]+)`)')
GROUP = re.compile(r'\bnamed\("(\w+)"')
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
TEXT = re.compile(r'"([^"\n]*)"|`([^`\n]*)`')
SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}|[a-z]{2,}[.!?]$")
# Not for a reader of the page: errors of the programmer, and what the browser is told.
FOR_MACHINES = re.compile(r"new Error\([^\n]*|execCommand\([^\n]*|font: [^\n]*|flex: [^\n]*")
STYLES = ("1px solid", "2px solid", "linear-gradient", "color-mix", "12px sans")


def sources() -> dict[str, str]:
    files = sorted((REPO / "web").glob("*.js"))
    return {path.name: COMMENT.sub("", path.read_text(encoding="utf-8")) for path in files}


def words(language: str) -> dict[str, str]:
    found = leaves(read(language, "main"))
    return {".".join(key[1:]): text for key, text in found.items() if key[0] == OURS}


def asked() -> list[re.Pattern]:
    """What the page looks up, as patterns of keys: `view.${what}` may be any of view's."""
    code = "\n".join(sources().values())
    plain = [re.escape(one or other) for one, other in ASKED.findall(code)]
    patterns = [re.sub(r"\\\$\\\{.*?\\\}", r"\\w+", key) for key in plain]
    patterns += [rf"{group}\.\w+" for group in GROUP.findall(code)]
    return [re.compile(pattern) for pattern in patterns]


def test_words_that_the_page_asks_for_are_there_and_no_others():
    keys = set(words("en"))
    nothing = [one.pattern for one in asked() if not any(one.fullmatch(key) for key in keys)]
    unused = [key for key in keys if not any(one.fullmatch(key) for one in asked())]
    assert (nothing, unused) == ([], [])
    assert len(keys) > 50


def test_page_code_holds_no_sentence_of_its_own():
    for name, code in sources().items():
        told = [one or other for one, other in TEXT.findall(FOR_MACHINES.sub("", code))]
        found = [text for text in told if SENTENCE.search(text) and not text.startswith(STYLES)]
        assert not found, f"{name}: {found}; such words belong into locales/*/main.json"


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_translated_words_keep_their_places(language):
    """What is put in between braces appears in every language, once."""
    for key, text in words("en").items():
        places = sorted(re.findall(r"\{\w+\}", text))
        assert sorted(re.findall(r"\{\w+\}", words(language)[key])) == places, key


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_sentences_are_translated(language):
    same = [key for key, text in words("en").items() if words(language)[key] == text]
    names = {"scores", "colours"}  # RMSE stays RMSE
    assert not [key for key in same if key.split(".")[0] not in names], same
    assert not [key for key in same if key.startswith("colours.")]


def test_every_colour_has_a_word():
    assert [key for key in words("en") if key.startswith("colours.")] == [
        f"colours.{name}" for name in COLOURS
    ]


def pair_names(ui: dict) -> set[str]:
    return {f"pictures.{name}" for one in ui.get("pixwizard_view", []) for name in one["names"]}


def test_everything_that_compare_tells_has_words(nodes):
    """Kinds, scores and the names of its two pictures, as they come with the node's output."""
    known, kinds = set(words("en")), nodes["Compare"].define_schema().inputs[0].settings["options"]
    boxes = json.dumps([{"bboxes": [[1, 1, 4, 4]], "labels": ["ball"], "scores": [1.0]}])
    told = set()
    for kind in kinds:
        given = {"prediction": image(16, 12), "truth": image(16, 12, seed=2)}
        if kind in ("mask", "edges"):
            given = {f"{one}_mask": some_mask(16, 12) for one in given}
        if kind == "boxes":
            given = {f"{one}_boxes": boxes for one in given}
        ui = called(nodes["Compare"], kind=kind, palette="PixWizard Tiny world", **given).ui
        (scores,) = ui["pixwizard_scores"]
        told |= {f"kinds.{kind}"} | {f"scores.{name}" for name in scores}
        told |= pair_names(ui)
    told -= {"scores.kind", "scores.schema_version"}
    assert told <= known, told - known
    shown = called(nodes["Composite"], source=image(8, 6), result=image(8, 6), mask=some_mask(8, 6))
    told |= pair_names(shown.ui)
    groups = ("kinds.", "scores.", "pictures.")
    assert told == {key for key in known if key.startswith(groups)}


def test_no_language_is_forgotten():
    assert {path.name for path in LOCALES.iterdir()} == {"en", *OTHER_LANGUAGES}


def test_every_task_is_named_as_its_row_says():
    rows = {task.id: task.title for task in [*TASKS.values(), CUSTOM]}
    told = {key: text for key, text in words("en").items() if key.startswith("tasks.")}
    assert told == {f"tasks.{id}": title for id, title in rows.items()}
