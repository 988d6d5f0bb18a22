"""Every measure of pictures beside what its library, or the code that its paper published with,
makes of the same files: on networks with random weights, of the right architecture.

    python -m tests.support.metric_pairs [NAME …]      prints the table
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from pixwizard_core.evaluation.answer_files import AnswerFiles
from pixwizard_core.evaluation.layouts import LAYOUTS
from pixwizard_core.evaluation.measuring import measure
from pixwizard_core.evaluation.networks.weight_files import WeightFolder
from pixwizard_core.files.picture_files import save_grey16, save_picture
from tests.support.metric_networks import backbone_file, picture, write_weights
from tests.support.metric_packages import name_operators

CAPTIONS = ("a red ball on the floor", "two cats", "a street at night")
SHAPES = ((96, 128), (120, 80), (90, 90))  # of inputs and truths
DRAWN = 24  # answers for FID and IS
PARTS = 10  # of a set, for IS


@dataclass(frozen=True)
class Pair:
    """measure, score: names. against: what computes theirs. needs: packages. theirs: the same
    number from the files in a folder."""

    measure: str
    score: str
    against: str
    needs: tuple[str, ...]
    theirs: Callable[[Path], float]
    layout: str = "magicbrush"


def write_files(folder: Path) -> list[AnswerFiles]:
    """Three answers of 100 x 140 px with inputs, truths, captions and depth maps."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for n, (height, width) in enumerate(SHAPES):
        for kind, seed, size in (("answer", 0, (100, 140)), ("source", 10, (height, width)),
                                 ("true", 20, (height, width))):  # fmt: skip
            save_picture(folder / f"{n}_{kind}.png", picture(seed + n, *size)[0])
        save_grey16(folder / f"{n}_depth.png", picture(30 + n, 64, 64)[0].mean(0))
        truth = {"file": str(folder / f"{n}_true.png"), "caption": CAPTIONS[n], "question": "q",
                 "source_caption": CAPTIONS[n - 1], "depth": str(folder / f"{n}_depth.png")}
        found.append(AnswerFiles(str(n), f"key {n}", folder / f"{n}_answer.png",
                                 folder / f"{n}_source.png", truth))  # fmt: skip
    return found


def write_set(folder: Path) -> list[AnswerFiles]:
    """DRAWN answers and truths for FID and IS, in folders of their own."""
    found = []
    for n in range(DRAWN):
        for kind, seed in (("answers", 100), ("truths", 200)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            save_picture(folder / kind / f"{n:02}.png", picture(seed + n, 96, 96)[0])
        answer, true = (folder / kind / f"{n:02}.png" for kind in ("answers", "truths"))
        found.append(AnswerFiles(f"{n:02}", f"key {n}", answer, answer, {"file": str(true)}))
    return found


def files_in(folder: Path, kind: str) -> list[Image.Image]:
    return [Image.open(folder / f"{n}_{kind}.png").convert("RGB") for n in range(len(SHAPES))]


def arrays(pictures: list[Image.Image]) -> list[np.ndarray]:
    return [np.asarray(one, np.float32) / 255 for one in pictures]


def sized(folder: Path, like: str = "true") -> list[tuple[np.ndarray, np.ndarray]]:
    """Each answer as large as its truth, and the truth."""
    truths = files_in(folder, like)
    answers = [one.resize(true.size, Image.BICUBIC)
               for one, true in zip(files_in(folder, "answer"), truths, strict=True)]  # fmt: skip
    return list(zip(arrays(answers), arrays(truths), strict=True))


def l1(folder: Path) -> float:
    loss = torch.nn.L1Loss()
    return mean(float(loss(*map(torch.from_numpy, pair))) for pair in sized(folder))


def psnr(folder: Path) -> float:
    from skimage.metrics import peak_signal_noise_ratio

    return mean(peak_signal_noise_ratio(true, answer, data_range=1.0)
                for answer, true in sized(folder))  # fmt: skip


def ssim(folder: Path) -> float:
    from skimage.metrics import structural_similarity

    return mean(
        structural_similarity(*(one.astype(np.float64) for one in pair), data_range=1.0,
                              channel_axis=2, gaussian_weights=True, sigma=1.5,
                              use_sample_covariance=False)
        for pair in sized(folder)
    )  # fmt: skip


def lpips_by(kind: str) -> Callable[[Path], float]:
    def theirs(folder: Path) -> float:
        import lpips

        from tests.support.metric_networks import BACKBONES

        network = lpips.LPIPS(net=kind, pnet_rand=True, verbose=False).eval()
        stored = torch.load(folder / BACKBONES[kind], weights_only=True)
        plain = {name: f"features.{name.split('.', 1)[1]}" for name in network.net.state_dict()}
        network.net.load_state_dict({name: stored[at] for name, at in plain.items()})
        pairs = [[torch.from_numpy(one).movedim(-1, 0)[None] * 2 - 1 for one in pair]
                 for pair in sized(folder)]  # fmt: skip
        with torch.no_grad():
            return mean(float(network(*pair)) for pair in pairs)

    return theirs


def clip_parts(folder: Path, name: str = "clip-vit-base-patch32"):
    """transformers' model and Pillow processor."""
    from transformers import CLIPModel, CLIPProcessor, CLIPTokenizerFast

    class Plain(CLIPModel):
        """Gives embeddings as torchmetrics expects them, which newer releases wrap."""

        def get_image_features(self, *args, **kwargs):
            found = super().get_image_features(*args, **kwargs)
            return getattr(found, "pooler_output", found)

        def get_text_features(self, *args, **kwargs):
            found = super().get_text_features(*args, **kwargs)
            return getattr(found, "pooler_output", found)

    try:
        from transformers import CLIPImageProcessorPil as Prepare
    except ImportError:
        from transformers import CLIPImageProcessor as Prepare
    tokenizer = CLIPTokenizerFast.from_pretrained(folder / name)
    return Plain.from_pretrained(folder / name).eval(), CLIPProcessor(Prepare(), tokenizer)


def clip_vectors(folder: Path, pictures: list[Image.Image], texts: list[str]):
    model, processor = clip_parts(folder)
    inputs = processor(text=texts, images=pictures, return_tensors="pt", padding=True)
    with torch.no_grad():
        found = model(**inputs)
    return found.image_embeds, found.text_embeds


def clip_image(folder: Path) -> float:
    one, _ = clip_vectors(folder, files_in(folder, "answer"), list(CAPTIONS))
    other, _ = clip_vectors(folder, files_in(folder, "source"), list(CAPTIONS))
    return mean(F.cosine_similarity(one, other).tolist())


def clip_out(folder: Path) -> float:
    return mean(F.cosine_similarity(*clip_vectors(folder, files_in(folder, "answer"),
                                                  list(CAPTIONS))).tolist())  # fmt: skip


def clip_direction(folder: Path) -> float:
    """Computed as in InstructPix2Pix: unit vectors, their differences, the cosine."""
    earlier = [CAPTIONS[n - 1] for n in range(len(CAPTIONS))]
    after, text_after = clip_vectors(folder, files_in(folder, "answer"), list(CAPTIONS))
    before, text_before = clip_vectors(folder, files_in(folder, "source"), earlier)
    return mean(F.cosine_similarity(after - before, text_after - text_before).tolist())


def clip_s(folder: Path) -> float:
    from torchmetrics.multimodal.clip_score import CLIPScore

    metric = CLIPScore(lambda: clip_parts(folder, "clip-vit-base-patch16"))
    for shown, text in zip(files_in(folder, "answer"), CAPTIONS, strict=True):
        metric.update(torch.from_numpy(np.asarray(shown).copy()).movedim(-1, 0), text)
    return float(metric.compute())


def dino(folder: Path) -> float:
    """Prepared by torchvision as in MagicBrush's evaluation."""
    from torchvision import transforms
    from transformers import ViTModel

    prepare = transforms.Compose([
        transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    network = ViTModel.from_pretrained(folder / "dino-vits16").eval()
    with torch.no_grad():
        one, other = (
            torch.cat([network(prepare(shown)[None]).last_hidden_state[:, 0]
                       for shown in files_in(folder, kind)])
            for kind in ("answer", "source")
        )  # fmt: skip
    return mean(F.cosine_similarity(one, other).tolist())


def canny_f1(folder: Path) -> float:
    """torchmetrics' F1 over all pixels of the answers to one question."""
    from kornia.filters import canny
    from torchmetrics.classification import BinaryF1Score

    edges = [[canny(torch.from_numpy(one).movedim(-1, 0)[None], 0.1, 0.2)[1].flatten().long()
              for one in pair] for pair in sized(folder)]  # fmt: skip
    return float(BinaryF1Score()(*(torch.cat(side) for side in zip(*edges, strict=True))))


def depth_rmse(folder: Path) -> float:
    """transformers' processor and model, and Pillow, as in ControlNet++'s evaluation."""
    from torchvision.transforms.functional import to_pil_image
    from transformers import DPTForDepthEstimation

    try:
        from transformers import DPTImageProcessorPil as Prepare
    except ImportError:
        from transformers import DPTImageProcessor as Prepare
    processor = Prepare.from_pretrained(folder / "dpt-large")
    network = DPTForDepthEstimation.from_pretrained(folder / "dpt-large").eval()
    errors = []
    for n, shown in enumerate(files_in(folder, "answer")):
        with torch.no_grad():
            inputs = processor(images=shown, return_tensors="pt")
            depth = network(**inputs).predicted_depth[0]
        side = shown.size[0]
        ours = to_pil_image(depth / depth.max()).resize((side, side), Image.BILINEAR)
        label = np.array(Image.open(folder / f"{n}_depth.png")).astype(np.float64)
        label = (label - label.min()) / (label.max() - label.min()) * 255
        wanted = Image.fromarray(label.astype("uint8")).resize((side, side), Image.NEAREST)
        both = [torch.from_numpy(np.array(one.convert("L"))).float() for one in (ours, wanted)]
        errors.append(float(F.mse_loss(*both).sqrt()))
    return mean(errors)


def set_of(folder: Path) -> dict[str, float]:
    """torch-fidelity's own run over the two folders of pictures."""
    import torch_fidelity

    return torch_fidelity.calculate_metrics(
        input1=str(folder / "answers"), input2=str(folder / "truths"), cuda=False, fid=True,
        isc=True, isc_splits=PARTS, samples_shuffle=False, verbose=False, cache=False,
        feature_extractor_weights_path=str(weight_of(folder, "inception")), save_cpu_ram=True,
    )  # fmt: skip


_set_of = lru_cache(maxsize=1)(set_of)


def fid(folder: Path) -> float:
    return _set_of(folder)["frechet_inception_distance"]


def inception_score(folder: Path) -> float:
    return _set_of(folder)["inception_score_mean"]


def fid_clean(folder: Path) -> float:
    """clean-fid's resizer and distance, around torch-fidelity's network."""
    from cleanfid.fid import frechet_distance
    from cleanfid.resize import build_resizer
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], str(weight_of(folder, "inception"))
    ).eval()
    resize = build_resizer("clean")
    statistics = []
    for kind in ("answers", "truths"):
        rows = []
        for path in sorted((folder / kind).iterdir()):
            square = resize(np.asarray(Image.open(path).convert("RGB")))
            x = (torch.from_numpy(square).movedim(-1, 0)[None].float() - 128) / 128
            for name, layer in network.named_children():
                x = x if name == "fc" else layer(x)
            rows.append(x.flatten().detach().double().numpy())
        rows = np.stack(rows)
        statistics += [rows.mean(0), np.cov(rows, rowvar=False)]
    return float(frechet_distance(*statistics))


def hps(folder: Path) -> float:
    """open_clip's network and tokenizer; pictures prepared by the package hpsv2."""
    import open_clip
    from hpsv2.src.open_clip.transform import image_transform

    network = open_clip.create_model("ViT-H-14", pretrained=None)
    stored = torch.load(folder / "HPS_v2_compressed.pt", weights_only=True)["state_dict"]
    network.load_state_dict({name: value.float() for name, value in stored.items()})
    prepare = image_transform(224, is_train=False, resize_longest_max=True)
    tokenizer = open_clip.get_tokenizer("ViT-H-14")
    with torch.no_grad():
        seen = torch.cat([network.eval().encode_image(prepare(one)[None], normalize=True)
                          for one in files_in(folder, "answer")])  # fmt: skip
        said = network.encode_text(tokenizer(list(CAPTIONS)), normalize=True)
    return 100 * mean((seen * said).sum(-1).tolist())


def weight_of(folder: Path, name: str) -> Path:
    return WeightFolder(folder).find(name)


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


VISION = ("torchvision",)
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
    "HPS v2": Pair("hps_v2", "hps_v2", "hpsv2, open_clip", (*VISION, "open_clip", "hpsv2"), hps),
    "FID": Pair("fid", "fid", "torch-fidelity", (*VISION, "torch_fidelity"), fid, "coco30k"),
    "FID, clean": Pair("fid", "fid", "clean-fid", (*VISION, "torch_fidelity", "cleanfid"),
                       fid_clean, "multigen-canny"),
    "IS": Pair("is", "is", "torch-fidelity", (*VISION, "torch_fidelity"), inception_score,
               "places-outpaint"),
}  # fmt: skip


def write_all(folder: Path, hps: bool) -> Path:
    """Pictures and weights for all pairs. Returns folder."""
    write_files(folder)
    write_set(folder)
    write_weights(folder, hps)
    if importlib.util.find_spec("torchvision"):
        backbone_file(folder, "alex")
    return folder


def both(name: str, folder: Path) -> tuple[float, float]:
    """(our number through the files, as a dataset is measured; theirs)."""
    pair = PAIRS[name]
    shown = write_set(folder) if pair.measure in ("fid", "is") else write_files(folder)
    layout = replace(LAYOUTS[pair.layout], crop=0)
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
        folder = write_all(Path(place), hps="HPS v2" in names)
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
