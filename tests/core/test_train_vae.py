import dataclasses

import pytest
import torch

from pixwizard_core.encoders.taesd import Autoencoder
from pixwizard_core.encoders.vae import load_latent_coder
from pixwizard_core.training.autoencoder import main, train_vae
from pixwizard_core.training.picture_sets import with_photographs
from pixwizard_core.training.vae_pictures import CropSource, PoolSpec, crops, window
from pixwizard_core.training.vae_trainer import (
    VaeSettings,
    VaeTrainer,
    learning_factor,
    picture_loss,
)

CPU = torch.device("cpu")
SPECS = (PoolSpec(32, 32, 8, 4, 0.5), PoolSpec(32, 48, 4, 4, 0.5))
SETTINGS = VaeSettings(
    batch_size=2,
    sides=(16, 32),
    pools=SPECS,
    bf16=False,
    refresh_every=2,
    warm_up_steps=2,
    freeze_at=0.5,
    calibration_batches=32,
)


def pictures(count, height, width, generator, device):
    blocks = torch.rand(count, 3, height // 8, width // 8, generator=generator)
    return torch.nn.functional.interpolate(blocks, scale_factor=8).to(device)


def kinds(count, height, width, generator, device):
    return {
        "blocks": pictures(4, 32, 32, generator, device),
        "black": torch.zeros(2, 3, 32, 32, device=device),
    }


def crop_source(start_step=0):
    return CropSource(
        pictures,
        SPECS,
        (16, 32),
        batch_size=4,
        seed=7,
        device=CPU,
        refresh_every=2,
        start_step=start_step,
    )


def test_window_covers_the_room_and_runs_backwards():
    rows = window(torch.tensor([0.0, 0.99]), 2, torch.tensor([0.0, 0.9]), 3)
    assert rows.tolist() == [[0, 1, 2], [4, 3, 2]]


def test_crops_are_windows_of_the_pictures():
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    cut = (crops(images, 50, 4, torch.Generator().manual_seed(0)) * 255).round().to(torch.uint8)
    variants = {
        tuple(v.flatten().tolist()) for i in images for v in (i, i.flip(1), i.flip(2), i.flip(1, 2))
    }
    met = {tuple(c.flatten().tolist()) for c in cut}
    assert met == variants


def test_crop_source_resumes_with_the_same_crops():
    whole = crop_source()
    batches = [whole.batch(step) for step in range(12)]
    for start in (1, 5, 6, 9):
        later = crop_source(start)
        for step in range(start, 12):
            assert torch.equal(later.batch(step), batches[step]), (start, step)


def test_pools_are_refreshed_in_turns():
    source = crop_source()
    before = [pool.images.clone() for pool in source.pools]
    for step in range(3):
        source.batch(step)
    assert not torch.equal(source.pools[0].images[:4], before[0][:4])
    assert torch.equal(source.pools[0].images[4:], before[0][4:])
    assert torch.equal(source.pools[1].images, before[1])


def test_loss_weighs_an_edge_more_than_a_plain():
    wanted = torch.zeros(1, 3, 8, 8)
    wanted[..., 4:] = 1
    plain, edge = wanted.clone(), wanted.clone()
    plain[..., 0] += 0.5
    edge[..., 3] += 0.5
    assert torch.isclose(picture_loss(plain, wanted), torch.tensor((0.5 + 2 * 0.25) / 8))
    assert torch.isclose(picture_loss(edge, wanted), torch.tensor(4 * (0.5 + 2 * 0.25) / 8))


def test_learning_factor_warms_up_and_decays_to_one_percent():
    assert learning_factor(0, 0.0, 10) == 0.1
    assert learning_factor(10, 0.0, 10) == 1.0
    assert abs(learning_factor(1000, 1.0, 10) - 0.01) < 1e-9


def test_trainer_resumes_exactly(tmp_path):
    source = crop_source()
    batches = [source.batch(step)[:2, :, :16, :16] for step in range(6)]

    def run(trainer, steps):
        for step in steps:
            if step == 2:
                trainer.freeze(batches[:2])
            trainer.train_step(batches[step], step / 6)
        return trainer

    whole = run(VaeTrainer(SETTINGS, device=CPU, seed=3), range(6))
    run(VaeTrainer(SETTINGS, device=CPU, seed=3), range(4)).save(
        tmp_path / "c.pt", 1.5, [{"step": 4}]
    )
    resumed = VaeTrainer(SETTINGS, device=CPU, seed=3)
    assert resumed.load(tmp_path / "c.pt") == (1.5, [{"step": 4}])
    run(resumed, range(4, 6))
    for name, value in whole.finished().state_dict().items():
        assert torch.equal(value, resumed.finished().state_dict()[name]), name


def test_training_lowers_the_loss_and_ships_a_normalised_latent(tmp_path):
    result = train_vae(
        tmp_path,
        None,
        CPU,
        steps=12,
        pictures=pictures,
        kinds=kinds,
        settings=SETTINGS,
        resume=False,
    )
    assert result["steps"] == 12
    assert set(result["psnr"]) == {"blocks", "black"}
    model = load_latent_coder(tmp_path / "vae.safetensors").model
    with torch.no_grad():
        latent = model.encode(pictures(64, 32, 32, torch.Generator().manual_seed(1), CPU) * 2 - 1)
    assert latent.mean((0, 2, 3)).abs().max() < 0.5
    assert (latent.std((0, 2, 3)) - 1).abs().max() < 0.4
    again = train_vae(
        tmp_path, None, CPU, steps=12, pictures=pictures, kinds=kinds, settings=SETTINGS
    )
    assert again["steps"] == 12
    assert again["psnr"] == result["psnr"]


def test_training_that_goes_on_keeps_the_latents_of_its_start(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        start = Autoencoder()
    trainer = VaeTrainer(SETTINGS, device=CPU, seed=3)
    trainer.start_from(start)
    for name, value in start.state_dict().items():
        assert torch.equal(trainer.finished().state_dict()[name], value), name
    batch = crop_source().batch(0)[:2, :, :16, :16]
    trainer.train_step(batch, 0.0)
    with torch.no_grad():
        before, after = start.encode(batch), trainer.finished().encode(batch)
    assert 0 < (after - before).abs().max() < 0.1
    trainer.save(tmp_path / "c.pt", 1.0, [])
    resumed = VaeTrainer(SETTINGS, device=CPU, seed=3)
    resumed.load(tmp_path / "c.pt")
    assert resumed.norm.frozen
    assert torch.equal(
        resumed.average["taesd_encoder.0.weight"], trainer.average["taesd_encoder.0.weight"]
    )


def test_training_of_the_decoder_alone_keeps_every_latent():
    trainer = VaeTrainer(dataclasses.replace(SETTINGS, decoder_only=True), device=CPU, seed=3)
    start = Autoencoder()
    trainer.start_from(start)
    trainer.train_step(crop_source().batch(0)[:2, :, :16, :16], 0.0)
    after = trainer.finished().state_dict()
    changed = {
        name for name, value in start.state_dict().items() if not torch.equal(after[name], value)
    }
    assert changed
    assert all(name.startswith("taesd_decoder.") for name in changed)


def test_decoder_alone_needs_a_start(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--decoder-only"])
    assert "--decoder-only needs --start" in capsys.readouterr().err


def test_photographs_take_their_share_of_the_pictures():
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    from pixwizard_core.world.photograph_tasks import photograph_mix

    all_of_them = with_photographs(1.0)(3, 32, 32, torch.Generator().manual_seed(1), CPU)
    alone = photograph_mix(3, 32, 32, torch.Generator().manual_seed(1), CPU)
    assert torch.equal(all_of_them, alone)
    mixed = with_photographs(0.25)(8, 32, 32, torch.Generator().manual_seed(1), CPU)
    assert mixed.shape == (8, 3, 32, 32)
