"""Split a model's weights, gradients and optimiser states over processes (FSDP).

PixWizard.prepare() calls parts of a block before the block itself runs. Each of these groups of
parts is a unit of its own, gathered when it is called; the rest of a block is another, and the root
holds what is outside of the blocks. A unit's first call gathers it in all processes, so all must
make the same calls: with a picture in every pass, and as many passes in each process.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...errors import PixWizardError
from ...model import PixWizard
from ...model.block import Block
from .settings import TeachSettings

# What prepare() calls of a block: for the words, and for the picture.
PARTS_OF_BLOCK = (
    ("attention_y_norm", "attention.wk_y", "attention.wv_y", "attention.ky_norm"),
    ("input_image_proj", "y_pool_proj", "in_conv", "out_conv", "attention_input_norm",
     "attention.wk_ii", "attention.wv_ii", "attention.kii_norm"),
)  # fmt: skip


def check_sharding(count: int, settings: TeachSettings) -> None:
    """Raise PixWizardError for settings that do not go with split weights. count: of processes."""
    if count == 1:
        raise PixWizardError(
            "--shard splits weights over several processes, and there is one; start it by torchrun "
            "--nproc-per-node=N -m pixwizard_core train …"
        )
    if settings.optimiser != "adamw":
        raise PixWizardError(
            f"optimiser {settings.optimiser} does not work with --shard; take adamw"
        )
    if settings.base_precision != "auto":
        raise PixWizardError("8-bit frozen weights are not split; leave out --shard, or fp8")
    if settings.sample_every:
        raise PixWizardError(
            "sample pictures need all weights in one process; leave --sample-every out with "
            "--shard, and run the saved result"
        )


def units(block: Block) -> Iterator[list[nn.Module]]:
    """The parts of a block that are gathered together, and the block, which has the rest."""
    for names in PARTS_OF_BLOCK:
        yield [block.get_submodule(name) for name in names]
    yield [block]


def shard(model: PixWizard, device: str) -> None:
    """Split a model over all processes, in place; its parameters become DTensors on device. Raises
    PixWizardError for a PyTorch without this kind of splitting."""
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
    except ImportError:
        raise PixWizardError(
            f"--shard needs PyTorch 2.6 or later. Got: {torch.__version__}"
        ) from None
    # The velocity is a view of a larger tensor; nothing changes it in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    kind = torch.device(device).type
    mesh = init_device_mesh(kind, (dist.get_world_size(),))
    for block in model.layers:
        for unit in units(block):
            fully_shard(unit if len(unit) > 1 else unit[0], mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(value: Tensor, keep: bool = True) -> Tensor:
    """A split tensor put together on the CPU; any other tensor itself. All processes must call
    this. keep: False for one that has no use for it and gets an empty tensor."""
    if not hasattr(value, "full_tensor"):
        return value
    found = cast(Any, value).full_tensor()
    return found.cpu() if keep else found.new_empty(0)


def whole_state(state: Mapping[str, Any], keep: bool = True) -> dict[str, Any]:
    """The state of an optimiser with whole tensors; see whole()."""
    moments = {
        number: {
            name: whole(value, keep) if isinstance(value, Tensor) else value
            for name, value in own.items()
        }
        for number, own in state["state"].items()
    }
    return {**state, "state": moments}


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor in pieces as a parameter's, where it has the parameter's shape and that is
    split."""
    if not hasattr(parameter, "full_tensor") or value.shape != parameter.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    split = cast(Any, parameter)
    return distribute_tensor(value.to(split.device), split.device_mesh, split.placements)


def state_like(state: Mapping[str, Any], trained: list[Tensor]) -> dict[str, Any]:
    """The state of an optimiser with tensors in pieces as the weights that it moves."""
    moments = {
        number: {
            name: like(value, trained[number]) if isinstance(value, Tensor) else value
            for name, value in own.items()
        }
        for number, own in state["state"].items()
    }
    return {**state, "state": moments}
