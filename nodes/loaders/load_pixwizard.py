"""One loader for all parts of the released model."""

from __future__ import annotations

from ...pixwizard_core.weights.published import PARTS
from ..host.versions import schema
from ..shared.base import Node
from ..shared.page_data import for_page
from . import choices
from .bundle import whole_outputs, whole_result
from .load import (
    DEVICES,
    DTYPES,
    device_input,
    dtype_input,
    load_clip,
    load_clip_vision,
    load_described,
    load_vae,
)

PARTS_TOLD = "; ".join(
    f"{part.title}, {part.page} ({part.size}{', accept its terms there' if part.terms else ''})"
    for part in PARTS.values()
)


class LoadPixWizard(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadPixWizard",
            display_name="PixWizard Load PixWizard (all parts)",
            description="Loads all parts of the released model; auto takes each file by its "
            f"content. The parts are: {PARTS_TOLD}. You can fetch them with: pixwizard get.",
            search_aliases=["checkpoint", "load model", "all in one", "released model"],
            inputs=[
                part_input(
                    choices.TRANSFORMER,
                    "model_name",
                    "The list has files in models/diffusion_models and models/checkpoints.",
                ),
                dtype_input(),
                part_input(
                    choices.GEMMA_TEXT,
                    "gemma",
                    "The list has folders (they end in /) and files in models/LLM and "
                    "models/text_encoders. tokenizer.json must be beside the weights.",
                ),
                part_input(
                    choices.CLIP_BOTH,
                    "clip_name",
                    "It needs both halves, text and vision. The list has folders and files in "
                    "models/text_encoders and models/clip_vision.",
                ),
                part_input(
                    choices.SDXL_VAE,
                    "vae_name",
                    "The VAE of Stable Diffusion 1.5 has the same layout, so auto takes a file "
                    "only if its name, header or config.json says SDXL. The list has files in "
                    "models/vae.",
                ),
                device_input(),
            ],
            outputs=whole_outputs(),
        )

    @classmethod
    def validate_inputs(cls, model_name=None, gemma=None, clip_name=None, vae_name=None):
        return choices.known(named(model_name, gemma, clip_name, vae_name))

    @classmethod
    def fingerprint_inputs(
        cls, model_name=None, gemma=None, clip_name=None, vae_name=None, **_others
    ):
        return choices.fingerprint(named(model_name, gemma, clip_name, vae_name))

    @classmethod
    def run(cls, model_name, weight_dtype, gemma, clip_name, vae_name, device="default"):
        paths = choices.chosen(named(model_name, gemma, clip_name, vae_name))
        return whole_result(
            load_described(paths["model"], DTYPES[weight_dtype]),
            load_clip(paths["gemma"], paths["clip"], DEVICES[device]),
            load_clip_vision(paths["clip"]),
            load_vae(paths["vae"], None),
        )


def part_input(choice: choices.Choice, id: str, tooltip: str):
    """The list of one part. The page also gets where the part comes from and where it goes, from
    which web/real_model.js makes a checklist."""
    part = PARTS[choice.part]
    told = {
        "title": part.title,
        "page": part.page,
        "size": part.size,
        "terms": part.terms,
        "files": list(part.files),
        "place": part.by_hand,
        "found": choice.is_there(),
    }
    return for_page(choice.socket(id, tooltip), {"part": told})


def named(model_name, gemma, clip_name, vae_name) -> dict:
    """The entries by the lists they come from, the transformer first."""
    return {
        choices.TRANSFORMER: model_name,
        choices.GEMMA_TEXT: gemma,
        choices.CLIP_BOTH: clip_name,
        choices.SDXL_VAE: vae_name,
    }
