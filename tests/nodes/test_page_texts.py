"""Help pages and translations cover every node, input and output, and say what the schemas say."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.page_texts import DOCS, INPUTS, LOCALES, english, escaped, help_inputs

OTHER_LANGUAGES = ("zh", "ja")
REMAKE = "run: python -m tests.support.page_texts"


@pytest.fixture(scope="module")
def schemas(nodes):
    return [node.define_schema() for node in nodes.values()]


def test_every_node_has_a_help_page_and_no_page_is_left_over(schemas):
    assert {path.stem for path in DOCS.glob("*.md")} == {schema.node_id for schema in schemas}


def test_help_names_every_input_with_its_range(schemas):
    for schema in schemas:
        text = (DOCS / f"{schema.node_id}.md").read_text(encoding="utf-8")
        assert INPUTS.findall(text) == [help_inputs(schema)], f"{schema.node_id}: {REMAKE}"


def test_help_explains_every_output_and_a_recipe(schemas):
    for schema in schemas:
        text = (DOCS / f"{schema.node_id}.md").read_text(encoding="utf-8")
        what, _, rest = text.partition("## Inputs")
        _, _, rest = rest.partition("## Outputs")
        outputs, _, recipe = rest.partition("## Recipe")
        assert len(what.split()) > 15, schema.node_id
        assert len(recipe.split()) > 3, schema.node_id
        if schema.node_id == "PixWizard_LoadTiny":  # "All four go to the inputs of the same name"
            continue
        unnamed = [one.id for one in schema.outputs if f"`{one.display_name}`" not in outputs]
        assert not unnamed, f"{schema.node_id}: {unnamed}"


def test_pictures_of_help_are_there_and_described(schemas):
    """Those that a page shows exist, are small, and have words for who cannot see them."""
    shown = set()
    for schema in schemas:
        text = (DOCS / f"{schema.node_id}.md").read_text(encoding="utf-8")
        pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", text)
        assert pictures, f"{schema.node_id} has no picture"
        for words, name in pictures:
            assert len(words.split()) > 3, schema.node_id
            assert (DOCS / name).stat().st_size < 100_000, name
            shown.add(name)
    assert {f"images/{path.name}" for path in DOCS.glob("images/PixWizard_*")} == shown


def read(language: str, name: str = "nodeDefs") -> dict:
    return json.loads((LOCALES / language / f"{name}.json").read_text(encoding="utf-8"))


def leaves(tree: dict, place: tuple = ()) -> dict[tuple, str]:
    found = {}
    for key, value in tree.items():
        found |= leaves(value, (*place, key)) if isinstance(value, dict) else {(*place, key): value}
    return found


def test_english_is_the_schema(schemas):
    assert read("en") == {schema.node_id: english(schema) for schema in schemas}, REMAKE


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
@pytest.mark.parametrize("name", ["nodeDefs", "main"])
def test_translation_is_complete(language, name):
    wanted, found = leaves(read("en", name)), leaves(read(language, name))
    assert set(found) == set(wanted)
    assert all(text.strip() for text in found.values())


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_explanations_are_translated(language):
    """Names may stay (VAE, JSON); sentences may not."""
    wanted, found = leaves(read("en")), leaves(read(language))
    sentences = [key for key in wanted if key[-1] in ("tooltip", "description")]
    same = [key for key in sentences if found[key] == wanted[key] and " " in wanted[key]]
    assert not [key for key in same if not wanted[key].startswith("[")], same


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_translations_keep_the_numbers(language):
    """A range or size that changes in the schema must change in every language."""
    digits = str.maketrans({char: " " for char in "，。、；：（）～〜"})
    for key, text in leaves(read("en")).items():
        numbers = {word.strip(".,;:()") for word in text.split() if word.strip(".,;:()").isdigit()}
        told = leaves(read(language))[key].translate(digits)
        lost = [number for number in numbers if number not in told]
        assert not lost, f"{language} {key}: {lost}"


def test_syntax_of_translations_is_escaped():
    assert escaped("[{x}] a|b") == "[{'{'}x{'}'}] a{'|'}b"
