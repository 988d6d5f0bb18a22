"""Another extension may set torch's defaults for the whole process; pictures stay the same."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

import nodes

# They load models, pass one on, expand into other nodes, or write files.
LEFT_OUT = (
    "PixWizard_Load", "PixWizard_ModelParts", "PixWizard_PixWizard", "PixWizard_Save",
    "PixWizard_Check",
)  # fmt: skip
# They take these as optional inputs.
OPTIONAL = {
    "PixWizard_Compare": "IMAGE", "PixWizard_CutOut": "MASK", "PixWizard_PickBox": "MASK",
}  # fmt: skip


class MetaFor(TorchFunctionMode):
    """The default device is "meta" for what the extension makes. The host would not stand it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.made = str(folder), 0
        self.makers = _device_constructors()

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = named or {}
        if function in self.makers and self._is_ours():
            self.made += 1
            named.setdefault("device", "meta")
        return function(*arguments, **named)

    def _is_ours(self) -> bool:
        frame = sys._getframe(2)
        while frame and "/torch/" in frame.f_code.co_filename:
            frame = frame.f_back
        file = frame.f_code.co_filename if frame else ""
        return file.startswith(self.folder) and "/tests/" not in file


@contextmanager
def default_dtype(dtype: torch.dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def chain(setup) -> dict[str, torch.Tensor]:
    """What the main nodes give, from loading to decoding, and every node that needs only pictures
    and masks."""
    model, clip, vision, vae = setup.module("nodes.loaders.load").LoadTiny.execute().args[:4]
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 128, 128, 3, generator=generator, dtype=torch.float32, device="cpu")
    encode = setup.module("nodes.conditions.encode").Encode
    sample = setup.module("nodes.sampling.sample").Sample
    *branches, latent = encode.execute(clip, vision, vae, image, "Estimate depth.").args
    settings = (4.0, 1.5, latent, 0, 2, 1.0, "first 3", "euler")
    (painted,) = sample.execute(model, *branches, *settings).args
    # What the host's own decoder gives is the host's affair; 0.8.0 gives the default dtype.
    found = {"painted": painted["samples"], "autoencoder": next(vae.first_stage_model.parameters())}
    values = {"IMAGE": image, "MASK": image[..., 0].contiguous()}
    for name, node in sorted(nodes.NODE_CLASS_MAPPINGS.items()):
        if not name.startswith("PixWizard_") or name.startswith(LEFT_OUT):
            continue
        given = defaults(node)
        inputs = node.define_schema().inputs
        wanted = [i for i in inputs if not i.optional or i.io_type == OPTIONAL.get(name)]
        given |= {one.id: values[one.io_type] for one in wanted if one.io_type in values}
        if all(one.id in given for one in wanted):
            for number, one in enumerate(node.execute(**given).args):
                if isinstance(one, torch.Tensor):
                    found[f"{name} {number}"] = one
    return found


def defaults(node) -> dict:
    given = {}
    for one in node.define_schema().inputs:
        value = getattr(one, "default", None)
        if value is None and getattr(one, "options", None):
            value = one.options[0]
        if value is not None:
            given[one.id] = value
    return given


def check_pictures_are_the_same_under_foreign_defaults(setup):
    meta = MetaFor(setup.extension)
    foreign = {
        "bfloat16": default_dtype(torch.bfloat16),
        "float64": default_dtype(torch.float64),
        "grad": torch.enable_grad(),
        "meta": meta,
    }
    wanted = chain(setup)
    assert len(wanted) > 8, list(wanted)
    for name, context in foreign.items():
        with context:
            found = chain(setup)
        assert list(found) == list(wanted)
        for what, one in found.items():
            assert one.device == wanted[what].device, (name, what, one.device)
            assert one.dtype == wanted[what].dtype, (name, what, one.dtype)
            assert torch.equal(one, wanted[what]), f"{what} under {name}"
    assert meta.made > 50, "the extension's tensors were not watched"
    return list(wanted), meta.made
