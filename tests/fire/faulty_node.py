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


class FailVae:
    """A VAE that has no room to encode, not even in tiles."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("VAE",), "change", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"vae": ("VAE",)}}

    def change(self, vae):
        class Full:
            def __getattr__(self, name):
                return getattr(vae, name)

            def encode(self, *_):
                raise out_of_memory()

        return (Full(),)


class FailDecode:
    """A VAE that has no room to decode."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("VAE",), "change", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"vae": ("VAE",)}}

    def change(self, vae):
        class Full:
            def __getattr__(self, name):
                return getattr(vae, name)

            def decode(self, *_, **__):
                raise out_of_memory()

        return (Full(),)


class FailVision:
    """A CLIP_VISION that has no room to look at a picture."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("CLIP_VISION",), "change", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip_vision": ("CLIP_VISION",)}}

    def change(self, clip_vision):
        class Full:
            def __getattr__(self, name):
                return getattr(clip_vision, name)

            def model(self, *_, **__):
                raise out_of_memory()

        return (Full(),)


class FailText:
    """A CLIP that has no room to read a text."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("CLIP",), "change", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",)}}

    def change(self, clip):
        class Full:
            def __getattr__(self, name):
                return getattr(clip, name)

            def encode_from_tokens_scheduled(self, *_, **__):
                raise out_of_memory()

        return (Full(),)


NODE_CLASS_MAPPINGS = {
    "FireFailModel": FailModel,
    "FireFailVae": FailVae,
    "FireFailDecode": FailDecode,
    "FireFailVision": FailVision,
    "FireFailText": FailText,
}
