import json
import math
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pixwizard_core.encoders import vision as vision_module
from pixwizard_core.encoders.architectures import build, weights_of
from pixwizard_core.encoders.load import load_vision_encoder
from pixwizard_core.encoders.tiny import fresh
from pixwizard_core.encoders.vision import (
    CLIP_MEAN,
    CLIP_STD,
    VisionEncoder,
    bicubic,
    preprocess,
    resizer,
    sinusoid_positions,
)
from pixwizard_core.errors import EncoderError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
}


@pytest.fixture(scope="module")
def encoder():
    built = build("clip_vision", SMALL, device="meta", dtype=torch.float32)
    return VisionEncoder(fresh(built, torch.Generator().manual_seed(0)).eval())


def golden_cases():
    described = json.loads((GOLDEN / "clip_preprocess.json").read_text(encoding="utf-8"))
    return described["cases"]


def golden_pixels(case, tensors):
    """The case's picture in -1..1: stored, or 8-bit numbers of the formula the file describes."""
    if not case["formula"]:
        return tensors[case["image"]].float() / 127.5 - 1
    assert case["formula"] == "u8[c,y,x]=(37*x+91*y+53*c+(x*y)//7)%256"
    height, width = case["size_hw"]
    c, y, x = torch.meshgrid(*map(torch.arange, (3, height, width)), indexing="ij")
    return ((37 * x + 91 * y + 53 * c + (x * y) // 7) % 256).float() / 127.5 - 1


@pytest.mark.parametrize("resize", [bicubic, None], ids=["torch", "default"])
@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case["name"])
def test_preprocess_matches_the_reference(case, resize, monkeypatch):
    if resize:
        monkeypatch.setattr(vision_module, "resizer", lambda: resize)
    tensors = load_file(GOLDEN / "clip_preprocess.safetensors")
    made = preprocess(golden_pixels(case, tensors)[None])[0]
    index = torch.tensor(case["sub_index"])
    wanted = tensors[case["output"]]
    torch.testing.assert_close(made[:, index][:, :, index], wanted, atol=3e-4, rtol=0)
    assert math.isclose(made.double().sum().item(), case["sum"], rel_tol=1e-5)
    assert math.isclose(made.double().square().sum().item(), case["sumsq"], rel_tol=1e-5)


@pytest.mark.parametrize("size", [(40, 56), (336, 336), (512, 512)])
def test_kornia_and_torch_resize_agree_bit_for_bit(size):
    pytest.importorskip("kornia")
    pixels = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert resizer() is not bicubic
    assert torch.equal(resizer()(pixels, 336), bicubic(pixels, 336))


def test_resizer_does_without_kornia(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.geometry.transform", None)
    resizer.cache_clear()
    assert resizer() is bicubic
    resizer.cache_clear()


def test_preprocess_of_a_plain_picture_by_hand():
    grey = preprocess(torch.zeros(1, 3, 32, 32), 8)
    wanted = (0.5 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    torch.testing.assert_close(grey, wanted.view(1, 3, 1, 1).expand(1, 3, 8, 8))


def test_tokens_are_the_last_layer_without_class_token_and_norm(encoder):
    pixels = torch.rand(1, 3, 40, 64) * 2 - 1
    model = encoder.model
    with torch.no_grad():
        tokens = encoder.encode(pixels)
        states = model.states(preprocess(pixels, 56))
    assert tokens.shape == (1, 16, 32)
    assert encoder.width == 32
    assert len(states) == SMALL["num_hidden_layers"]
    assert torch.equal(tokens, states[-1][:, 1:])
    assert not torch.allclose(tokens, model.vision_model.post_layernorm(tokens), atol=0.1)


def test_tokens_do_not_depend_on_the_batch(encoder):
    pixels = torch.rand(3, 3, 48, 48) * 2 - 1
    with torch.no_grad():
        together = encoder.encode(pixels)
        alone = torch.cat([encoder.encode(one[None]) for one in pixels])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_gradients_reach_every_parameter_but_the_closing_norm(encoder):
    encoder.encode(torch.rand(1, 3, 32, 32)).square().mean().backward()
    idle = [name for name, p in encoder.named_parameters() if p.grad is None]
    assert all("post_layernorm" in name for name in idle)
    encoder.zero_grad(set_to_none=True)


def test_sinusoid_positions_tell_every_place_apart():
    table = sinusoid_positions(24, 96)
    assert table.shape == (576, 96)
    assert table.abs().max() <= 1
    assert torch.pdist(table).min() > 0.2
    with pytest.raises(ValueError, match="multiple of 4, got 6"):
        sinusoid_positions(4, 6)


def clip_file(path, encoder, config=None, drop=()):
    tensors = {k: v for k, v in weights_of(encoder.model).items() if k not in drop}
    header = {"pixwizard.clip_vision": json.dumps(config)} if config else {}
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(path), metadata=header)
    return path


def test_file_with_its_own_settings_round_trips(encoder, tmp_path):
    loaded = load_vision_encoder(clip_file(tmp_path / "v.safetensors", encoder, SMALL))
    pixels = torch.rand(1, 3, 56, 56)
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode(pixels), encoder.encode(pixels))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_saved_names_are_the_published_ones(encoder):
    names = weights_of(encoder.model)
    assert "vision_model.embeddings.class_embedding" in names
    assert "vision_model.pre_layrnorm.weight" in names
    assert "vision_model.encoder.layers.1.self_attn.q_proj.weight" in names


def with_projection(path, encoder, shape):
    """A file of the encoder with a projection of this shape; the path and the projection."""
    clip_file(path, encoder, SMALL)
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    tensors = load_file(str(path)) | {"visual_projection.weight": matrix}
    save_file(tensors, str(path), metadata={"pixwizard.clip_vision": json.dumps(SMALL)})
    return path, matrix


def test_projection_of_a_file_acts_on_the_pooled_picture_alone(encoder, tmp_path):
    path, matrix = with_projection(tmp_path / "p.safetensors", encoder, (20, 32))
    loaded, pixels = load_vision_encoder(path), torch.rand(2, 3, 56, 56)
    assert loaded.model.config.projection_dim == 20
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode(pixels), encoder.encode(pixels))
        state = encoder.model.states(preprocess(pixels, 56))[-1]
        plain = encoder.model.pooled(state)
        assert plain.shape == (2, 32)
        torch.testing.assert_close(loaded.model.pooled(state), plain @ matrix.T)


@pytest.mark.parametrize("shape", [(20, 31), (20,), (20, 32, 1)], ids=str)
def test_projection_of_another_shape_is_refused(encoder, tmp_path, shape):
    path, _ = with_projection(tmp_path / "p.safetensors", encoder, shape)
    with pytest.raises(EncoderError, match=r"1 weights do not fit: .*visual_projection\.weight"):
        load_vision_encoder(path)


def test_refuses_clip_of_another_size_and_missing_weights(encoder, tmp_path):
    with pytest.raises(
        EncoderError, match=r"CLIP vision alone.*width 32, 56 px.*vision half of openai"
    ):
        load_vision_encoder(clip_file(tmp_path / "small.safetensors", encoder))
    lacking = clip_file(
        tmp_path / "l.safetensors", encoder, SMALL, ["vision_model.pre_layrnorm.bias"]
    )
    with pytest.raises(
        EncoderError, match=r"1 weights do not fit: missing vision_model\.pre_layrnorm"
    ):
        load_vision_encoder(lacking)
    with pytest.raises(EncoderError, match="there is no file or folder"):
        load_vision_encoder(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncoderError, match=r"holds no \.safetensors or \.bin weights"):
        load_vision_encoder(tmp_path / "empty")
