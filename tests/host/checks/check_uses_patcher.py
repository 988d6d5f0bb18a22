"""What nodes/host/uses.py relies on: patchers, their callbacks and wrappers."""

from __future__ import annotations

import comfy.model_management as management
import comfy.model_patcher
import comfy.patcher_extension as extension
import probe
import torch
from dynamic import DynamicCard, where_it_is
from small import close

WEIGHT = probe.WEIGHT


def check_comfy_model_patcher_ModelPatcher(setup):
    patcher = probe.make()
    assert isinstance(patcher.model, probe.Model)
    assert patcher.load_device == probe.CPU
    assert patcher.model_options["transformer_options"] == {}


def check_comfy_model_patcher_CoreModelPatcher(setup):
    plain = comfy.model_patcher.ModelPatcher
    core = getattr(comfy.model_patcher, "CoreModelPatcher", plain)
    made = core(probe.make().model, load_device=probe.CPU, offload_device=probe.CPU)
    assert isinstance(made, plain)
    assert not getattr(made, "is_dynamic", bool)(), "never on the CPU"
    close(probe.sampled(probe.guided(made, positive=0.2)), probe.painted(0.2), 1e-5, "sampled")


@where_it_is
def check_comfy_model_patcher_ModelPatcher_is_dynamic(setup):
    with DynamicCard() as card:
        network = probe.make().model
        made = comfy.model_patcher.CoreModelPatcher(
            network, load_device=card.device, offload_device=probe.CPU
        )
        assert made.is_dynamic()
        plain = comfy.model_patcher.ModelPatcher(network, card.device, probe.CPU)
        assert not plain.is_dynamic()


@where_it_is
def check_comfy_model_patcher_ModelPatcher_cached_patcher_init(setup):
    other, asked = probe.make(), []

    def again(*arguments, **named):
        asked.append((arguments, named))
        return other

    with DynamicCard() as card:
        made = comfy.model_patcher.CoreModelPatcher(
            probe.make().model, load_device=card.device, offload_device=probe.CPU
        )
        made.cached_patcher_init = again, ("file", 3)
        plain = made.clone().clone(disable_dynamic=True)
    assert asked == [(("file", 3), {"disable_dynamic": True})]
    assert plain.model is other.model
    assert not plain.is_dynamic()


def check_comfy_model_patcher_ModelPatcher_clone(setup):
    patcher = probe.make()
    clone = patcher.clone()
    assert clone.model is patcher.model
    clone.model_options["transformer_options"]["mine"] = 1
    clone.add_patches({WEIGHT: (torch.ones(2, 2),)})
    assert patcher.model_options["transformer_options"] == {}
    assert (list(patcher.patches), list(clone.patches)) == ([], [WEIGHT])


def check_comfy_model_patcher_ModelPatcher_add_patches(setup):
    patcher = probe.make().clone()
    added = patcher.add_patches({WEIGHT: (torch.full((2, 2), 3.0),)}, 0.5)
    assert list(added) == list(patcher.patches) == [WEIGHT]
    weight = patcher.model.diffusion_model.layer
    management.load_models_gpu([patcher])
    assert weight.weight.tolist() == [[2.5, 2.5], [2.5, 2.5]]
    management.unload_all_models()
    assert weight.weight.tolist() == [[1, 1], [1, 1]]


def check_comfy_model_patcher_ModelPatcher_patch_weight_to_device(setup):
    patcher = probe.make().clone()
    patcher.add_patches({WEIGHT: (torch.full((2, 2), 3.0),)}, 1.0)
    patcher.patch_weight_to_device(WEIGHT)
    assert patcher.model.diffusion_model.layer.weight.tolist() == [[4, 4], [4, 4]]
    assert WEIGHT in patcher.backup
    patcher.unpatch_model()
    assert patcher.model.diffusion_model.layer.weight.tolist() == [[1, 1], [1, 1]]
    assert WEIGHT not in patcher.backup


def check_comfy_model_patcher_ModelPatcher_set_model_sampler_cfg_function(setup):
    patcher, seen = probe.make(), []

    def guide(args):
        seen.append(args)
        return args["input"] - 0.7

    patcher.set_model_sampler_cfg_function(guide)
    guider = probe.guided(patcher, positive=0.2, negative=0.1)
    guider.set_cfg(3.0)
    close(probe.sampled(guider, steps=1), probe.painted(0.7), 1e-5, "its answer is taken")
    (args,) = seen
    close(args["input"] - args["cond"], torch.full(probe.SHAPE, 0.2), 1e-5, "cond is x - clean")
    close(args["input"] - args["uncond"], torch.full(probe.SHAPE, 0.1), 1e-5, "uncond likewise")
    assert args["cond_scale"] == 3.0


def check_comfy_model_patcher_ModelPatcher_add_callback_with_key(setup):
    patcher, seen = probe.make(), []
    when = extension.CallbacksMP.ON_LOAD
    patcher.add_callback_with_key(when, "check", lambda one, *_: seen.append(one))
    clone = patcher.clone()
    management.load_models_gpu([clone])
    management.unload_all_models()
    assert seen[0] is clone


def check_comfy_model_patcher_ModelPatcher_add_wrapper_with_key(setup):
    patcher, seen = probe.make(), []
    kind = extension.WrappersMP.PREDICT_NOISE

    def wrapper(executor, *arguments, **named):
        seen.append(executor.class_obj)
        return executor(*arguments, **named)

    patcher.add_wrapper_with_key(kind, "check", wrapper)
    for other in (patcher.clone(), patcher.clone()):
        probe.sampled(probe.guided(other, positive=0.2), steps=3)
        assert len(seen) == 3
        other.remove_wrappers_with_key(kind, "check")
        probe.sampled(probe.guided(other, positive=0.2), steps=3)
        assert len(seen) == 3, "taken away again"
        seen.clear()


def check_comfy_patcher_extension_CallbacksMP_ON_LOAD(setup):
    patcher, seen = probe.make(), []
    layer = patcher.model.diffusion_model.layer
    patcher.add_patches({WEIGHT: (torch.full((2, 2), 3.0),)})
    patcher.add_callback_with_key(
        extension.CallbacksMP.ON_LOAD, "check", lambda *_: seen.append(layer.weight.tolist())
    )
    management.load_models_gpu([patcher])
    management.unload_all_models()
    assert seen[0] == [[4, 4], [4, 4]], "after the weights were patched"


def check_comfy_patcher_extension_WrapperExecutor_new_class_executor(setup):
    order = []

    def wrapper(name):
        def run(executor, value, **named):
            order.append((name, executor.class_obj))
            return executor(value + 1, **named)

        return run

    class Owner:
        def method(self, value, times=1):
            return value * times

    owner = Owner()
    executor = extension.WrapperExecutor.new_class_executor(
        owner.method, owner, [wrapper("outer"), wrapper("inner")]
    )
    assert executor.execute(3, times=2) == 10
    assert order == [("outer", owner), ("inner", owner)]


def check_comfy_patcher_extension_WrappersMP_DIFFUSION_MODEL(setup):
    patcher, seen = probe.make(), []
    kind = extension.WrappersMP.DIFFUSION_MODEL
    patcher.add_wrapper_with_key(kind, "check", lambda *_: seen.append(1))
    probe.sampled(probe.guided(patcher, positive=0.2), steps=1)
    assert seen == [], "the host leaves them to the network"
    (call,) = patcher.model.diffusion_model.calls
    assert len(extension.get_all_wrappers(kind, call["options"])) == 1


def check_comfy_patcher_extension_WrappersMP_OUTER_SAMPLE(setup):
    patcher, seen = probe.make(), []

    def wrapper(executor, *arguments, **named):
        seen.append(arguments[0].shape)
        return executor(*arguments, **named)

    patcher.add_wrapper_with_key(extension.WrappersMP.OUTER_SAMPLE, "check", wrapper)
    probe.sampled(probe.guided(patcher, positive=0.2), steps=3)
    assert seen == [torch.Size(probe.SHAPE)], "once a run, with the noise first"


def check_comfy_patcher_extension_WrappersMP_PREDICT_NOISE(setup):
    patcher, seen = probe.make(), []

    def wrapper(executor, x, timestep, options, seed):
        seen.append((float(timestep[0]), seed, executor.class_obj))
        return executor(x, timestep, options, seed)

    patcher.add_wrapper_with_key(extension.WrappersMP.PREDICT_NOISE, "check", wrapper)
    guider = probe.guided(patcher, positive=0.2)
    probe.sampled(guider, steps=2)
    assert seen == [(1.0, 7, guider), (0.5, 7, guider)]


def check_comfy_patcher_extension_get_all_wrappers(setup):
    kind = extension.WrappersMP.DIFFUSION_MODEL
    patcher, wrappers = probe.make(), [lambda *_: None, lambda *_: None]
    for number, one in enumerate(wrappers):
        patcher.add_wrapper_with_key(kind, f"check {number}", one)
    probe.sampled(probe.guided(patcher, positive=0.2), steps=1)
    (call,) = patcher.model.diffusion_model.calls
    assert extension.get_all_wrappers(kind, call["options"]) == wrappers
    assert extension.get_all_wrappers(kind, {}) == []
