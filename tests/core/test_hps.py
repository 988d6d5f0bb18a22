"""HPS: the network of open_clip, pictures as their authors prepare them, and the scores of their
own package (which test_networks.py compares)."""

import sys

import pytest
import torch
import torch.nn.functional as F

from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.networks.hps import ARCHITECTURE, Hps
from pixwizard_core.evaluation.networks.squares import whole
from pixwizard_core.evaluation.networks.weight_files import MissingPart
from pixwizard_core.files.picture_files import as_pil
from tests.support.metric_hps import own_package
from tests.support.metric_networks import picture
from tests.support.metric_packages import need

TEXTS = ["a red ball"]


@pytest.mark.slow
def test_hps_is_the_cosine_of_open_clip(tmp_path):
    need("torchvision", "open_clip")
    import open_clip

    theirs, _, prepare = open_clip.create_model_and_transforms("ViT-B-32", pretrained=None)
    torch.manual_seed(0)
    path = tmp_path / "HPS_v2_compressed.pt"
    torch.save({"state_dict": theirs.state_dict(), "epoch": 1}, path)
    theirs.eval()
    one = picture(7, 224, 224)  # the two prepare other sizes differently
    with torch.no_grad():
        seen = theirs.encode_image(prepare(as_pil(one[0]))[None])
        said = theirs.encode_text(open_clip.get_tokenizer("ViT-B-32")(TEXTS))
        wanted = 100 * float(F.cosine_similarity(seen, said))
    (ours,) = Hps(path, architecture="ViT-B-32")([one], TEXTS)
    assert ours == pytest.approx(wanted, abs=1e-2)


def test_without_its_packages_a_network_says_which_are_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingPart, match=r"HPS needs packages .*pixwizard\[metrics\]"):
        Hps(tmp_path / "x.pt")


def test_hps_sees_the_whole_picture_with_black_beside_it():
    shown = whole(torch.full((1, 3, 20, 40), 0.6), 224)
    assert shown.shape == (1, 3, 224, 224)
    rows = shown[0, :, :, 100].amin(0)
    assert rows[:56].max() == rows[168:].max() == 0
    assert rows[56:168].min() == pytest.approx(0.6)


@pytest.mark.slow
def test_the_package_of_hps_and_open_clip_name_the_same_tensors():
    need("torchvision", "open_clip", "clint", "hpsv2")
    import open_clip

    with torch.device("meta"):  # at the real size, without its 4 GB
        ours = open_clip.create_model(ARCHITECTURE, pretrained=None, device="meta")
        theirs = own_package().create_model_and_transforms(ARCHITECTURE, None, device="meta")[0]
    shapes = [{name: tuple(value.shape) for name, value in network.state_dict().items()}
              for network in (ours, theirs)]  # fmt: skip
    assert shapes[0] == shapes[1]
    assert shapes[0]["visual.proj"] == (1280, 1024)
    assert shapes[0]["transformer.resblocks.23.mlp.c_fc.weight"] == (4096, 1024)


@pytest.mark.slow
def test_a_file_of_another_network_is_refused_for_hps(tmp_path):
    need("torchvision", "open_clip")
    path = tmp_path / "HPS_v2.1_compressed.pt"
    torch.save({"state_dict": {"visual.proj": torch.zeros(1280, 1024)}}, path)
    with pytest.raises(PixWizardError, match=r"HPS_v2\.1_compressed\.pt holds another network"):
        Hps(path, architecture="ViT-B-32")
    torch.save({"state_dict": {"visual.proj": torch.zeros(768, 512)}}, path)
    with pytest.raises(PixWizardError, match=r"lacks \d+ of the network's tensors, such as"):
        Hps(path, architecture="ViT-B-32")
