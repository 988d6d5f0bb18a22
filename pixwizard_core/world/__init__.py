"""The procedural world: rooms with exact truth, rendered, degraded, edited and described.

`scenes` holds the contents of a room, `render` draws it, `pictures`, `edges`, `degrade`, `holes`
and `edits` make the pictures of tasks, `phrases`, `sentence_patterns` and `wordings` the words;
`examples` joins them.
"""

from __future__ import annotations

from .mixture import PICTURE_KINDS, picture_mix
from .phrases import captions, refer
from .render import CLASSES, Views, render
from .scenes import Scenes, sample_scenes

__all__ = [
    "CLASSES",
    "PICTURE_KINDS",
    "Scenes",
    "Views",
    "captions",
    "picture_mix",
    "refer",
    "render",
    "sample_scenes",
]
