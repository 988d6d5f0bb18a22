"""Pictures for the template browser: before above, after below, from what each template gives.

`python -m tests.support.thumbnails [NUMBER ...]` runs every template on the newest host found, or
those of these numbers, and writes workflows/NAME.jpg. The bundled model stands in for the released
one, and a rendered room for the photograph: it paints these well, and photographs are not ours to
copy. What the models of others paint is not shown; a line of words stands for it.
"""

from __future__ import annotations

import copy
import io
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pixwizard_core.demo.room import room_example
from tests.support import workflow
from tests.support.hosts import REPO, Server, find_hosts, missing_reason, serve

WIDTH, HEIGHT = 480, 300  # px of each picture
GAP, STRIP, LETTERS = 8, 56, 26  # px
PAPER, INK = (24, 24, 24), (235, 235, 235)
DRAWN = "rendered, to show the task"
LARGEST = 60_000  # bytes of a thumbnail
SCENE = {"objects": 4, "width": 160, "height": 128, "format": "xyxy"}
IMAGE, CAPTION, TARGET, DEPTH, MASK, DAMAGED = 0, 1, 2, 3, 4, 8  # outputs of the scene


@dataclass(frozen=True, slots=True)
class Stage:
    """How a template is shown. seed: of the room. source: which output of the scene is loaded.
    words: for its PixWizard nodes in their order, a text or an output of the scene; None keeps what
    is there. values: further inputs of all of them. said: a line below, for what is not shown.
    drawn: a task whose true answer is rendered instead, where the bundled model is too weak to show
    what the task is."""

    seed: int = 0
    source: int = IMAGE
    words: tuple[str | int | None, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    damage: str = "none"
    said: str = ""
    drawn: str = ""


STAGES = {
    "Depth from a photo": Stage(7),
    "Mask from words": Stage(9, words=(TARGET,)),
    "Boxes from words": Stage(32, words=(TARGET,)),
    "Restore a photo": Stage(9, DAMAGED, damage="denoise"),
    "Edit by instruction": Stage(
        24, words=(TARGET,), values=(("task", "recolour"), ("colour", "green"))
    ),
    "Text to image": Stage(drawn="text2image"),
    "Inpaint a hole": Stage(12, words=("a red ball",)),
    "Outpaint a photo": Stage(6),
    "Remove an object": Stage(22, words=(TARGET, "")),
    "Replace an object": Stage(drawn="replace"),
    "Add an object": Stage(drawn="add"),
    "Depth map to picture": Stage(9, words=(None, CAPTION)),
    "Depth of a video": Stage(7),
    "App for every task": Stage(24, values=(("task", "segmentation"),)),
    "Use my LoRA": Stage(
        9, DAMAGED, words=("",), values=(("task", "denoise"),), damage="denoise",
        said="20 pairs teach it a task of yours",
    ),
    "Depth for ControlNet": Stage(8, said="then SDXL with a ControlNet"),
    "Mask for SDXL inpainting": Stage(9, words=(TARGET,), said="then SDXL inpainting"),
    "Save depth step by step": Stage(8),
    "Text to image step by step": Stage(drawn="text2image"),
}


def staged(prompt: dict, stage: Stage) -> tuple[dict, list[str]]:
    """The prompt with the bundled model and a room in place, and the nodes that show what comes in
    and what goes out."""
    ours = workflow.on_bundled_model(prompt)
    lora = [k for k, n in ours.items() if n["class_type"] == "PixWizard_LoadLora"]
    given = SCENE | {"seed": stage.seed, "damage": stage.damage}
    scene = {"class_type": "PixWizard_DemoScene", "inputs": given}
    slots = {("LoadImage", 0): stage.source, ("LoadImage", 1): MASK} | {
        ("GetVideoComponents", 0): stage.source
    }
    kinds = {key: node["class_type"] for key, node in ours.items()}
    short = [k for k in sorted(ours, key=sorting) if ours[k]["class_type"] == workflow.SHORT]
    asked = dict(zip(short, stage.words, strict=False))
    made: dict = {"scene": scene}
    for key, node in ours.items():
        inputs = dict(node["inputs"])
        for name, value in inputs.items():
            if not isinstance(value, list):
                continue
            if (out := (kinds.get(value[0]), value[1])) in slots:
                inputs[name] = ["scene", slots[out]]
            elif value[0] in lora:  # nobody has the file
                inputs[name] = ["tiny", 0]
        if key in short:
            inputs |= dict(stage.values)
        if (words := asked.get(key)) is not None:
            inputs["words"] = ["scene", words] if isinstance(words, int) else words
        made[key] = {**node, "inputs": inputs}
    last = ["scene", IMAGE]
    for key in sorted(made, key=sorting):
        kind, inputs = made[key]["class_type"], made[key]["inputs"]
        if kind == workflow.SHORT and inputs["task"] == "mask":
            made[f"grey {key}"] = {"class_type": "MaskToImage", "inputs": {"mask": [key, 1]}}
            last = [f"grey {key}", 0]
        elif kind in (workflow.SHORT, "PixWizard_DecodeDepth"):
            last = [key, 0]
    made["before"] = preview(["scene", stage.source])
    made["after"] = preview(last)
    needed = reached(made, ("before", "after"))
    return {key: made[key] for key in made if key in needed}, ["before", "after"]


def preview(link: list) -> dict:
    return {"class_type": "PreviewImage", "inputs": {"images": link}}


def reached(prompt: dict, ends) -> set[str]:
    """The nodes that these depend on, and they themselves."""
    found: set[str] = set()
    left = list(ends)
    while left:
        key = left.pop()
        if key not in found:
            found.add(key)
            left += [v[0] for v in prompt[key]["inputs"].values() if isinstance(v, list)]
    return found


def sorting(key: str) -> tuple[int, str]:
    return (int(key) if key.isdigit() else 0, key)


def shown(server: Server, saved: dict, stage: Stage) -> list[Image.Image]:
    """What goes in and what comes out of a template: its first preview and its last, or those of
    its stage."""
    prompt = workflow.to_prompt(saved, server.json("/object_info"))
    if workflow.has_node(saved, "PixWizard_CutOut"):
        return taken_apart(server, prompt)
    if stage in STAGES.values():
        prompt, numbers = staged(prompt, stage)
    else:
        kinds = ("PreviewImage", "PixWizard_Compare")
        numbers = sorted((n for n in prompt if prompt[n]["class_type"] == kinds[0]), key=int)
        if not numbers:  # the short way to a room's depth
            prompt = copy.deepcopy(prompt)
            (number,) = (n for n in prompt if prompt[n]["class_type"] == kinds[1])
            inputs = prompt[number]["inputs"]
            prompt["before"] = preview([inputs["truth"][0], IMAGE])
            prompt["after"] = preview(inputs["prediction"])
            numbers = ["before", "after"]
    result = server.run(prompt)
    if result["error"]:
        raise RuntimeError(result["error"])
    entries = [result["outputs"][number]["images"][0] for number in (numbers[0], numbers[-1])]
    return [Image.open(io.BytesIO(server.image(entry))).convert("RGBA") for entry in entries]


def taken_apart(server: Server, prompt: dict) -> list[Image.Image]:
    """The picture, and its layers on a chequered ground beside the background."""
    (cut,) = (n for n in prompt if prompt[n]["class_type"] == "PixWizard_CutOut")
    prompt = {**prompt, "before": preview(prompt[cut]["inputs"]["source"])}
    prompt |= {"layers": preview([cut, 0]), "behind": preview([cut, 2])}
    result = server.run(prompt)
    if result["error"]:
        raise RuntimeError(result["error"])

    def opened(key: str) -> list[Image.Image]:
        entries = result["outputs"][key]["images"]
        files = [io.BytesIO(server.image(entry)) for entry in entries]
        return [Image.open(file).convert("RGBA") for file in files]

    (before,), (behind,) = opened("before"), opened("behind")
    ground = chequered(before.size)
    for layer in opened("layers")[::-1]:
        ground.alpha_composite(layer)
    both = Image.new("RGBA", (2 * ground.width + GAP, ground.height), (*PAPER, 255))
    both.paste(ground, (0, 0))
    both.paste(behind, (ground.width + GAP, 0))
    return [before, both]


def chequered(size: tuple[int, int], side: int = 16) -> Image.Image:
    """Grey squares, which stand for transparency."""
    ground = Image.new("RGBA", size, (150, 150, 150, 255))
    draw = ImageDraw.Draw(ground)
    for x in range(0, size[0], side):
        for y in range(0, size[1], side):
            if (x + y) // side % 2:
                draw.rectangle((x, y, x + side - 1, y + side - 1), (105, 105, 105, 255))
    return ground


def filled(picture: Image.Image) -> Image.Image:
    """The middle of a picture at the size of one half, whole if it is wider than that."""
    scale = WIDTH / picture.width
    size = (WIDTH, max(1, round(scale * picture.height)))
    wide = picture.resize(size, Image.Resampling.LANCZOS)
    top = max(0, (wide.height - HEIGHT) // 2)
    return wide.crop((0, top, WIDTH, min(wide.height, top + HEIGHT)))


def stacked(pictures: list[Image.Image], said: str = "") -> Image.Image:
    """One below the other on dark paper, and a line of words below them."""
    halves = [filled(picture) for picture in pictures]
    height = sum(half.height for half in halves) + GAP * (len(halves) - 1)
    sheet = Image.new("RGB", (WIDTH, height + (STRIP if said else 0)), PAPER)
    y = 0
    for half in halves:
        sheet.paste(half, (0, y), half)
        y += half.height + GAP
    if said:
        font = ImageFont.load_default(LETTERS)
        ImageDraw.Draw(sheet).text((WIDTH / 2, height + STRIP / 2), said, INK, font, "mm")
    return sheet


def drawn(task: str) -> list[Image.Image]:
    """The question and the true answer of a task in the demonstration's room."""
    example = room_example(task)
    before, after = as_picture(example.inputs[0]), as_picture(example.targets[0])
    return [card(example.instructions[0]) if task == "text2image" else before, after]


def as_picture(pixels) -> Image.Image:
    """Pixels (3, H, W) in 0..1 as a picture."""
    shades = (pixels.clamp(0, 1) * 255).round().byte().movedim(0, -1)
    return Image.fromarray(shades.numpy()).convert("RGBA")


def card(words: str) -> Image.Image:
    """Words as a picture of one half."""
    lines = textwrap.wrap(words, round(1.7 * WIDTH / LETTERS))
    sheet = Image.new("RGBA", (WIDTH, HEIGHT), (*PAPER, 255))
    font = ImageFont.load_default(LETTERS)
    middle = (WIDTH / 2, HEIGHT / 2)
    ImageDraw.Draw(sheet).multiline_text(
        middle, "\n".join(lines), INK, font, "mm", spacing=12, align="center"
    )
    return sheet


def save(picture: Image.Image, path: Path, largest: int = LARGEST) -> None:
    """As a JPEG beside path, as good as `largest` bytes allow."""
    target = path.with_suffix(".jpg")
    for quality in range(85, 20, -10):  # noise takes many bytes
        picture.save(target, quality=quality, optimize=True)
        if target.stat().st_size < largest:
            break
    print(f"{target.relative_to(REPO)}: {target.stat().st_size // 1024} KiB")


def main() -> None:
    numbers = set(map(int, sys.argv[1:]))
    paths = [path for path in workflow.every() if not numbers or workflow.number(path) in numbers]
    hosts = find_hosts()
    if not hosts:
        raise SystemExit(missing_reason())
    with tempfile.TemporaryDirectory() as base, serve(hosts[-1], Path(base)) as server:
        for path in paths:
            stage = STAGES.get(workflow.title(path), Stage())
            if stage.drawn:
                save(stacked(drawn(stage.drawn), DRAWN), path)
            else:
                save(stacked(shown(server, workflow.load(path), stage), stage.said), path)


if __name__ == "__main__":
    main()
