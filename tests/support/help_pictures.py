"""Pictures for the help pages, made by the nodes themselves from a scene of Demo Scene.

`python -m tests.support.help_pictures` writes web/docs/images/NODE.jpg: what goes in, then what
comes out.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch.nn.functional import interpolate, max_pool2d

from pixwizard_core import load
from pixwizard_core.evaluation.regional_study import by_one_sentence, by_regions
from pixwizard_core.evaluation.two_changes import two_changes
from pixwizard_core.tiles import TiledRequest, answer_tiled
from tests.fakes import host

FOLDER = host.REPO / "web" / "docs" / "images"
HEIGHT = 176  # px of every part
GAP, TITLE = 8, 18
PAPER, INK = (24, 24, 24), (210, 210, 210)
RED = torch.tensor([1.0, 0.0, 0.0])


def caller(nodes):
    """A function that calls a node with its defaults and these inputs."""

    def call(name: str, **inputs) -> dict:
        schema = nodes[name].define_schema()
        known = {s.id: s.settings["default"] for s in schema.inputs if "default" in s.settings}
        found = nodes[name].execute(**{**known, **inputs}).args
        names = [socket.display_name for socket in schema.outputs]
        return dict(zip(names, found, strict=True))

    return call


def outlined(image, box, colour=RED):
    left, top, right, bottom = (int(edge) for edge in box)
    drawn = image.clone()
    drawn[:, top:bottom, left:right] = colour
    inside = (slice(None), slice(top + 3, bottom - 3), slice(left + 3, right - 3))
    drawn[inside] = image[inside]
    return drawn


def cut_around(mask, margin: int = 12) -> tuple[slice, slice]:
    """Rows and columns around what a mask (H, W) selects."""
    ys, xs = torch.nonzero(mask, as_tuple=True)
    return (
        slice(max(0, int(ys.min()) - margin), int(ys.max()) + margin),
        slice(max(0, int(xs.min()) - margin), int(xs.max()) + margin),
    )


def demo_answers(image):
    """What the bundled model answers, from the core: the node runs the same computation."""
    demo = load()
    for task in ("depth", "normal", "segmentation"):
        yield task, demo(task, image.movedim(-1, 1)).image_01.movedim(1, -1)


def tiled_answers(image):
    """A noisy picture, answered at once and by tiles, from the core like demo_answers()."""
    seeded = torch.Generator().manual_seed(2)
    noisy = (image + 0.12 * torch.randn(image.shape, generator=seeded)).clamp(0, 1)
    demo, given = load(), noisy.movedim(-1, 1)
    request = TiledRequest("denoise", demo.bundle.taught.form("denoise"))
    tiled = answer_tiled(demo.bundle, given, request).image_01
    at_once = demo("denoise", given).image_01
    shown = [("image", noisy), ("at once", at_once.movedim(1, -1)), ("tiles", tiled.movedim(1, -1))]
    return [(title, one[:, 80:256, 40:280]) for title, one in shown]


def two_regions(seed: int = 3) -> list:
    """Two changes of a room by one sentence and by two regions, from the core: the node runs the
    same computation."""
    bundle = load().bundle
    rooms = two_changes(1, seed, min(bundle.centres), bundle.taught)
    shades = torch.tensor([1.0, 0.5])[:, None, None]
    ways = [way(bundle, rooms, 0).movedim(1, -1) for way in (by_one_sentence, by_regions)]
    return [
        ("source", rooms.inputs.movedim(1, -1)),
        ("two masks", (rooms.masks[0] * shades).sum(0)[None]),
        *zip(("one sentence", "two regions"), ways, strict=True),
    ]


def parts(call) -> dict[str, list]:
    """(title, IMAGE or MASK) pairs for each node, in the order they are shown."""
    scene = call("DemoScene", seed=7, objects=4, width=160, height=128)
    image, mask, depth = scene["image"], scene["mask"], scene["depth"]
    seeded = torch.Generator().manual_seed(1)
    grain = torch.randn(1, 128, 160, 1, generator=seeded) * 0.02
    waves = interpolate(torch.randn(3, 1, 8, 10, generator=seeded), (128, 160), mode="bicubic")
    noise = 0.05 * waves.movedim(1, -1)
    runs = (depth * torch.tensor([1.0, 0.8, 0.9]).view(3, 1, 1, 1) + noise).clamp(0, 1)
    white = mask[..., None].expand(-1, -1, -1, 3)
    ys, xs = torch.nonzero(mask[0], as_tuple=True)
    box = (xs.min() - 4, ys.min() - 4, xs.max() + 5, ys.max() + 5)
    other = (100, 60, 130, 92)
    boxes = [[int(edge) for edge in one] for one in (box, other)]
    tinted = image * (1 - 0.5 * white) + 0.5 * white * RED
    framed = outlined(image, box)
    about = call("Instruction", task="highlight", target=scene["target"])["about"]
    fits = {fit: call("FitToCanvas", image=image[:, 48:102], centre=128, fit=fit) for fit in
            ("stretch", "pad", "crop")}  # fmt: skip
    near = call("PrepareInpaint", image=image, mask=mask, centre=128, crop=True, context=0.5)
    whole = call("PrepareInpaint", image=image, mask=mask, centre=128)
    wider = call("PrepareOutpaint", image=image, aspect="2:1", centre=128)
    wide = max_pool2d(mask, 9, 1, 4)
    laid = call("Composite", source=image, result=scene["without"], mask=wide, feather=2.0)
    classes = scene["classes"]
    rough = (classes + grain).clamp(0, 1)
    labels = call("DecodeSegmentation", image=rough, palette="PixWizard Tiny world")
    merged = call("MergeDepths", depths=runs)
    large = call("DemoScene", seed=7, objects=4, width=640, height=512)
    small = call("FitToCanvas", image=large["image"], centre=128)
    rows, columns = small["image"].shape[1:3]
    soft = interpolate(large["mask"][:, None], (rows, columns), mode="area").movedim(1, -1)
    soft = soft.expand(-1, -1, -1, 3)
    found = call("Instruction", task="mask", target=large["target"])["about"]
    part = (slice(None), *cut_around(large["mask"][0]))
    plain = call("RestoreFromCanvas", canvas=small["canvas"], image=soft)["image"]
    sharp = call(
        "SharpenAnswer", image=soft, source=large["image"], canvas=small["canvas"], about=found
    )["image"]
    wrong = white.roll(40, 2)
    cut = call("CutOut", source=image, masks=mask, background=scene["without"])
    several = torch.cat([white, wrong, white.roll(2, 1)])
    best = call("PickBest", images=several, about=found, source=image)["image"]
    shown = {name: fitted["image"] for name, fitted in fits.items()}
    return {
        "DemoScene": [
            (name, scene[name]) for name in ("image", "depth", "normals", "classes", "mask")
        ],
        "FitToCanvas": [("a wide picture", image[:, 48:102]), *shown.items()],
        "PrepareInpaint": [
            ("image", image),
            ("mask", mask),
            ("prepared", whole["image"]),
            ("with crop", near["image"]),
        ],
        "PrepareOutpaint": [
            ("image", image),
            ("aspect 2:1", wider["image"]),
            ("mask", wider["mask"]),
        ],
        "Composite": [
            ("source", image),
            ("result", scene["without"]),
            ("mask", wide),
            ("image", laid["image"]),
        ],
        "DecodeDepth": [("image", depth), ("picture", call("DecodeDepth", image=depth)["picture"])],
        "DecodeNormals": [
            ("image", scene["normals"]),
            ("green down", call("DecodeNormals", image=scene["normals"], green="down")["normals"]),
        ],
        "DecodeMask": [
            ("image", white),
            ("picture", call("DecodeMask", image=white, source=image)["picture"]),
        ],
        "DecodeHighlight": [
            ("source", image),
            ("image", tinted),
            ("mask", call("DecodeHighlight", image=tinted, source=image)["mask"]),
        ],
        "DecodeBoxes": [
            ("image", framed),
            ("picture", call("DecodeBoxes", image=framed, source=image)["picture"]),
        ],
        "DecodeAnswer": [
            ("image", tinted),
            *(
                (name, call("DecodeAnswer", image=tinted, about=about, source=image)[name])
                for name in ("picture", "mask")
            ),
        ],
        "ListItem": [
            ("0", image),
            ("1", scene["depth"]),
            ("index 1", call("ListItem", value=[image, scene["depth"]], index=[1])["item"]),
        ],
        "PixWizard": [("image", image), *demo_answers(image)],
        "PickBox": [
            ("image", image),
            ("boxes", outlined(outlined(image, box), other)),
            ("mask", call("PickBox", boxes=[boxes], pick="largest", image=image)["mask"]),
        ],
        "SharpenAnswer": [
            ("source", large["image"][part]),
            ("plain", plain[part]),
            ("sharpened", sharp[part]),
        ],
        "TiledAnswer": tiled_answers(large["image"][:, 100:420, 60:508]),
        "CutOut": [
            ("source", image),
            ("layer", cut["layers"]),
            ("background", cut["background"]),
            ("stacked", cut["stacked"]),
        ],
        "Region": two_regions(),
        "PickBest": [
            *((f"answer {i}", one[None]) for i, one in enumerate(several)),
            ("best", best),
            ("source", image),
        ],
        "DecodeSegmentation": [("image", rough), ("picture", labels["picture"])],
        "MergeDepths": [
            *((f"run {i + 1}", run[None]) for i, run in enumerate(runs)),
            ("depth", merged["depth"]),
            ("uncertainty", merged["picture"]),
        ],
        "RestoreFromCanvas": [
            ("image", fits["pad"]["image"]),
            (
                "restored",
                call("RestoreFromCanvas", canvas=fits["pad"]["canvas"], image=fits["pad"]["image"])[
                    "image"
                ],
            ),
        ],
    }


def strip(shown) -> Image.Image:
    """Titled pictures side by side on dark paper."""
    pictures = []
    for _, tensor in shown:
        one = tensor[0] if tensor.ndim == 4 else tensor[0][..., None].expand(-1, -1, 3)
        whole = (one[..., :3].clamp(0, 1) * 255).round().byte().numpy()
        picture = Image.fromarray(whole)
        width = round(HEIGHT * picture.width / picture.height)
        pictures.append(picture.resize((width, HEIGHT), Image.Resampling.LANCZOS))
    sheet = Image.new(
        "RGB", (sum(p.width + GAP for p in pictures) + GAP, HEIGHT + TITLE + GAP), PAPER
    )
    pen, x = ImageDraw.Draw(sheet), GAP
    for (title, _), picture in zip(shown, pictures, strict=True):
        pen.text((x, 3), title, INK)
        sheet.paste(picture, (x, TITLE))
        x += picture.width + GAP
    return sheet


def main() -> None:
    with tempfile.TemporaryDirectory() as models:
        extension = host.load_extension(Path(models))
        nodes = {
            one.define_schema().node_id.removeprefix("PixWizard_"): one
            for one in extension("nodes").NODES
        }
        for name, shown in parts(caller(nodes)).items():
            path = FOLDER / f"PixWizard_{name}.jpg"
            strip(shown).save(path, quality=86, optimize=True)
            print(f"{path.relative_to(host.REPO)}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
