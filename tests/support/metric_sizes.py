"""The networks that measure pictures at their real sizes, with random weights: what one picture
costs in time and memory.

    python -m tests.support.metric_sizes [NAME …]      a process of its own for each
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from tests.support.metric_networks import bare_inception
from tests.support.metric_packages import name_operators

PICTURES = 2


def _clip(patch: int, width: int, layers: int, side: int, text: int) -> Callable[[], Any]:
    def build():
        from transformers import CLIPConfig, CLIPModel

        config = CLIPConfig(
            text_config={"hidden_size": text, "intermediate_size": 4 * text,
                         "num_attention_heads": text // 64, "num_hidden_layers": 12},
            vision_config={"hidden_size": width, "intermediate_size": 4 * width,
                           "num_attention_heads": width // 64, "num_hidden_layers": layers,
                           "patch_size": patch, "image_size": side},
            projection_dim=text,
        )  # fmt: skip
        network = CLIPModel(config)
        return network, lambda x: network.vision_model(pixel_values=x).pooler_output, side

    return build


def _vit(width: int) -> Callable[[], Any]:
    def build():
        from transformers import ViTConfig, ViTModel

        config = ViTConfig(hidden_size=width, intermediate_size=4 * width,
                           num_attention_heads=width // 64, image_size=224, patch_size=16)
        network = ViTModel(config, add_pooling_layer=False)  # fmt: skip
        return network, lambda x: network(pixel_values=x).last_hidden_state[:, 0], 224

    return build


def _dpt():
    from transformers import DPTConfig, DPTForDepthEstimation

    network = DPTForDepthEstimation(DPTConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
        image_size=384, patch_size=16, backbone_out_indices=[5, 11, 17, 23],
        neck_hidden_sizes=[256, 512, 1024, 1024], fusion_hidden_size=256,
    ))  # fmt: skip
    return network, lambda x: network(pixel_values=x).predicted_depth, 384


def _hps():
    """In bfloat16, which halves its 4 GB; HPS itself uses float32."""
    import open_clip

    with torch.device("meta"):
        network = open_clip.create_model("ViT-H-14", pretrained=None, device="meta")
    network = network.to(torch.bfloat16).to_empty(device="cpu")
    for weights in network.parameters():
        torch.nn.init.uniform_(weights, -0.02, 0.02)
    return network, lambda x: network.encode_image(x.to(torch.bfloat16)), 224


def _inception():
    network = bare_inception()
    return network, lambda x: network((x * 255).to(torch.uint8))[0], 299


def _lpips(kind: str) -> Callable[[], Any]:
    def build():
        from torchmetrics.functional.image import lpips

        network = lpips._LPIPS(net=kind, pnet_rand=True)
        return network, lambda x: network(x * 2 - 1, 1 - x * 2), 512

    return build


NETWORKS: dict[str, Callable[[], Any]] = {
    "CLIP ViT-B/32": _clip(32, 768, 12, 224, 512),
    "CLIP ViT-B/16": _clip(16, 768, 12, 224, 512),
    "CLIP ViT-L/14": _clip(14, 1024, 24, 224, 768),
    "DINO ViT-S/16": _vit(384),
    "DINO ViT-B/16": _vit(768),
    "DPT-large": _dpt,
    "HPS ViT-H/14, bfloat16": _hps,
    "Inception v3": _inception,
    "LPIPS, VGG": _lpips("vgg"),
    "LPIPS, AlexNet": _lpips("alex"),
}


@torch.no_grad()
def measured(name: str) -> str:
    """A line of the table: parameters, what comes out, seconds of one core, peak of memory."""
    name_operators()
    network, look, side = NETWORKS[name]()
    network.eval()
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    look(torch.rand(1, 3, side, side))
    begun = time.process_time()
    for _ in range(PICTURES):
        found = look(torch.rand(1, 3, side, side))
    seconds = (time.process_time() - begun) / PICTURES
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    shape = " x ".join(map(str, found.shape))
    return f"| {name} | {millions:.0f} M | {side} px | {shape} | {seconds:.2f} s | {peak:.1f} GB |"


def main() -> None:
    """Print the table; each network runs in a process of its own, so that peaks are its own."""
    print("| network | parameters | picture | gives | one core | peak |\n|---|---|---|---|---|---|")
    for name in sys.argv[1:] or NETWORKS:
        code = f"from tests.support.metric_sizes import measured; print(measured({name!r}))"
        subprocess.run([sys.executable, "-c", code], check=False)


if __name__ == "__main__":
    main()
