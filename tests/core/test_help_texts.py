"""Every command and option explains itself, in one style."""

import argparse
import re

import pytest

from pixwizard_core.cli.entry import _parser
from pixwizard_core.cli.wording import FIELD_HELP
from pixwizard_core.tasks import FIELDS
from pixwizard_core.training import autoencoder, carry, tokenizer
from tests.support.help_docs import BLOCK, PAGE, printed
from tests.support.parsers import commands

PARSERS = [
    *commands(_parser()),
    *(module.command_line() for module in (autoencoder, carry, tokenizer)),
]
NAMES = [parser.prog for parser in PARSERS]


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {
        "/".join(action.option_strings) or action.dest: action
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
        and action.help != argparse.SUPPRESS  # known only to be refused with a reason
    }


def shown(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help text of an option as printed, with its default filled in."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def test_all_commands_are_looked_at():
    assert {"pixwizard run", "pixwizard data build", "pixwizard evaluate paper"} <= set(NAMES)


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
def test_every_option_has_a_help_text(parser):
    assert [name for name, action in options(parser).items() if not shown(parser, action)] == []


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
def test_help_texts_are_phrases_without_a_full_stop(parser):
    for name, action in options(parser).items():
        text = shown(parser, action)
        assert not text.endswith("."), name
        # A capital only begins names: LoRA, ComfyUI, CPU.
        assert re.match(r"[a-z.]|[A-Z]\w*[A-Z]", text), (name, text)


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
def test_defaults_are_shown_once_and_are_the_real_ones(parser):
    """An option with a value of its own shows it in the form "(default: …)"."""
    for name, action in options(parser).items():
        text = shown(parser, action)
        assert text.count("default") == text.count("(default"), (name, text)
        value = action.default
        if action.nargs == 0 or action.required or value in (None, "", [], argparse.SUPPRESS):
            continue
        assert re.search(r"\(default[^)]*\)", text), (name, text)


def test_help_in_the_docs_is_what_is_printed():
    """After a change of options: python -m tests.support.help_docs."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    assert [name for _, name, _ in blocks] == ["pixwizard evaluate", "pixwizard evaluate paper"]
    for _, name, told in blocks:  # Python's versions break lines differently
        assert told.split() == printed(name).split(), name


def test_every_field_of_an_instruction_is_explained():
    assert set(FIELD_HELP) == set(FIELDS)
