"""The nodes that need models, inside a real host, with anything a graph may hand them: a valid
result, or one of our errors with a clear text.

The fast profile runs with the other tests where there is a host. `-m long` draws 400 examples of
each node:
    nice -n 10 pytest -c tests/pytest.ini tests/fire/test_hostile_models.py -m long -s
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from pixwizard_core.encoders.tiny import BUNDLE
from tests.fire import hostile_pickles, hostile_tensors, limits, live, strategies
from tests.fire.frames import read_frame, write_frame
from tests.fire.test_hostile_graphs import WITH_MODELS, shown, with_limits
from tests.fire.test_hostile_names import OUTSIDE
from tests.support.hosts import REPO, environment, find_hosts, missing_reason

HOSTS = find_hosts()
FAST, LONG = 6, 400  # examples of each node
SCRIPT = Path(__file__).with_name("in_host.py")
SIZE = (48, 64)  # of the picture behind the sound conditionings, in px
# Names of what in_host.py makes, by the type of the socket; the first is sound.
REFERENCES = {
    "MODEL": ("model", "small-model", "other-model"),
    "CLIP": ("clip",),
    "CLIP_VISION": ("vision",),
    "VAE": ("vae",),
    "PIXWIZARD": ("whole",),
    "PIXWIZARD_CANVAS": ("canvas", "canvas-of-another"),
    "PIXWIZARD_ABOUT": ("about", "about-depth", "about-own-words"),
    "CONDITIONING": (
        "full", "image_only", "none", "of-another-size", "of-two-pictures", "empty", "wide",
        "no-tokens", "nan", "without-pooled", "without-mask", "pooled-wide", "short-mask",
        "tokens-only", "picture-only", "narrow-tokens", "few-tokens", "nan-picture", "two",
        "first-half", "area", "area-beyond", "masked",
    ),
}  # fmt: skip
LATENTS = (
    (1, 4, 6, 8), (2, 4, 6, 8), (0, 4, 6, 8), (1, 4, 5, 7), (1, 4, 1, 1), (1, 16, 6, 8), (1, 4, 6),
    (4, 6, 8), (1, 4, 1, 6, 8), (1, 4, 64, 2), (1, 4, 8, 12), (1, 3, 6, 8), (3, 4, 0, 8), (),
)  # fmt: skip
MASKS = (
    (48, 64), (6, 8), (1, 48, 64), (1, 1, 48, 64), (2, 48, 64), (3, 1, 48, 64), (1, 3, 48, 64),
    (1, 48, 64, 1), (1, 4, 6, 8), (1, 1, 1), (1, 48, 0), (0, 48, 64), (48,), (), (1, 1, 1, 6, 8),
)  # fmt: skip
BATCHES = ([0], [3], [], [5, 5], [-1], [10**9])
STEPS = (1, 1, 2, 3, 0, -1, 1001, 10**12)

pytestmark = [pytest.mark.host, pytest.mark.skipif(not HOSTS, reason=missing_reason())]


def put_models(folder: Path) -> dict[str, list[str]]:
    """Weight files, sound and hostile, as a user's models folder; their names by input."""
    made = {kind: folder / kind for kind in ("diffusion_models", "text_encoders", "loras")}
    for place in made.values():
        place.mkdir(parents=True)
    models, encoders, loras = made.values()
    shutil.copy(BUNDLE / "dit.safetensors", models / "tiny.safetensors")
    (models / "small.safetensors").write_bytes(hostile_tensors.good_bytes())
    shutil.copy(BUNDLE / "vae.safetensors", models / "a vae.safetensors")
    (models / "a folder.safetensors").mkdir()
    (models / "cut.safetensors").write_bytes(hostile_tensors.good_bytes()[:-9])
    dict(hostile_tensors.not_finite())["nan-float32-pad_token"](models / "nan.safetensors")
    attacks = dict(hostile_pickles.executing(folder))
    attacks["zip-os_system-nested"](models / "evil.pth")
    for path in BUNDLE.iterdir():
        if path.is_file() and path.name != "dit.safetensors":
            shutil.copy(path, encoders / path.name)
    attacks["legacy-eval"](encoders / "evil.bin")
    live.write_lora(loras)
    attacks["zip-exec-alone"](loras / "evil.pth")
    (loras / "model.safetensors").write_bytes(hostile_tensors.good_bytes())
    names = {
        kind: [f"{kind}/{path.name}" for path in sorted(place.iterdir())]
        for kind, place in made.items()
    }
    return {
        "model_name": ["auto", *names["diffusion_models"]],
        "gemma": ["auto", *names["text_encoders"]],
        "clip": ["auto", *names["text_encoders"]],
        "clip_vision": ["auto", *names["text_encoders"]],
        "clip_name": ["auto", *names["text_encoders"]],
        "vae_name": ["auto", *names["diffusion_models"]],
        "lora_name": names["loras"],
    }


SOUND_NAMES = {
    "model_name": "diffusion_models/tiny.safetensors",
    "gemma": "text_encoders/text.safetensors",
    "clip": "text_encoders/clip.safetensors",
    "clip_vision": "text_encoders/clip.safetensors",
    "clip_name": "text_encoders/clip.safetensors",
    "vae_name": "text_encoders/vae.safetensors",
    "lora_name": f"loras/{live.LORA}",
}


class Process:
    """A host that executes nodes for this test."""

    def __init__(self, host, folder: Path) -> None:
        self.files, self.folder = put_models(folder), folder
        self.log = folder.with_suffix(".log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(host.python), str(SCRIPT), str(REPO), str(folder)],
                cwd=host.root, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log,
            )  # fmt: skip
        self._read()
        self.choices = {**self.ask({}), **self.files}

    def ask(self, request: dict) -> dict:
        write_frame(self.process.stdin, request)
        return self._read()

    def _read(self) -> dict:
        answer = read_frame(self.process.stdout)
        if answer is None:
            text = self.log.read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"the host's process died: {text[-4000:]}")
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()


@pytest.fixture(scope="module", params=HOSTS, ids=lambda h: h.version)
def process(request, tmp_path_factory):
    running = Process(request.param, tmp_path_factory.mktemp("fire") / "models")
    yield running
    running.close()
    assert not (running.folder / hostile_pickles.CANARY).exists(), "a weight file was executed"


@st.composite
def latents(draw):
    """LATENT dictionaries of sound and odd shapes, values and companions."""
    made = {"samples": strategies.filled(draw, draw(st.sampled_from(LATENTS)))}
    odd = draw(st.integers(0, 9))
    if odd == 0:
        del made["samples"]
    if odd in (1, 2):
        made["noise_mask"] = draw(strategies.masks(size=SIZE))
    if odd == 3:
        made["batch_index"] = draw(st.sampled_from(BATCHES))
    return made


def odd_value(socket, choices):
    kind, given_settings = socket.io_type, socket.settings
    if kind in REFERENCES:
        return st.sampled_from(REFERENCES[kind]).map(lambda name: {"ref": name})
    if kind == "LATENT":
        return latents()
    if socket.id in choices:
        names = st.sampled_from(choices[socket.id])
        return st.one_of(names, names, st.sampled_from(OUTSIDE), strategies.texts())
    if socket.id == "steps":
        return st.sampled_from(STEPS)
    if kind == "IMAGE":
        return strategies.pictures()
    if kind == "MASK":
        return strategies.masks()
    if kind in ("INT", "FLOAT"):
        return strategies.numbers(given_settings, whole=kind == "INT")
    if kind == "BOOLEAN":
        return st.booleans()
    if kind == "COMBO":
        return strategies.choices(given_settings["options"])
    if kind == "STRING":
        return strategies.texts()
    raise AssertionError(f"no strategy for {kind}: teach this test the new type")


def sound_value(socket, choices):
    kind, given_settings = socket.io_type, socket.settings
    if kind == "CONDITIONING":
        known = REFERENCES[kind]
        return st.just({"ref": socket.id if socket.id in known else known[0]})
    if kind in REFERENCES:
        return st.just({"ref": REFERENCES[kind][0]})
    if kind == "LATENT":
        return st.just({"ref": "latent"})
    if socket.id in SOUND_NAMES:
        return st.just(SOUND_NAMES[socket.id])
    if socket.id in choices:
        return st.sampled_from(choices[socket.id])
    if socket.id == "steps":
        return st.sampled_from(STEPS[:4])
    if kind == "IMAGE":
        return strategies.plain(SIZE, channels=3)
    if kind == "MASK":
        return strategies.plain(SIZE, channels=None)
    if kind == "STRING":
        return st.sampled_from((given_settings.get("default", ""), "the red ball"))
    if kind in ("INT", "FLOAT"):
        return st.just(given_settings["default"])
    return odd_value(socket, choices)


@st.composite
def arguments(draw, schema, choices):
    """Inputs of one node: sound ones, of which up to three are replaced by anything at all."""
    return strategies.some_odd(draw, schema, odd_value, sound_value, choices)


def hold(process, node, name: str, examples: int) -> Counter:
    schema, tally = node.define_schema(), Counter()

    @settings(with_limits, max_examples=examples)
    @given(arguments(schema, process.choices))
    def holds(chosen):
        note(f"{name}: { {key: told(value) for key, value in chosen.items()} }")
        answer = process.ask({"node": name, "inputs": chosen})
        assert answer["end"] in ("valid", "refused"), answer["text"]
        if answer["end"] == "refused":
            limits.check_message(answer["text"])
        tally[answer["end"]] += 1

    holds()
    return tally


def told(value) -> str:
    if isinstance(value, dict):
        return str({key: told(inner) for key, inner in value.items()})
    return shown(value)


@pytest.mark.parametrize("name", sorted(WITH_MODELS))
def test_any_input_gives_a_result_or_a_clear_error(process, nodes, name):
    assert sum(hold(process, nodes[name], name, FAST).values()) >= 1


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(WITH_MODELS))
def test_any_input_gives_a_result_or_a_clear_error_long(process, nodes, name):
    tally = hold(process, nodes[name], name, LONG)
    print(f"\n{name}: {tally['valid']} valid, {tally['refused']} refused")
    assert tally["valid"] > 0


SAMPLE = {"text_guidance": 2.0, "image_guidance": 1.5, "steps": 1}
CASES = [
    *(
        (place, {"ref": name})
        for name in REFERENCES["CONDITIONING"]
        for place in ("full", "image_only", "none")
    ),
    *(("latent", {"samples": torch.zeros(shape)}) for shape in LATENTS),
    ("latent", {}),
    *(
        ("latent", {"samples": torch.zeros(LATENTS[0]), "noise_mask": torch.ones(shape)})
        for shape in MASKS
    ),
    *(
        ("latent", {"samples": torch.zeros(LATENTS[0]), "batch_index": numbers})
        for numbers in BATCHES
    ),
    ("latent", {"samples": torch.zeros(LATENTS[0]), "noise_mask": "all"}),
    *(("model", {"ref": name}) for name in REFERENCES["MODEL"]),
]


@pytest.mark.parametrize(("name", "value"), CASES, ids=lambda v: told(v).replace("'", ""))
def test_each_odd_input_of_sample(process, nodes, name, value):
    """One by one, so that none depends on being drawn."""
    inputs = {
        socket.id: socket.settings.get("default", {"ref": socket.id})
        for socket in nodes["Sample"].define_schema().inputs
    }
    answer = process.ask({"node": "Sample", "inputs": {**inputs, **SAMPLE, name: value}})
    assert answer["end"] in ("valid", "refused"), answer["text"]
    if answer["end"] == "refused":
        limits.check_message(answer["text"])
