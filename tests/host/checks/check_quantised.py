"""Files in 8 bits with scales: kept so where the host has the format, the same picture everywhere,
with a LoRA on top and with part of the weights loaded."""

from __future__ import annotations

import logging
from pathlib import Path

import comfy.ops
import comfy_extras.nodes_model_merging
import folder_paths
import torch
from check_dynamic import WIDE, patched, patches
from check_lora import Trained
from check_memory import BUDGETS, partly_loaded
from dynamic import DynamicCard, Room, where_it_is
from small import Small, apart, close, logged, refused

TITLES = {"fp8_scaled": "float8_e4m3fn", "int8": "int8_tensorwise"}
# OFF: from the weights before they were made lighter, for a model of random weights,
# whose errors nothing averages out. SAME: from the same numbers unpacked, which rounds to bfloat16.
OFF, SAME = {"fp8_scaled": 0.05, "int8": 0.02}, 0.02


STRENGTH = 4.0  # of the LoRA, so that it does more than the rounding


def has(title: str) -> bool:
    """Whether this host has the format."""
    return TITLES[title] in getattr(comfy.ops, "QUANT_ALGOS", {})


class Lighter:
    """A small random model, and the same in a quantised file."""

    def __init__(self, setup, title: str, sizes=None) -> None:
        self.small = Small(setup, sizes=sizes)
        self.load = setup.module("nodes.loaders.load")
        folder = setup.folder()
        save = setup.module("pixwizard_core.weights.checkpoint").save
        save(folder / "plain.safetensors", self.small.weights, self.small.config)
        self.path = folder / f"{title}.safetensors"
        convert = setup.module("pixwizard_core.weights.convert").convert
        convert(folder / "plain.safetensors", self.path, title)

    def loaded(self, dtype=None):
        patcher = self.load.load_transformer(self.path, dtype)
        patcher.model.diffusion_model.options = self.small.options
        return patcher

    def result(self, patcher) -> torch.Tensor:
        return self.small.by_guider(3.0, 1.5, patcher=patcher)


def quantised(module) -> list[str]:
    return [name for name, p in module.named_parameters() if type(p).__name__ == "QuantizedTensor"]


def check_quantised_file_stays_so_where_the_host_has_the_format(setup):
    found = {}
    for title in TITLES:
        lighter = Lighter(setup, title)
        root, level = logging.getLogger(), logging.getLogger().level
        root.setLevel(logging.INFO)
        try:
            with logged() as lines:
                patcher = lighter.loaded()
        finally:
            root.setLevel(level)
        kept = quantised(patcher.model.diffusion_model)
        assert len(kept) == (36 if has(title) else 0), kept
        told = "36 weights stay" if has(title) else "36 weights stored as"
        assert any(told in line and title in line for line in lines), lines
        explicit = lighter.loaded(torch.float32)
        assert not quantised(explicit.model.diffusion_model)
        (line, *_) = setup.module("nodes.results.check").connected_lines(patcher, None, None, None)
        assert (f"(36 of them as {title})" in line) == has(title), line
        if has(title):
            assert patcher.model_size() < 0.6 * explicit.model_size()
        made, plain = lighter.result(patcher), lighter.result(explicit)
        found[f"{title} kept"] = close(made, plain, SAME, "kept and unpacked")
        exact = lighter.small.by_guider(3.0, 1.5)
        found[title] = close(made, exact, OFF[title], f"{title} and the plain weights")
        assert found[title] > 1e-4, "nothing was made lighter"
    return found


def check_quantised_file_with_a_lora_acts(setup):
    found = {}
    trained = Trained(setup)
    for title in TITLES:
        lighter = Lighter(setup, title)
        plain, patcher = lighter.result(lighter.loaded()), lighter.loaded()
        lora = trained.node.load_lora(patcher, trained.path, STRENGTH)
        made = lighter.result(lora)
        exact = trained.small.by_guider(
            3.0, 1.5, patcher=trained.node.load_lora(trained.small.patcher, trained.path, STRENGTH)
        )
        found[title] = apart(made, plain), apart(made, exact)
        assert found[title][0] > 4 * found[title][1], found
        close(made, exact, OFF[title], f"a LoRA on {title} and on the plain weights")
        close(lighter.result(patcher), plain, 0.0, "the model without the LoRA, afterwards")
    return found


def check_quantised_file_loads_in_part(setup):
    found = {}
    trained = Trained(setup)
    for title in TITLES:
        lighter = Lighter(setup, title)
        patcher = lighter.loaded()
        whole = lighter.result(patcher)
        patcher.unpatch_model(torch.device("cpu"))
        for share in BUDGETS:
            part = partly_loaded(lighter.small, patcher, share)
            assert torch.equal(part, whole), f"{title} {share}: {apart(part, whole)}"
        lora = trained.node.load_lora(patcher, trained.path, STRENGTH)
        whole = lighter.result(lora)
        lora.unpatch_model(torch.device("cpu"))
        for share in BUDGETS:
            # A weight that is changed in place is rounded to 8 bits again; one in main memory not.
            part = partly_loaded(lighter.small, lora, share)
            found[f"{title} {share}"] = close(part, whole, OFF[title], "a LoRA in part and whole")
    return found


@where_it_is
def check_quantised_weights_are_copied_at_use(setup):
    """The host's dynamic memory manager: whole, in part, and with changes on top."""
    found = {}
    for title in TITLES:
        lighter = Lighter(setup, title, WIDE)
        changes = patches(lighter.small.weights)
        plain = lighter.result(lighter.loaded())
        changed = lighter.result(patched(lighter.loaded(), changes, STRENGTH))
        with DynamicCard():
            patcher = lighter.loaded()
            assert patcher.is_dynamic()
            assert len(quantised(patcher.model.diffusion_model)) == 24
            whole = lighter.result(patcher)
            size = Room.made[0].loaded_size()
        with DynamicCard(size // 2):
            part = lighter.result(lighter.loaded())
            assert Room.made[0].refused > 0, "the host had room for everything"
            assert torch.equal(part, whole), f"{title}: {apart(part, whole)}"
        with DynamicCard():
            made = lighter.result(patched(lighter.loaded(), changes, STRENGTH))
        found[title] = (
            close(whole, plain, SAME, "dynamic and plain"),
            close(made, changed, OFF[title], "changes, dynamic and plain"),
            apart(changed, plain),
        )
        assert found[title][2] > 4 * found[title][1], found
    return found


def check_quantised_model_is_saved_by_the_host_and_read_again(setup):
    found = {}
    host = setup.module("nodes.host.versions").host_version()
    error = setup.module("pixwizard_core.errors").CheckpointError
    for title in TITLES:
        lighter = Lighter(setup, title)
        patcher = lighter.loaded()
        made = lighter.result(patcher)
        comfy_extras.nodes_model_merging.ModelSave().save(patcher, f"saved_{title}")
        (saved,) = Path(folder_paths.get_output_directory()).glob(f"saved_{title}*.safetensors")
        if host.startswith("0.8.") and has(title):
            # It writes plain numbers beside the words of the format, and nobody can know which of
            # the two is meant.
            words = ("cannot save quantised models", "weight_dtype bfloat16")
            found[title] = refused(error, words, lighter.load.open_checkpoint, saved)
            continue
        opened = lighter.load.open_checkpoint(saved)
        assert bool(opened.packed) == has(title), opened.info
        again = lighter.load.load_transformer(saved, None)
        again.model.diffusion_model.options = lighter.small.options
        found[title] = close(lighter.result(again), made, 1e-6, "saved and read again")
    return found


def check_quantised_text_encoders_read_nearly_the_same(setup):
    load = setup.module("nodes.loaders.load")
    convert = setup.module("pixwizard_core.encoders.convert").convert_text_encoder
    conditioning = setup.module("nodes.encoders.conditioning")
    plain = load.load_clip(load.BUNDLE / load.TEXT_FILE, load.BUNDLE / load.CLIP_FILE)
    sentence = "Find the red ball and paint it white."
    wanted = conditioning.encode_text(plain, sentence)[0]
    found = {}
    for title in TITLES:
        folder = setup.folder()
        for kind, name in (("gemma", load.TEXT_FILE), ("clip_text", load.CLIP_FILE)):
            convert(kind, load.BUNDLE / name, folder / name, title)
        clip = load.load_clip(folder / load.TEXT_FILE, folder / load.CLIP_FILE)
        count = len(quantised(clip.cond_stage_model))
        assert count == (4 * 7 + 2 * 6 if has(title) else 0), count
        made = conditioning.encode_text(clip, sentence)[0]
        found[title] = (
            close(made[0], wanted[0], {"fp8_scaled": 0.1, "int8": 0.03}[title], "words"),
            close(
                made[1]["pooled_output"], wanted[1]["pooled_output"],
                {"fp8_scaled": 0.1, "int8": 0.03}[title], "pooled",
            ),
        )  # fmt: skip
        vision = load.load_clip_vision(folder / load.CLIP_FILE)
        assert not quantised(vision.model)
    return found
