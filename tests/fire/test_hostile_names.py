"""Names and small files that a workflow or a download brings: nothing outside the folders is
touched, and what is refused is refused in a sentence."""

from __future__ import annotations

import json
import os
import re

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.encoders.load import HEADER_KEYS, OFFICIAL, load_text_encoder, read_source
from pixwizard_core.encoders.shards import folder_files
from pixwizard_core.encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE
from pixwizard_core.errors import PixWizardError
from pixwizard_core.weights.examine import inspect
from pixwizard_core.weights.lora_read import read_adapters
from tests.fire import limits
from tests.fire.hostile_tensors import WQ, good_bytes

OUTSIDE = (
    "loras/../secret.safetensors",
    "loras/../../secret.safetensors",
    "../secret.safetensors",
    "loras//etc/passwd",
    "/etc/passwd",
    "loras/a/../../secret.safetensors",
    "..\\secret.safetensors",
    "loras\\..\\..\\secret.safetensors",
    "loras/",
    "loras",
    "",
    "nothing/secret.safetensors",
    "loras/\0",
    "loras/" + "x" * 5000,
    "loras/..",
    "loras/.",
    "loras/\ud800",
    "C:/secret.safetensors",
    "loras/C:\\secret.safetensors",
    "~/secret.safetensors",
)
PREFIXES = (
    "../a",
    "a/../../b",
    "/tmp/a",
    "~/a",
    "C:\\a",
    "\\\\server\\share",
    "a/..",
    "",
    "/",
    "a\0b",
    "a/" * 3000 + "b",
    "x" * 4000,
    "\ud800",
)


def told(error: type[Exception], function, *arguments) -> str:
    with pytest.raises(error) as caught:
        function(*arguments)
    limits.check_message(caught.value)
    return str(caught.value)


@pytest.fixture
def secret(models):
    (models / "loras").mkdir(exist_ok=True)
    for place in (models, models.parent):
        (place / "secret.safetensors").write_bytes(good_bytes())
    return models / "loras"


@pytest.mark.parametrize("name", OUTSIDE, ids=range(len(OUTSIDE)))
def test_names_cannot_lead_out_of_the_model_folders(extension, secret, name):
    error = extension("pixwizard_core.errors").PixWizardError
    resolve, lora = extension("nodes.host.files").resolve, extension("nodes.loaders.lora").LoadLora
    for kinds in ((), ("loras",)):
        try:
            path = resolve(name, "", kinds)
        except error as refusal:
            limits.check_message(refusal)
        else:
            assert path.resolve().is_relative_to(secret.resolve()), path
    told(error, lora.execute, None, name, 1.0, False)


@pytest.mark.parametrize("prefix", PREFIXES, ids=range(len(PREFIXES)))
def test_prefixes_cannot_lead_out_of_the_output_folder(extension, nodes, output, prefix):
    error = extension("pixwizard_core.errors").PixWizardError
    before = sorted(output.parent.iterdir())
    picture = torch.zeros(1, 4, 4, 3)
    told(error, nodes["SaveDepth"].execute, picture, prefix, "png", 0.0, 10.0, "white")
    assert sorted(output.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("depth/ro\u200dom", r"ZERO WIDTH JOINER \(U\+200D\), at position 9; remove it"),
        ("my\u00a0room", r"NO-BREAK SPACE \(U\+00A0\), at position 3"),
        ("room\n", r"a control character \(U\+000A\), at position 5"),
        ("/room", r"without a drive, a leading slash or '\.\.'"),
    ],
)
def test_prefix_is_refused_for_what_is_wrong_with_it(extension, nodes, output, prefix, message):
    error = extension("pixwizard_core.errors").PixWizardError
    picture = torch.zeros(1, 4, 4, 3)
    found = told(error, nodes["SaveDepth"].execute, picture, prefix, "png", 0.0, 10.0, "white")
    assert re.search(message, found)


def test_links_that_the_user_made_are_followed(extension, secret, tmp_path):
    (tmp_path / "far.safetensors").write_bytes(good_bytes())
    link = secret / "near.safetensors"
    link.symlink_to(tmp_path / "far.safetensors")
    resolve = extension("nodes.host.files").resolve
    assert inspect(resolve("loras/near.safetensors")).kind == "PixWizard"
    link.unlink()


def make_folder(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_loop(path):
    path.symlink_to(path)


def make_dangling(path):
    path.symlink_to(path.parent / "gone")


def make_device(path):
    path.symlink_to("/dev/zero")


def make_link_to_folder(path):
    path.symlink_to("/etc")


def make_empty(path):
    path.write_bytes(b"")


MAKERS = [
    make_folder,
    make_pipe,
    make_loop,
    make_dangling,
    make_device,
    make_link_to_folder,
    make_empty,
]


def lora(path):
    """Read a LoRA for a model of one layer."""
    return read_adapters(path, {WQ: (8, 8)})


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("read", [inspect, lora, lambda p: read_source("gemma", p)])
def test_what_is_no_file_is_refused(tmp_path, make, read):
    path = tmp_path / "weights.safetensors"
    make(path)
    told(PixWizardError, read, path)
    assert limits.left_open(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {}}',
        '{"weight_map": {"a": "../../etc/passwd"}}',
        '{"weight_map": {"a": "/etc/passwd"}}',
        '{"weight_map": {"a": "b/c.safetensors"}}',
        '{"weight_map": {"a": "..\\\\x"}}',
        '{"weight_map": {"a": ""}}',
        '{"weight_map": {"a": 7}}',
        '{"weight_map": {"a": null}}',
        '{"weight_map": {"a": ["x"]}}',
        "[" * 100_000,
        '{"weight_map": {"a": "gone.safetensors"}}',
    ],
    ids=range(18),
)
def test_an_index_names_files_of_its_own_folder(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    told(PixWizardError, folder_files, tmp_path)


def settings_of(kind: str) -> dict:
    from safetensors import safe_open

    path = BUNDLE / (TEXT_FILE if kind == "gemma" else CLIP_FILE)
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[HEADER_KEYS[kind]])


LIES = {
    "not-json": "{",
    "a-list": "[]",
    "empty": "{}",
    "nested": "[" * 100_000,
    "unknown": {"auto_map": "x"},
    "layers": {"num_hidden_layers": 10**9},
    "layers-4000": {"num_hidden_layers": 4000},
    "text": {"hidden_size": "128"},
    "huge": {"hidden_size": 1 << 40},
    "zero": {"num_attention_heads": 0},
    "true": {"hidden_size": True},
    "float": {"hidden_size": 128.0},
    "negative": {"intermediate_size": -1},
    "act": {"hidden_act": "os"},
    "act-list": {"hidden_act": ["gelu"]},
    "heads-7": {"num_attention_heads": 7},
    "wider": {"hidden_size": 256},
    "positions": {"max_position_embeddings": 1 << 60},
}


@pytest.mark.parametrize("lie", LIES)
def test_settings_in_an_encoders_header_are_checked(tmp_path, lie):
    from safetensors.torch import load_file

    change = LIES[lie]
    text = change if isinstance(change, str) else json.dumps({**settings_of("gemma"), **change})
    path = tmp_path / TEXT_FILE
    save_file(load_file(BUNDLE / TEXT_FILE), path, {HEADER_KEYS["gemma"]: text})
    message = told(
        PixWizardError, lambda: load_text_encoder(path, BUNDLE / CLIP_FILE, gemma_tokenizer=BUNDLE)
    )
    assert TEXT_FILE in message


def test_the_true_settings_are_accepted(tmp_path):
    assert set(settings_of("gemma")) - set(OFFICIAL["gemma"]) <= {"initializer_range"}
    assert read_source("gemma", BUNDLE / TEXT_FILE).own


LORA = {
    "number": {"A": torch.zeros(()), "B": torch.zeros(())},
    "vector": {"A": torch.zeros(4), "B": torch.zeros(4)},
    "rank-0": {"A": torch.zeros(0, 8), "B": torch.zeros(8, 0)},
    "3d": {"A": torch.zeros(2, 8, 1), "B": torch.zeros(8, 2, 1)},
    "alpha-two": {"A": torch.zeros(2, 8), "B": torch.zeros(8, 2), "alpha": torch.zeros(2)},
    "alpha-nan": {
        "A": torch.zeros(2, 8),
        "B": torch.zeros(8, 2),
        "alpha": torch.tensor(float("nan")),
    },
    "nan": {"A": torch.full((2, 8), float("nan")), "B": torch.zeros(8, 2)},
    "inf": {"A": torch.zeros(2, 8), "B": torch.full((8, 2), float("inf"))},
    "half": {"A": torch.zeros(2, 8)},
}


@pytest.mark.parametrize("name", LORA)
def test_malformed_loras_are_refused(tmp_path, name):
    layer = "diffusion_model." + WQ.removesuffix(".weight")
    ends = {"A": ".lora_A.weight", "B": ".lora_B.weight", "alpha": ".alpha"}
    tensors = {layer + ends[part]: tensor for part, tensor in LORA[name].items()}
    save_file(tensors, tmp_path / "l.safetensors")
    told(PixWizardError, lora, tmp_path / "l.safetensors")
    assert limits.left_open(tmp_path) == []
