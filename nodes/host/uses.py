"""Everything the nodes use of the host, and what they rely on.

By module, then by name; names side by side share a line. Members of a class are what is called on
its objects. A name that is used and missing here fails a test, and each line has a check of its
behaviour that runs on every host: a host that changes fails by the name of what it changed.
"""

from __future__ import annotations

USES: dict[str, dict[str, str]] = {
    "comfy.cli_args": {
        "args.disable_metadata": "true when the user wants no prompt and workflow in files",
    },
    "comfy.clip_vision": {
        "ClipVisionModel": "the host's own CLIP vision, which PixWizard Check compares with ours",
    },
    "comfy.conds": {
        "CONDRegular": "holds .cond; repeated to the batch; joined with others of its shape",
        "CONDNoiseShape": "holds what has the size of the latent; cut to the area of a region",
        "CONDConstant": "handed on as it is; joined only with the same",
    },
    "comfy.latent_formats": {
        "SDXL": "4 channels; in = raw * 0.13025, out = the inverse; has colours for previews",
    },
    "comfy.ldm.common_dit": {
        "pad_to_patch_size": "pads right and below to whole patches, going on at the other side",
    },
    "comfy.ldm.modules.attention": {
        "optimized_attention": "softmax(q k / sqrt(d) + mask) v of (B, heads, L, d) as (B, L, all)",
        "optimized_attention_for_device": "the same for encoders: one that takes masks if need be",
    },
    "comfy.lora": {
        "load_lora": "adapters by weight; 'lora' holds (up, down, ...) in .weights, and its .name",
    },
    "comfy.model_base": {
        "BaseModel": "builds the network with operations, device and dtype; calls it in its dtype",
        "BaseModel.extra_conds": "asked once a branch; its keys reach the network by name",
        "BaseModel.process_timestep": "changes the time that the network gets",
        "BaseModel.process_latent_in BaseModel.process_latent_out": "the ends of every sampler",
        "BaseModel.get_dtype BaseModel.manual_cast_dtype": "what is stored, and computed in",
        "BaseModel.model_sampling": "has the shift and multiplier of sampling_settings",
        "ModelType.FLOW": "x_t = (1 - sigma) image + sigma noise; networks give noise - image",
    },
    "comfy.model_management": {
        "InterruptProcessingException": "what ends a prompt that the user stopped",
        "OOM_EXCEPTION": "what a device raises that is out of memory",
        "get_torch_device unet_offload_device intermediate_device": "where to compute and to wait",
        "text_encoder_device text_encoder_offload_device": "the same for encoders",
        "text_encoder_dtype": "what encoders are kept in; float32 on the CPU or half precision",
        "get_total_memory vram_state vae_dtype": "what PixWizard Check tells of memory",
        "load_models_gpu": "loads patchers, with their patches, to where they compute",
        "throw_exception_if_processing_interrupted": "raises once after the user stopped a prompt",
        "unet_dtype": "the dtype for these weights, one of those supported",
        "unet_manual_cast": "the dtype to compute in, None where it is the stored one",
        "unload_all_models": "frees what load_models_gpu holds",
    },
    "comfy.model_patcher": {
        "ModelPatcher": "a MODEL: holds .model, .load_device and .model_options",
        "CoreModelPatcher": "what newer hosts make of it; a ModelPatcher by its interface",
        "ModelPatcher.clone": "shares the weights; options and patches are its own",
        "ModelPatcher.is_dynamic": "newer hosts: whether weights are copied when they are used",
        "ModelPatcher.cached_patcher_init": "newer hosts: a function for another, plain instance",
        "ModelPatcher.add_patches ModelPatcher.patches": "weights changed when loaded, then undone",
        "ModelPatcher.patch_weight_to_device ModelPatcher.backup": "patches one, undone as well",
        "ModelPatcher.set_model_sampler_cfg_function": "takes the place of plain guidance",
        "ModelPatcher.add_callback_with_key": "called on loading, by clones as well",
        "ModelPatcher.add_wrapper_with_key ModelPatcher.remove_wrappers_with_key": "around calls",
    },
    "comfy.ops": {
        "manual_cast": "layers that compute in the dtype of their input; embeddings in out_dtype",
    },
    "comfy.patcher_extension": {
        "CallbacksMP.ON_LOAD": "after weights were loaded and patched; gets the patcher first",
        "WrapperExecutor.new_class_executor": "runs wrappers around a method, then the method",
        "WrappersMP.DIFFUSION_MODEL": "around the network's forward, which calls them itself",
        "WrappersMP.OUTER_SAMPLE": "around a run of a guider, once",
        "WrappersMP.PREDICT_NOISE": "around each evaluation of a guider",
        "get_all_wrappers": "those of a kind in transformer_options, in their order",
    },
    "comfy.sample": {
        "fix_empty_latent_channels": "an empty latent gets the model's channels; others stay",
        "prepare_noise": "noise on the CPU by seed; the rows of batch_index",
    },
    "comfy.samplers": {
        "CFGGuider": "the run of a sampler: .model_patcher, .inner_model, .model_options",
        "CFGGuider.inner_set_conds CFGGuider.original_conds CFGGuider.conds": "any names of conds",
        "CFGGuider.predict_noise": "asked with x, sigma, options and seed for the clean latent",
        "CFGGuider.sample": "noise, latent, sampler, sigmas; mask, callback, progress, seed",
        "SAMPLER_NAMES": "names of solvers; euler and heun among them",
        "calc_cond_batch": "clean latents of several branches, in their order; zeros for None",
        "sampling_function": "one guided step, with the patches that other nodes put on it",
        "sampler_object": "a solver by its name; euler is Euler's method",
    },
    "comfy.sd": {
        "CLIP": "builds the text model of a target with device and dtype; .cond_stage_model",
        "CLIP.clone": "a CLIP of the plain class, with a clone of the patcher",
        "CLIP.tokenize CLIP.encode_from_tokens_scheduled": "a CONDITIONING of one text",
        "VAE": "from a state dict, dtype kept; encode and decode of (B, H, W, 3) in 0..1",
    },
    "comfy.sd1_clip": {
        "__file__": "beside it lies sd1_tokenizer, the vocabulary of CLIP-L",
    },
    "comfy.supported_models_base": {
        "BASE": "a family of models: its config, dtypes, sampling settings and latent format",
        "ClipTarget": "a tokenizer and a text model for CLIP to build",
    },
    "comfy.utils": {
        "PROGRESS_BAR_ENABLED": "whether bars are drawn; true for a server",
        "ProgressBar": "update(n) adds to the bar of the node that runs",
        "common_upscale": "to width x height, cut in the centre to the wanted shape",
        "load_torch_file": "weights of a safetensors file by name",
        "repeat_to_batch_size": "rows in turn until the batch is full; those too many are left out",
        "weight_dtype": "the dtype that most of the weights have",
    },
    "comfy.weight_adapter": {
        "WeightAdapterBase": "calculate_weight(weight, key, strength, ...) changes a weight",
    },
    "comfy_api.latest": {
        "ComfyExtension": "get_node_list, asked once for the nodes",
    },
    "comfy_api.latest.io": {
        "ComfyNode": "define_schema and execute as class methods; hidden in .hidden when run",
        "NodeOutput": "values of the outputs, and ui for the page and the history",
        "Schema": "a dataclass; what the page gets is made of it",
        "Custom": "a socket of any type name",
        "Boolean Combo Float Int String": "widgets with their default, range and tooltip",
        "Image Mask Latent Conditioning Model Clip ClipVision Vae Guider Sigmas": "sockets",
    },
    "comfyui_version": {
        "__version__": "the host's version, as people say it",
    },
    "folder_paths": {
        "folder_names_and_paths": "folders and endings of each kind of file; ours can be added",
        "get_filename_list": "files of a kind in all its folders, by names with /",
        "get_output_directory get_temp_directory models_dir": "where files go, and models are",
        "get_save_image_path": "folder, name and next free number; refuses to leave the folder",
        "map_legacy": "unet and clip by their newer names",
        "supported_pt_extensions": "endings of weight files, .safetensors among them",
    },
    "latent_preview": {
        "prepare_callback": "callback(step, x0, x, total) that moves the bar of the node",
    },
    "node_helpers": {
        "conditioning_set_values": "a copy of a conditioning with these values",
    },
}  # fmt: skip


def names() -> dict[str, str]:
    """What is relied on, by the full name of each use."""
    return {
        f"{module}.{name}": text
        for module, entries in USES.items()
        for group, text in entries.items()
        for name in group.split()
    }
