"""A plain drawing of a graph, for templates whose result nobody here has seen."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, BODY, WIRE = (24, 24, 24), (235, 235, 235), (64, 64, 64), (130, 130, 100)
TITLE = 30  # px of the page above a node's place
EDGE = 60  # px of the page around the graph
LETTERS = 36  # px of the page
ON_PAGE_ONLY = ("Note", "MarkdownNote")


def schematic(saved: dict, width: int) -> Image.Image:
    """Titled groups, nodes and links of a saved workflow where they are on the page, at width
    px."""
    nodes = {node["id"]: node for node in saved["nodes"] if node["type"] not in ON_PAGE_ONLY}
    frames = [group["bounding"] for group in saved["groups"]]
    left, top = (min(frame[axis] for frame in frames) - EDGE for axis in (0, 1))
    right, bottom = (
        max(frame[axis] + frame[axis + 2] for frame in frames) + EDGE for axis in (0, 1)
    )
    scale = width / (right - left)

    def at(x: float, y: float) -> tuple[float, float]:
        return scale * (x - left), scale * (y - top)

    sheet = Image.new("RGB", (width, round(scale * (bottom - top))), PAPER)
    draw = ImageDraw.Draw(sheet)
    for _, source, slot, target, target_slot, _ in saved["links"]:
        (x, y), end = nodes[source]["pos"], nodes[target]["pos"]
        start = at(x + nodes[source]["size"][0], y + 12 + 20 * slot)
        draw.line([start, at(end[0], end[1] + 12 + 20 * target_slot)], WIRE)
    for node in nodes.values():
        (x, y), (wide, tall) = node["pos"], node["size"]
        draw.rounded_rectangle([at(x, y - TITLE), at(x + wide, y + tall)], 3, BODY)
    font = ImageFont.load_default(LETTERS * scale)
    for group in saved["groups"]:
        x, y, wide, tall = group["bounding"]
        corners = [at(x, y), at(x + wide, y + tall)]
        draw.rounded_rectangle(corners, 4, outline=group["color"], width=2)
        draw.text(at(x + 14, y + 2), group["title"], INK, font)
    return sheet
