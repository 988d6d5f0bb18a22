"""Presets by name, a model's own settings from its header, and both on the command line."""

import dataclasses
import json

import pytest

from pixwizard_core.bundle import MODEL_FILE, load_tiny
from pixwizard_core.canvas import CENTRES
from pixwizard_core.cli import entry
from pixwizard_core.cli import settings as cli_settings
from pixwizard_core.config import PRESETS as SHAPES
from pixwizard_core.config import TINY
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.errors import CheckpointError, SamplingError
from pixwizard_core.evaluation.scoring import ScoringPlan
from pixwizard_core.fleet.job import Job, ModelFiles
from pixwizard_core.generate import SampleSettings
from pixwizard_core.own_settings import (
    RELEASED,
    SETTINGS_KEY,
    bundled_settings,
    of_shape,
    own_settings,
    read_settings,
)
from pixwizard_core.presets import PRESET_CHOICES, PRESETS, misses, with_preset
from pixwizard_core.tasks import TASKS
from pixwizard_core.weights.checkpoint import open_checkpoint
from tests.support.bundles import write_bundle
from tests.support.paths import ROOT

OWN = SampleSettings(steps=1, w_text=1.5, w_image=1.2, solver="heun", shift=2.0, all_channels=True)
# steps, solver, shift, w_text, w_image, all channels: each preset on a model that likes OWN
ON_OWN = {
    "auto": (1, "heun", 2.0, 1.5, 1.2, True),
    "own": (1, "heun", 2.0, 1.5, 1.2, True),
    "reference": (59, "euler", 1.0, 4.0, 1.0, False),
    "paper-dense": (59, "euler", 1.0, 1.5, 1.0, False),
    "balanced": (29, "euler", 1.0, 1.5, 1.2, True),
    "fast": (14, "euler", 1.0, 1.5, 1.2, True),
}


def parsed(*line: str):
    return entry._parser().parse_args(line)


@pytest.mark.parametrize("name", ON_OWN)
def test_preset_changes_what_it_names_and_keeps_the_models_own(name):
    found = with_preset(OWN, name)
    assert (found.steps, found.solver, found.shift, found.w_text, found.w_image,
            found.all_channels) == ON_OWN[name]  # fmt: skip


def test_every_preset_has_a_purpose_a_source_and_known_tasks():
    assert tuple(ON_OWN) == PRESET_CHOICES == cli_settings.PRESET_CHOICES
    fields = {field.name for field in dataclasses.fields(SampleSettings)}
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.purpose
        assert preset.source
        assert set(preset.changes) <= fields
        assert set(preset.tasks) <= set(TASKS)


def test_reference_is_what_settings_are_without_any():
    assert with_preset(OWN, "reference") == SampleSettings()


def test_unknown_preset_is_refused():
    with pytest.raises(SamplingError, match=r"'quick' is unknown; choose one of: auto, own, ref"):
        with_preset(OWN, "quick")


def test_preset_for_maps_says_so_elsewhere():
    assert misses("paper-dense", "depth") == misses("fast", "edit") == ""
    assert "paper-dense is meant for depth" in misses("paper-dense", "edit")
    assert "not for free text" in misses("paper-dense", "")


def test_bundled_models_own_settings_are_data():
    own = bundled_settings()
    assert own.centres == (128,)
    assert (own.of("depth").steps, own.of("depth").w_text) == (1, 1.0)
    assert (own.of("text2image").steps, own.of("text2image").w_text) == (8, 4.0)
    assert (own.of("anything").steps, own.of("anything").w_text) == (4, 2.0)
    assert set(own.task_settings) <= set(TASKS)


def test_header_decides_then_the_shape_then_the_released_model():
    header = {SETTINGS_KEY: '{"centres": [256, 512], "tasks": {"depth": {"w_text": 1}}}'}
    own = own_settings(header, RELEASED)
    assert own.centres == (256, 512)
    assert (own.of("depth").w_text, own.of("edit").w_text) == (1.0, 4.0)
    assert own_settings({}, of_shape(TINY)) == bundled_settings()
    released = own_settings({}, of_shape(SHAPES["PixWizard_2B_GQA_patch2"]))
    assert released is RELEASED
    assert (released.centres, released.of("depth")) == (CENTRES, SampleSettings())


BAD_HEADERS = {
    "no json": "{",
    "a list": "[]",
    "unknown part": '{"center": [128]}',
    "no centres": '{"centres": []}',
    "odd centre": '{"centres": [100]}',
    "huge centre": '{"centres": [1e9]}',
    "text centre": '{"centres": "128"}',
    "unknown field": '{"settings": {"rope": 2}}',
    "no steps": '{"settings": {"steps": 0}}',
    "many steps": '{"settings": {"steps": 1000000}}',
    "text steps": '{"settings": {"steps": "4"}}',
    "endless guidance": '{"settings": {"w_text": Infinity}}',
    "unknown solver": '{"settings": {"solver": "magic"}}',
    "tasks as a list": '{"tasks": []}',
    "task as a number": '{"tasks": {"depth": 4}}',
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_header_that_cannot_be_used_is_refused(case):
    with pytest.raises(CheckpointError, match="header"):
        read_settings(BAD_HEADERS[case])


def test_bundle_takes_its_settings_from_its_own_header(tmp_path):
    folder = write_bundle(tmp_path, {SETTINGS_KEY: '{"centres": [64], "settings": {"steps": 3}}'})
    bundle = load_tiny(folder)
    assert (bundle.centres, bundle.settings.steps) == ((64,), 3)
    model = ModelFiles(folder=str(folder))
    assert (model.own.centres, model.own.of("depth").steps) == ((64,), 3)


def test_bundled_file_has_the_bundled_settings():
    file = open_checkpoint(BUNDLE / MODEL_FILE)
    assert own_settings(file.metadata, of_shape(file.config)) == bundled_settings()


def test_options_come_before_the_preset_and_are_printed(capsys):
    arguments = parsed("run", "a.png", "--task", "edit", "--preset", "paper-dense",
                       "--steps", "20", "--channels", "all")  # fmt: skip
    settings = cli_settings.chosen_settings(arguments, OWN)
    assert (settings.steps, settings.w_text, settings.all_channels) == (20, 1.5, True)
    cli_settings.tell_settings(arguments)
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("preset paper-dense: solver euler, steps 59")
    assert second == "given beside it, and used instead: steps 20, channels all"
    assert "not for edit" in third


def test_nothing_is_printed_without_a_preset(capsys):
    arguments = parsed("run", "a.png", "--task", "depth", "--w-text", "3")
    assert cli_settings.chosen_settings(arguments, OWN).w_text == 3.0
    cli_settings.tell_settings(arguments)
    assert capsys.readouterr().err == ""


def test_batch_and_evaluate_take_presets_and_channels():
    for line in (("batch", "a.png"), ("evaluate", "data", "nyuv2")):
        arguments = parsed(*line, "--preset", "fast", "--channels", "first-3")
        assert arguments.preset == "fast"
        assert cli_settings.given_settings(arguments) == {"all_channels": False}


def test_job_puts_preset_and_options_on_the_models_own_settings():
    job = Job("out", preset="fast", overrides={"shift": 2.0})
    assert (job.settings_of("depth").steps, job.settings_of("depth").w_text) == (14, 1.0)
    assert (job.settings_of("text2image").w_text, job.settings_of("depth").shift) == (4.0, 2.0)


def changed(changes) -> str:
    """A preset's settings as the table in the docs has them."""
    if not changes:
        return "nothing"
    shown = [f"{changes['steps']} steps of {changes['solver']}, shift {changes['shift']:g}"]
    if "w_text" in changes:
        shown += [f"text {changes['w_text']:g}", f"image {changes['w_image']:g}",
                  "all channels" if changes["all_channels"] else "first 3 channels"]  # fmt: skip
    return ", ".join(shown)


def preset_rows() -> list[str]:
    return [
        f"| `{name}` | {changed(preset.changes)} | {preset.purpose} | {preset.source} |"
        for name, preset in PRESETS.items()
    ]


def test_the_table_in_the_docs_is_this_one():
    assert "\n".join(preset_rows()) in (ROOT / "docs/settings.md").read_text(encoding="utf-8")


def test_settings_in_the_docs_are_read():
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8").replace("\n", " ")
    shown = text[text.index('{"centres"') : text.index("}}}") + 3]
    assert read_settings(shown).of("depth").steps == json.loads(shown)["tasks"]["depth"]["steps"]


def test_evaluate_world_keeps_each_tasks_own_settings_beside_an_option():
    plan = ScoringPlan(preset="auto", overrides={"steps": 9})
    bundle = load_tiny()
    assert (plan.settings_of(bundle, "depth").steps, plan.settings_of(bundle, "depth").w_text) == (
        9, 1.0,
    )  # fmt: skip
    reference = ScoringPlan(preset="reference")
    assert reference.settings_of(bundle, "depth") == SampleSettings(centre=128)


def test_evaluate_world_refuses_an_unknown_preset(capsys):
    assert entry.main(["evaluate", "world", "--preset", "quick"]) == 2
    assert "preset 'quick' is unknown" in capsys.readouterr().err
