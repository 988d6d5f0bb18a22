"""ComfyUI finds the nodes here. Without the host this file defines nothing, so tests can import
it."""

from importlib.util import find_spec

if __package__ and find_spec("comfy_api") is not None:
    from .nodes import comfy_entrypoint

    WEB_DIRECTORY = "./web"
    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
