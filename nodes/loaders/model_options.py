"""How to run a MODEL: attention, positions, and which image tokens it uses."""

from __future__ import annotations

from dataclasses import replace

import comfy.patcher_extension
from comfy_api.latest import io

from ...pixwizard_core.generate import TOKEN_SELECTIONS, WATERSHED
from ...pixwizard_core.model import NO_SCALING, RopeScaling
from ...pixwizard_core.seeds import LARGEST_SEED
from ..host.versions import schema
from ..model.host_model import require_pixwizard
from ..model.token_draws import TokenDraws
from ..model.transformer import OPTIONS_KEY, RunOptions
from ..shared.base import Node
from ..shared.page_data import used_when

AUTO, OFF, MANUAL = EXTRAPOLATIONS = ("auto", "off", "manual")
BEST, DRAWN = TOKEN_SELECTIONS
WRAPPERS_KEY = "pixwizard_token_draws"


def options_of(model) -> RunOptions:
    """The current options of a MODEL. Raises CheckpointError if it is not a PixWizard."""
    require_pixwizard(model, "PixWizard Model Options")
    own = model.model.diffusion_model.options
    return model.model_options.get("transformer_options", {}).get(OPTIONS_KEY, own)


def with_options(model, options: RunOptions):
    """A clone of a MODEL with these options."""
    model = model.clone()
    settings = model.model_options["transformer_options"]
    model.model_options["transformer_options"] = {**settings, OPTIONS_KEY: options}
    kinds, draws = comfy.patcher_extension.WrappersMP, options.draws
    for kind, wrapper in ((kinds.OUTER_SAMPLE, "run"), (kinds.PREDICT_NOISE, "evaluate")):
        model.remove_wrappers_with_key(kind, WRAPPERS_KEY)
        if draws is not None:
            model.add_wrapper_with_key(kind, WRAPPERS_KEY, getattr(draws, wrapper))
    return model


class ModelOptions(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "ModelOptions",
            display_name="PixWizard Model Options",
            description="Changes how a PixWizard model runs: attention and positions for pictures "
            "of sizes other than the training size, and which image tokens each block sees.",
            search_aliases=["rope", "ntk", "gumbel", "proportional attention"],
            inputs=[
                io.Model.Input("model", tooltip="A PixWizard model from Load Tiny or Load Model."),
                io.Boolean.Input(
                    "proportional_attention",
                    default=True,
                    tooltip="Scale self-attention by the number of tokens relative to the training "
                    "size. Off is plain attention.",
                ),
                io.Combo.Input(
                    "extrapolation",
                    options=list(EXTRAPOLATIONS),
                    default=AUTO,
                    tooltip="Scaling of positions. auto: only if the picture is larger than every "
                    "training size. off: never. manual: by rope_factor and watershed.",
                ),
                used_when(
                    io.Float.Input(
                        "rope_factor",
                        default=1.0,
                        min=1.0,
                        max=8.0,
                        step=0.05,
                        tooltip="With manual: how many times longer the sides are than in "
                        "training, 1 to 8. For example 2 for 2048 px with a model trained at 1024 "
                        "px.",
                    ),
                    extrapolation=[MANUAL],
                ),
                used_when(
                    io.Float.Input(
                        "watershed",
                        default=WATERSHED,
                        min=0.0,
                        max=1.0,
                        step=0.01,
                        tooltip="With manual: time, 0 (noise) to 1 (image). Before it, positions "
                        "are scaled evenly, for the layout; after it, NTK-aware, for detail.",
                    ),
                    extrapolation=[MANUAL],
                ),
                io.Combo.Input(
                    "token_selection",
                    options=list(TOKEN_SELECTIONS),
                    default=BEST,
                    tooltip="topk: each block keeps its best image tokens, the same in every step; "
                    "faster. gumbel: draws them again at each model call, as the reference does.",
                ),
                io.Int.Input(
                    "token_seed",
                    default=0,
                    min=0,
                    max=LARGEST_SEED,
                    tooltip="With gumbel: seed for drawing tokens. The same seed draws the same "
                    "tokens.",
                ),
                io.Int.Input(
                    "kept_tokens",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Image tokens that each block keeps, 1 to 4096. 0 keeps as many as in "
                    "training (256 of 576 in the released model).",
                ),
            ],
            outputs=[io.Model.Output("changed", display_name="model")],
        )

    @classmethod
    def run(
        cls,
        model,
        proportional_attention,
        extrapolation,
        rope_factor,
        watershed,
        token_selection,
        token_seed,
        kept_tokens,
    ):
        ropes = {AUTO: None, OFF: NO_SCALING, MANUAL: RopeScaling(rope_factor, watershed)}
        options = replace(
            options_of(model),
            proportional=proportional_attention,
            rope=ropes[extrapolation],
            keep=kept_tokens or None,
            draws=TokenDraws(token_seed) if token_selection == DRAWN else None,
        )
        return io.NodeOutput(with_options(model, options))
