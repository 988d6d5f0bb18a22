"""Socket types that not every version of the host has. Workflows save their names: never rename."""

from __future__ import annotations

from comfy_api.latest import io

Canvas = io.Custom("PIXWIZARD_CANVAS")  # pixwizard_core.canvas.Canvas: how a picture was fitted
About = io.Custom("PIXWIZARD_ABOUT")  # shared.question.Question: what a picture answers
Whole = io.Custom("PIXWIZARD")  # loaders.bundle.WholeModel: four models, and what they are

# Boxes as other packs name their sockets.
BBox, BoundingBox, Segs = io.Custom("BBOX"), io.Custom("BOUNDING_BOX"), io.Custom("SEGS")
Json = io.Custom("JSON")  # what Florence nodes hand on: lists and dictionaries, not text
BoxesOrText = io.Custom("BBOX,BOUNDING_BOX,STRING")
AnyBoxes = io.Custom("BBOX,BOUNDING_BOX,STRING,JSON")
