"""LoRA files written by the core, in the stock loader and in ours, under every spelling."""

from __future__ import annotations

import json

import comfy.hooks
import comfy.samplers
import folder_paths
import torch
from safetensors.torch import load_file, save_file
from small import SEED, STEPS, Small, apart, close, refused

import nodes

EXACT = 1e-5
STRENGTH = 0.7


class Trained:
    """A small model, and a LoRA file of the core for it."""

    def __init__(self, setup, rank: int = 3) -> None:
        self.small, self.folder = Small(setup), setup.folder()
        self.lora = setup.module("pixwizard_core.weights.lora")
        self.apply = setup.module("pixwizard_core.weights.lora_apply").add_loras
        self.use = setup.module("pixwizard_core.weights.lora_use").LoraUse
        self.node = setup.module("nodes.loaders.lora")
        folder_paths.folder_names_and_paths["loras"][0].insert(0, str(self.folder))
        twin = setup.module("pixwizard_core.model").PixWizard(self.small.config)
        self.lora.add_lora(twin, self.lora.LoraSettings(rank=rank, alpha=2.0))
        generator = torch.Generator().manual_seed(4)
        for layer in self.lora.lora_layers(twin).values():
            layer.up.weight.data = torch.randn(layer.up.weight.shape, generator=generator) * 0.1
        self.path = self.folder / "made.safetensors"
        self.lora.save_lora(twin, self.path)

    def write(self, name: str, weights: dict) -> str:
        save_file(weights, str(self.folder / name))
        folder_paths.filename_list_cache.clear()
        return f"loras/{name}"

    def add_by_core(self, model, path) -> list[str]:
        """Add a file's changes to a model's weights, as `pixwizard run --lora` does."""
        (applied,) = self.apply(model, [self.use(str(path), STRENGTH)])
        return list(applied.layers)

    def by_node(self, name: str, strength=STRENGTH, lenient=False) -> torch.Tensor:
        patched = self.node.LoadLora.execute(self.small.patcher, name, strength, lenient).args[0]
        return self.small.by_guider(3.0, 1.5, patcher=patched)

    def respelled(self, spell) -> dict:
        """The file with other names; spell(layer, end) makes one of "layers.0...", "lora_A..."."""
        changed = {}
        for name, tensor in load_file(str(self.path)).items():
            path = name.removeprefix(self.lora.PREFIX)
            end = next(e for e in (self.lora.DOWN, self.lora.UP, self.lora.ALPHA) if e in path)
            changed[spell(path.removesuffix(end), end)] = tensor
        return changed


def check_lora_of_the_core_works_in_the_stock_loader_and_in_ours(setup):
    trained = Trained(setup)
    small = trained.small
    plain = small.by_guider(3.0, 1.5)
    ours = trained.by_node("loras/made.safetensors")
    (stock,) = nodes.LoraLoaderModelOnly().load_lora_model_only(
        small.patcher, "made.safetensors", STRENGTH
    )
    close(ours, small.by_guider(3.0, 1.5, patcher=stock), 0.0, "our loader and the stock one")
    changed = trained.add_by_core(small.twin, trained.path)
    assert len(changed) == 11 * len(small.twin.layers), len(changed)
    assert apart(ours, plain) > 1e-2, "the LoRA does nothing"
    close(trained.by_node("loras/made.safetensors", 0.0), plain, 0.0, "at strength 0")
    return close(ours, small.by_core(w_text=3.0, w_image=1.5), EXACT, "host and core")


def check_common_spellings_are_read(setup):
    trained = Trained(setup)
    wanted = trained.by_node("loras/made.safetensors")
    kohya = {".lora_A.weight": ".lora_down.weight", ".lora_B.weight": ".lora_up.weight"}
    peft = {".lora_A.weight": ".lora_A.default.weight", ".lora_B.weight": ".lora_B.default.weight"}
    old = {".lora_A.weight": "_lora.down.weight", ".lora_B.weight": "_lora.up.weight"}
    spelled = {
        "bare": lambda layer, end: layer + end,
        "diffusers": lambda layer, end: f"transformer.{layer}{end}",
        "diffusers_old": lambda layer, end: f"transformer.{layer}{old.get(end, end)}",
        "peft": lambda layer, end: f"base_model.model.{layer}{peft.get(end, end)}",
        "peft_whole": lambda layer, end: f"base_model.model.transformer.{layer}{end}",
        "kohya": lambda layer, end: f"lora_unet_{layer.replace('.', '_')}{kohya.get(end, end)}",
        "kohya_dit": lambda layer, end: (
            f"lora_transformer_{layer.replace('.', '_')}{kohya.get(end, end)}"
        ),
        "lycoris": lambda layer, end: f"lycoris_{layer.replace('.', '_')}{kohya.get(end, end)}",
    }
    for kind, spell in spelled.items():
        name = trained.write(f"{kind}.safetensors", trained.respelled(spell))
        close(trained.by_node(name), wanted, 0.0, kind)
    return list(spelled)


def check_what_fits_nothing_is_listed(setup):
    trained = Trained(setup)
    error = setup.module("pixwizard_core.errors").CheckpointError
    weights = load_file(str(trained.path))
    extra = {
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.zeros(4, 2),
        "diffusion_model.layers.9.attention.wq.lora_A.weight": torch.zeros(2, 64),
    }
    name = trained.write("mixed.safetensors", weights | extra)
    refused(error, ("2 of", *extra, "mixed.safetensors"), trained.by_node, name)
    close(
        trained.by_node(name, lenient=True), trained.by_node("loras/made.safetensors"), 0.0,
        "without the rest",
    )  # fmt: skip
    name = trained.write("other.safetensors", extra)
    for lenient in (False, True):
        refused(error, ("another model", "lora_te"), trained.by_node, name, 1.0, lenient)
    half = {n: t for n, t in weights.items() if "layers.1.attention.wq.lora_B" not in n}
    name = trained.write("half.safetensors", half)
    for lenient in (False, True):
        words = ("2 of", "layers.1.attention.wq.lora_A", "cannot be used")
        refused(error, words, trained.by_node, name, 1.0, lenient)


def check_changes_of_gates_are_applied(setup):
    """The host itself takes them and forgets them."""
    trained = Trained(setup)
    small = trained.small
    gate = "layers.1.attention.gate"
    change = torch.linspace(-1, 1, 4)
    name = trained.write("gate.safetensors", {f"diffusion_model.{gate}.diff": change})
    plain, changed = small.by_guider(3.0, 1.5), trained.by_node(name)
    assert apart(changed, plain) > 1e-4
    close(small.by_guider(3.0, 1.5), plain, 0.0, "the model without it, afterwards")
    small.twin.get_parameter(gate).data += STRENGTH * change
    return close(changed, small.by_core(w_text=3.0, w_image=1.5), EXACT, "host and core")


def check_lora_of_another_size_is_refused(setup):
    trained = Trained(setup)
    weights = load_file(str(trained.path))
    name = "diffusion_model.layers.0.attention.wq.lora_A.weight"
    weights[name] = torch.zeros(3, 48)
    error = setup.module("pixwizard_core.errors").CheckpointError
    name = trained.write("size.safetensors", weights)
    return refused(error, ("another size", "(64, 64)", "48"), trained.by_node, name)


def adapter_files(dim: int) -> dict[str, dict]:
    """A file of each kind for one square weight of (dim, dim)."""
    stem = "lycoris_layers_1_attention_wo"
    draw = torch.Generator().manual_seed(6)

    def drawn(*shape: int, size: float = 0.3) -> torch.Tensor:
        return torch.randn(shape, generator=draw) * size

    pair = {".lora_down.weight": drawn(3, dim), ".lora_up.weight": drawn(dim, 3)}
    kinds = {
        "lora": pair | {".alpha": torch.tensor(2.0)},
        "loha": {
            ".hada_w1_a": drawn(dim, 2, size=1), ".hada_w1_b": drawn(2, dim),
            ".hada_w2_a": drawn(dim, 2, size=1), ".hada_w2_b": drawn(2, dim),
            ".alpha": torch.tensor(1.0),
        },
        "lokr": {".lokr_w1": drawn(4, 4), ".lokr_w2": drawn(dim // 4, dim // 4)},
        "lokr_factored": {
            ".lokr_w1": drawn(4, 4), ".lokr_w2_a": drawn(dim // 4, 2),
            ".lokr_w2_b": drawn(2, dim // 4), ".alpha": torch.tensor(4.0),
        },
        "glora": {
            ".a1.weight": drawn(dim, 3, size=0.1), ".a2.weight": drawn(3, dim, size=0.1),
            ".b1.weight": drawn(dim, 3), ".b2.weight": drawn(3, dim),
        },
        "oft": {".oft_blocks": drawn(4, dim // 4, dim // 4)},
        "oft_rescaled": {".oft_blocks": drawn(4, dim // 4, dim // 4), ".rescale": drawn(dim, 1)},
        "boft": {".oft_blocks": drawn(2, dim // 8, 8, 8)},
        "diff": {".diff": drawn(dim, dim)},
        "set": {".set_weight": drawn(dim, dim)},
        "dora_rows": pair | {".dora_scale": drawn(dim, 1).abs() + 1},
        "dora_columns": pair | {".dora_scale": drawn(1, dim).abs() + 1},
        "dora_peft": pair | {".lora_magnitude_vector": drawn(dim).abs() + 1},
    }  # fmt: skip
    return {
        kind: {stem + end: part for end, part in parts.items()} for kind, parts in kinds.items()
    }


def check_every_kind_of_adapter_acts_as_in_the_core(setup):
    trained = Trained(setup)
    small, before = trained.small, trained.small.twin.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    plain, found = small.by_guider(3.0, 1.5), {}
    for kind, weights in adapter_files(small.config.dim).items():
        name = trained.write(f"{kind}.safetensors", weights)
        ours = trained.by_node(name)
        assert apart(ours, plain) > 1e-4, f"{kind} does nothing: {apart(ours, plain)}"
        close(trained.by_node(name, 0.0), plain, 0.0, f"{kind} at strength 0")
        trained.add_by_core(small.twin, trained.folder / f"{kind}.safetensors")
        found[kind] = close(ours, small.by_core(w_text=3.0, w_image=1.5), 5e-5, kind)
        small.twin.load_state_dict(before)
    return found


def check_the_hosts_adapters_agree_at_full_strength(setup):
    """What the host reads by itself is the same by its own loader, where it applies it right."""
    trained = Trained(setup)
    small = trained.small
    kinds = adapter_files(small.config.dim)
    for kind in ("lora", "loha", "lokr", "lokr_factored", "glora", "diff", "oft"):
        weights = {n.replace("lycoris_", "lora_unet_"): t for n, t in kinds[kind].items()}
        trained.write(f"{kind}.safetensors", weights)
        (stock,) = nodes.LoraLoaderModelOnly().load_lora_model_only(
            small.patcher, f"{kind}.safetensors", 1.0
        )
        ours = trained.by_node(f"loras/{kind}.safetensors", 1.0)
        allowed = 5e-5 if kind == "oft" else 0.0
        close(ours, small.by_guider(3.0, 1.5, patcher=stock), allowed, kind)
    return list(kinds)


def check_strength_in_the_header_is_that_of_alpha_tensors(setup):
    trained = Trained(setup)
    weights = load_file(str(trained.path))
    bare = {name: part for name, part in weights.items() if not name.endswith(".alpha")}
    wanted = trained.by_node("loras/made.safetensors")  # rank 3, alpha 2
    values = {"transformer.r": 3, "transformer.lora_alpha": 2}
    headers = {
        "diffusers": {"lora_adapter_metadata": json.dumps(values)},
        "kohya": {"ss_network_alpha": "2.0", "ss_network_dim": "3"},
    }
    for kind, header in headers.items():
        save_file(bare, str(trained.folder / f"{kind}.safetensors"), header)
        folder_paths.filename_list_cache.clear()
        close(trained.by_node(f"loras/{kind}.safetensors"), wanted, 1e-6, kind)
    (trained.folder / "peft").mkdir()
    (trained.folder / "peft" / "adapter_config.json").write_text('{"r": 3, "lora_alpha": 2}')
    peft = {f"base_model.model.{n.removeprefix(trained.lora.PREFIX)}": t for n, t in bare.items()}
    name = trained.write("peft/adapter_model.safetensors", peft)
    close(trained.by_node(name), wanted, 1e-6, "peft")
    assert apart(trained.by_node(trained.write("bare.safetensors", bare)), wanted) > 1e-3
    return list(headers)


def check_adapters_of_another_size_are_refused(setup):
    trained = Trained(setup)
    error = setup.module("pixwizard_core.errors").CheckpointError
    told = []
    for kind, weights in adapter_files(trained.small.config.dim * 2).items():
        name = trained.write(f"{kind}.safetensors", weights)
        words = (f"{kind}.safetensors", "layers.1.attention.wo is (64, 64) in this model", "size")
        for lenient in (False, True):
            told.append(refused(error, words, trained.by_node, name, 1.0, lenient))
    return told


def check_scheduled_lora_is_the_lora_while_it_lasts(setup):
    """A LoRA hung on a conditioning changes weights between steps: nothing prepared from the old
    ones may be used again."""
    trained = Trained(setup)
    small = trained.small
    weights = load_file(str(trained.path))
    full, image_only, none = small.branches()

    def run(hooks) -> torch.Tensor:
        hung = [comfy.hooks.set_hooks_for_conditioning(c, hooks) for c in (full, image_only, none)]
        return small.run(small.sample.make_guider(small.patcher, *hung, guidance))

    guidance = small.guider.Guidance(3.0, 1.5)
    hooks = comfy.hooks.create_hook_lora(weights, STRENGTH, 0.0)
    always = run(hooks)
    close(always, trained.by_node("loras/made.safetensors"), EXACT, "hung and loaded")
    half = comfy.hooks.create_hook_lora(weights, STRENGTH, 0.0)
    frames = comfy.hooks.HookKeyframeGroup()
    frames.add(comfy.hooks.HookKeyframe(strength=1.0, start_percent=0.0))
    frames.add(comfy.hooks.HookKeyframe(strength=0.0, start_percent=0.4))
    half.set_keyframes_on_hooks(frames)
    part = run(half)
    plain = small.by_guider(3.0, 1.5)
    assert apart(part, always) > 1e-3
    assert apart(part, plain) > 1e-3
    # by hand: two steps with it, two without
    levels, euler = small.sample.sigmas(STEPS, 1.0), comfy.samplers.sampler_object("euler")
    out, noise = small.empty_latent, small.noise
    loaded = trained.node.load_lora(small.patcher, trained.path, STRENGTH)
    for patcher, span in ((loaded, levels[:3]), (small.patcher, levels[2:])):
        guider = small.sample.make_guider(patcher, full, image_only, none, guidance)
        out = guider.sample(noise, out, euler, span, seed=SEED)
        noise = torch.zeros_like(noise)
    return close(part, out, EXACT, "in one run and in two")


def check_trained_words_are_given_and_listed(setup):
    """The first for Instruction; all of them in the result; an empty text where there are none."""
    trained = Trained(setup)
    weights = load_file(str(trained.path))
    header = setup.module("pixwizard_core.weights.lora_header").lora_header
    said = header(["make it day", "make it night", "make it night"], ["depth"], "Tiny", {})
    save_file(weights, str(trained.folder / "said.safetensors"), said)
    name = trained.write("silent.safetensors", weights)
    node, patcher = trained.node.LoadLora, trained.small.patcher
    found = node.execute(patcher, "loras/said.safetensors", 1.0, False)
    assert found.args[1] == "make it night", found.args[1]
    (text,) = found.ui["text"]
    assert text.splitlines() == [
        "said.safetensors was trained on the task depth",
        "said.safetensors was trained on 2 instructions:",
        "    make it night",
        "    make it day",
    ], text
    silent = node.execute(patcher, name, 1.0, False)
    assert silent.args[1] == "", silent.args[1]
    assert "does not say which instructions" in silent.ui["text"][0], silent.ui
    return text
