"""pixwizard get against a stand-in hub on loopback: what it fetches, where it puts it, and what it
says when something is in the way."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple

import pytest
import torch
from safetensors.torch import save

from pixwizard_core.cli import main
from pixwizard_core.config import RELEASED_PARTS
from pixwizard_core.encoders.load import OFFICIAL, load_text_encoder, load_vision_encoder
from pixwizard_core.encoders.vae import SD_VAE_MARKS
from pixwizard_core.get import hub as hub_files
from pixwizard_core.weights.checkpoint import load_state_dict
from pixwizard_core.weights.examine import inspect
from pixwizard_core.weights.published import CLIP, GEMMA, MODEL, PARTS, VAE
from tests.support.hub import Hub, published_files, serving
from tests.support.paths import ROOT

SHARD = GEMMA.files[0]
HEAVY = MODEL.files[0]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_files(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(published, monkeypatch):
    """The stand-in hub, where huggingface_hub looks for the hub in this process."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with serving(Hub(dict(published), {GEMMA.repository}, {"hf_accepted", "hf_other"})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)  # written at a time
        monkeypatch.setattr("time.sleep", lambda _: None)  # between the library's own tries
        monkeypatch.setenv("HF_TOKEN", "hf_accepted")
        yield served


@pytest.fixture
def comfyui(tmp_path):
    folder = tmp_path / "ComfyUI"
    for kind in ("diffusion_models", "text_encoders", "vae"):
        (folder / "models" / kind).mkdir(parents=True)
    return folder


def get(comfyui, *options) -> int:
    return main(["get", "--comfyui", str(comfyui), *map(str, options)])


def have_all_but(comfyui, published, *missing):
    """Put every part but these where it goes, as a person would by hand."""
    for part in PARTS.values():
        if part.name in missing:
            continue
        place = comfyui / "models" / part.folders[0] / part.place
        for name in (*part.files, *part.others):
            content = published.get(f"{part.repository}/{name}")
            if content is not None:
                target = place / name if len(part.files) > 1 else place.with_name(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def test_everything_is_fetched_converted_and_put_where_loaders_look(hub, comfyui, capsys):
    assert get(comfyui) == 0
    models = comfyui / "models"
    assert sorted(p.relative_to(models).as_posix() for p in models.rglob("*") if p.is_file()) == [
        "LLM/gemma-2b/config.json",
        "LLM/gemma-2b/model-00001-of-00002.safetensors",
        "LLM/gemma-2b/model-00002-of-00002.safetensors",
        "LLM/gemma-2b/model.safetensors.index.json",
        "LLM/gemma-2b/tokenizer.json",
        "diffusion_models/pixwizard_bf16.safetensors",
        "text_encoders/clip-vit-large-patch14-336/config.json",
        "text_encoders/clip-vit-large-patch14-336/pytorch_model.bin",
        "text_encoders/clip-vit-large-patch14-336/tokenizer.json",
        "vae/sdxl_vae.safetensors",
    ]
    info = inspect(models / "diffusion_models/pixwizard_bf16.safetensors")
    assert (info.kind, info.dtype, info.layout) == ("PixWizard", "bfloat16", "safetensors")
    clip = models / "text_encoders/clip-vit-large-patch14-336"
    load_text_encoder(models / "LLM/gemma-2b", clip)
    load_vision_encoder(clip)
    out = capsys.readouterr().out
    assert re.search(r"✓ PixWizard transformer: models/diffusion_models/pixwizard_bf16", out)
    assert out.count("✓") == 4
    assert "✗" not in out
    asked = [token for _, name, *_, token in hub.log if not name.startswith("/api/")]
    assert set(asked) == {"token"}


def test_fp8_is_written_when_asked_for(hub, comfyui):
    assert get(comfyui, "--precision", "fp8") == 0
    made = comfyui / "models/diffusion_models/pixwizard_fp8.safetensors"
    assert torch.float8_e4m3fn in {tensor.dtype for tensor in load_state_dict(made)[0].values()}


def test_check_lists_what_is_missing_and_asks_nobody(hub, comfyui, published, capsys):
    have_all_but(comfyui, published, "gemma")
    assert get(comfyui, "--check") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines[:4]] == ["✓", "✗", "✓", "✓"]
    assert lines[4:] == ["To fetch what is missing, run this command without --check."]
    assert lines[0].startswith(
        f"✓ PixWizard transformer: models/diffusion_models/{HEAVY} (PixWizard of width 32, float32"
    )
    assert lines[1] == (
        "✗ Gemma 2B, first generation: model-00001-of-00002.safetensors, "
        "model-00002-of-00002.safetensors, model.safetensors.index.json, tokenizer.json (5.0 GB) "
        "from https://huggingface.co/google/gemma-2b; accept Google's Gemma Terms of Use there "
        "first; goes to models/LLM/gemma-2b"
    )
    assert hub.log == []


def test_check_is_content_when_all_is_there(hub, comfyui, published, capsys):
    have_all_but(comfyui, published)
    assert get(comfyui, "--check") == 0
    assert capsys.readouterr().out.count("✓") == 4


def test_what_is_there_is_not_fetched_again(hub, comfyui, published):
    have_all_but(comfyui, published, "vae")
    before = {p: p.stat().st_mtime_ns for p in (comfyui / "models").rglob("*") if p.is_file()}
    assert get(comfyui, "--precision", "bf16") == 0
    assert {name for _, name, *_ in hub.log} == {"sdxl_vae.safetensors"}
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (comfyui / "models/diffusion_models/pixwizard_bf16.safetensors").is_file()


def test_a_released_file_that_is_there_is_only_converted(hub, comfyui, published, capsys):
    have_all_but(comfyui, published)
    assert get(comfyui) == 0
    assert hub.log == []
    assert (comfyui / f"models/diffusion_models/{HEAVY}").is_file()
    assert "converting consolidated_ema.00-of-01.pth to pixwizard_bf16" in capsys.readouterr().out


def test_a_broken_connection_is_taken_up_within_a_run(hub, comfyui, published):
    have_all_but(comfyui, published, "vae")
    size = len(published[f"{VAE.repository}/{VAE.files[0]}"])
    hub.cut = [1000, 500]
    assert get(comfyui) == 0
    assert hub.gets(VAE.files[0]) == [None, "bytes=1000-", "bytes=1500-"]
    assert (comfyui / "models/vae/sdxl_vae.safetensors").stat().st_size == size


def test_a_run_that_gave_up_is_taken_up_by_the_next(hub, comfyui, published, capsys):
    have_all_but(comfyui, published, "vae")
    hub.cut = [1000] + [0] * 20
    assert get(comfyui) == 1
    met = capsys.readouterr()
    assert re.search(r"SDXL VAE: sdxl_vae.safetensors of stabilityai/sdxl-vae could not be "
                     r"fetched .*what has arrived is kept, run the command again", met.err)
    assert "✗ SDXL VAE" in met.out
    hub.cut = []
    hub.log.clear()
    assert get(comfyui) == 0
    assert hub.gets(VAE.files[0]) == ["bytes=1000-"]
    assert "fetching, going on after" in capsys.readouterr().out


def test_a_changed_file_is_not_stitched_to_an_old_part(hub, comfyui, published):
    have_all_but(comfyui, published, "vae")
    hub.cut = [1000] + [0] * 20
    assert get(comfyui) == 1
    hub.cut, name = [], f"{VAE.repository}/{VAE.files[0]}"
    changed = bytearray(hub.files[name])
    changed[-1] = 1
    hub.files[name] = bytes(changed)
    hub.log.clear()
    assert get(comfyui) == 0
    assert hub.gets(VAE.files[0]) == [None]
    assert (comfyui / "models/vae/sdxl_vae.safetensors").read_bytes() == bytes(changed)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "no token was sent"),
        ("hf_other", "a token was sent"),
        ("hf_wrong", "a token was sent"),
    ],
    ids=["none", "terms not accepted", "unknown"],
)
def test_gemmas_licence_is_explained(hub, comfyui, monkeypatch, capsys, published, token, words):
    have_all_but(comfyui, published, "gemma")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub_files.library(), "get_token", lambda: token)
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: token, raising=False)
    assert get(comfyui) == 1
    said = capsys.readouterr().err
    assert "google/gemma-2b can be fetched only after its terms are accepted" in said
    assert "https://huggingface.co/google/gemma-2b" in said
    assert "https://huggingface.co/settings/tokens" in said
    assert "HF_TOKEN" in said
    assert words in said
    assert not (token and token in said)
    assert hub.gets(SHARD) == []


def test_a_refused_part_does_not_keep_the_others(hub, comfyui, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert get(comfyui) == 1
    met = capsys.readouterr()
    assert [line[0] for line in met.out.splitlines()[-4:]] == ["✓", "✗", "✓", "✓"]
    assert "Gemma 2B, first generation: google/gemma-2b can be fetched only after" in met.err


def test_an_unknown_repository_is_said(hub, comfyui, published, capsys):
    have_all_but(comfyui, published, "model")
    assert get(comfyui, "--repo", "model=nobody/nothing") == 1
    assert "nobody/nothing" in capsys.readouterr().err
    assert get(comfyui, "--repo", f"model={CLIP.repository}") == 1
    assert "has no consolidated_ema.00-of-01.pth" in capsys.readouterr().err


def test_another_repository_can_be_named(hub, comfyui, published):
    have_all_but(comfyui, published, "vae")
    hub.files["me/mirror/sdxl_vae.safetensors"] = hub.files[f"{VAE.repository}/{VAE.files[0]}"]
    assert get(comfyui, "--repo", "vae=me/mirror") == 0


@pytest.mark.parametrize("line", ["vae", "vae=x", "vae=a/b/c", "wrong=a/b", "vae=/b"])
def test_a_repository_of_another_form_is_refused(comfyui, capsys, line):
    assert get(comfyui, "--repo", line) == 2
    assert "--repo takes PART=OWNER/NAME with PART one of model, gemma" in capsys.readouterr().err


def test_too_little_space_is_said_before_the_download(hub, comfyui, published, monkeypatch, capsys):
    have_all_but(comfyui, published, "vae")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    assert get(comfyui) == 1
    assert "are needed on the disk of" in capsys.readouterr().err
    assert hub.gets(VAE.files[0]) == []


def test_a_full_disk_is_said_and_what_arrived_is_kept(
    hub, comfyui, published, monkeypatch, capsys
):
    have_all_but(comfyui, published, "vae")

    def full(url, file, **_):
        file.write(b"x" * 10)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    assert get(comfyui) == 1
    assert (
        "the disk is full while writing sdxl_vae.safetensors; free some space and run the command "
        "again. What has arrived is kept"
    ) in capsys.readouterr().err
    assert [p.stat().st_size for p in (comfyui / "models").rglob("*.part")] == [10]


def test_a_file_sent_too_short_is_refused(hub, comfyui, published, capsys):
    have_all_but(comfyui, published, "vae")
    hub.short[VAE.files[0]] = 700
    assert get(comfyui) == 1
    assert "700" in capsys.readouterr().err
    assert list((comfyui / "models/vae").iterdir()) == []


def test_damaged_content_is_deleted(hub, comfyui, published, capsys):
    """A part on disk whose bytes are not the file's, as after a crash."""
    have_all_but(comfyui, published, "vae")
    hub.cut = [1000] + [0] * 20
    assert get(comfyui) == 1
    (part,) = (comfyui / "models").rglob("*.part")
    part.write_bytes(b"\0" * 1000)
    hub.cut = []
    assert get(comfyui) == 1
    assert "arrived damaged (its SHA-256 is not the one the hub names)" in capsys.readouterr().err
    assert get(comfyui) == 0


def test_another_model_under_the_name_is_refused_and_deleted(hub, comfyui, published, capsys):
    have_all_but(comfyui, published, "vae")
    name = f"{VAE.repository}/{VAE.files[0]}"
    hub.files[name] = hub.files[f"{CLIP.repository}/{CLIP.files[0]}"]
    assert get(comfyui) == 1
    assert "is not what is needed, and was deleted" in capsys.readouterr().err
    assert not (comfyui / "models/.pixwizard_get").exists()


def test_a_truncated_file_is_seen_and_replaced(hub, comfyui, published, capsys):
    have_all_but(comfyui, published)
    shard = comfyui / "models/LLM/gemma-2b" / SHARD
    shard.write_bytes(shard.read_bytes()[:-100])
    assert get(comfyui, "--check") == 1
    out = capsys.readouterr().out
    assert f"    not models/LLM/gemma-2b: {SHARD} is damaged or cut short" in out
    assert get(comfyui) == 0
    assert re.search(rf"replacing \S+{SHARD} .*which was not usable", capsys.readouterr().out)


def test_a_folder_without_models_is_refused(tmp_path, capsys):
    assert get(tmp_path) == 2
    assert "give the folder of ComfyUI, which holds main.py and models" in capsys.readouterr().err


def test_without_the_library_the_extra_is_named(comfyui, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert get(comfyui) == 1
    assert "pip install 'pixwizard[get]'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_is_taken_up_by_the_next(published, comfyui):
    """In a process of its own, with HF_ENDPOINT as people set it."""
    have_all_but(comfyui, published, "vae")
    files, name, mib = dict(published), VAE.files[0], 2**20
    marks = {part: torch.zeros(shape) for part, shape in SD_VAE_MARKS.items()}
    files[f"{VAE.repository}/{name}"] = save({**marks, "more": torch.zeros(6 * mib)})
    served = Hub(files, tokens={"hf_accepted"}, cut=[13 * mib], hold=threading.Event())
    settings = {"HF_TOKEN": "hf_accepted", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    words = [sys.executable, "-m", "pixwizard_core", "get", "--comfyui", str(comfyui)]
    with serving(served):
        settings = {**os.environ, **settings, "HF_ENDPOINT": served.address}
        first = subprocess.Popen(words, cwd=ROOT, env=settings, stdout=subprocess.DEVNULL)
        while first.poll() is None and not any(
            part.stat().st_size >= 10 * mib for part in (comfyui / "models").rglob("*.part")
        ):  # what the library writes at once; it waits for the rest then
            time.sleep(0.1)
        first.kill()
        first.wait(60)
        (there,) = [part.stat().st_size for part in (comfyui / "models").rglob("*.part")]
        served.hold.set()
        second = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert served.gets(name) == [None, f"bytes={there}-"]


def test_sizes_in_the_table_are_those_of_the_weights():
    """Numbers of the published configurations times their bytes."""
    from math import prod

    from pixwizard_core.config import PRESETS
    from pixwizard_core.encoders.architectures import expected_shapes as encoder_shapes
    from pixwizard_core.weights.checkpoint import expected_shapes

    def numbers(shapes):
        return sum(prod(shape) for shape in shapes.values())

    released = PRESETS["PixWizard_2B_GQA_patch2"]
    assert MODEL.n_bytes == 4 * numbers(expected_shapes(released))
    assert GEMMA.n_bytes == 2 * numbers(encoder_shapes("gemma", OFFICIAL["gemma"]))
    halves = [
        encoder_shapes(kind, {**OFFICIAL[kind], "projection_dim": 768})
        for kind in ("clip_text", "clip_vision")
    ]
    scale = 1  # logit_scale, which is not used here
    assert CLIP.n_bytes == 4 * (sum(map(numbers, halves)) + scale)
    assert tuple(PARTS) == RELEASED_PARTS
