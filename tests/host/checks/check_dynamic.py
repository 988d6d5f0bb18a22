"""Our parts under the host's dynamic memory manager, and the plain instances it asks for."""

from __future__ import annotations

import os

import comfy.hooks
import comfy.model_management as management
import comfy.model_patcher
import comfy.sd
import comfy_extras.nodes_torch_compile
import torch
from check_memory import by_all_models
from dynamic import DynamicCard, Room, where_it_is
from small import STEPS, Small, Spy, apart, close, refused

WIDE = {"dim": 128, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "multiple_of": 32}
ORDINARY = "layers.1.attention.wq.weight"
EXACT = 1e-5
BARE = ("layers.0.attention.gate", "layers.1.attention.gate_for_ii")


class Filed(Small):
    """A small model that was loaded from a file, with layers large enough to be streamed."""

    def __init__(self, setup, dtype=torch.float32) -> None:
        super().__init__(setup, sizes=WIDE)
        self.load = setup.module("nodes.loaders.load")
        self.path = setup.folder() / "small.safetensors"
        setup.module("pixwizard_core.weights.checkpoint").save(self.path, self.weights, self.config)
        self.dtype = dtype

    def loaded(self):
        """A MODEL of the file as the loader makes it now."""
        self.patcher = self.load.load_transformer(self.path, self.dtype)
        return self.patcher


@where_it_is
def check_layers_are_copied_at_use_and_give_every_bit(setup):
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        small = Filed(setup, dtype)
        small.loaded()
        plain = small.by_guider(3.0, 1.5)
        with DynamicCard():
            assert small.loaded().is_dynamic()
            whole = small.by_guider(3.0, 1.5)
            (room,) = Room.made
            assert room.faults > 50, room.faults
            assert room.refused == room.pinned == 0, (room.refused, room.pinned)
            again = small.by_guider(3.0, 1.5)
            assert torch.equal(again, whole), f"{dtype} again: {apart(again, whole)}"
            size = room.loaded_size()
        found[str(dtype)] = close(whole, plain, 0.0, f"{dtype}: dynamic and plain"), size
        for share in (0.0, 0.5):
            with DynamicCard(int(size * share)):
                small.loaded()
                part = small.by_guider(3.0, 1.5)
                (room,) = Room.made
                assert room.refused > 0, "the host had room for everything; nothing was tested"
                assert room.loaded_size() <= size * share
                assert torch.equal(part, whole), f"{dtype} {share}: {apart(part, whole)}"
    return found


def patches(weights: dict) -> dict:
    """Changes of an ordinary layer and of parameters that sit beside child modules."""
    generator = torch.Generator().manual_seed(6)
    shapes = {name: weights[name].shape for name in (ORDINARY, *BARE)}
    return {
        f"diffusion_model.{name}": ("diff", (torch.randn(shape, generator=generator),))
        for name, shape in shapes.items()
    }


def patched(model, changes: dict, strength: float = 0.3):
    clone = model.clone()
    assert len(clone.add_patches(changes, strength)) == len(changes)
    return clone


@where_it_is
def check_patches_act_as_on_the_plain_patcher(setup):
    """Each kind of weight alone, for one that is dropped must not hide behind the others."""
    small, found = Filed(setup), {}
    every = patches(small.weights)
    kinds = {"ordinary": list(every)[:1], "bare": list(every)[1:], "all": list(every)}

    def results(model) -> dict[str, torch.Tensor]:
        made = {"none": small.by_guider(3.0, 1.5, patcher=model)}
        for kind, names in kinds.items():
            changes = {name: every[name] for name in names}
            made[kind] = small.by_guider(3.0, 1.5, patcher=patched(model, changes))
        made["none again"] = small.by_guider(3.0, 1.5, patcher=model)
        return made

    wanted = results(small.loaded())
    for room in (2**40, 10**6):
        with DynamicCard(room):
            made = results(small.loaded())
        assert torch.equal(made["none"], made["none again"])
        for kind in kinds:
            assert apart(made[kind], made["none"]) > 1e-3, f"{kind}: the patch does nothing"
            found[kind, room] = close(made[kind], wanted[kind], EXACT, f"{kind}, room {room}")
    return {str(key): value for key, value in found.items()}


@where_it_is
def check_unloading_gives_back_every_weight(setup):
    small = Filed(setup)
    with DynamicCard() as card:
        model = small.loaded()
        before = {name: w.clone() for name, w in model.model.state_dict().items()}
        changed = patched(model, patches(small.weights))
        one = small.by_guider(3.0, 1.5, patcher=changed)
        (room,) = Room.made
        assert room.loaded_size() > 0
        card.unload()
        assert room.loaded_size() == model.loaded_size() == 0
        after = model.model.state_dict()
        assert all(torch.equal(after[name], weight) for name, weight in before.items())
        other = small.by_guider(3.0, 1.5, patcher=changed)
        assert torch.equal(other, one), apart(other, one)
    return len(before)


@where_it_is
def check_a_plain_instance_is_read_from_the_file(setup):
    """Patches, options and callbacks come along, weights do not: the instance has its own."""
    small = Filed(setup)
    small.loaded()
    changes = patches(small.weights)
    wanted = small.by_guider(3.0, 1.5, patcher=patched(small.patcher, changes))
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn):
        small.dtype = dtype
        with DynamicCard():
            model = patched(small.loaded(), changes)
            plain = model.clone(disable_dynamic=True)
            assert type(plain) is comfy.model_patcher.ModelPatcher
            assert plain.model is not model.model
            layer = plain.model.diffusion_model.get_parameter(ORDINARY)
            assert layer.dtype == dtype, layer.dtype
            made = small.by_guider(3.0, 1.5, patcher=plain)
            assert bool(made.isfinite().all())
            if dtype == torch.float32:
                close(made, wanted, EXACT, "the plain instance")
            dynamic = small.by_guider(3.0, 1.5, patcher=model)
            close(dynamic, made, 0.05, f"{dtype}: dynamic and plain")
    return True


@where_it_is
def check_a_file_that_changed_is_not_read_again(setup):
    small = Filed(setup)
    error = setup.module("pixwizard_core.errors").CheckpointError
    with DynamicCard():
        model = small.loaded()
        status = small.path.stat()
        os.utime(small.path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
        words = small.path.name, "was changed or removed", "run the workflow again"
        refused(error, words, lambda: model.clone(disable_dynamic=True))
        small.path.unlink()
        return refused(error, words, lambda: model.clone(disable_dynamic=True))


@where_it_is
def check_the_compile_node_takes_the_model(setup):
    small = Filed(setup)
    with DynamicCard():
        model = small.loaded()
        plain = small.by_guider(3.0, 1.5)
        node = comfy_extras.nodes_torch_compile.TorchCompileModel
        (compiled,) = node.execute(model, "eager").args
        assert not compiled.is_dynamic()
        made = close(small.by_guider(3.0, 1.5, patcher=compiled), plain, EXACT, "compiled")
        torch._dynamo.reset()
    return made


@where_it_is
def check_a_hung_lora_acts(setup):
    """On layers and on bare parameters; the host samples with a plain instance then."""
    small, found = Filed(setup), {}
    guidance = small.guider.Guidance(3.0, 1.5)
    every = patches(small.weights)

    def run(model, changes: dict) -> torch.Tensor:
        file = {f"{n.removesuffix('.weight')}.diff": patch[1][0] for n, patch in changes.items()}
        hooks = comfy.hooks.create_hook_lora(file, 0.3, 0.0)
        hung = [comfy.hooks.set_hooks_for_conditioning(c, hooks) for c in small.branches()]
        return small.run(small.sample.make_guider(model, *hung, guidance))

    for kind, names in (("ordinary", list(every)[:1]), ("bare", list(every)[1:])):
        changes = {name: every[name] for name in names}
        small.loaded()
        wanted = small.by_guider(3.0, 1.5, patcher=patched(small.patcher, changes))
        found[kind] = close(run(small.patcher, changes), wanted, EXACT, f"{kind}, no manager")
        with DynamicCard():
            found[f"{kind} dynamic"] = close(run(small.loaded(), changes), wanted, EXACT, kind)
    return found


@where_it_is
def check_a_second_card_gets_weights_of_its_own(setup):
    """The multi-GPU node's clone, and branches shared out to two devices."""
    small = Filed(setup)
    with DynamicCard() as card:
        model = patched(small.loaded(), patches(small.weights))
        wanted = small.by_guider(3.0, 1.5, patcher=model)
        twin = model.deepclone_multigpu(new_load_device=card.device)
        assert twin.is_dynamic()
        assert twin.model is not model.model
        made = small.by_guider(3.0, 1.5, patcher=twin)
        assert torch.equal(made, wanted), apart(made, wanted)
    return on_two_devices(small, wanted)


def on_two_devices(small, wanted: torch.Tensor) -> float:
    import comfy.multigpu  # older hosts have none

    devices = [torch.device("cpu"), torch.device("cpu", 0)]
    kept = management.get_all_torch_devices
    management.get_all_torch_devices = lambda exclude_current=False: devices
    try:
        model = patched(small.loaded(), patches(small.weights))
        both = comfy.multigpu.create_multigpu_deepclones(model, 2)
        (other,) = both.get_additional_models_with_key("multigpu")
        with Spy(both) as first, Spy(other) as second:
            made = small.by_guider(3.0, 1.5, patcher=both)
        assert len(first.calls) == len(second.calls) == STEPS, (first.calls, second.calls)
        return close(made, wanted, EXACT, "on two devices")
    finally:
        management.get_all_torch_devices = kept


def bundled(setup) -> tuple:
    """MODEL, CLIP, CLIP_VISION and VAE."""
    return setup.module("nodes.loaders.load").LoadTiny.execute().args[:4]


def plain_twin(patcher):
    """A plain instance of a dynamic patcher, with weights of its own."""
    assert patcher.is_dynamic()
    plain = patcher.clone(disable_dynamic=True)
    assert type(plain) is comfy.model_patcher.ModelPatcher
    assert plain.model is not patcher.model
    weights = {name: weight.data_ptr() for name, weight in patcher.model.state_dict().items()}
    copies = {name: weight.data_ptr() for name, weight in plain.model.state_dict().items()}
    assert weights.keys() == copies.keys()
    assert not set(weights.values()) & set(copies.values()), "weights are shared"
    return plain


@where_it_is
def check_all_bundled_models_paint_the_same(setup):
    wanted = by_all_models(setup, *bundled(setup))
    for room in (2**40, 2**18):
        with DynamicCard(room):
            models = bundled(setup)
            parts = models[0], *(part.patcher for part in models[1:])
            assert all(part.is_dynamic() for part in parts)
            made = by_all_models(setup, *models)
            assert torch.equal(made, wanted), f"room {room}: apart by {apart(made, wanted)}"
            assert any(one.refused for one in Room.made) == (room < 2**40)
    return len(parts)


@where_it_is
def check_the_autoencoder_has_a_plain_instance(setup):
    """In the precision asked for, which the host's own plain instance of a file would not have."""
    load = setup.module("nodes.loaders.load")
    path = load.BUNDLE / load.VAE_FILE
    latent, found = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)), {}
    for dtype in (torch.float32, torch.bfloat16):
        wanted = load.load_vae(path, dtype).decode(latent)
        with DynamicCard():
            vae = load.load_vae(path, dtype)
            found[str(dtype)] = close(vae.decode(latent), wanted, EXACT, f"{dtype} dynamic")
            plain = plain_twin(vae.patcher)
            assert {weight.dtype for weight in plain.model.parameters()} == {dtype}
            vae.patcher, vae.first_stage_model = plain, plain.model  # as Select VAE Device does
            close(vae.decode(latent), wanted, EXACT, f"{dtype} plain")
    return found
