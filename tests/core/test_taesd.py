import json

import pytest
import torch
from safetensors import safe_open

from pixwizard_core.encoders.taesd import (
    HEADER_KEY,
    LATENT_SCALE,
    Autoencoder,
    autoencoder_from,
    fold_normalisation,
    save_autoencoder,
)
from pixwizard_core.encoders.vae import load_latent_coder
from pixwizard_core.errors import EncoderError


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Autoencoder().eval()


def test_keys_are_those_a_host_recognises(model):
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes["taesd_encoder.0.weight"] == (64, 3, 3, 3)
    assert shapes["taesd_encoder.2.weight"] == (64, 64, 3, 3)
    assert "taesd_encoder.2.bias" not in shapes
    assert shapes["taesd_encoder.3.conv.4.bias"] == (64,)
    assert shapes["taesd_encoder.14.weight"] == (4, 64, 3, 3)
    assert shapes["taesd_decoder.1.weight"] == (64, 4, 3, 3)
    assert shapes["taesd_decoder.7.weight"] == (64, 64, 3, 3)
    assert "taesd_decoder.7.bias" not in shapes
    assert shapes["taesd_decoder.19.weight"] == (3, 64, 3, 3)
    assert shapes["vae_scale"] == shapes["vae_shift"] == ()
    assert len(shapes) == 67 + 67 + 2


def test_sizes_and_range_of_the_border(model):
    pixels = torch.rand(2, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        latent = model.encode(pixels)
        raw = model.taesd_encoder((pixels + 1) / 2)
        picture = model.taesd_decoder(latent)
        assert latent.shape == (2, 4, 4, 6)
        torch.testing.assert_close(latent, raw)
        torch.testing.assert_close(model.decode(latent), picture * 2 - 1)


def test_host_latent_times_the_scale_is_the_model_latent(model):
    pixels = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        host = (
            model.taesd_encoder(pixels * 0.5 + 0.5) / model.vae_scale + model.vae_shift
        )  # what the host's TAESD does
        torch.testing.assert_close(host * LATENT_SCALE, model.encode(pixels))


def test_shift_and_scale_of_a_foreign_file_are_honoured(model):
    foreign = autoencoder_from(
        {**model.state_dict(), "vae_scale": torch.tensor(0.5), "vae_shift": torch.tensor(2.0)}
    )
    pixels = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        raw = model.taesd_encoder(pixels * 0.5 + 0.5)
        torch.testing.assert_close(foreign.encode(pixels), (raw * 2 + 2) * 0.13025)
        torch.testing.assert_close(
            foreign.decode(foreign.encode(pixels)), model.decode(raw), atol=1e-5, rtol=0
        )


def test_fold_is_exact():
    torch.manual_seed(1)
    last = torch.nn.Conv2d(8, 4, 3, padding=1).double()
    x = torch.randn(2, 8, 6, 6).double()
    mean, std = (
        torch.tensor([0.3, -2.0, 5.0, 0.0]).double(),
        torch.tensor([0.1, 3.0, 1.0, 40.0]).double(),
    )
    with torch.no_grad():
        wanted = (last(x) - mean.view(1, 4, 1, 1)) / std.view(1, 4, 1, 1)
        fold_normalisation(last, mean, std)
        torch.testing.assert_close(last(x), wanted, atol=1e-12, rtol=1e-12)


def test_fold_refuses_a_dead_channel():
    with pytest.raises(ValueError, match=r"must be positive"):
        fold_normalisation(torch.nn.Conv2d(1, 2, 3), torch.zeros(2), torch.tensor([1.0, 0.0]))


def test_file_round_trip_keeps_scalars_and_notes(model, tmp_path):
    save_autoencoder(model, tmp_path / "vae.safetensors", {"steps": 3})
    with safe_open(str(tmp_path / "vae.safetensors"), "pt") as file:
        header = json.loads(file.metadata()[HEADER_KEY])
        assert file.get_tensor("vae_scale").item() == torch.tensor(0.13025).item()
        assert file.get_tensor("taesd_encoder.0.weight").dtype == torch.float16
    assert header == {"format": "taesd", "latent_channels": 4, "latent_scale": 0.13025, "steps": 3}
    loaded = load_latent_coder(tmp_path / "vae.safetensors").model
    for key, value in loaded.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[key], atol=1e-4, rtol=1e-3)


def test_strangers_and_wrong_keys_are_refused(model):
    with pytest.raises(
        EncoderError, match=r"first encoder.conv_in.weight.*not an autoencoder in the TAESD layout"
    ):
        autoencoder_from({"encoder.conv_in.weight": torch.zeros(1)})
    incomplete = {
        key: value for key, value in model.state_dict().items() if key != "taesd_encoder.0.bias"
    }
    with pytest.raises(EncoderError, match=r"1 problems.*missing taesd_encoder.0.bias"):
        autoencoder_from(incomplete)
    with pytest.raises(EncoderError, match=r"taesd_encoder.0.bias is \(3,\), wanted \(64,\)"):
        autoencoder_from({**model.state_dict(), "taesd_encoder.0.bias": torch.zeros(3)})
