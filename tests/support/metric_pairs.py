"""Every measure of pictures beside what its library, or the code that its paper published with,
makes of the same files: on networks with random weights, of the right architecture.

    python -m tests.support.metric_pairs [NAME …]      prints the table
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pixwizard_core.evaluation.layouts import LAYOUTS
from pixwizard_core.evaluation.measuring import measure
from pixwizard_core.evaluation.networks.weight_files import WeightFolder
from tests.support.metric_files import write_files, write_set
from tests.support.metric_hps import hps_weights
from tests.support.metric_networks import backbone_file, write_weights
from tests.support.metric_packages import name_operators
from tests.support.metric_theirs import (
    canny_f1,
    clip_direction,
    clip_image,
    clip_out,
    clip_s,
    depth_rmse,
    dino,
    fid,
    fid_clean,
    hps_by,
    inception_score,
    l1,
    lpips_by,
    psnr,
    ssim,
)


@dataclass(frozen=True)
class Pair:
    """measure, score: names. against: what computes theirs. needs: packages. theirs: the same
    number from the files in a folder. around: entered with the folder while both are computed."""

    measure: str
    score: str
    against: str
    needs: tuple[str, ...]
    theirs: Callable[[Path], float]
    layout: str = "magicbrush"
    around: Callable[[Path], AbstractContextManager[object]] = nullcontext


VISION = ("torchvision",)
HPS_NEEDS = (*VISION, "open_clip", "clint", "hpsv2")
PAIRS = {
    "L1": Pair("l1", "l1", "torch's L1Loss, Pillow", (), l1),
    "PSNR": Pair("fidelity", "psnr_8bit_db", "scikit-image", ("skimage",), psnr),
    "SSIM": Pair("fidelity", "ssim_8bit", "scikit-image, Wang's settings", ("skimage",), ssim),
    "LPIPS, VGG": Pair("lpips_vgg", "lpips_vgg", "lpips", (*VISION, "torchmetrics", "lpips"),
                       lpips_by("vgg")),
    "LPIPS, AlexNet": Pair("lpips_alex", "lpips_alex", "lpips",
                           (*VISION, "torchmetrics", "lpips"), lpips_by("alex")),
    "CLIP image": Pair("clip", "clip_source", "transformers", VISION, clip_image),
    "CLIP out": Pair("clip", "clip_out", "transformers", VISION, clip_out),
    "CLIP direction": Pair("clip", "clip_dir", "transformers", VISION, clip_direction),
    "CLIP-S": Pair("clip_s", "clip_s", "torchmetrics' CLIPScore", (*VISION, "torchmetrics"),
                   clip_s),
    "DINO": Pair("dino", "dino_source", "torchvision, transformers", VISION, dino),
    "Canny F1": Pair("canny_f1", "canny_f1", "kornia, torchmetrics", ("kornia", "torchmetrics"),
                     canny_f1),
    "depth RMSE": Pair("depth_rmse", "depth_rmse", "transformers, Pillow", VISION, depth_rmse),
    "HPS v2.0": Pair("hps_v2", "hps_v2", "hpsv2", HPS_NEEDS, hps_by("hps_v2"),
                     around=hps_weights("hps_v2")),
    "HPS v2.1": Pair("hps_v2.1", "hps_v2.1", "hpsv2", HPS_NEEDS, hps_by("hps_v2.1"),
                     around=hps_weights("hps_v2.1")),
    "FID": Pair("fid", "fid", "torch-fidelity", (*VISION, "torch_fidelity"), fid, "coco30k"),
    "FID, clean": Pair("fid", "fid", "clean-fid", (*VISION, "torch_fidelity", "cleanfid"),
                       fid_clean, "multigen-canny"),
    "IS": Pair("is", "is", "torch-fidelity", (*VISION, "torch_fidelity"), inception_score,
               "places-outpaint"),
}  # fmt: skip


def write_all(folder: Path) -> Path:
    """Pictures and weights for all pairs. Returns folder."""
    write_files(folder)
    write_set(folder)
    write_weights(folder)
    if importlib.util.find_spec("torchvision"):
        backbone_file(folder, "alex")
    return folder


def both(name: str, folder: Path) -> tuple[float, float]:
    """(our number through the files, as a dataset is measured; theirs)."""
    pair = PAIRS[name]
    shown = write_set(folder) if pair.measure in ("fid", "is") else write_files(folder)
    layout = replace(LAYOUTS[pair.layout], crop=0)
    with pair.around(folder):
        found = measure(shown, [pair.measure], WeightFolder(folder), folder / f"out {name}", layout)
        if found.left_out:
            raise ValueError(found.left_out[pair.measure])
        return found.scores[pair.score], pair.theirs(folder)


def main() -> None:
    """Print a line for each measure; without its packages, what is missing."""
    name_operators()
    print("| measure | ours | the library's | difference | against |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        names = sys.argv[1:] or list(PAIRS)
        folder = write_all(Path(place))
        for name in names:
            pair = PAIRS[name]
            try:
                ours, theirs = both(name, folder)
            except (ImportError, ValueError) as error:
                print(f"| {name} | – | – | {str(error)[:60]} | {pair.against} |", flush=True)
                continue
            row = (name, f"{ours:.6g}", f"{theirs:.6g}", f"{abs(ours - theirs):.1e}", pair.against)
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
