"""Depth and classes as files in the host's output folder."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import folder_paths
from comfy_api.latest import io

from ...pixwizard_core.decode.depth import METRES
from ...pixwizard_core.decode.segments import decode_segments
from ...pixwizard_core.errors import CanvasError
from ...pixwizard_core.files.data_files import DEPTH_WRITERS, DepthScale, save_depth, save_label_map
from ..host.versions import schema
from ..shared.base import Node
from ..shared.inputs import metres_input, near_combo, palette_combo, palette_of, palette_text
from ..shared.layouts import to_image_01


def prefix_input(default: str):
    return io.String.Input(
        "filename_prefix",
        default=default,
        tooltip="Name of the files, with subfolders of the output folder if you want, as in Save "
        "Image. ComfyUI's fields such as %date% work. A number is added.",
    )


class Folder:
    """Where a batch is saved: the host's output folder, and the file names it assigns."""

    def __init__(self, prefix: str, width: int, height: int) -> None:
        _check_prefix(prefix)
        try:
            place, self.name, self.number, self.subfolder, _ = folder_paths.get_save_image_path(
                prefix, folder_paths.get_output_directory(), width, height
            )
        except Exception as error:  # the host raises Exception itself, the system any error
            raise CanvasError(f"no file can be called {prefix!r:.80} here: {error}") from error
        self.place = Path(place)
        self.files: list[dict[str, str]] = []

    def next(self, ending: str) -> Path:
        """Path of the next file. Listed for the page and for /history."""
        name = f"{self.name}_{self.number:05}_.{ending}"
        self.number += 1
        self.add(name)
        return self.place / name

    def add(self, name: str) -> None:
        self.files.append({"filename": name, "subfolder": self.subfolder, "type": "output"})

    def listing(self) -> str:
        """Names as JSON, relative to the output folder."""
        return json.dumps(
            [(Path(file["subfolder"]) / file["filename"]).as_posix() for file in self.files]
        )

    def ui(self) -> dict:
        """What the page shows and /history keeps; only pictures can be shown."""
        shown = [file for file in self.files if file["filename"].endswith(".png")]
        return {"pixwizard_files": self.files, **({"images": shown} if shown else {})}


def _check_prefix(prefix: str) -> None:
    """Raise CanvasError unless the name stays inside the output folder on every system."""
    posix, windows = PurePosixPath(prefix), PureWindowsPath(prefix)
    rooted = posix.is_absolute() or windows.drive or windows.root or prefix.startswith("~")
    unseen = next((sign for sign in prefix if not sign.isprintable()), None)
    if unseen is not None:
        name = unicodedata.name(unseen, "a control character")
        raise CanvasError(
            f"the file name contains an invisible character, {name} (U+{ord(unseen):04X}), at "
            f"position {prefix.index(unseen) + 1}; remove it. Got: {prefix!r}"
        )
    if rooted or ".." in windows.parts or not windows.name:
        raise CanvasError(
            f"files go into the output folder: give a name such as depth/room, without a drive, a "
            f"leading slash or '..'. Got: {prefix!r}"
        )


def notes(node) -> dict[str, str]:
    """Prompt and workflow for a file's header, as Save Image writes them."""
    from comfy.cli_args import args

    hidden = getattr(node, "hidden", None)
    if args.disable_metadata or not hidden:
        return {}
    found = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {name: json.dumps(value) for name, value in found.items() if value is not None}


class SaveDepth(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "SaveDepth",
            display_name="PixWizard Save Depth",
            description="Saves depth at full precision: 16-bit PNG, metres as 32-bit floats in an "
            "OpenEXR file, or a NumPy array. Range and polarity are stored in the file.",
            search_aliases=["exr", "16 bit", "npy", "export depth"],
            is_output_node=True,
            inputs=[
                io.Image.Input("depth", tooltip="Depth from 0 to 1, from Decode or Merge Depths."),
                prefix_input("depth/PixWizard"),
                io.Combo.Input(
                    "format",
                    options=list(DEPTH_WRITERS),
                    default="png",
                    tooltip="png: 16-bit grey with the range in its header. exr: metres as floats "
                    "in channels Y and Z. npy: metres as a float32 array with notes in a JSON "
                    "file.",
                ),
                metres_input("near", METRES[0]),
                metres_input("far", METRES[1]),
                near_combo(),
            ],
            outputs=[io.String.Output("files", display_name="files")],
        )

    @classmethod
    def run(cls, depth, filename_prefix, format, near_m, far_m, near):
        ending = format
        white = near == "white"
        grey = to_image_01(depth).mean(1)
        folder = Folder(filename_prefix, grey.shape[-1], grey.shape[-2])
        for one in grey:
            save_depth(folder.next(ending), one, DepthScale(near_m, far_m, white), notes(cls))
        return io.NodeOutput(folder.listing(), ui=folder.ui())


class SaveLabels(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "SaveLabels",
            display_name="PixWizard Save Labels",
            description="Saves classes as an indexed PNG: pixel values are class numbers, the "
            "palette holds the class colours, and a JSON file of the same name holds the legend.",
            search_aliases=["indexed png", "class map", "export segmentation"],
            is_output_node=True,
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip=(
                        "Class picture from Decode Segmentation, or directly as the model painted "
                        "it."
                    ),
                ),
                prefix_input("labels/PixWizard"),
                palette_combo("Colours of the classes; each pixel gets the nearest one."),
                palette_text(),
            ],
            outputs=[io.String.Output("files", display_name="files")],
        )

    @classmethod
    def run(cls, image, filename_prefix, palette, palette_text=""):
        colours = palette_of(palette, palette_text)
        labels = decode_segments(to_image_01(image), colours).labels
        folder = Folder(filename_prefix, labels.shape[-1], labels.shape[-2])
        for one in labels:
            legend = save_label_map(folder.next("png"), one, colours, notes(cls))
            folder.add(legend.name)
        return io.NodeOutput(folder.listing(), ui=folder.ui())
