import copy
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.encoders.taesd import Autoencoder, save_autoencoder
from pixwizard_core.encoders.tiny import BUNDLE, VAE_FILE
from pixwizard_core.encoders.vae import (
    DiffusersCoder,
    TaesdCoder,
    load_latent_coder,
    sdxl_vae,
)
from pixwizard_core.errors import EncoderError


class FakeDiffusersVae:
    """The surface of diffusers' AutoencoderKL: the mode is 2, a draw adds the generator's noise."""

    dtype = torch.float64

    def encode(self, pixels):
        assert pixels.dtype == self.dtype
        mode = torch.full((len(pixels), 4, 1, 1), 2.0, dtype=self.dtype)

        def sample(generator):
            return mode + torch.randn(mode.shape, generator=generator, dtype=self.dtype)

        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mode, sample=sample))

    def decode(self, latent):
        return SimpleNamespace(sample=latent[:, :3])


def test_diffusers_coder_scales_the_mode_both_ways():
    coder = DiffusersCoder(FakeDiffusersVae())
    latent = coder.encode(torch.zeros(2, 3, 8, 8))
    assert latent.dtype == torch.float32
    torch.testing.assert_close(latent, torch.full((2, 4, 1, 1), 2 * 0.13025))
    painted = coder.decode(torch.full((1, 4, 1, 1), 0.5 * 0.13025))
    torch.testing.assert_close(painted, torch.full((1, 3, 1, 1), 0.5))


def test_diffusers_coder_clamps_and_draws_from_its_generator():
    draws = [
        DiffusersCoder(FakeDiffusersVae(), torch.Generator().manual_seed(seed)).encode(
            torch.zeros(1, 3, 8, 8)
        )
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert DiffusersCoder(FakeDiffusersVae()).decode(torch.ones(1, 4, 1, 1)).max() == 1


def test_taesd_coder_keeps_the_callers_type_and_clamps():
    torch.manual_seed(0)
    model = Autoencoder()
    with torch.no_grad():
        model.taesd_decoder[-1].bias.fill_(3.0)
        coder = TaesdCoder(model.double())
        pixels = torch.rand(1, 3, 16, 16) * 2 - 1
        latent = coder.encode(pixels)
        painted = coder.decode(latent)
    assert latent.dtype == painted.dtype == torch.float32
    torch.testing.assert_close(latent.double(), model.encode(pixels.double()), atol=1e-6, rtol=0)
    assert painted.max() == 1


def test_loads_a_taesd_file_frozen(tmp_path):
    save_autoencoder(Autoencoder(), tmp_path / "vae.safetensors")
    coder = load_latent_coder(tmp_path / "vae.safetensors", dtype=torch.float64)
    assert isinstance(coder, TaesdCoder)
    assert coder.model.taesd_encoder[0].weight.dtype == torch.float64
    assert not any(p.requires_grad for p in coder.model.parameters())


def test_loaded_taesd_works_in_channels_last_and_answers_in_the_usual_order():
    coder = load_latent_coder(BUNDLE / VAE_FILE)
    for net in (coder.model.taesd_encoder, coder.model.taesd_decoder):
        convolutions = [layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert all(
            layer.weight.is_contiguous(memory_format=torch.channels_last)
            for layer in convolutions
        )
    usual = TaesdCoder(copy.deepcopy(coder.model).to(memory_format=torch.contiguous_format))
    pixels = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latent = coder.encode(pixels)
    painted = coder.decode(latent)
    assert latent.is_contiguous()
    assert painted.is_contiguous()
    torch.testing.assert_close(latent, usual.encode(pixels), atol=1e-5, rtol=0)
    torch.testing.assert_close(painted, usual.decode(latent), atol=1e-5, rtol=0)


def test_refusals_name_the_file_and_the_vae_to_get(tmp_path):
    with pytest.raises(EncoderError, match=r"there is no VAE at .*x\.safetensors.*sdxl-vae"):
        load_latent_coder(tmp_path / "x.safetensors")
    with pytest.raises(EncoderError, match=r"holds no \.safetensors"):
        load_latent_coder(tmp_path)
    flux = {"encoder.conv_in.weight": torch.zeros(1), "decoder.conv_in.weight": torch.zeros(1)}
    save_file(flux, str(tmp_path / "ae.safetensors"))
    with pytest.raises(EncoderError, match=r"ae\.safetensors is not a 4-channel .*no quant_conv"):
        load_latent_coder(tmp_path / "ae.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(EncoderError, match="not a weight file"):
        load_latent_coder(tmp_path / "bad.safetensors")
    many = {"encoder.conv_in.weight": torch.zeros(1), "quant_conv.weight": torch.zeros(32, 1)}
    with pytest.raises(EncoderError, match="16 latent channels"):
        sdxl_vae(many, "big")
