"""Finding the parts of the released model by content, and the checklist of what is missing."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from pixwizard_core.encoders.load import read_source
from pixwizard_core.encoders.vae import SD_VAE_MARKS
from pixwizard_core.errors import CheckpointError, EncoderError, MissingPartsError
from pixwizard_core.released import find
from pixwizard_core.released.checklist import lines_of, require_parts, survey
from pixwizard_core.released.find import search
from pixwizard_core.released.places import model_folders
from pixwizard_core.weights.checkpoint import save
from pixwizard_core.weights.convert import convert
from pixwizard_core.weights.published import CLIP, GEMMA, MODEL, PARTS
from tests.support.hub import published_files
from tests.support.tiny import tiny_config, tiny_model


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_files(tmp_path_factory.mktemp("published"))


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def put(published, part, folder, *left_out):
    """The published files of a part in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*part.files, *part.others):
        content = published.get(f"{part.repository}/{name}")
        if content is not None and name not in left_out:
            (folder / name).write_bytes(content)
    return folder


def look(models, part, *kinds):
    folders, _ = model_folders(models.parent)
    return search(part, kinds or PARTS[part].folders, folders)


def paths(found, models):
    return [one.path.relative_to(models).as_posix() for one in found.found]


def vae_file(path, names=lambda name: name, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {names(name): torch.zeros(shape) for name, shape in SD_VAE_MARKS.items()}
    save_file(tensors | more, path)
    return path


@pytest.mark.parametrize(
    "place",
    [
        "LLM/gemma-2b",
        "LLM/google/gemma-2b",
        "LLM/models--google--gemma-2b/snapshots/0123abcd",
        "text_encoders/gemma",
    ],
)
@pytest.mark.parametrize("left_out", [(), ("config.json",)], ids=["with config", "without"])
def test_shards_are_found_wherever_people_keep_them(published, models, place, left_out):
    put(published, GEMMA, models / place, *left_out)
    assert paths(look(models, "gemma"), models) == [place]


def test_a_cache_of_links_is_found(published, models):
    """The hub's own cache keeps blobs, and links to them."""
    blobs = put(published, CLIP, models / "text_encoders/models--openai--clip/blobs")
    snapshot = models / "text_encoders/models--openai--clip/snapshots/ab12"
    snapshot.mkdir(parents=True)
    for number, file in enumerate(list(blobs.iterdir())):
        blob = file.rename(file.with_name(f"{number:040d}"))
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    (snapshot / "config.json").write_text("{}")
    found = look(models, "clip")
    assert paths(found, models) == ["text_encoders/models--openai--clip/snapshots/ab12"]


def test_each_file_is_taken_for_what_it_is(published, models):
    """All in one folder, under names that say nothing."""
    shelf = models / "text_encoders"
    put(published, GEMMA, shelf / "a")
    put(published, CLIP, shelf / "b")
    (shelf / "b" / CLIP.files[0]).rename(shelf / "b" / "x.safetensors")
    assert paths(look(models, "gemma"), models) == ["text_encoders/a"]
    for part in ("clip", "clip_text", "clip_vision"):
        assert paths(look(models, part, "text_encoders"), models) == ["text_encoders/b"]


def test_the_first_folder_that_holds_a_part_is_taken(published, models):
    put(published, MODEL, models / "checkpoints")
    assert paths(look(models, "model"), models) == [f"checkpoints/{MODEL.files[0]}"]
    save(models / "own.safetensors", tiny_model().state_dict(), tiny_config())
    (models / "diffusion_models/mine").mkdir(parents=True)
    (models / "own.safetensors").rename(models / "diffusion_models/mine/y.safetensors")
    assert paths(look(models, "model"), models) == ["diffusion_models/mine/y.safetensors"]


def test_of_several_the_quick_and_exact_one_is_first(published, models):
    folder = put(published, MODEL, models / "diffusion_models")
    source = folder / MODEL.files[0]
    for precision in ("fp8", "fp32", "bf16"):
        convert(source, folder / f"{precision}.safetensors", precision)
    assert [one.path.name for one in look(models, "model").found] == [
        "bf16.safetensors",
        "fp32.safetensors",
        "fp8.safetensors",
        MODEL.files[0],
    ]


def test_what_has_nothing_to_do_with_a_part_is_passed_over(published, models):
    folder = models / "diffusion_models"
    folder.mkdir()
    save_file({"double_blocks.0.x": torch.zeros(1)}, folder / "flux.safetensors")
    save_file({"a.lora_up.weight": torch.zeros(1)}, folder / "lora.safetensors")
    torch.save({"format": 1}, folder / "model_args.pth")
    assert look(models, "model").near == ()


def test_damage_is_told(published, models):
    folder = put(published, MODEL, models / "diffusion_models")
    whole = (folder / MODEL.files[0]).read_bytes()
    (folder / MODEL.files[0]).write_bytes(whole[: len(whole) // 2])
    ((path, why),) = look(models, "model").near
    assert path.name == MODEL.files[0]
    assert why.startswith("consolidated_ema.00-of-01.pth is damaged or not a PyTorch file")


def test_a_shard_alone_stands_for_its_model(published, models):
    folder = put(published, GEMMA, models / "LLM/gemma-2b")
    one = read_source("gemma", folder / GEMMA.files[1])
    whole = read_source("gemma", folder)
    assert one.weights.shapes == whole.weights.shapes
    assert one.files == whole.files
    (folder / GEMMA.files[0]).unlink()
    with pytest.raises(
        EncoderError,
        match=r"is one of 2 shards, and 1 are not beside it, first "
        r"model-00001.*choose the folder",
    ):
        read_source("gemma", folder / GEMMA.files[1])


def test_a_million_shards_are_refused(tmp_path):
    file = tmp_path / "model-00001-of-99999.safetensors"
    file.write_bytes(b"x")
    with pytest.raises(EncoderError, match="one of 99999 files; no model here is"):
        read_source("gemma", file)


def test_shards_beside_other_files_are_one_model(published, models):
    put(published, GEMMA, models / "LLM", "config.json")
    assert paths(look(models, "gemma"), models) == [f"LLM/{GEMMA.files[0]}"]


def test_a_missing_shard_and_tokenizer_are_told(published, models):
    put(published, GEMMA, models / "LLM/a", GEMMA.files[1])
    put(published, GEMMA, models / "LLM/b", "tokenizer.json")
    near = {path.name: why for path, why in look(models, "gemma").near}
    assert "1 of 2 shards are missing, first model-00002-of-00002" in near["a"]
    assert near["b"] == "there is no tokenizer.json beside it"


def test_half_a_clip_is_told(published, models):
    folder = put(published, CLIP, models / "text_encoders/clip")
    tensors = load_file(folder / CLIP.files[0])
    vision = {name: one for name, one in tensors.items() if name.startswith("vision_model")}
    save_file(vision, folder / CLIP.files[0])
    ((_, why),) = look(models, "clip").near
    assert "CLIP vision alone, without text" in why


def test_a_changed_file_is_looked_at_again(published, models):
    folder = put(published, MODEL, models / "diffusion_models")
    assert look(models, "model").found
    save_file({"x": torch.zeros(1)}, folder / MODEL.files[0])
    assert not look(models, "model").found
    put(published, MODEL, folder)
    assert look(models, "model").found


def test_a_file_is_read_once_while_it_stays(published, models, monkeypatch):
    put(published, MODEL, models / "diffusion_models")
    assert look(models, "model").found
    monkeypatch.setitem(find.IDENTIFY, "model", pytest.fail)
    assert look(models, "model").found


def test_links_in_a_circle_end(published, models):
    put(published, MODEL, models / "diffusion_models/a")
    (models / "diffusion_models/a/back").symlink_to(models / "diffusion_models")
    assert len(look(models, "model").found) == 1


def test_an_encoder_that_does_not_suit_the_transformer_is_told(published, models):
    put(published, GEMMA, models / "LLM/gemma-2b")
    (models / "diffusion_models").mkdir()
    small = tiny_config()  # it wants 12 features
    save(models / "diffusion_models/x.safetensors", tiny_model().state_dict(), small)
    folders, _ = model_folders(models.parent)
    found = survey(folders)["gemma"]
    assert found.found == ()
    assert [why for _, why in found.near] == ["it gives 128 features, the transformer wants 12"]


@pytest.mark.parametrize(
    ("name", "config", "found"),
    [
        ("sdxl_vae.safetensors", None, True),
        ("sdxl-vae-fp16-fix/diffusion_pytorch_model.safetensors", None, True),
        ("XL vae.safetensors", None, True),
        ("models--stabilityai--sdxl-vae/snapshots/12ab/x.safetensors", None, True),
        ("x/diffusion_pytorch_model.safetensors", 0.13025, True),
        ("sdxl/diffusion_pytorch_model.safetensors", 0.18215, False),
        ("vae-ft-mse-840000.safetensors", None, False),
        ("pixel_axle.safetensors", None, False),
        ("sdxl/vae-ft-mse-840000.safetensors", None, False),
    ],
)
def test_the_vae_of_sdxl_is_told_from_its_twin(models, name, config, found):
    path = vae_file(models / "vae" / name)
    if config:
        (path.parent / "config.json").write_text(json.dumps({"scaling_factor": config}))
    met = look(models, "vae")
    assert bool(met.found) == found
    assert bool(met.near) == (not found)


def test_other_autoencoders_are_passed_over(models):
    vae_file(models / "vae/sdxl_whole.safetensors", **{"model.x": torch.zeros(1)})
    wide = torch.zeros(32, 8, 1, 1)
    save_file({"quant_conv.weight": wide}, models / "vae/sdxl_flux.safetensors")
    assert look(models, "vae") == find.Search((), (), (models / "vae",))


def test_a_vae_inside_a_pipeline_is_known_by_its_prefix(models):
    vae_file(models / "vae/sdxl.safetensors", "first_stage_model.{}".format)
    assert len(look(models, "vae").found) == 1


def test_folders_of_extra_model_paths_are_searched(models, tmp_path):
    (tmp_path / "extra_model_paths.yaml").write_text(
        "mine:\n  base_path: shelf\n  is_default: true\n  vae: VAE\n  unet: |\n    one\n    two/\n"
        "other:\n  clip: /abs/clip\n  loras: l\n  custom_nodes: c\n"
    )
    folders, notes = model_folders(tmp_path)
    assert notes == []
    assert folders["vae"] == [tmp_path / "shelf/VAE", models / "vae"]
    assert {tmp_path / "shelf/one", tmp_path / "shelf/two"} < set(folders["diffusion_models"])
    assert str(folders["text_encoders"][-1]) == "/abs/clip"


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "a: {base_path: 3}", "\x00"])
def test_settings_that_cannot_be_read_are_told(models, tmp_path, text):
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    folders, notes = model_folders(tmp_path)
    assert folders["vae"] == [models / "vae"]
    assert len(notes) == (0 if "base_path" in text else 1)


def test_the_folder_of_comfyui_is_needed(tmp_path):
    with pytest.raises(CheckpointError, match="there is no folder models in"):
        model_folders(tmp_path / "nowhere")


def test_the_error_is_a_checklist(published, models):
    put(published, MODEL, models / "diffusion_models")
    vae_file(models / "vae/vae-ft-mse.safetensors")
    folders, _ = model_folders(models.parent)
    with pytest.raises(MissingPartsError) as met:
        require_parts(survey(folders), ["To fetch them: x"], models.parent)
    lines = str(met.value).splitlines()
    assert lines[0] == (
        "missing: Gemma 2B, first generation, CLIP-L/14 at 336 px, SDXL VAE. What the released "
        "model needs:"
    )
    starts = ["✓ Pix", "✗ Gem", "✗ CLI", "✗ SDX", "    n", "To fe"]
    assert [line[:5] for line in lines[1:]] == starts
    assert "not models/vae/vae-ft-mse.safetensors: it is the VAE of SDXL or of" in lines[5]
    for part in (GEMMA, CLIP, PARTS["vae"]):
        line = next(line for line in lines if part.title in line and line.startswith("✗"))
        assert all(word in line for word in (part.size, part.page, part.by_hand, part.files[0]))


def test_the_error_holds_the_checklist_as_rows(published, models):
    """For programs: the same parts, and JSON."""
    put(published, MODEL, models / "diffusion_models")
    vae_file(models / "vae/vae-ft-mse.safetensors")
    folders, _ = model_folders(models.parent)
    with pytest.raises(MissingPartsError) as met:
        require_parts(survey(folders), [], models.parent)
    rows = {row["part"]: row for row in met.value.rows}
    assert list(rows) == ["model", "gemma", "clip", "vae"]
    assert [bool(row["found"]) for row in rows.values()] == [True, False, False, False]
    assert rows["model"]["found"].startswith("models/diffusion_models/")
    assert rows["gemma"]["size"] == "5.0 GB"
    assert rows["gemma"]["page"] == "https://huggingface.co/google/gemma-2b"
    assert rows["gemma"]["terms"] == "Google's Gemma Terms of Use"
    assert rows["gemma"]["folder"] == "models/LLM/gemma-2b"
    ((file, why),) = rows["vae"]["near"]
    assert file == "models/vae/vae-ft-mse.safetensors"
    assert why.startswith("it is the VAE of SDXL or of")
    json.dumps(met.value.rows)


def test_several_that_fit_are_listed(published, models):
    for name in ("a", "b"):
        put(published, CLIP, models / f"text_encoders/{name}")
    folders, _ = model_folders(models.parent)
    (line,) = lines_of(survey(folders, ["clip"]), models.parent)
    assert line.endswith("; also models/text_encoders/b")
