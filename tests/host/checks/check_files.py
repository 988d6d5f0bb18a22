"""Loader nodes on real files: the released layout, the bundled model, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import comfy.model_management
import comfy.utils
import comfy_extras.nodes_model_merging
import folder_paths
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small import apart, refused

import nodes

PARITY = 3e-5  # float32, as for the reference vectors
SIZE = (176, 112)  # a source that has to be fitted


def golden(setup):
    return setup.extension / "tests" / "golden"


def put(setup, kind: str, source) -> str:
    """Copy a file into a private folder of this kind; its name in the loaders' lists."""
    folder = setup.folder()
    folder_paths.add_model_folder_path(kind, str(folder))
    folder_paths.filename_list_cache.clear()
    shutil.copy(source, folder / source.name)
    return f"{kind}/{source.name}"


def reference_case(setup) -> tuple[dict, dict]:
    """Inputs and the expected velocity of the reference's forward on a released folder."""
    tensors = comfy.utils.load_torch_file(str(golden(setup) / "checkpoint_forward.safetensors"))
    tokens = comfy.utils.load_torch_file(str(golden(setup) / "clip_tokens.safetensors"))["clip1_i8"]
    return tensors, tokens.float().reshape(1, 576, -1) / 32


def check_released_checkpoint_computes_what_the_reference_does(setup):
    load, transformer = setup.module("nodes.loaders.load"), setup.module("nodes.model.transformer")
    path = golden(setup) / "checkpoint" / "consolidated_ema.00-of-01.pth"
    name = put(setup, "diffusion_models", path)
    assert name in load.LoadModel.define_schema().inputs[0].options
    patcher = load.LoadModel.execute(name, "float32").args[0]
    comfy.model_management.load_models_gpu([patcher])
    given, tokens = reference_case(setup)
    sigma = 1 - given["t"]
    # The vector was recorded with plain attention; this is how a node changes a model's options.
    options = {transformer.OPTIONS_KEY: transformer.RunOptions((512,), proportional=False)}
    denoised = patcher.model.apply_model(
        given["x"][None],
        sigma,
        c_crossattn=given["cap_feats"],
        text_mask=given["cap_mask"].long(),
        pooled=given["pooled"],
        image_tokens=tokens,
        has_image=torch.ones(1, dtype=torch.long),
        image_latent=given["input_x"][None],
        transformer_options=options,
    )
    velocity = (denoised - given["x"]) / sigma
    distance = float((velocity[0] - given["ckpt_forward.out0"]).abs().max())
    assert distance <= PARITY, distance
    return distance


def check_other_models_are_refused_by_name(setup):
    load = setup.module("nodes.loaders.load")
    wrong = setup.folder() / "looks_like_pixwizard.safetensors"
    save_file({"double_blocks.0.img_attn.qkv.weight": torch.zeros(2, 2)}, str(wrong))
    error = setup.module("pixwizard_core.errors").CheckpointError
    name = put(setup, "diffusion_models", wrong)
    return refused(error, ("Flux", "PixWizard"), load.LoadModel.execute, name, "default")


def check_missing_text_encoder_says_where_it_looked(setup):
    load = setup.module("nodes.loaders.load")
    error = setup.module("pixwizard_core.errors").CheckpointError
    names = ("LLM/gemma-2b/", "text_encoders/clip.safetensors")
    return refused(
        error, ("LLM", "google/gemma-2b", "5.0 GB"), load.LoadTextEncoder.execute, *names
    )


def check_text_encoder_folders_load(setup):
    """The bundled encoders laid out as users have the released ones: folders below models/."""
    load, tiny = setup.module("nodes.loaders.load"), setup.module("pixwizard_core.encoders.tiny")
    folder = setup.folder()
    folder_paths.folder_names_and_paths["LLM"][0].append(str(folder))
    for name, weights in (("gemma", tiny.TEXT_FILE), ("clip", tiny.CLIP_FILE)):
        (folder / name).mkdir()
        shutil.copy(tiny.BUNDLE / weights, folder / name / "model.safetensors")
        shutil.copy(tiny.BUNDLE / "tokenizer.json", folder / name)
        (folder / name / "config.json").write_text(json.dumps({}))
    options = load.LoadTextEncoder.define_schema().inputs[0].options
    assert "LLM/gemma/" in options, options
    clip = load.LoadTextEncoder.execute("LLM/gemma/", "LLM/clip/").args[0]
    bundled = load.LoadTiny.execute().args[1]
    one, other = (nodes.CLIPTextEncode().encode(c, "the red ball")[0][0] for c in (clip, bundled))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1]["pooled_output"], other[1]["pooled_output"])


def check_bundled_model_saved_by_the_host_is_known_again(setup):
    load, folder = setup.module("nodes.loaders.load"), setup.folder()
    model = load.LoadTiny.execute().args[0]
    comfy_extras.nodes_model_merging.save_checkpoint(
        model, filename_prefix="m", output_dir=str(folder)
    )
    (path,) = folder.glob("*.safetensors")
    name = put(setup, "checkpoints", path)
    again = load.LoadModel.execute(name, "float32").args[0]
    one, other = (patcher.model.diffusion_model for patcher in (model, again))
    assert one.config == other.config
    assert one.options == other.options
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def check_model_of_the_bundled_shapes_saved_by_the_host_keeps_its_token_counts(setup):
    """No weight tells the token counts, and the host's files hold nothing but weights."""
    load, config = setup.module("nodes.loaders.load"), setup.module("pixwizard_core.config").TINY
    options = setup.module("nodes.model.transformer").RunOptions((128,))
    plain = setup.module("pixwizard_core.model").PixWizard(config)
    model = setup.module("nodes.model.host_model").make_patcher(config, plain.state_dict(), options)
    folder = setup.folder()
    comfy_extras.nodes_model_merging.save_checkpoint(
        model, filename_prefix="m", output_dir=str(folder)
    )
    (path,) = folder.glob("*.safetensors")
    again = load.load_transformer(path, torch.float32).model.diffusion_model
    assert again.config == config
    assert (again.config.sample_tokens, again.config.image_tokens) == (64, 144)
    assert again.options == options


def check_bundled_model_paints_what_the_core_paints(setup):
    """The whole chain of nodes against the core's pipeline, on a picture that has to be fitted."""
    pipeline, bundle = (
        setup.module("pixwizard_core.pipeline"),
        setup.module("pixwizard_core.bundle"),
    )
    generate = setup.module("pixwizard_core.generate")
    encode = setup.module("nodes.conditions.encode").Encode
    instruction = setup.module("nodes.conditions.instruction").Instruction
    fit = setup.module("nodes.pictures.canvas").FitToCanvas
    load, sample = setup.module("nodes.loaders.load"), setup.module("nodes.sampling.sample")
    width, height = SIZE
    image = setup.module("nodes.pictures.demo_scene").DemoScene.execute(5, 4, width, height).args[0]
    sentence = instruction.execute("depth", "", "", "red", 0).args[0]
    found = {}
    for text, pictured in ((1.0, 1.0), (3.0, 1.5)):
        model, clip, vision, vae = load.LoadTiny.execute().args[:4]
        fitted, _, canvas, *_ = fit.execute(image, 128, "stretch").args
        *branches, latent = encode.execute(clip, vision, vae, fitted, sentence).args
        (painted,) = sample.Sample.execute(
            model, *branches, text, pictured, latent, 11, 4, 1.0, sample.FIRST_CHANNELS, "euler"
        ).args
        picture = vae.decode(painted["samples"])
        settings = generate.SampleSettings(steps=4, w_text=text, w_image=pictured)
        request = pipeline.Request(image.movedim(-1, 1), sentence, 11, settings)
        wanted = pipeline.run(bundle.load_tiny(), request)
        assert canvas == wanted.canvas
        met = picture.movedim(-1, 1)
        found[f"{text} {pictured}"] = float((met - wanted.model_image_01).abs().max())
        assert found[f"{text} {pictured}"] < 2e-3, found
        assert apart(met, met.mean().expand_as(met)) > 1e-2, "a flat picture proves nothing"
    return found


def check_auto_loads_the_whole_model(setup):
    """The bundled parts as people have the released ones: Gemma as shards in a cache of the hub,
    and every list on auto but that of the VAE, whose layout is not SDXL's."""
    load, tiny = setup.module("nodes.loaders.load"), setup.module("pixwizard_core.encoders.tiny")
    node = setup.module("nodes.loaders.load_pixwizard").LoadPixWizard
    kinds = ("diffusion_models", "LLM", "text_encoders", "vae", "checkpoints", "clip_vision")
    folders, kept = setup.folder(), {}
    try:
        for kind in kinds:
            kept[kind] = folder_paths.folder_names_and_paths[kind]
            (folders / kind).mkdir()
            folder_paths.folder_names_and_paths[kind] = ([str(folders / kind)], kept[kind][1])
        folder_paths.filename_list_cache.clear()
        names = {"gemma": "auto", "clip_name": "auto", "vae_name": "auto"}
        missing = node.validate_inputs(model_name="auto", **names)
        assert missing.count("✗") == 4, missing
        shutil.copy(tiny.BUNDLE / "dit.safetensors", folders / "diffusion_models/x.safetensors")
        snapshot = folders / "LLM/models--google--gemma-2b/snapshots/ab"
        snapshot.mkdir(parents=True)
        shards(tiny.BUNDLE / tiny.TEXT_FILE, snapshot)
        for folder in (snapshot, folders / "text_encoders"):
            shutil.copy(tiny.BUNDLE / "tokenizer.json", folder)
        shutil.copy(tiny.BUNDLE / tiny.CLIP_FILE, folders / "text_encoders/c.safetensors")
        shutil.copy(tiny.BUNDLE / tiny.VAE_FILE, folders / "vae/v.safetensors")
        names["vae_name"] = "vae/v.safetensors"
        assert node.validate_inputs(model_name="auto", **names) is True
        before = node.fingerprint_inputs(model_name="auto", **names)
        made = node.execute("auto", "float32", *names.values()).args
        whole = made[4]
        assert (whole.model, whole.clip, whole.clip_vision, whole.vae) == made[:4]
        assert (whole.about.name, whole.about.demo) == ("PixWizard Tiny", True)
        assert whole.about.taught.knows("depth")
        bundled = load.LoadTiny.execute().args
        assert bundled[4].about == whole.about
        one, other = (
            nodes.CLIPTextEncode().encode(clip, "the red ball")[0][0]
            for clip in (made[1], bundled[1])
        )
        assert torch.equal(one[0], other[0])
        weights = [models[0].model.diffusion_model.state_dict() for models in (made, bundled)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        # A shard chosen alone stands for its model.
        shard = "LLM/models--google--gemma-2b/snapshots/ab/model-00002-of-00002.safetensors"
        again = load.LoadTextEncoder.execute(shard, "auto").args[0]
        assert torch.equal(nodes.CLIPTextEncode().encode(again, "the red ball")[0][0][0], one[0])
        (folders / "diffusion_models/x.safetensors").touch()
        assert node.fingerprint_inputs(model_name="auto", **names) != before
    finally:
        folder_paths.folder_names_and_paths.update(kept)
        folder_paths.filename_list_cache.clear()


def shards(file, folder) -> None:
    """The same weights in two files with an index."""
    with safe_open(str(file), framework="pt") as opened:
        names, metadata = sorted(opened.keys()), opened.metadata()
        half, index = len(names) // 2, {}
        for number, own in enumerate((names[:half], names[half:]), 1):
            name = f"model-0000{number}-of-00002.safetensors"
            save_file({key: opened.get_tensor(key) for key in own}, folder / name, metadata)
            index |= dict.fromkeys(own, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))


def check_loaders_of_a_whole_model_open_its_transformer_once(setup):
    load, opened, real = setup.module("nodes.loaders.load"), [], Path.open

    def counting(path, *arguments, **options):
        opened.append(path.name)
        return real(path, *arguments, **options)

    load.require_right_layers()  # it opens files of its own, once in a process
    Path.open = counting
    try:
        described = load.load_described(load.BUNDLE / load.MODEL_FILE, torch.float32)
        whole = load.whole_result(described, None, None, None).args[4]
    finally:
        Path.open = real
    assert opened.count(load.MODEL_FILE) == 1, opened
    assert whole.model is described[0]
    assert (whole.about.name, whole.about.demo) == ("PixWizard Tiny", True)
