"""Networks that measure pictures, with random weights, against the libraries' own paths."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.frechet import FeatureSums, ScoreSums, frechet_distance
from pixwizard_core.evaluation.networks.clip import Clip, direction
from pixwizard_core.evaluation.networks.dino import Dino
from pixwizard_core.evaluation.networks.dpt import Dpt, depth_error
from pixwizard_core.evaluation.networks.inception import RESIZES, Inception
from pixwizard_core.evaluation.networks.lpips import Lpips
from pixwizard_core.evaluation.networks.weight_files import (
    MissingPart,
    WeightFolder,
    weight_entries,
)
from pixwizard_core.files.picture_files import as_pil
from tests.support.metric_networks import (
    clip_folder,
    dino_folder,
    dpt_folder,
    inception_file,
    picture,
)
from tests.support.metric_packages import name_operators, need
from tests.support.metric_pairs import PAIRS, both, write_all


def bytes_of(*pictures):
    return torch.cat([(one * 255).round().to(torch.uint8) for one in pictures])


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    need("torchvision", "torch_fidelity", "torchmetrics")
    return inception_file(tmp_path_factory.mktemp("inception"))


@pytest.mark.slow
@pytest.mark.parametrize("resize", ["tf", "antialias"])
def test_inception_gives_the_librarys_features(resize, inception):
    from torchmetrics.image.fid import NoTrainInceptionV3

    names = ["2048", "logits_unbiased"]
    theirs = NoTrainInceptionV3("inception-v3-compat", names, str(inception),
                                antialias=resize == "antialias")  # fmt: skip
    pictures = bytes_of(picture(1), picture(2))
    wanted = theirs._torch_fidelity_forward(pictures)
    features, logits = Inception(inception, resize=resize)(list(pictures.split(1)))
    assert features.shape == (2, 2048)
    assert float(wanted[0].std()) > 1e-3  # not a network that says the same of everything
    assert torch.allclose(features, wanted[0], rtol=1e-5, atol=1e-6)
    assert torch.allclose(logits, wanted[1], rtol=1e-5, atol=1e-5)


def test_clean_resize_is_that_of_clean_fid():
    need("torchvision", "cleanfid")
    from cleanfid.resize import build_resizer

    pictures = bytes_of(picture(3, 512, 512))
    wanted = build_resizer("clean")(pictures[0].movedim(0, -1).numpy())
    ours = RESIZES["clean"](pictures.float())[0].movedim(0, -1).numpy()
    assert np.abs(ours - wanted).max() < 2e-3  # of 255


@pytest.mark.slow
def test_fid_and_is_are_those_of_torchmetrics(inception):
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    real = bytes_of(*(picture(n) for n in range(4)))
    made = bytes_of(*(picture(n) for n in range(10, 14)))
    fid = FrechetInceptionDistance(feature_extractor_weights_path=str(inception), antialias=False)
    fid.set_dtype(torch.float64)
    fid.update(real, real=True)
    fid.update(made, real=False)
    look = Inception(inception)
    sums, scores = [FeatureSums.empty(2048), FeatureSums.empty(2048)], ScoreSums.empty(1008, 1)
    for one, pictures in zip(sums, (real, made), strict=True):
        features, logits = look(list(pictures.split(1)))
        one.add(features)
    scores.add(logits, torch.zeros(4, dtype=torch.int64))
    assert float(fid.compute()) > 0.01
    assert frechet_distance(*sums) == pytest.approx(float(fid.compute()), rel=1e-4)
    theirs = InceptionScore(feature=fid.inception, splits=1)
    theirs.inception.features_list = ["logits_unbiased"]
    theirs.update(made)
    assert scores.score()[0] == pytest.approx(float(theirs.compute()[0]), rel=1e-4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    name_operators()
    return clip_folder(tmp_path_factory.mktemp("clip") / "clip-vit-base-patch32")


TEXTS = ["a red ball", "two cats on a sofa"]


def test_clip_gives_the_librarys_embeddings(clip):
    from transformers import CLIPModel, CLIPTokenizerFast

    theirs = CLIPModel.from_pretrained(clip).eval()
    tokens = CLIPTokenizerFast.from_pretrained(clip)(TEXTS, padding=True, return_tensors="pt")
    pixels = torch.stack([clip_pixels(one) for one in (picture(1), picture(2, 300, 120))])
    with torch.no_grad():
        wanted = theirs(**tokens, pixel_values=pixels)
    ours = Clip(clip)
    seen, said = ours.pictures([picture(1), picture(2, 300, 120)]), ours.texts(TEXTS)
    assert torch.allclose(seen, wanted.image_embeds, atol=1e-5)
    assert torch.allclose(said, wanted.text_embeds, atol=1e-5)


def clip_pixels(picture_01, short=224, side=224):
    """CLIP's published preparation with Pillow alone."""
    from PIL import Image

    image = as_pil(picture_01[0])
    scale = short / min(image.size)
    size = [short if n == min(image.size) else int(n * scale) for n in image.size]
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (round((n - side) / 2) for n in image.size)
    values = np.asarray(image.crop((left, top, left + side, top + side)), np.float32) / 255
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    return torch.from_numpy((values - mean) / std).movedim(-1, 0)


def test_clip_direction_is_the_angle_between_the_changes():
    before, after = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([[0.0, 1.0]] * 4)
    first = torch.tensor([[1.0, 0], [0, 1], [1, 0], [1, 0]])
    second = torch.tensor([[0.0, 1], [1, 0], [1, 0], [-1, 0]])
    # along, against, no change of words at all, and at 45 degrees
    assert direction(before, after, first, second) == pytest.approx([1, -1, 0, 0.5**0.5])


def test_dino_gives_the_class_token_of_the_library(tmp_path):
    from transformers import ViTModel

    folder = dino_folder(tmp_path / "dino-vits16")
    theirs = ViTModel.from_pretrained(folder).eval()
    from PIL import Image

    image = as_pil(picture(5, 120, 200)[0]).resize((int(256 * 200 / 120), 256), Image.BICUBIC)
    left, top = round((image.width - 224) / 2), 16
    values = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = torch.from_numpy(((values - mean) / std).astype(np.float32)).movedim(-1, 0)[None]
    with torch.no_grad():
        wanted = theirs(pixel_values=pixels).last_hidden_state[:, 0]
    assert torch.allclose(Dino(folder).pictures([picture(5, 120, 200)]), wanted, atol=1e-5)


def test_dpt_estimates_what_the_library_does(tmp_path):
    from PIL import Image
    from transformers import DPTForDepthEstimation

    folder = dpt_folder(tmp_path / "dpt-large")
    image = as_pil(picture(6, 128, 128)[0]).resize((384, 384), Image.BICUBIC)
    pixels = torch.from_numpy(np.asarray(image, np.float32) / 255).movedim(-1, 0)[None] * 2 - 1
    with torch.no_grad():
        wanted = DPTForDepthEstimation.from_pretrained(folder).eval()(pixel_values=pixels)
    estimate = Dpt(folder)(picture(6, 128, 128))
    assert torch.allclose(estimate, wanted.predicted_depth[0], rtol=1e-4, atol=1e-4)


def test_depth_error_stretches_the_map_and_scales_the_estimate():
    ramp = torch.linspace(1, 3, 64).expand(64, 64)
    assert depth_error(ramp, ramp, 64) > 10  # the map goes from 0, the estimate from a third
    from_nought = ramp - 1
    assert depth_error(from_nought, ramp, 64) == 0
    assert depth_error(torch.ones(8, 8), torch.tensor([[0.0, 1.0]]), 8) == pytest.approx(
        255 * 0.5**0.5
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    name_operators()
    return write_all(tmp_path_factory.mktemp("pairs"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_measure_of_files_is_that_of_its_library(name, files):
    need(*PAIRS[name].needs)
    ours, theirs = both(name, files)
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def test_a_weight_that_is_not_there_is_named_with_its_source(tmp_path):
    with pytest.raises(MissingPart, match=r"vgg16-397923af\.pth or .*528 MB.*download\.pytorch"):
        WeightFolder(tmp_path).find("vgg16")
    with pytest.raises(MissingPart, match="--weights, which is not given"):
        WeightFolder(None).find("dino-vits16")


def test_weights_of_another_network_are_refused(tmp_path, clip):
    need("torchvision", "torchmetrics", "torch_fidelity")
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, tmp_path / "other.pth")
    with pytest.raises(PixWizardError, match="is not the Inception network of FID"):
        Inception(tmp_path / "other.pth")
    with pytest.raises(PixWizardError, match=r"lacks \d+ of the network's tensors"):
        Lpips(tmp_path / "other.pth", "alex")
    with pytest.raises(PixWizardError, match="cannot be loaded"):
        Clip(tmp_path)


def test_every_weight_says_its_size_and_source():
    for entry in weight_entries().values():
        assert entry.files
        assert entry.size.endswith("B")
        assert "." in entry.source


def test_networks_load_without_bars_and_warnings(clip, tmp_path, capfd):
    Clip(clip)
    Dino(dino_folder(tmp_path / "dino-vits16"))
    capfd.readouterr()
    Clip(clip)
    Dino(tmp_path / "dino-vits16")
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_lacks_tensors_is_refused(clip, tmp_path):
    folder = shutil.copytree(clip, tmp_path / "clip")
    state = load_file(folder / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(PixWizardError, match=r"lacks 1 of .* such as visual_projection\.weight"):
        Clip(folder)
