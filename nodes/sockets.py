"""Socket types that PixWizard adds to the host. Their names are saved in workflows: never
rename."""

from __future__ import annotations

from comfy_api.latest import io

Canvas = io.Custom("PIXWIZARD_CANVAS")  # pixwizard_core.canvas.Canvas: how a picture was fitted
