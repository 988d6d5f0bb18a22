"""The node that answers by tiles, as far as it goes without a model; the host's checks run it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.nodes.test_data_nodes import called, image


@pytest.fixture
def whole(extension):
    """A PIXWIZARD that works at 128 px, whose parts nobody calls."""
    about = SimpleNamespace(own=None)
    return extension("nodes.loaders.bundle").WholeModel(1, 2, 3, 4, about)


def test_tasks_that_tiles_do_not_serve_are_refused_before_the_model_is_used(
    nodes, extension, whole
):
    asked, errors = extension("nodes.shared.question").question, extension("pixwizard_core.errors")
    given = {"pixwizard": whole, "image": image(90, 60), "instruction": "x"}
    for about, reason in (
        (asked("depth", {}), "task 'depth' is not answered tile by tile: sharp answers"),
        (asked("box", {"target": "it", "colour": "red"}), "needs the whole thing in view"),
        (asked("custom", {"caption": "night"}), "tiles need a task"),
    ):
        with pytest.raises(errors.InstructionError, match=reason):
            called(nodes["TiledAnswer"], **given, about=about)


def test_progress_takes_one_step_for_each_tile_done(extension):
    taken = []
    to = extension("nodes.short.asking").steps_of(lambda: taken.append(1))
    to(4)
    to(4)
    to(6)
    assert len(taken) == 6
