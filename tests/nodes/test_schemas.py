"""What workflows store of a node, and what every input owes its user."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path

FROZEN = Path(__file__).with_name("frozen_schemas.json")
NUMBERS = ("INT", "FLOAT")


def test_extension_lists_all_nodes(extension, nodes):
    made = asyncio.run(extension("").comfy_entrypoint())
    listed = asyncio.run(made.get_node_list())
    assert [node.define_schema().node_id.removeprefix("PixWizard_") for node in listed] == list(
        nodes
    )


def test_ids_carry_the_prefix_and_are_unique(extension):
    ids = [node.define_schema().node_id for node in extension("nodes").NODES]
    assert all(id.startswith("PixWizard_") for id in ids)
    assert len(set(ids)) == len(ids)


def test_no_output_shares_an_id_with_an_input(nodes):
    """ComfyUI 0.3.64 refuses such a node."""
    for name, node in nodes.items():
        schema = node.define_schema()
        ids = [socket.id for socket in (*schema.inputs, *schema.outputs)]
        assert len(set(ids)) == len(ids), name


def test_every_node_and_input_is_explained(nodes):
    for name, node in nodes.items():
        schema = node.define_schema()
        assert schema.description.endswith("."), name
        assert f"{schema.display_name} ".startswith("PixWizard "), name
        unexplained = [socket.id for socket in schema.inputs if not socket.tooltip]
        assert not unexplained, f"{name}: {unexplained}"


def test_numbers_have_a_default_inside_their_range(nodes):
    for name, node in nodes.items():
        for socket in node.define_schema().inputs:
            if socket.io_type in NUMBERS:
                low, high = socket.settings["min"], socket.settings["max"]
                assert low <= socket.settings["default"] <= high, f"{name}.{socket.id}"


def test_combos_default_to_one_of_their_options(nodes):
    for name, node in nodes.items():
        for socket in node.define_schema().inputs:
            if socket.io_type == "COMBO" and "default" in socket.settings:
                assert socket.settings["default"] in socket.settings["options"], (
                    f"{name}.{socket.id}"
                )


def test_run_takes_exactly_the_inputs(nodes):
    for name, node in nodes.items():
        taken = set(inspect.signature(node.run).parameters)
        assert taken == {socket.id for socket in node.define_schema().inputs}, name


def stored(schema) -> dict[str, list]:
    """What a saved workflow refers to by name or place. The page shows required inputs first."""
    inputs = sorted(schema.inputs, key=lambda socket: socket.optional)
    return {
        "inputs": [[socket.id, socket.io_type] for socket in inputs],
        "outputs": [[socket.id, socket.io_type] for socket in schema.outputs],
    }


def test_saved_workflows_keep_loading(nodes):
    """Inputs and outputs may be appended, never renamed, moved or removed."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    for name, sockets in frozen.items():
        assert name in nodes, f"{name} was removed; keep it as a deprecated node"
        now = stored(nodes[name].define_schema())
        for side, known in sockets.items():
            assert now[side][: len(known)] == known, (
                f"{name}: the {side} of saved workflows changed"
            )
