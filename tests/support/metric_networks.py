"""Networks of the right architecture with random weights, laid out as people have the files."""

import importlib.util
import io
import json
from collections import OrderedDict
from pathlib import Path

import torch

BACKBONES = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth"}


def shaken(network, seed=0, gain=1.0):
    """Random weights that do not depend on how the network starts, and keep a signal's size: gain
    over the root of a layer's inputs, norms near 1."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=random)
                if value.ndim > 1:
                    value.copy_(gain * drawn / value[0].numel() ** 0.5)
                else:
                    one = "running_var" in name or ("weight" in name and "mean" not in name)
                    value.copy_(0.1 * drawn * ("running" not in name) + one)
    return network.eval()


def bare_inception():
    """torch-fidelity's extractor as it is before it loads weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            return None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    return Bare("inception-v3-compat", ["2048"], nothing)


def inception_file(folder: Path) -> Path:
    """The weights of torch-fidelity's extractor."""
    network = shaken(bare_inception(), gain=2**0.5)
    path = folder / "weights-inception-2015-12-05-6726825d.pth"
    torch.save(network.state_dict(), path)
    return path


def backbone_file(folder: Path, kind: str) -> Path:
    """A torchvision backbone of LPIPS."""
    from torchvision import models

    network = {"vgg": models.vgg16, "alex": models.alexnet}[kind]()
    state = shaken(network, gain=2**0.5).state_dict()
    state = {name: value for name, value in state.items() if name.startswith("features")}
    path = folder / BACKBONES[kind]
    torch.save(state, path)
    return path


def clip_folder(folder: Path, layers: int = 2, turned: bool = False) -> Path:
    """A small CLIP with a tokenizer of letters. turned: its texts point the other way."""
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(c) for c in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    vocab = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    vocab_file, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    try:
        tokenizer = CLIPTokenizer(vocab_file, merges)
    except TypeError:
        tokenizer = CLIPTokenizer(vocab=vocab, merges=[])
    tokenizer.save_pretrained(folder)
    config = CLIPConfig(
        text_config={"vocab_size": len(vocab), "hidden_size": 32, "num_hidden_layers": layers,
                     "num_attention_heads": 4, "intermediate_size": 64, "bos_token_id": 0,
                     "eos_token_id": 1, "pad_token_id": 1},
        vision_config={"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4,
                       "intermediate_size": 64, "image_size": 224, "patch_size": 32},
        projection_dim=16,
    )  # fmt: skip
    network = shaken(CLIPModel(config))
    if turned:
        network.text_projection.weight.data.neg_()
    network.save_pretrained(folder)
    return folder


def dino_folder(folder: Path) -> Path:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=64, image_size=224, patch_size=16)  # fmt: skip
    shaken(ViTModel(config)).save_pretrained(folder)
    return folder


def dpt_folder(folder: Path) -> Path:
    from transformers import DPTConfig, DPTForDepthEstimation

    config = DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64,
        image_size=384, patch_size=16, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 16, 16, 16], fusion_hidden_size=16,
    )  # fmt: skip
    shaken(DPTForDepthEstimation(config)).save_pretrained(folder)
    settings = {"do_resize": True, "size": {"height": 384, "width": 384}, "resample": 3,
                "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
                "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
                "image_processor_type": "DPTImageProcessor"}  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def picture(seed: int, height: int = 100, width: int = 140) -> torch.Tensor:
    """(1, 3, H, W) in 0..1 of 8 bits: soft colours and hard edges."""
    random = torch.Generator().manual_seed(seed)
    soft = torch.rand(1, 3, 5, 7, generator=random)
    large = torch.nn.functional.interpolate(soft, (height, width), mode="bicubic")
    noise = 0.1 * torch.rand(1, 3, height, width, generator=random)
    large[..., height // 3 : height // 2, width // 4 : width // 2] = 0.9
    return ((large + noise).clamp(0, 1) * 255).round() / 255


def hps_file(path: Path, architecture: str = "ViT-H-14", seed: int = 0) -> Path:
    """Weights of HPS in half precision, as published: 2 GB at the real size. Returns path."""
    import open_clip

    with torch.device("meta"):
        network = open_clip.create_model(architecture, pretrained=None, device="meta")
    random = torch.Generator().manual_seed(seed)
    state = OrderedDict()
    for name, value in network.state_dict().items():
        drawn = torch.randn(value.shape, generator=random, dtype=torch.float32)
        ones = value.ndim == 1 and name.endswith("weight")
        fans = value[0].numel() ** 0.5 if value.ndim > 1 else 10
        state[name] = (drawn / fans + ones).half()
    torch.save({"state_dict": state}, path)
    return path


def write_weights(folder: Path, hps: bool = False) -> Path:
    """All weights that the paper's numbers need and whose packages are installed; transformers'
    networks are small. hps: with HPS v2, which is large. Returns folder."""
    folder.mkdir(parents=True, exist_ok=True)
    clip_folder(folder / "clip-vit-base-patch32")
    clip_folder(folder / "clip-vit-base-patch16", turned=True)  # so that CLIP-S is above 0
    dino_folder(folder / "dino-vits16")
    dpt_folder(folder / "dpt-large")
    if importlib.util.find_spec("torch_fidelity"):
        inception_file(folder)
    if importlib.util.find_spec("torchvision"):
        backbone_file(folder, "vgg")
    if hps and importlib.util.find_spec("open_clip"):
        hps_file(folder / "HPS_v2_compressed.pt")
    return folder
