"""Names of the families of tasks."""

from __future__ import annotations

GENERATE = "Generate"
CONTROL = "Control"
INPAINT = "Inpaint"
EDIT = "Edit"
RESTORE = "Restore"
GROUND = "Ground"
PERCEIVE = "Perceive"

FAMILIES = (PERCEIVE, GROUND, EDIT, INPAINT, RESTORE, CONTROL, GENERATE)
