"""The lists of the loaders, and their first entry, auto."""

from __future__ import annotations

import logging
import shutil

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.encoders.vae import SD_VAE_MARKS
from pixwizard_core.weights.published import CLIP, GEMMA, MODEL
from tests.support.hub import published_files

LISTS = {
    "LoadModel": ("model_name",),
    "LoadTextEncoder": ("gemma", "clip"),
    "LoadVisionEncoder": ("clip_vision",),
    "LoadPixWizard": ("model_name", "gemma", "clip_name", "vae_name"),
}
ALL_AUTO = dict.fromkeys(LISTS["LoadPixWizard"], "auto")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_files(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def choices(extension):
    extension("nodes.host.files").register_folders()
    return extension("nodes.loaders.choices")


@pytest.fixture(autouse=True)
def empty_again(models):
    yield
    for place in models.iterdir():
        shutil.rmtree(place) if place.is_dir() else place.unlink()


def put(published, part, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*part.files, *part.others):
        if content := published.get(f"{part.repository}/{name}"):
            (folder / name).write_bytes(content)
    return folder


def put_all(published, models):
    put(published, MODEL, models / "diffusion_models")
    put(published, GEMMA, models / "text_encoders/zz")
    put(published, CLIP, models / "text_encoders/aa")
    (models / "vae").mkdir()
    marks = {name: torch.zeros(shape) for name, shape in SD_VAE_MARKS.items()}
    save_file(marks, models / "vae/sdxl.safetensors")


@pytest.mark.parametrize("node", LISTS)
def test_auto_is_the_first_entry_and_the_default(nodes, choices, node):
    for socket in nodes[node].define_schema().inputs:
        if socket.id in LISTS[node]:
            assert socket.options[0] == socket.settings["default"] == "auto"


def test_auto_is_each_part_by_its_content(published, models, choices):
    """The list of Gemma has the folder of CLIP first."""
    put_all(published, models)
    listed = choices.GEMMA_TEXT.options()
    assert listed[:3] == ["auto", "text_encoders/aa/", "text_encoders/zz/"]
    auto = dict.fromkeys((choices.GEMMA_TEXT, choices.CLIP_TEXT, choices.CLIP_VISION), "auto")
    assert choices.chosen(auto) == {
        "gemma": models / "text_encoders/zz",
        "clip_text": models / "text_encoders/aa",
        "clip_vision": models / "text_encoders/aa",
    }


def test_lists_survive_a_folder_that_was_taken_away(published, models, choices, monkeypatch):
    """ComfyUI looks at the times of the folders that it listed before, and fails where one is
    gone."""
    put_all(published, models)
    (models / "vae/notes.txt").write_text("no weights")

    def gone(kind):
        raise FileNotFoundError(kind)

    listed = choices.SDXL_VAE.options(), choices.CLIP_BOTH.options()
    monkeypatch.setattr(choices.folder_paths, "get_filename_list", gone)
    assert choices.SDXL_VAE.options() == listed[0] == ["auto", "vae/sdxl.safetensors"]
    assert set(choices.CLIP_BOTH.options()) == set(listed[1])


def test_names_of_saved_graphs_are_taken_as_they_are(published, models, choices):
    put_all(published, models)
    named = {choices.GEMMA_TEXT: "text_encoders/zz/", choices.CLIP_TEXT: "aa/pytorch_model.bin"}
    assert choices.known(named) is True
    assert choices.chosen(named) == {
        "gemma": models / "text_encoders/zz",
        "clip_text": models / "text_encoders/aa/pytorch_model.bin",
    }
    gone = {choices.TRANSFORMER: "diffusion_models/gone.pth"}
    assert choices.known(gone).startswith("'gone.pth' is not in the model folders. Searched: ")


def test_what_comes_through_a_link_is_looked_at_later(choices):
    assert choices.known({choices.TRANSFORMER: None}) is True


def test_a_loader_without_its_files_shows_the_checklist(nodes, choices, models, published):
    put(published, MODEL, models / "diffusion_models")
    put(published, CLIP, models / "clip_vision/clip")
    lines = nodes["LoadPixWizard"].validate_inputs(**ALL_AUTO).splitlines()
    assert lines[0] == (
        "missing: Gemma 2B, first generation, SDXL VAE. What the released model needs:"
    )
    assert lines[1].startswith(
        f"✓ PixWizard transformer: {models.name}/diffusion_models/consolidated_ema.00-of-01.pth"
    )
    assert lines[2].startswith("✗ Gemma 2B, first generation: model-00001-of-00002.safetensors")
    assert lines[3].startswith("✓ CLIP-L/14 at 336 px: ")
    assert lines[4].startswith("✗ SDXL VAE: sdxl_vae.safetensors (335 MB) from https://")
    assert "-m pixwizard_core get --comfyui" in lines[5]
    assert lines[6] == "To start without them, use PixWizard Load Tiny (bundled)."


def test_running_without_files_raises_the_same_checklist(nodes, extension, choices):
    error = extension("pixwizard_core.errors").MissingPartsError
    with pytest.raises(error, match="✗ PixWizard transformer: consolidated_ema") as met:
        nodes["LoadModel"].execute("auto", "default")
    assert str(met.value) == nodes["LoadModel"].validate_inputs("auto")


def test_encoders_are_those_that_suit_the_transformer(published, models, choices, nodes):
    put_all(published, models)
    assert nodes["LoadPixWizard"].validate_inputs(**ALL_AUTO) is True
    other = choices.EXTENSION / "tests/golden/checkpoint"  # wants other widths
    (models / "diffusion_models/consolidated_ema.00-of-01.pth").unlink()
    for file in other.iterdir():
        shutil.copy(file, models / "diffusion_models")
    told = nodes["LoadPixWizard"].validate_inputs(**ALL_AUTO)
    assert "features, the transformer wants" in told


def test_auto_says_what_it_takes(published, models, choices, caplog):
    caplog.set_level(logging.INFO)
    put(published, MODEL, models / "diffusion_models/a")
    put(published, MODEL, models / "diffusion_models/b")
    choices.chosen({choices.TRANSFORMER: "auto"})
    assert f"auto is {models / 'diffusion_models/a/consolidated_ema'}" in caplog.text
    assert f", before {models / 'diffusion_models/b/consolidated_ema'}" in caplog.text


def test_a_new_or_changed_file_changes_the_fingerprint(published, models, choices, nodes):
    model = nodes["LoadModel"]
    assert model.fingerprint_inputs(model_name="auto", weight_dtype="default") == ""
    put(published, MODEL, models / "checkpoints")
    first = model.fingerprint_inputs(model_name="auto", weight_dtype="default")
    assert first == model.fingerprint_inputs(model_name="auto")
    put(published, MODEL, models / "diffusion_models")
    second = model.fingerprint_inputs(model_name="auto")
    assert len({"", first, second}) == 3
    name = "diffusion_models/consolidated_ema.00-of-01.pth"
    before = model.fingerprint_inputs(model_name=name)
    (models / name).write_bytes(b"x")
    assert model.fingerprint_inputs(model_name=name) != before


def test_folders_of_a_cache_of_the_hub_are_listed(published, models, choices):
    snapshot = "models--google--gemma-2b/snapshots/0123abcd"
    put(published, GEMMA, models / "LLM" / snapshot)
    assert f"LLM/{snapshot}/" in choices.GEMMA_TEXT.options()


def found_parts(nodes) -> list[bool]:
    """What the page is told of each part."""
    told = [one.extra_dict for one in nodes["LoadPixWizard"].define_schema().inputs
            if getattr(one, "extra_dict", None)]  # fmt: skip
    return [one["pixwizard"]["part"]["found"] for one in told if "part" in one["pixwizard"]]


def test_page_is_told_which_parts_are_there_by_their_content(nodes, published, models, choices):
    assert found_parts(nodes) == [False, False, False, False]
    for kind in ("diffusion_models", "text_encoders", "vae"):
        (models / kind).mkdir()
        save_file({"other.weight": torch.zeros(2)}, models / kind / "another.safetensors")
    assert found_parts(nodes) == [False, False, False, False]
    shutil.rmtree(models / "vae")
    put_all(published, models)
    assert found_parts(nodes) == [True, True, True, True]


def test_short_node_takes_the_released_model_when_all_its_files_are_there(
    extension, published, models, choices
):
    choice = extension("nodes.short.model_choice")
    empty, before = choice.choose(None), choice.state()
    assert (empty.origin, empty.about.demo, len(empty.missing)) == ("bundled", True, 4)
    put(published, MODEL, models / "diffusion_models")
    some = choice.choose(None)
    assert (some.origin, len(some.missing)) == ("bundled", 3)
    assert choice.state() != before
    put_all(published, models)
    every = choice.choose(None)
    assert (every.origin, every.about.demo, every.missing) == ("released", False, ())
