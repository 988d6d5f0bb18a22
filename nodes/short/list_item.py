"""One item of what a link carries. The short node runs once for each item, and the nodes that it
stands for must get that item alone."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.errors import InstructionError
from ..host.versions import schema
from ..shared.base import Node

LARGEST_INDEX = 1 << 20


class ListItem(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "ListItem",
            display_name="PixWizard List Item",
            description="Takes one item of a list, for nodes that must not run once for each item. "
            "A single value is a list of one.",
            search_aliases=["pick from list", "list index"],
            is_input_list=True,
            inputs=[
                io.AnyType.Input("value", tooltip="A list from any node, or a single value."),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=LARGEST_INDEX,
                    tooltip="Which item, counted from 0. Beyond the end, the last one.",
                ),
            ],
            outputs=[io.AnyType.Output("item", display_name="item")],
        )

    @classmethod
    def run(cls, value, index):
        """Both are lists, as the host gives every input of this node."""
        if not value:
            raise InstructionError("the list is empty; connect one with at least one item")
        return io.NodeOutput(value[min(index[0], len(value) - 1)])
