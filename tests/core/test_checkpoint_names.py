"""Names of weights as trainers and savers change them; parts of a model."""

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.errors import CheckpointError
from pixwizard_core.weights.checkpoint import load_model, load_state_dict
from pixwizard_core.weights.examine import inspect
from tests.core.test_checkpoint import SMALL, small_weights

STACKS = [
    "transformer.", "net.", "module.", "_orig_mod.", "_fsdp_wrapped_module.", "model.",
    "model.diffusion_model.", "module._orig_mod.", "_orig_mod.module.", "model.net.module.",
    "_fsdp_wrapped_module._orig_mod.", "module.transformer._checkpoint_wrapped_module.",
]  # fmt: skip


def write(path, weights, rename):
    save_file({rename(name): tensor for name, tensor in weights.items()}, path)
    return path


@pytest.mark.parametrize("prefix", STACKS)
def test_known_prefixes_and_their_stacks_are_taken_off(prefix, tmp_path):
    weights = small_weights()
    path = write(tmp_path / "m.safetensors", weights, lambda name: prefix + name)
    state, config = load_state_dict(path, config=SMALL)
    assert config == SMALL
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)


@pytest.mark.parametrize("wrapper", ["_fsdp_wrapped_module.", "_orig_mod."])
def test_wrappers_inside_names_are_taken_off(wrapper, tmp_path):
    weights = small_weights()
    path = write(
        tmp_path / "m.safetensors", weights,
        lambda name: f"module.{wrapper}" + name.replace("attention.", f"{wrapper}attention."),
    )  # fmt: skip
    model = load_model(path, config=SMALL)
    name = "layers.1.attention.wq.weight"
    assert torch.equal(model.state_dict()[name], weights[name])
    assert f"removed from its names: {wrapper}, module." in inspect(path).notes


def test_prefix_that_is_not_known_is_named(tmp_path):
    path = write(tmp_path / "m.safetensors", small_weights(), lambda name: f"my.student.{name}")
    with pytest.raises(CheckpointError, match=r"PixWizard under the prefix 'my\.student\.', which"):
        load_state_dict(path)


def test_weight_that_is_there_twice_is_refused(tmp_path):
    weights = small_weights()
    doubled = weights | {f"_orig_mod.{name}": tensor.clone() for name, tensor in weights.items()}
    save_file(doubled, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"holds one weight twice, as .*_orig_mod\."):
        load_state_dict(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (lambda name: "layers.1." in name, r"layers 1 to 1 and lacks x_embedder\.weight and lay"),
        (lambda name: "final" not in name, r"final_layer\.linear\.weight is missing, so .* incom"),
        (lambda name: "x_embedder" not in name, r"layers 0 to 1 and lacks x_embedder\.weight\)"),
    ],
)
def test_one_part_of_a_model_is_named_as_such(kept, told, tmp_path):
    weights = {name: tensor for name, tensor in small_weights().items() if kept(name)}
    path = write(tmp_path / "part.safetensors", weights, lambda name: f"transformer.{name}")
    with pytest.raises(CheckpointError, match=told):
        load_state_dict(path)


@pytest.mark.parametrize(
    "name", ["model-00001-of-00003.safetensors", "consolidated.00-of-02.safetensors"]
)
def test_files_that_call_themselves_parts_are_refused(name, tmp_path):
    write(tmp_path / name, small_weights(), str)
    with pytest.raises(CheckpointError, match=rf"{name} is one of [23] parts"):
        load_state_dict(tmp_path / name)


def test_file_that_calls_itself_the_only_part_is_read(tmp_path):
    path = write(tmp_path / "model-00001-of-00001.safetensors", small_weights(), str)
    assert load_state_dict(path, config=SMALL)[1] == SMALL
