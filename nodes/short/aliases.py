"""The words by which people search for what the short node does. The page matches a search with
each of them, apart from small differences in spelling."""

from __future__ import annotations

from ...pixwizard_core.tasks import TASKS

ALIASES = (
    "all in one", "image to image", "img2img", "instruction", "ask image", "vision model",
    # what is seen
    "estimate depth", "depth map", "depth estimation", "normal map", "surface normals", "normals",
    "segment", "segmentation", "semantic segmentation", "edges", "edge detection", "canny", "hed",
    "sketch", "line art", "lineart", "pose", "openpose",
    # what is found
    "mask", "text to mask", "select by text", "segment by text", "cut out", "detect", "find object",
    "object detection", "bounding box", "highlight", "grounding", "referring segmentation",
    # what is changed
    "edit image", "image edit", "instruct edit", "recolor", "change color", "remove object",
    "erase", "erase object", "object removal", "add object", "insert object", "replace object",
    "swap object", "background", "change background", "replace background", "style transfer",
    "stylize",
    # holes and borders
    "inpaint", "inpainting", "fill hole", "outpaint", "outpainting", "expand", "expand image",
    "extend image", "uncrop",
    # what is restored
    "denoise", "remove noise", "deblur", "sharpen", "unblur", "derain", "remove rain", "dehaze",
    "remove haze", "desnow", "remove snow", "shadow removal", "remove shadow", "low light",
    "brighten", "demoire", "restore", "restore photo", "face restoration", "restore face",
    "watermark", "remove watermark", "reflection removal", "upscale", "super resolution",
    "colorize", "colorize photo", "enhance",
    # what is new
    "generate image", "text to image", "txt2img", "depth to image", "sketch to image",
    "pose to image", "controlnet", "same subject", "same person", "logo",
)  # fmt: skip


def search_words() -> list[str]:
    """The aliases, and the titles of the tasks."""
    titles = (task.title.lower() for task in TASKS.values())
    return list(dict.fromkeys((*ALIASES, *titles)))
