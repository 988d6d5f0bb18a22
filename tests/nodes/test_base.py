"""Every node checks its inputs in one place, against its own schema."""

from __future__ import annotations

import inspect

import pytest
import torch


@pytest.fixture(scope="module")
def errors(extension):
    return extension("pixwizard_core.errors")


def test_every_node_is_checked_by_the_common_base(nodes, extension):
    base = extension("nodes.shared.base").Node
    for name, node in nodes.items():
        assert issubclass(node, base), name
        assert "execute" not in vars(node), f"{name} hides the checks of its inputs"
        assert "run" in vars(node), name


def choices(node) -> list:
    """Inputs with a list of choices that the node leaves to the base class."""
    validate = getattr(node, "validate_inputs", None)
    own = inspect.signature(validate).parameters if validate else ()
    return [one for one in node.define_schema().inputs if one.options and one.id not in own]


def test_an_unknown_choice_of_any_node_is_refused_with_what_it_offers(nodes, errors, extension):
    checked, seen = extension("nodes.shared.base").checked_input, 0
    for name, node in nodes.items():
        for socket in choices(node):
            seen += 1
            with pytest.raises(errors.InstructionError, match=f"unknown {socket.id} 'no such'"):
                checked("no such", socket, False)
            assert checked(socket.options[0], socket, False) == socket.options[0], name
    assert seen > 25


def test_a_number_out_of_range_of_any_node_is_refused(nodes, errors, extension):
    checked, seen = extension("nodes.shared.base").checked_input, 0
    for node in nodes.values():
        for socket in node.define_schema().inputs:
            if socket.min is None or socket.max is None:
                continue
            seen += 1
            for value in (socket.min - 1, socket.max + 1, float("inf")):
                with pytest.raises(errors.InstructionError, match=rf"^{socket.id} must be a"):
                    checked(value, socket, False)
            assert checked(socket.min, socket, False) == socket.min
    assert seen > 40


def test_choices_are_refused_when_a_node_runs(nodes, errors):
    image = torch.zeros(1, 32, 32, 3)
    with pytest.raises(
        errors.InstructionError, match=r"unknown fit .squash.; choose one of str"
    ):
        nodes["FitToCanvas"].execute(image, 0, "squash")


def test_an_input_that_a_node_lacks_is_refused(nodes, errors):
    with pytest.raises(errors.InstructionError, match=r"cannot take these inputs.*unexpected"):
        nodes["LoadTiny"].execute(strength=1.0)


def test_an_optional_input_may_be_left_out_or_none(nodes):
    schema = nodes["Instruction"].define_schema()
    given = {one.id: one.settings.get("default") for one in schema.inputs}
    wanted = nodes["Instruction"].execute(**given).args
    optional = [one.id for one in schema.inputs if one.optional]
    assert optional
    fewer = {id: value for id, value in given.items() if id not in optional}
    assert nodes["Instruction"].execute(**fewer).args == wanted
