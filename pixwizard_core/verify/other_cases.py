"""Cases that need no transformer, and those about its files."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..canvas.buckets import bucket_table, choose
from ..config import PRESETS, ModelConfig
from ..errors import PixWizardError
from ..json_text import json_object
from ..model.rope import RopeScaling, rope_table
from ..weights.checkpoint import expected_shapes, load_state_dict
from ..weights.examine import inspect
from ..weights.locate import ARGUMENTS_NAME
from ..weights.recognise import config_from_shapes
from ..weights.weightfile import read_namespace
from .checks import Check, allowed, close, equal
from .vectors import Case, VectorFile, Vectors

Run = Callable[[], list[Check]]
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.BitXor: lambda a, b: a ^ b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.RShift: lambda a, b: a >> b,
    ast.LShift: lambda a, b: a << b,
}


def rope_case(vectors: Vectors, file: VectorFile, case: Case) -> list[Check]:
    """A window of the rotary table: cosines and sines."""
    (top, bottom), (left, right) = case["rows"], case["cols"]
    scaling = RopeScaling(case["scale_factor"], case["scale_watershed"])
    table = rope_table(bottom, right, case["dim"], scaling, case["timestep"], vectors.device)
    window = table.view(bottom, right, -1, 2)[top:bottom, left:right]
    tolerance = allowed("rope", torch.float32)
    return [
        close(name, part, file.tensors[f"{case['name']}.{name}"], tolerance)
        for name, part in zip(("real", "imag"), window.unbind(-1), strict=True)
    ]


def clip_case(vectors: Vectors, file: VectorFile, case: Case) -> list[Check]:
    """CLIP vision input of one picture at recorded rows and columns, with sums over all of it."""
    from ..encoders.vision import preprocess  # loads kornia, which only this case needs

    if case.get("image") in file.tensors:
        image = file.tensors[case["image"]]
    else:
        image = picture(case["formula"], *case["size_hw"])
    pixels = ((image.float() / 255 - 0.5) / 0.5)[None].to(vectors.device)
    found = preprocess(pixels)[0].cpu()
    keep = torch.tensor(case["sub_index"])
    tolerance = allowed("clip", torch.float32)
    wanted = file.tensors[case["output"]]
    checks = [close("rows and columns", found[:, keep][:, :, keep], wanted, tolerance)]
    for name, total in (("sum", found.double().sum()), ("sumsq", found.double().square().sum())):
        if case.get(name) is not None:
            gap = abs(float(total) - case[name]) / found.numel()
            checks.append(Check(f"mean of {name}", gap, tolerance))
    return checks


def picture(formula: str, height: int, width: int) -> Tensor:
    """A uint8 (3, height, width) picture from a formula like u8[c,y,x]=(3*x+5*y+c)%256.

    Only whole-number operators, whole numbers and c, y, x are read; anything else is refused.
    """
    names = {
        "c": torch.arange(3)[:, None, None],
        "y": torch.arange(height)[None, :, None],
        "x": torch.arange(width)[None, None, :],
    }

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        raise PixWizardError(f"the picture formula {formula!r} is not plain arithmetic on c, y, x")

    expression = formula.split("=", 1)[-1]
    result = value(ast.parse(expression, mode="eval").body)
    return torch.as_tensor(result).expand(3, height, width).to(torch.uint8)


def sizes_cases(file: VectorFile) -> Iterator[tuple[str, Run]]:
    """One case per size table and one per list of centres; all exact."""
    content = file.content
    for centre, table in content.get("tables", {}).items():
        yield f"table {centre}", lambda c=centre, t=table: _table(c, t)
    for name, chosen in content.get("results_w_h_res", {}).items():
        centres = content.get("lists", {}).get(name) or [int(part) for part in name.split("-")]
        yield (
            f"choice {name}",
            lambda c=centres, r=chosen: _choices(content["image_wh"], c, r),
        )


def _table(centre: str, wanted: list[list[int]]) -> list[Check]:
    found = [list(size) for size in bucket_table(int(centre))]
    wrong = [pair for pair in found if pair not in wanted] + [p for p in wanted if p not in found]
    return [Check("sizes that differ", float(len(wrong)), 0.0), equal("order", found, wanted)]


def _choices(images: list[list[int]], centres: list[int], wanted: list[list[int]]) -> list[Check]:
    if len(images) != len(wanted):
        return [Check("number of choices", math.inf, 0.0)]
    wrong = 0
    for (width, height), result in zip(images, wanted, strict=True):
        # The reference reports the sizes of its 256 table under another centre; sizes still count.
        compared = 3 if result[2] in centres else 2
        wrong += list(choose(width, height, centres))[:compared] != list(result)[:compared]
    return [Check("choices that differ", float(wrong), 0.0)]


def checkpoint_case(vectors: Vectors, file: VectorFile) -> list[Check]:
    """The released layout: opened as a folder, configuration and recorded arguments read back."""
    weights = vectors.folder / file.content["weights"]
    folder = weights.parent
    state, config = load_state_dict(folder)
    named, _ = load_state_dict(weights)
    differing = 0
    if inspect(folder).path.samefile(weights):  # a folder may hold other weights beside those named
        differing = sum(not torch.equal(state[name], named[name]) for name in named)
    stated = file.content.get("model_args", {})
    checks = [Check("weights that differ from the file's", float(differing), 0.0)]
    checks += [
        equal(name, getattr(config, name), value)
        for name, value in stated.items()
        if name in ModelConfig.__slots__ and value is not None
    ]
    if "namespace" in file.content:
        fields = read_namespace(folder / ARGUMENTS_NAME)
        checks.append(equal(ARGUMENTS_NAME, fields, file.content["namespace"]))
    return checks


def shapes_cases(file: VectorFile) -> Iterator[tuple[str, Run]]:
    """For a JSON of model name -> names and shapes: the model on the meta device against it."""
    for name, entry in file.content.items():
        described = json_object(entry) or {}
        if json_object(described.get("shapes")) is not None:
            yield name, lambda n=name, e=described: _shapes(n, e)


def _shapes(name: str, entry: Case) -> list[Check]:
    wanted = {key: tuple(shape) for key, shape in entry["shapes"].items()}
    inferred = config_from_shapes(wanted)
    config = PRESETS.get(name, inferred)
    found = expected_shapes(config)
    differing = {key for key in {*wanted, *found} if wanted.get(key) != found.get(key)}
    checks = [
        Check("names or shapes that differ", float(len(differing)), 0.0),
        equal("configuration read off the shapes", inferred, config),
    ]
    if "n_params" in entry:
        count = sum(math.prod(shape) for shape in found.values())
        checks.append(Check("parameters", float(abs(count - entry["n_params"])), 0.0))
    return checks
