"""Finding files, and what differs between hosts."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys

import pytest

from tests.fakes.host import REPO


@pytest.fixture(scope="module")
def host(extension):
    extension("nodes.host.files").register_folders()
    return extension("nodes.host.files")


@pytest.fixture(autouse=True)
def empty_again(models):
    """Other tests look at loaders that find no file."""
    yield
    for place in models.iterdir():
        shutil.rmtree(place) if place.is_dir() else place.unlink()


def put(models, name, text="x"):
    path = models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_listed_with_their_kind(host, models):
    path = put(models, "diffusion_models/wizard/consolidated.00-of-01.pth")
    put(models, "diffusion_models/readme.txt")
    assert host.model_files("diffusion_models", "checkpoints") == [
        "diffusion_models/wizard/consolidated.00-of-01.pth"
    ]
    assert host.resolve("diffusion_models/wizard/consolidated.00-of-01.pth") == path


def test_folders_with_a_config_are_listed(host, models):
    put(models, "LLM/gemma-2b/config.json", "{}")
    put(models, "text_encoders/google/gemma-2b/config.json", "{}")
    put(models, "text_encoders/not_a_model/notes.md")
    assert host.model_folders("LLM", "text_encoders") == [
        "LLM/gemma-2b/",
        "text_encoders/google/gemma-2b/",
    ]
    assert host.resolve("LLM/gemma-2b/").name == "gemma-2b"


def test_unregistered_kind_has_no_files(host):
    assert host.model_files("unheard_of") == []
    assert host.model_folders("unheard_of") == []


@pytest.mark.parametrize(
    "name", ["diffusion_models/gone.safetensors", "diffusion_models/", "nothing", ""]
)
def test_missing_file_names_the_folders_searched(host, extension, name):
    with pytest.raises(extension("pixwizard_core.errors").CheckpointError, match="Searched"):
        host.resolve(name)


def test_path_cannot_leave_the_model_folders(host, extension, models):
    secret = put(models, "secret.safetensors")
    error = extension("pixwizard_core.errors").CheckpointError
    for name in ("diffusion_models/../secret.safetensors", f"diffusion_models/{secret}"):
        with pytest.raises(error, match="Searched"):
            host.resolve(name)


@pytest.mark.parametrize(
    "name",
    [
        "loras/styles/room.safetensors",
        "styles/room.safetensors",
        "styles\\room.safetensors",
        "loras\\styles\\room.safetensors",
    ],
)
def test_files_are_found_by_every_spelling(host, models, name):
    path = put(models, "loras/styles/room.safetensors")
    assert host.resolve(name, "", ("loras",)) == path
    assert host.known_file(name, "", ("loras",)) is True


def test_folders_are_found_without_their_kind(host, models):
    put(models, "text_encoders/gemma-2b/config.json", "{}")
    found = host.resolve("gemma-2b/", "", ("LLM", "text_encoders"))
    assert found == models / "text_encoders" / "gemma-2b"


def test_a_folder_named_like_its_kind_is_found(host, models):
    path = put(models, "loras/loras/room.safetensors")
    assert host.resolve("loras/room.safetensors", "", ("loras",)) == path


def test_a_name_in_two_folders_is_the_first_and_said(host, models, caplog):
    kinds = ("diffusion_models", "checkpoints")
    other = put(models, "checkpoints/x.safetensors")
    first = put(models, "diffusion_models/x.safetensors")
    assert host.resolve("x.safetensors", "", kinds) == first
    assert (
        "'x.safetensors' is in models/diffusion_models and models/checkpoints; "
        "diffusion_models/x.safetensors is used"
    ) in caplog.text
    caplog.clear()
    assert host.resolve("checkpoints/x.safetensors", "", kinds) == other
    assert not caplog.text


def test_an_unknown_plain_name_names_the_folders_searched(host, extension, models):
    (models / "loras").mkdir()
    error = extension("pixwizard_core.errors").CheckpointError
    where = f"'gone.safetensors' is not in the model folders. Searched: {models / 'loras'}. A LoRA."
    with pytest.raises(error, match=re.escape(where)):
        host.resolve("gone.safetensors", "A LoRA.", ("loras",))
    assert host.known_file("gone.safetensors", "A LoRA.", ("loras",)) == where


def test_names_that_come_through_a_link_are_looked_at_later(host):
    assert host.known_file(None, "", ("loras",)) is True


def test_a_name_that_is_no_text_is_said(host):
    assert "the name must be one of its choices" in host.known_file(3, "", ("loras",))


def test_every_list_of_files_takes_plain_names(nodes, models):
    """The host compares a typed name with the list unless validate_inputs takes the input."""
    for folder in ("diffusion_models", "text_encoders", "clip_vision", "loras"):
        put(models, f"{folder}/probe.safetensors")
    lists = [
        (name, one.id, node)
        for name, node in nodes.items()
        for one in node.define_schema().inputs
        if any("probe.safetensors" in str(entry) for entry in one.settings.get("options", ()))
    ]
    assert {(name, id) for name, id, _ in lists} >= {
        ("LoadModel", "model_name"),
        ("LoadTextEncoder", "gemma"),
        ("LoadTextEncoder", "clip"),
        ("LoadLora", "lora_name"),
    }
    for name, id, node in lists:
        taken = inspect.getfullargspec(node.validate_inputs).args
        assert id in taken, (name, id)
        assert node.validate_inputs(**{id: "probe.safetensors"}) is True, (name, id)
        assert node.validate_inputs() is True, (name, id)
        gone = node.validate_inputs(**{id: "gone.safetensors"})
        assert "'gone.safetensors' is not in the model folders" in gone, (name, id)


def test_registering_twice_adds_nothing(host):
    before = list(host.folder_paths.folder_names_and_paths["LLM"][0])
    host.register_folders()
    assert host.folder_paths.folder_names_and_paths["LLM"][0] == before


def test_schema_drops_what_the_host_does_not_know(extension):
    schema = extension("nodes.host.versions").schema
    made = schema("Thing", description="One.", search_aliases=["other"])
    assert made.node_id == "PixWizard_Thing"
    assert made.category == "PixWizard"
    assert not hasattr(made, "search_aliases")


def test_extension_defines_nothing_without_a_host():
    code = (
        f"import sys; sys.path.insert(0, {str(REPO.parent)!r}); import importlib; "
        f"print(vars(importlib.import_module({REPO.name!r})).get('comfy_entrypoint'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "None", done.stderr
