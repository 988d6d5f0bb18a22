"""What the libraries, or the code that papers published with, make of the files of metric_files:
a function of their folder for each number."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from pixwizard_core.evaluation.networks.weight_files import WeightFolder
from tests.support.metric_files import CAPTIONS, SHAPES
from tests.support.metric_hps import own_scores, published_file

PARTS = 10  # of a set, for IS


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


def clip_parts(folder: Path, name: str):
    """transformers' model and Pillow processor."""
    from transformers import CLIPModel, CLIPProcessor, CLIPTokenizerFast

    try:
        from transformers import CLIPImageProcessorPil as Prepare
    except ImportError:
        from transformers import CLIPImageProcessor as Prepare
    tokenizer = CLIPTokenizerFast.from_pretrained(folder / name)
    return CLIPModel.from_pretrained(folder / name).eval(), CLIPProcessor(Prepare(), tokenizer)


def plain_clip_parts(folder: Path, name: str):
    """As clip_parts; the model's get_ methods give embeddings as torchmetrics expects them, which
    newer releases of transformers wrap, and count on being wrapped in forward()."""
    model, processor = clip_parts(folder, name)
    for kind in ("get_image_features", "get_text_features"):
        method = getattr(model, kind)

        def plain(*args, method=method, **kwargs):
            found = method(*args, **kwargs)
            return getattr(found, "pooler_output", found)

        setattr(model, kind, plain)
    return model, processor


def clip_vectors(folder: Path, pictures: list[Image.Image], texts: list[str]):
    model, processor = clip_parts(folder, "clip-vit-base-patch32")
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

    metric = CLIPScore(lambda: plain_clip_parts(folder, "clip-vit-base-patch16"))
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


def hps_by(version: str) -> Callable[[Path], float]:
    def theirs(folder: Path) -> float:
        pictures = [folder / f"{n}_answer.png" for n in range(len(SHAPES))]
        return 100 * mean(own_scores(published_file(folder, version), pictures, CAPTIONS))

    return theirs


def weight_of(folder: Path, name: str) -> Path:
    return WeightFolder(folder).find(name)


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)
