"""Settings of training on one's own pairs: what cannot be is refused by name."""

import dataclasses
import json

import pytest

from pixwizard_core.cli.teach_options import FOR_LORA, SETTINGS
from pixwizard_core.errors import PixWizardError
from pixwizard_core.training.teach.settings import FOR_LORA as TEACH_FOR_LORA
from pixwizard_core.training.teach.settings import (
    Lesson,
    Source,
    TeachSettings,
    read_lesson,
    usual,
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": -5}, "steps is a whole number, at least 1. Got: -5"),
        ({"batch": 0}, "batch is a whole number, at least 1"),
        ({"batch": 2, "at_once": 3}, "at_once is at most the batch, 2. Got: 3"),
        ({"rank": 0}, "rank is a whole number, at least 1"),
        ({"rate": 0.0}, "rate is a number above 0"),
        ({"rate": float("nan")}, "rate is a number above 0. Got: nan"),
        ({"ema": 1.0}, "ema is a share from 0 to below 1"),
        ({"validation": -0.1}, "validation is a share"),
        ({"drop_text": 0.7, "drop_image": 0.7}, "together up to 1"),
        ({"drop_text": 0.5, "drop_both": 0.5, "drop_image": 0.0}, "leave no example with its"),
        ({"schedule": "steps"}, "schedule is one of cosine, linear, constant. Got: 'steps'"),
        ({"precision": "fp4"}, "precision is one of auto, float32, bfloat16"),
        ({"fit": "tile"}, "fit is one of stretch, pad, crop"),
        ({"centres": (100,)}, "multiple of 16"),
        ({"centres": ("512",)}, "centres is a list of whole numbers"),
        ({"time_spread": -1.0}, "time_spread is a number, 0 or more"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(PixWizardError, match=message):
        TeachSettings(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": ""}, "a source needs a path"),
        ({"path": "x", "repeats": 0.0}, "repeats is a number above 0"),
        ({"path": "x", "weight": -1.0}, "weight is a share of the steps"),
        ({"path": "x", "scenes": 0}, "scenes is a number of examples"),
    ],
    ids=["path", "repeats", "weight", "scenes"],
)
def test_sources_that_cannot_be_are_refused(values, message):
    with pytest.raises(PixWizardError, match=message):
        Source(**values)


def test_lesson_file_gives_sources_and_settings(tmp_path):
    path = tmp_path / "lesson.json"
    values = {"steps": 7, "rate": 1, "sources": [{"path": "pairs", "repeats": 2, "root": "r"}]}
    path.write_text(json.dumps(values), encoding="utf-8")
    lesson = read_lesson(path, TeachSettings(batch=3))
    assert (lesson.settings.steps, lesson.settings.rate, lesson.settings.batch) == (7, 1.0, 3)
    assert lesson.sources == (
        Source(str(tmp_path / "pairs"), repeats=2.0, root=str(tmp_path / "r")),
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepps": 1}, "l.json has no setting 'stepps'"),
        ({"steps": 0}, "l.json: steps is a whole number"),
        ({"sources": {}}, r"l.json, \[\[sources\]\] is a list of tables"),
        ({"sources": [{"repeats": 2}]}, r"\[\[sources\]\] 1 needs a path"),
        ({"sources": [{"path": "a"}, {"path": "b", "weigth": 1}]}, "2 has no setting 'weigth'"),
        ({"held_out": [{"path": "b", "repeats": -1}]}, r"\[\[held_out\]\] 1: repeats is a"),
    ],
    ids=["name", "value", "list", "path", "column", "held-out"],
)
def test_lesson_file_names_what_is_wrong(tmp_path, values, message):
    path = tmp_path / "l.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(PixWizardError, match=message):
        read_lesson(path, TeachSettings())


def test_lesson_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PixWizardError, match=r"there is no settings file no\.toml"):
        read_lesson(tmp_path / "no.toml", TeachSettings())


def test_released_weights_draw_times_evenly_and_the_bundled_keep_theirs():
    assert usual(small=False, lora=True).time_spread == 0
    assert usual(small=False, lora=False).time_spread == 0
    assert (usual(True, True).time_mean, usual(True, True).time_spread) == (-0.4, 1.2)


def test_every_setting_is_an_option_of_its_type():
    fields = {field.name: field for field in dataclasses.fields(TeachSettings)}
    assert set(SETTINGS) == set(fields)
    assert FOR_LORA == TEACH_FOR_LORA
    for name, (kind, _) in SETTINGS.items():
        if name not in ("seed", "centres"):
            assert kind is type(fields[name].default), name


def test_values_of_the_command_line_go_before():
    lesson = Lesson(settings=TeachSettings(steps=5)).with_values({"steps": 9}, "here")
    assert lesson.settings.steps == 9
