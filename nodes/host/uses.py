"""Everything the nodes use of the host, and what they rely on.

By module, then by name; names side by side share a line. Members of a class are what the nodes call
on its objects. A test fails for a name that is used and missing here. Each line has a check of its
behaviour that runs on every host, so a changed host fails by the name of what it changed.
"""

from __future__ import annotations

USES: dict[str, dict[str, str]] = {
    "comfy.cli_args": {
        "args.disable_metadata": "true if the user wants no prompt and workflow in files",
    },
    "comfy.clip_vision": {
        "ClipVisionModel": "the host's own CLIP vision, which PixWizard Check compares with ours",
    },
    "comfy.conds": {
        "CONDRegular": "holds .cond; repeated to the batch size; joined with others of its shape",
        "CONDNoiseShape": "holds a tensor of the latent's size; cropped to the area of a region",
        "CONDConstant": "passed on unchanged; joined only with the same object",
    },
    "comfy.latent_formats": {
        "SDXL": "4 channels; in = raw * 0.13025, out = the inverse; has colours for previews",
    },
    "comfy.ldm.common_dit": {
        "pad_to_patch_size": "pads right and bottom to whole patches, wrapping around",
    },
    "comfy.ldm.modules.attention": {
        "optimized_attention": "softmax(q k / sqrt(d) + mask) v of (B, heads, L, d) as (B, L, all)",
        "optimized_attention_for_device": "the same for encoders; takes masks if asked",
    },
    "comfy.lora": {
        "load_lora": "adapters by weight; 'lora' has .weights (up, down, ...) and .name",
    },
    "comfy.model_base": {
        "BaseModel": "builds the network with operations, device and dtype; calls it in its dtype",
        "BaseModel.extra_conds": "called once for each branch; its keys reach the network by name",
        "BaseModel.process_timestep": "changes the time that the network gets",
        "BaseModel.process_latent_in BaseModel.process_latent_out": "both ends of every sampler",
        "BaseModel.get_dtype BaseModel.manual_cast_dtype": "stored dtype, computed dtype",
        "BaseModel.model_sampling": "has the shift and multiplier of sampling_settings",
        "ModelType.FLOW": "x_t = (1 - sigma) image + sigma noise; networks give noise - image",
    },
    "comfy.model_management": {
        "archive_model_dtypes": "newer hosts: notes the dtype in which each weight is loaded",
        "InterruptProcessingException": "raised to end a prompt that the user stopped",
        "OOM_EXCEPTION": "raised by a device that is out of memory",
        "get_torch_device unet_offload_device intermediate_device": "compute, wait, results",
        "text_encoder_device text_encoder_offload_device": "the same for encoders",
        "text_encoder_dtype": "dtype of encoders; float32 on the CPU, or half precision",
        "get_total_memory vram_state vae_dtype": "what PixWizard Check reports on memory",
        "load_models_gpu": "loads patchers, with their patches, to their device",
        "throw_exception_if_processing_interrupted": "raises once after the user stopped a prompt",
        "unet_dtype": "the dtype for these weights, one of those supported",
        "unet_manual_cast": "the dtype to compute in; None if it is the stored one",
        "unload_all_models": "frees what load_models_gpu loaded",
    },
    "comfy.model_patcher": {
        "ModelPatcher": "a MODEL: holds .model, .load_device and .model_options",
        "CoreModelPatcher": "newer hosts: the class to use; has ModelPatcher's interface",
        "ModelPatcher.clone": "shares the weights, but not options and patches",
        "ModelPatcher.is_dynamic": "newer hosts: whether weights are copied when they are used",
        "ModelPatcher.cached_patcher_init": "newer hosts: a function for another, plain instance",
        "ModelPatcher.add_patches ModelPatcher.patches": "weights changed while loaded",
        "ModelPatcher.patch_weight_to_device ModelPatcher.backup": "one weight, undone as well",
        "ModelPatcher.set_model_sampler_cfg_function": "replaces plain guidance",
        "ModelPatcher.add_callback_with_key": "called on loading, for clones too",
        "ModelPatcher.add_wrapper_with_key ModelPatcher.remove_wrappers_with_key": "around calls",
    },
    "comfy.ops": {
        "QUANT_ALGOS get_layout_class": "newer hosts: quantised formats by name, and their layouts",
        "manual_cast": "layers that compute in the dtype of their input; embeddings in out_dtype",
        "mixed_precision_ops": "newer hosts: layers that load quantised weights and keep them so",
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
        "CFGGuider.inner_set_conds CFGGuider.original_conds CFGGuider.conds": "conds by any name",
        "CFGGuider.predict_noise": "gets x, sigma, options and seed; returns the clean latent",
        "CFGGuider.sample": "noise, latent, sampler, sigmas; mask, callback, progress, seed",
        "SAMPLER_NAMES": "names of solvers, euler and heun among them",
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
        "__file__": "beside it lies sd1_tokenizer, CLIP-L's vocabulary",
    },
    "comfy.supported_models_base": {
        "BASE": "a family of models: its config, dtypes, sampling settings and latent format",
        "ClipTarget": "a tokenizer and a text model for CLIP to build",
    },
    "comfy.utils": {
        "PROGRESS_BAR_ENABLED": "whether to draw bars; true on a server",
        "ProgressBar": "update(n) adds to the bar of the node that runs",
        "common_upscale": "to width x height, cropped in the middle to the wanted shape",
        "load_torch_file": "weights of a safetensors file by name",
        "repeat_to_batch_size": "rows in turn until the batch is full; surplus rows are left out",
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
        "AnyType": "a socket for values of every type",
        "Hidden.unique_id Hidden.dynprompt": "the node that runs, and its prompt",
        "NodeOutput": "values of the outputs, and ui for the page and the history",
        "NodeOutput.expand": "nodes that run in its place; its values may then be links to theirs",
        "Schema": "a dataclass, from which the page's data is made",
        "Custom": "a socket of any type name",
        "Boolean Combo Float Int String": "widgets with their default, range and tooltip",
        "Image Mask Latent Conditioning Model Clip ClipVision Vae Guider Sigmas": "sockets",
    },
    "comfy_execution.graph_utils": {
        "GraphBuilder": "nodes below the one that runs; out() is a link, finalize() a prompt",
    },
    "comfy_execution.utils": {
        "get_executing_context": "list_index: for which item of connected lists the node runs",
    },
    "comfyui_version": {
        "__version__": "the host's version as a text",
    },
    "folder_paths": {
        "folder_names_and_paths": "folders and endings of each kind of file; takes new kinds",
        "get_filename_list": "files of a kind in all its folders, by names with /",
        "get_output_directory get_temp_directory models_dir": "folders for files, and for models",
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
