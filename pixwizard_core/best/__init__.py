"""The best of several answers to one question, by how well they agree.

`agreement` compares answers, `scores` rates them, `choose` asks several times and picks one. No
further network judges: only the model itself, asked again, and what is known of the picture.
"""

from __future__ import annotations

from .agreement import Sighting
from .choose import BestAnswer, Candidate, best_of, check_count
from .scores import WAYS, Evidence, scores_of, way_of

__all__ = [
    "WAYS",
    "BestAnswer",
    "Candidate",
    "Evidence",
    "Sighting",
    "best_of",
    "check_count",
    "scores_of",
    "way_of",
]
