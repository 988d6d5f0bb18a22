"""Run one action in a fresh process, and tell what it took: python apart.py EXTENSION REPORT ACTION
[ARGUMENT …].

Stands alone, since a host's interpreter runs it too, in the host's folder. The report is JSON:
seconds; resident, the most memory in bytes that the action added, mapped files included; own, the
same without them; held, bytes of the weights that it ended with.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

EXTENSION, REPORT, ACTION = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
ARGUMENTS = sys.argv[4:]
PAUSE = 0.05  # s between looks at the memory


def memory(field: str) -> int:
    """A size from this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


class Watched:
    """Time and memory of the block."""

    def __enter__(self) -> Watched:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begin a new high water
        self.resident, self.own, self.most = memory("VmRSS"), memory("RssAnon"), 0
        self.going = True
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()
        self.begun = time.perf_counter()
        return self

    def _watch(self) -> None:
        while self.going:
            self.most = max(self.most, memory("RssAnon"))
            time.sleep(PAUSE)

    def __exit__(self, *_) -> None:
        seconds = time.perf_counter() - self.begun
        self.going = False
        self.watcher.join()
        self.found = {
            "seconds": round(seconds, 2),
            "resident": memory("VmHWM") - self.resident,
            "own": max(self.most, memory("RssAnon")) - self.own,
        }


def held(*modules) -> int:
    """Bytes of the weights of some modules."""
    return sum(weight.nbytes for module in modules for weight in module.parameters())


# Outside ComfyUI. Each prepares what is not to be measured, and returns the action.


def core_model(path: str, dtype: str) -> Callable:
    from pixwizard_core.bundle import LAYERS
    from pixwizard_core.weights.checkpoint import load_model

    return lambda: [load_model(path, dtype=_dtype(dtype), ops=LAYERS)]


def core_text(gemma: str, clip: str, dtype: str) -> Callable:
    from pixwizard_core.encoders.load import load_text_encoder

    return lambda: [load_text_encoder(gemma, clip, dtype=_dtype(dtype))]


def core_vision(clip: str, dtype: str) -> Callable:
    from pixwizard_core.encoders.load import load_vision_encoder

    return lambda: [load_vision_encoder(clip, dtype=_dtype(dtype))]


def core_vae(path: str) -> Callable:
    import diffusers.loaders.single_file_utils  # noqa: F401

    from pixwizard_core.encoders.vae import load_latent_coder

    return lambda: [load_latent_coder(path).vae]


def core_convert(source: str, target: str, dtype: str) -> Callable:
    from pixwizard_core.weights.convert import convert

    def work() -> list:
        convert(source, target, dtype)
        return []

    return work


def core_picture(
    model: str, gemma: str, clip: str, vae: str, source: str, target: str, asked: str
) -> Callable:
    """Paint as `pixwizard run` does, but computing in float32 like ComfyUI on a CPU, with the text
    encoder as it is stored and gone before the transformer comes. asked: JSON of a sentence, a
    centre, steps and a seed."""
    import torch

    from pixwizard_core.bundle import LAYERS
    from pixwizard_core.encoders.load import load_text_encoder, load_vision_encoder
    from pixwizard_core.encoders.text import TextFeatures
    from pixwizard_core.encoders.vae import load_latent_coder
    from pixwizard_core.files.picture_files import open_picture, save_picture
    from pixwizard_core.generate import SampleSettings
    from pixwizard_core.own_settings import RELEASED
    from pixwizard_core.pipeline import Bundle, Request, run
    from pixwizard_core.weights.checkpoint import load_model

    sentence, centre, steps, seed = json.loads(asked)
    known = {}

    class Kept:
        def encode(self, sentences):
            return known[sentences[0]]

    @torch.no_grad()
    def work() -> list:
        text = load_text_encoder(gemma, clip, dtype=torch.bfloat16)
        for words in (sentence, ""):
            made = text.encode([words])
            known[words] = TextFeatures(made.text.float(), made.mask, made.pooled.float())
        del text
        settings = SampleSettings(steps=steps, w_text=4.0, w_image=1.0, shift=1.0)
        bundle = Bundle(
            load_model(model, dtype=torch.float32, ops=LAYERS), Kept(), load_vision_encoder(clip),
            load_latent_coder(vae), RELEASED.centres, settings,
        )  # fmt: skip
        request = Request(open_picture(source), sentence, seed, settings, "stretch", centre)
        save_picture(target, run(bundle, request).image_01)
        return [bundle.model]

    return work


# Inside ComfyUI.


def host_model(path: str, dtype: str) -> Callable:
    load = _loaders().load_transformer
    return lambda: [load(Path(path), _dtype(dtype)).model.diffusion_model]


def host_text(gemma: str, clip: str) -> Callable:
    load = _loaders().load_clip
    return lambda: [load(Path(gemma), Path(clip)).cond_stage_model]


def host_vision(clip: str) -> Callable:
    load = _loaders().load_clip_vision
    return lambda: [load(Path(clip)).model]


def host_vae(path: str) -> Callable:
    load = _loaders().load_vae
    return lambda: [load(Path(path), None).first_stage_model]


def _loaders():
    """The extension's loaders, loaded as the host does it."""
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch

    import nodes

    torch.set_grad_enabled(False)
    if not asyncio.run(nodes.load_custom_node(str(EXTENSION), module_parent="custom_nodes")):
        raise RuntimeError("the host could not load the extension; see its log above")
    package = str(EXTENSION).replace(".", "_x_")
    loaders = importlib.import_module(f"{package}.nodes.loaders.load")
    loaders.require_right_layers()  # what it loads for that does not count
    return loaders


def _dtype(name: str):
    import torch

    return None if name == "default" else getattr(torch, name)


def main() -> None:
    of_host = ACTION.startswith("host_")
    sys.argv = ["main.py", "--cpu"]
    sys.path[0] = os.getcwd() if of_host else str(EXTENSION)
    work = globals()[ACTION](*ARGUMENTS)
    with Watched() as watched:
        modules = work()
    found = {**watched.found, "held": held(*modules)}
    REPORT.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
