"""Runs under a host's interpreter, in its folder: python in_host.py EXTENSION MODELS.

Executes nodes with what a test in another process draws, over the bundled model, and answers what
came of each. A request is {"node", "inputs"}, an answer {"end": valid, refused or failed, "text"};
an input {"ref": name} stands for one of the objects made here. Frames are a length and torch.save's
bytes, on stdin and on what was stdout; what the host prints goes to stderr.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

ANSWERS = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
EXTENSION, MODELS = sys.argv[1:3]
sys.path += [str(Path(EXTENSION) / "tests" / "host" / "checks"), str(Path(__file__).parent)]

import run  # noqa: E402, I001  its set-up makes this process a host

import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.supported_models  # noqa: E402
import folder_paths  # noqa: E402
import torch  # noqa: E402
from frames import read_frame, write_frame  # noqa: E402
from small import Small  # noqa: E402

SIZE = (48, 64)  # of the picture behind the conditionings, in px
WORDS = "Estimate the depth of this picture."
OTHER_UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32,
    "num_res_blocks": [1, 1], "channel_mult": [1, 2], "transformer_depth": [0, 0],
    "transformer_depth_output": [0, 0, 0, 0], "transformer_depth_middle": 0, "context_dim": 768,
    "num_heads": 4, "use_spatial_transformer": True, "legacy": False,
    "use_linear_in_transformer": False, "adm_in_channels": None, "use_temporal_attention": False,
}  # fmt: skip


def changed(conditioning: list, features=None, **values) -> list:
    """A CONDITIONING with other text features, or other values beside them."""
    ((old, notes),) = conditioning
    made = {name: value for name, value in {**notes, **values}.items() if value is not None}
    return [[old if features is None else features, made]]


def another_model():
    """A MODEL of the host that is no PixWizard, as small as such a one can be."""
    config = comfy.supported_models.SD15(dict(OTHER_UNET))
    config.set_inference_dtype(torch.float32, None)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(
        comfy.model_base.BaseModel(config, device=cpu), cpu, cpu
    )


def objects(setup) -> dict:
    """What a request may refer to."""
    load = setup.module("nodes.loaders.load")
    encode = setup.module("nodes.conditions.encode").Encode
    native = setup.module("nodes.model.host_model")
    asked = setup.module("nodes.shared.question").question
    plan = setup.module("pixwizard_core.canvas").plan
    model, clip, vision, vae = load.LoadTiny.execute().args[:4]
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, *SIZE, 3, generator=generator)
    full, image_only, none, latent = encode.execute(clip, vision, vae, image, WORDS).args
    larger = torch.rand(1, 64, 96, 3, generator=generator)
    twice = image.expand(2, -1, -1, -1)
    features = full[0][0]
    tokens = full[0][1][native.IMAGE_TOKENS]
    half = {"start_percent": 0.0, "end_percent": 0.5}
    odd = {
        "of-another-size": encode.execute(clip, vision, vae, larger, WORDS).args[0],
        "of-two-pictures": encode.execute(clip, vision, vae, twice, WORDS).args[0],
        "empty": [],
        "wide": changed(full, torch.rand(1, 7, features.shape[-1] + 1)),
        "no-tokens": changed(full, features[:, :0], attention_mask=torch.ones(1, 0)),
        "nan": changed(full, features * float("nan")),
        "without-pooled": changed(full, pooled_output=None),
        "without-mask": changed(full, attention_mask=None),
        "pooled-wide": changed(full, pooled_output=torch.rand(1, 5)),
        "short-mask": changed(full, attention_mask=torch.ones(1, 1)),
        "tokens-only": changed(full, **{native.IMAGE_LATENT: None}),
        "picture-only": changed(full, **{native.IMAGE_TOKENS: None}),
        "narrow-tokens": changed(full, **{native.IMAGE_TOKENS: torch.rand(1, 576, 3)}),
        "few-tokens": changed(full, **{native.IMAGE_TOKENS: tokens[:, :3]}),
        "nan-picture": changed(
            full, **{native.IMAGE_LATENT: full[0][1][native.IMAGE_LATENT] * float("nan")}
        ),
        "two": [*full, *image_only],
        "first-half": changed(full, **half),
        "area": changed(full, area=(4, 4, 0, 0)),
        "area-beyond": changed(full, area=(400, 400, 100, 100)),
        "masked": changed(full, mask=torch.ones(1, *SIZE), mask_strength=1.0),
    }
    return {
        "model": model, "clip": clip, "vision": vision, "vae": vae, "latent": latent,
        "whole": setup.module("nodes").LoadTiny.run().args[4],
        "about": asked("canny", {}), "about-depth": asked("depth", {}),
        "about-own-words": asked("custom", {"caption": "night"}),
        "full": full, "image_only": image_only, "none": none, **odd,
        "small-model": Small(setup).patcher, "other-model": another_model(),
        "canvas": plan(SIZE[1], SIZE[0], (64,), "stretch"),
        "canvas-of-another": plan(96, 64, (64,), "pad"),
    }  # fmt: skip


class Judge:
    """Executes a request and looks at what comes out, by using it."""

    def __init__(self, setup) -> None:
        self.setup, self.known = setup, objects(setup)
        self.nodes = {
            node.define_schema().node_id.removeprefix("PixWizard_"): node
            for node in setup.module("nodes").NODES
        }
        self.refusal = setup.module("pixwizard_core.errors").PixWizardError
        self.make_guider = setup.module("nodes.sampling.sample").make_guider
        self.guidance = setup.module("nodes.sampling.guider").Guidance

    def choices(self) -> dict[str, list]:
        return {"sampler": list(comfy.samplers.SAMPLER_NAMES)}

    def answer(self, request: dict) -> dict:
        if "node" not in request:
            return self.choices()
        inputs = {name: self.resolved(value) for name, value in request["inputs"].items()}
        try:
            found = self.nodes[request["node"]].execute(**inputs)
            schema = self.nodes[request["node"]].define_schema()
            for socket, value in zip(schema.outputs, found.args, strict=True):
                self.look(socket.io_type, value)
        except self.refusal as error:
            return {"end": "refused", "text": str(error)}
        except Exception:
            return {"end": "failed", "text": traceback.format_exc()}
        return {"end": "valid", "text": ""}

    def resolved(self, value):
        return self.known[value["ref"]] if isinstance(value, dict) and "ref" in value else value

    def look(self, kind: str, value) -> None:
        """Raise AssertionError unless the next node can work with it."""
        if kind == "LATENT":
            assert value["samples"].ndim == 4, value["samples"].shape
            assert bool(value["samples"].isfinite().all()), "not finite"
        elif kind == "MODEL":
            known, network = self.known["model"].model.diffusion_model, value.model.diffusion_model
            if network.config == known.config:
                conds = [self.known[name] for name in ("full", "image_only", "none")]
                self.look("GUIDER", self.make_guider(value, *conds, self.guidance()))
        elif kind == "GUIDER":
            start = self.known["latent"]["samples"]
            sampler, levels = comfy.samplers.sampler_object("euler"), torch.tensor([1.0, 0.0])
            made = value.sample(torch.rand_like(start), start, sampler, levels, seed=1)
            assert bool(made.isfinite().all()), "not finite"
        elif kind == "CLIP":
            made = value.encode_from_tokens_scheduled(value.tokenize("a ball"))
            assert bool(made[0][0].isfinite().all()), "not finite"
        elif kind == "CONDITIONING":
            for features, notes in value:
                assert features.ndim == 3, features.shape
                assert "pooled_output" in notes


def main() -> None:
    for folder in sorted(Path(MODELS).iterdir()):
        folder_paths.add_model_folder_path(folder.name, str(folder))
    run.load_extension()
    judge = Judge(run.Setup(EXTENSION.replace(".", "_x_")))
    write_frame(ANSWERS, {"end": "ready"})
    while (request := read_frame(sys.stdin.buffer)) is not None:
        write_frame(ANSWERS, judge.answer(request))


if __name__ == "__main__":
    main()
