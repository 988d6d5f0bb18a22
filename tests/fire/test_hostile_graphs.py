"""Every node that needs no model, with anything a graph may hand it: a valid result, or one of our
errors with a clear text.

The fast profile runs with the other tests. `pytest -m long` draws 10,000 examples and more:
    nice -n 10 pytest -c tests/pytest.ini tests/fire/test_hostile_graphs.py -m long -s
"""

from __future__ import annotations

import importlib
import json
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pixwizard_core.decode.palette import BUNDLED
from pixwizard_core.tasks import COLOURS, TASK_IDS
from tests.fakes import host
from tests.fire import limits, strategies

FAST, LONG = 8, 520  # examples of each node
# Without the models of a real host these cannot run; test_hostile_models.py drives them in one.
WITH_MODELS = {
    "LoadTiny", "LoadModel", "LoadTextEncoder", "LoadVisionEncoder", "LoadPixWizard", "LoadLora",
    "Encode", "Region", "Sample", "DualCFGGuider", "ModelOptions", "Check", "ModelParts",
    "TiledAnswer",
}  # fmt: skip
# A large picture takes its time; what the size of a result is asked for by is drawn small here.
LARGE = {"width", "height", "left", "top", "right", "bottom", "batch_size", "centre"}
NOT_CLAMPED = {"metres", "Composite.image", "source"}
OF_MODELS = {"MODEL", "CONDITIONING", "CLIP", "CLIP_VISION", "VAE", "PIXWIZARD"}
MIB = 1 << 20

with_limits = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def node_names() -> list[str]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        listed = host.load_extension(Path(folder))("nodes").NODES
        names = [node.define_schema().node_id.removeprefix("PixWizard_") for node in listed]
    host.unload()
    return [name for name in names if name not in WITH_MODELS]


NAMES = node_names()


def strategy_of(socket, canvas, size):
    """Values for one input."""
    kind, given_settings = socket.io_type, socket.settings
    if kind == "IMAGE":
        usual = strategies.pictures(size=size)
        return st.one_of(usual, usual, usual, strategies.pictures())
    if kind == "MASK":
        return strategies.masks(size=size)
    if kind == "INT":
        if socket.id in LARGE:
            low = given_settings["min"]
            return st.sampled_from((low, low + 16, 128, 0, low - 1, -(2**40), 2**40))
        return strategies.numbers(given_settings, whole=True)
    if kind == "FLOAT":
        return strategies.numbers(given_settings, whole=False)
    if kind == "BOOLEAN":
        return st.booleans()
    if kind == "COMBO":
        return strategies.choices(given_settings["options"])
    if kind == "STRING":
        return strategies.palettes() if socket.id == "palette_text" else strategies.texts()
    if kind == "PIXWIZARD_CANVAS":
        return st.just(canvas)
    if kind == "PIXWIZARD_ABOUT":
        return questions()
    if "BBOX" in kind:
        return strategies.boxes()
    if kind == "*":
        return st.lists(strategies.pictures(size=size), max_size=2)
    if kind in OF_MODELS and socket.optional:
        return st.none()
    raise AssertionError(f"no strategy for {kind}: teach this test the new type")


def questions():
    """What Instruction says of any task."""
    asked = importlib.import_module(f"{host.PACKAGE}.nodes.shared.question").question
    words = {"caption": "a room", "target": "the ball", "question": "what rolls?"}
    tasks, colours = st.sampled_from(TASK_IDS), st.sampled_from(list(COLOURS))
    palettes = st.sampled_from((None, *BUNDLED))
    return st.builds(
        lambda task, colour, palette: asked(task, {**words, "colour": colour}, palette),
        tasks,
        colours,
        palettes,
    )


def sound(socket, canvas, size):
    """Values that a careful user would give."""
    kind, given_settings = socket.io_type, socket.settings
    if kind == "IMAGE":
        return strategies.plain(size, channels=3)
    if kind == "MASK":
        return strategies.plain(size, channels=None)
    if kind in ("INT", "FLOAT"):
        low, high = given_settings["min"], given_settings["max"]
        default = given_settings.get("default", low)
        if socket.id in LARGE:
            return st.just(max(low, min(default, 64)))
        return st.sampled_from((default, default, low, min(high, low + 1)))
    if kind == "COMBO":
        return st.sampled_from(list(given_settings["options"]))
    if kind == "STRING":
        return st.sampled_from((given_settings.get("default", ""), "the red ball"))
    if "BBOX" in kind:
        return st.just([[1, 2, 9, 12], [3, 4, 30, 31]])
    return strategy_of(socket, canvas, size)


@st.composite
def arguments(draw, schema, plan, centres):
    """Inputs of one node: sound ones, of which up to three are replaced by anything at all."""
    source = draw(strategies.sizes())
    centre, fit = draw(st.sampled_from(centres)), draw(st.sampled_from(("stretch", "pad", "crop")))
    canvas = plan(source[1], source[0], (centre,), fit)
    fitted = (canvas.model.height, canvas.model.width)
    size = draw(st.sampled_from((fitted, fitted, source)))
    return strategies.some_odd(draw, schema, strategy_of, sound, canvas, size)


def check_output(name, socket, value) -> None:
    """Raise AssertionError unless the next node can work with it."""
    label = f"{name}.{socket.id}"
    if socket.io_type == "IMAGE":
        assert value.ndim == 4, f"{label} is {tuple(value.shape)}"
        assert value.numel(), f"{label} is {tuple(value.shape)}"
        assert value.dtype.is_floating_point, f"{label} is {value.dtype}"
        assert bool(value.isfinite().all()), f"{label} is not finite"
        if socket.id not in NOT_CLAMPED and label not in NOT_CLAMPED:
            assert float(value.min()) >= 0, f"{label} below 0"
            assert float(value.max()) <= 1, f"{label} above 1"
    elif socket.io_type == "MASK":
        assert value.ndim == 3, f"{label} is {tuple(value.shape)}"
        assert value.numel(), f"{label} is {tuple(value.shape)}"
        assert value.dtype == torch.float32, f"{label} is {value.dtype}"
        assert 0 <= float(value.min()) <= float(value.max()) <= 1, label
    elif socket.io_type in ("INT", "FLOAT", "STRING"):
        assert isinstance(value, {"INT": int, "FLOAT": float, "STRING": str}[socket.io_type]), label


def check_ui(ui) -> None:
    """What goes to the page is JSON that browsers read."""
    if ui is not None:
        json.dumps(ui, allow_nan=False)


def check_graph(schema, found) -> None:
    """Nodes that another one stands for: its outputs are links to them, and what they are told is
    JSON."""
    assert len(found.args) == len(schema.outputs)
    assert all(source in found.expand for source, _ in found.args)
    for inner in found.expand.values():
        told = inner["inputs"].get("settings")
        assert told is None or json.loads(told)["settings"]


def one_example(nodes, errors, name, chosen, tally) -> None:
    note(f"{name}: { {key: shown(value) for key, value in chosen.items()} }")
    schema = nodes[name].define_schema()
    try:
        found = nodes[name].execute(**chosen)
    except errors.PixWizardError as error:
        limits.check_message(error)
        tally[f"{name} refused"] += 1
        return
    if found.expand:
        check_graph(schema, found)
        tally[f"{name} valid"] += 1
        return
    for socket, value in zip(schema.outputs, found.args, strict=True):
        for one in value if socket.settings.get("is_output_list") else [value]:
            check_output(name, socket, one)
    check_ui(found.ui)
    tally[f"{name} valid"] += 1


def shown(value) -> str:
    if isinstance(value, torch.Tensor):
        low, high = (
            (float(value.float().min()), float(value.float().max())) if value.numel() else (0, 0)
        )
        return f"{value.dtype} {tuple(value.shape)} {low:g}..{high:g}"
    return repr(value)[:80]


def hold(nodes, extension, name, examples) -> Counter:
    errors = extension("pixwizard_core.errors")
    plan = extension("pixwizard_core.canvas").plan
    tally: Counter = Counter()
    schema = nodes[name].define_schema()

    @settings(with_limits, max_examples=examples)
    @given(arguments(schema, plan, (32, 48, 64)))
    def holds(chosen):
        one_example(nodes, errors, name, chosen, tally)

    holds()
    return tally


@pytest.mark.parametrize("name", NAMES)
def test_any_input_gives_a_result_or_a_clear_error(nodes, extension, output, name):
    assert sum(hold(nodes, extension, name, FAST).values()) >= FAST // 2


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_any_input_gives_a_result_or_a_clear_error_long(nodes, extension, output, name):
    tally = hold(nodes, extension, name, LONG)
    print(f"\n{name}: {tally[f'{name} valid']} valid, {tally[f'{name} refused']} refused")
    assert sum(tally.values()) >= LONG // 2
    assert tally[f"{name} valid"] > 0
