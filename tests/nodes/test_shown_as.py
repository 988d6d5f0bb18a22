"""Menu, labels and folding: what the page shows of nodes beside their ids."""

from __future__ import annotations

import re

import pytest

from tests.nodes.test_page_texts import read
from tests.support.page_texts import escaped

PLAIN = re.compile(r"[A-Z]?[a-zA-Z0-9]*( [a-zA-Z0-9]+|, in m)*")


@pytest.fixture(scope="module")
def shown(extension):
    return extension("nodes.shared.shown_as")


def texts(nodes):
    """Everything that a person reads of a schema, with where it is."""
    for name, node in nodes.items():
        told = node.define_schema()
        yield name, told.description
        for one in (*told.inputs, *told.outputs):
            yield f"{name}.{one.id}", one.tooltip or ""
            yield f"{name}.{one.id}", one.display_name


def test_every_node_but_the_short_one_is_in_a_part_of_the_menu(nodes, shown):
    places = {name: node.define_schema().category for name, node in nodes.items()}
    assert places.pop("PixWizard") == "PixWizard"
    listed = [name for part in shown.SECTIONS.values() for name in part]
    assert sorted(listed) == sorted(places)
    assert places["DecodeDepth"] == "PixWizard/Read the answer"
    assert places["LoadTiny"] == "PixWizard/Load"
    assert places["Composite"] == "PixWizard/Inpaint"


@pytest.mark.parametrize("language", ["en", "ja", "zh"])
def test_parts_of_the_menu_have_words(shown, language):
    words = read(language, "main")["nodeCategories"]
    assert set(words) == {"PixWizard", *shown.SECTIONS}


def test_labels_are_words(nodes):
    """No underscores; and what needs more than its id has words of its own."""
    labels = {
        one.id: one.display_name for node in nodes.values() for one in node.define_schema().inputs
    }
    unclear = [label for label in labels.values() if not PLAIN.fullmatch(label)]
    assert unclear == []
    assert labels["phrasing"] == "wording"
    assert labels["near_m"] == "nearest, in m"
    assert labels["guided_channels"] == "guided channels"
    assert labels["centre"] == "working size"


def test_labels_of_the_table_are_used(nodes, shown):
    ids = {one.id for node in nodes.values() for one in node.define_schema().inputs}
    assert set(shown.LABELS) <= ids


def test_folded_inputs_are_there_and_say_so(nodes, shown):
    for name, folded in shown.ADVANCED.items():
        inputs = {one.id: one for one in nodes[name].define_schema().inputs}
        assert set(folded) <= set(inputs), name
        said = [id for id, one in inputs.items()
                if (getattr(one, "extra_dict", None) or {}).get("advanced")]  # fmt: skip
        assert sorted(said) == sorted(folded), name


def test_no_text_needs_to_be_escaped(nodes):
    """Some pages show the escape itself where the translation syntax has a meaning."""
    met = [(place, text) for place, text in texts(nodes) if escaped(text) != text]
    assert met == []
