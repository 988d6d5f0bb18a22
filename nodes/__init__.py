"""The list of PixWizard's nodes. Ids are permanent: workflows store them."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .conditions.encode import Encode
from .conditions.instruction import Instruction
from .conditions.region import Region
from .decoders.boxes import DecodeBoxes
from .decoders.decode_answer import DecodeAnswer
from .decoders.depth import DecodeDepth, DepthToMetres
from .decoders.lines import DecodeEdges
from .decoders.mask import DecodeHighlight, DecodeMask
from .decoders.merge_depths import MergeDepths
from .decoders.normals import DecodeNormals
from .decoders.pick_best import PickBest
from .decoders.pick_box import PickBox
from .decoders.segmentation import DecodeSegmentation
from .decoders.sharpen_answer import SharpenAnswer
from .host.files import register_folders
from .loaders.load import LoadModel, LoadTextEncoder, LoadTiny, LoadVisionEncoder
from .loaders.load_pixwizard import LoadPixWizard
from .loaders.lora import LoadLora
from .loaders.model_options import ModelOptions
from .loaders.parts import ModelParts
from .pictures.canvas import FitToCanvas, RestoreFromCanvas
from .pictures.demo_scene import DemoScene
from .pictures.inpaint import BlankCanvas, Composite, PrepareInpaint, PrepareOutpaint
from .results.check import Check
from .results.compare import Compare
from .results.save import SaveDepth, SaveLabels
from .sampling.sample import DualCFGGuider, Sample
from .sampling.schedule import Schedule
from .short.cut_out import CutOutLayers
from .short.list_item import ListItem
from .short.pixwizard import PixWizard
from .short.tiled_answer import TiledAnswer

# A new node goes to the end.
NODES: tuple[type[io.ComfyNode], ...] = (
    LoadTiny,
    LoadModel,
    LoadTextEncoder,
    LoadVisionEncoder,
    FitToCanvas,
    Instruction,
    Encode,
    DualCFGGuider,
    Schedule,
    Sample,
    DecodeDepth,
    DecodeMask,
    DecodeSegmentation,
    RestoreFromCanvas,
    DemoScene,
    PrepareInpaint,
    PrepareOutpaint,
    BlankCanvas,
    Composite,
    DecodeHighlight,
    DecodeEdges,
    DecodeNormals,
    DecodeBoxes,
    MergeDepths,
    DepthToMetres,
    SaveDepth,
    SaveLabels,
    Compare,
    ModelOptions,
    LoadLora,
    Check,
    PickBox,
    LoadPixWizard,
    DecodeAnswer,
    PixWizard,
    ModelParts,
    ListItem,
    SharpenAnswer,
    PickBest,
    CutOutLayers,
    TiledAnswer,
    Region,
)


class PixWizardExtension(ComfyExtension):
    """What the host asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return list(NODES)


async def comfy_entrypoint() -> PixWizardExtension:
    """Called once by the host when it loads the extension."""
    register_folders()
    return PixWizardExtension()
