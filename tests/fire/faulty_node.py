"""Nodes that make a host's models fail, for tests. Copied into custom_nodes of a private host."""

import comfy.model_management


def out_of_memory():
    kind = comfy.model_management.OOM_EXCEPTION
    try:
        return kind("CUDA out of memory")
    except TypeError:
        return MemoryError()


class FailModel:
    """A MODEL that runs out of memory at its third evaluation."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "change", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def change(self, model):
        changed, calls = model.clone(), []

        def fail(apply, given):
            calls.append(1)
            if len(calls) > 2:
                raise out_of_memory()
            return apply(given["input"], given["timestep"], **given["c"])

        changed.set_model_unet_function_wrapper(fail)
        return (changed,)


def without_room(kind: str, method: str):
    """A node whose output is its input, of this type, but out of memory when method is called."""
    name = kind.lower()

    class Node:
        RETURN_TYPES, FUNCTION, CATEGORY = (kind,), "change", "test"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {name: (kind,)}}

        def change(self, **given):
            return (Full(given[name]),)

    class Full:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, wanted):
            return fail if wanted == method else getattr(self.inner, wanted)

    def fail(*_, **__):
        raise out_of_memory()

    return Node


NODE_CLASS_MAPPINGS = {
    "FireFailModel": FailModel,
    "FireFailVae": without_room("VAE", "encode"),
    "FireFailDecode": without_room("VAE", "decode"),
    "FireFailVision": without_room("CLIP_VISION", "model"),
    "FireFailText": without_room("CLIP", "encode_from_tokens_scheduled"),
}
