"""Training of the bundled model: it learns, reaches every weight, and resumes exactly."""

import dataclasses
import random

import pytest
import torch

from pixwizard_core.bundle import load_tiny
from pixwizard_core.config import PRESETS
from pixwizard_core.encoders.taesd import Autoencoder
from pixwizard_core.encoders.tiny import BUNDLE, build_tiny_encoders, load_tokenizer_only
from pixwizard_core.encoders.vae import TaesdCoder
from pixwizard_core.model import PixWizard
from pixwizard_core.training import fast_ops, loop, small_model
from pixwizard_core.training.batches import KnownTokens, garble, task_weights
from pixwizard_core.training.dataset import (
    Order,
    plan,
    produce,
    produce_photographs,
    tasks_of_chunk,
)
from pixwizard_core.training.loop import (
    Run,
    Sampler,
    Trainee,
    TrainSettings,
    change_weights,
    draw_times,
    flow_loss,
    initialise,
    learning_rate,
)
from pixwizard_core.training.samples import PHOTOGRAPHS, TASK_IDS, Group, Samples, asked
from pixwizard_core.world.examples import WORLD_TASKS
from pixwizard_core.world.photograph_tasks import PHOTOGRAPH_TASKS
from pixwizard_core.world.wordings import ask
from tests.support.tiny import tiny_condition, tiny_config

SETTINGS = TrainSettings(minutes=1000, batch=3, warmup_steps=5)
BUCKET = Group(64, 64)


def new_trainee() -> Trainee:
    text, vision = build_tiny_encoders()
    sizes = {"cap_feat_dim": text.width, "cap_clip_feat_dim": text.pooled_width}
    config = tiny_config(image_feat_dim=vision.width, sample_tokens=32, **sizes)
    model = PixWizard(config, ops=fast_ops, attention=fast_ops.attend)
    initialise(model, torch.Generator().manual_seed(0))
    return Trainee(model, text, vision)


@pytest.fixture(scope="module")
def samples() -> Samples:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = TaesdCoder(Autoencoder().requires_grad_(False))
    tasks = ("depth", "mask", "inpaint", "text2image")
    drawn = produce(BUCKET[:2], 6, tasks, 1, vae, "cpu")
    rng = random.Random(0)
    pairs = zip(drawn.task.tolist(), drawn.words, strict=True)
    sentences = [[ask(TASK_IDS[task], words, rng) for _ in range(3)] for task, words in pairs]
    return asked(drawn, sentences, load_tokenizer_only())


@pytest.fixture
def sampler(samples):
    ids, mask, clip_ids, _ = load_tokenizer_only().tokenize([""])
    return Sampler({BUCKET: samples}, (ids, mask, clip_ids))


def steps(run: Run, sampler: Sampler, count: int) -> list[float]:
    return [
        float(run.train_step(sampler.draw(run.settings, 0.0, run.generator)).mean())
        for _ in range(count)
    ]


def test_samples_hold_what_a_step_needs(samples):
    assert samples.pictures.shape == (24, 3, 64, 64)
    assert samples.source.shape == samples.target.shape == (24, 4, 8, 8)
    assert samples.ids.shape[:2] == samples.lengths.shape == samples.clip_ids.shape[:2] == (24, 3)
    assert int(samples.lengths.min()) > 1
    assert 0 <= int(samples.task.min()) <= int(samples.task.max()) < len(TASK_IDS)


def test_a_picture_that_serves_two_tasks_has_one_latent(samples):
    depth, inpaint = (samples.task == TASK_IDS.index(task) for task in ("depth", "inpaint"))
    assert torch.equal(samples.source[depth], samples.target[inpaint])
    assert not torch.equal(samples.source[depth], samples.source[inpaint])


def test_plan_covers_the_total_in_whole_chunks():
    chunks = plan(10_000, 256)
    assert abs(sum(chunk.count for chunk in chunks) - 10_000) <= 5
    assert max(chunk.count for chunk in chunks) == 256
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


def test_plan_makes_photographs_after_the_scenes():
    chunks = plan(100, 50, photographs=40)
    assert chunks[: len(plan(100, 50))] == plan(100, 50)
    later = chunks[len(plan(100, 50)) :]
    assert {chunk.group.source for chunk in later} == {PHOTOGRAPHS}
    assert sum(chunk.count for chunk in later) == 40


def test_chunk_of_photographs_has_only_tasks_that_they_show():
    order = Order(10, photographs=10, tasks=("depth", "denoise", "mask", "canny"))
    assert tasks_of_chunk(order, "rooms", 0) == ["depth", "denoise", "mask", "canny"]
    assert tasks_of_chunk(order, PHOTOGRAPHS, 0) == ["denoise", "canny"]
    drawn = tasks_of_chunk(Order(10, tasks_per_scene=200), PHOTOGRAPHS, 1)
    assert set(drawn) == set(PHOTOGRAPH_TASKS)


def test_photograph_samples_hold_what_a_step_needs():
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    vae = TaesdCoder(Autoencoder().requires_grad_(False))
    drawn = produce_photographs((64, 64), 3, ("denoise", "canny"), 1, vae, "cpu")
    assert drawn.pictures.shape == (6, 3, 64, 64)
    assert drawn.words == [{}] * 6
    assert torch.equal(drawn.target[:3], drawn.source[3:])  # both are the photograph as it is
    again = produce_photographs((64, 64), 3, ("denoise", "canny"), 1, vae, "cpu")
    assert torch.equal(again.pictures, drawn.pictures)


def test_sampler_draws_photographs_in_their_share_of_the_steps(samples):
    groups = {BUCKET: samples, Group(64, 80): samples, Group(64, 64, PHOTOGRAPHS): samples}
    ids, mask, clip_ids, _ = load_tokenizer_only().tokenize([""])
    sampler = Sampler(groups, (ids, mask, clip_ids))
    assert sampler.shares(0.25).tolist() == pytest.approx([0.375, 0.375, 0.25])
    assert sampler.shares(0.0).tolist() == pytest.approx([0.5, 0.5, 0.0])
    alone = Sampler({BUCKET: samples}, (ids, mask, clip_ids))
    assert alone.shares(0.25).tolist() == [len(samples)]


@pytest.mark.parametrize("stage", ["tiny_photographs.toml", "tiny_restoration.toml"])
def test_header_of_a_run_names_forms_and_tasks_of_photographs(stage):
    config = small_model.read_config(small_model.BUNDLED.with_name(stage))
    known = small_model.learned(config)
    assert set(known["tasks"]) == set(WORLD_TASKS)
    assert known["forms"]["depth"] == ("Depth estimation",)
    assert "recolour" not in known["forms"]
    assert set(known["photographs"]) == set(PHOTOGRAPH_TASKS)
    rooms_only = small_model.learned(small_model.read_config())
    assert rooms_only["photographs"] == []


def test_loss_falls_on_a_fixed_batch(sampler):
    run = Run(new_trainee(), dataclasses.replace(SETTINGS, learning_rate=1e-2))
    batch = sampler.draw(SETTINGS, 0.0, run.generator)
    losses = [float(run.train_step(batch).mean()) for _ in range(24)]
    assert sum(losses[-6:]) < 0.85 * sum(losses[:6])


def test_gradient_reaches_every_weight_that_can_matter(sampler):
    trainee = new_trainee()
    for parameter in trainee.model.final_layer.parameters():
        parameter.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    settings = dataclasses.replace(SETTINGS, batch=12, drop_text=0.3, drop_image=0.3)
    batch = sampler.draw(settings, 0.0, torch.Generator().manual_seed(0))
    flow_loss(trainee, batch, settings, torch.Generator().manual_seed(0)).mean().backward()
    silent = {n for n, p in trainee.named_parameters() if p.grad is None or not p.grad.any()}
    last = f"text.gemma.layers.{trainee.text.gemma.config.num_hidden_layers - 1}."
    unread = {
        n for n in silent if n.startswith((last, "text.gemma.norm."))
    }  # after hidden_states[-2]
    unread |= {n for n in silent if "post_layernorm" in n}  # image tokens are taken before it
    unread |= {n for n in silent if n.endswith("out_conv.4.bias")}  # cancels in the softmax
    assert silent - unread == {"model.pad_token"}


def test_fast_layers_compute_the_same():
    plain = PixWizard(tiny_config())
    fast = PixWizard(tiny_config(), ops=fast_ops, attention=fast_ops.attend)
    initialise(plain, torch.Generator().manual_seed(3))
    plain.final_layer.linear.weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(4))
    fast.load_state_dict(plain.state_dict())
    condition, z = tiny_condition(), torch.randn(2, 4, 6, 8)
    t = torch.tensor([0.2, 0.7])
    assert torch.allclose(plain(z, t, condition), fast(z, t, condition), atol=1e-5)


def test_resuming_is_exact(sampler):
    straight = Run(new_trainee(), SETTINGS)
    steps(straight, sampler, 3)
    first = Run(new_trainee(), SETTINGS)
    steps(first, sampler, 2)
    second = Run(new_trainee(), SETTINGS)
    second.load(first.state())
    steps(second, sampler, 1)
    for name, value in straight.trainee.state_dict().items():
        assert torch.equal(value, second.trainee.state_dict()[name]), name
    for name, value in straight.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name


def test_checkpoint_survives_the_disk(sampler, tmp_path):
    run = Run(new_trainee(), SETTINGS)
    steps(run, sampler, 1)
    run.save(tmp_path / "run.pt")
    other = Run(new_trainee(), SETTINGS)
    other.load(torch.load(tmp_path / "run.pt", weights_only=True))
    assert other.step == 1
    assert steps(run, sampler, 1) == steps(other, sampler, 1)


def test_dropped_conditions_follow_their_shares(sampler):
    settings = dataclasses.replace(
        SETTINGS, batch=4000, drop_text=0.1, drop_image=0.2, drop_both=0.3
    )
    batch = sampler.draw(settings, 0.0, torch.Generator().manual_seed(0))
    without_text = batch.mask.sum(1) == batch.mask.sum(1).min()
    assert float(batch.drop_image.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(without_text.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert float((without_text & batch.drop_image).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_garbled_words_are_others_of_the_batch_and_keep_special_tokens():
    ids = torch.tensor([[2, 10, 11, 12, 1, 0, 0]]).repeat(2000, 1)
    garbled = garble(ids, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(garbled[:, [0, 4, 5, 6]], ids[:, [0, 4, 5, 6]])
    assert set(garbled[:, 1:4].unique().tolist()) == {10, 11, 12}
    changed = (garbled != ids)[:, 1:4].float().mean()
    assert float(changed) == pytest.approx(0.25 * 2 / 3, abs=0.02)  # a third land on themselves


def test_a_picture_is_looked_at_once_and_its_tokens_are_those_of_looking_each_time(samples):
    seen = []

    def look(pictures):
        seen.append(len(pictures))
        return pictures.mean((2, 3))[:, None] + torch.arange(5)[None, :, None]

    looked = KnownTokens(samples, look, at_once=4)
    assert sum(seen) < len(samples)  # depth and mask share their picture
    index = torch.tensor([3, 0, 20])
    wanted = look(samples.pictures[index].float() / 127.5 - 1)
    assert torch.allclose(looked[index], wanted, atol=2e-3)


def test_a_frozen_image_encoder_keeps_its_weights_and_the_rest_learns(samples):
    trainee = new_trainee()
    ids, mask, clip_ids, _ = load_tokenizer_only().tokenize([""])
    with torch.no_grad():
        sampler = Sampler({BUCKET: samples}, (ids, mask, clip_ids), trainee.vision.encode)
    before = {name: value.clone() for name, value in trainee.state_dict().items()}
    steps(Run(trainee, SETTINGS), sampler, 2)
    changed = {n for n, v in trainee.state_dict().items() if not torch.equal(v, before[n])}
    assert changed
    assert not [name for name in changed if name.startswith("vision.")]


def test_shares_of_the_settings_come_before_the_worlds(sampler):
    only = dict.fromkeys(WORLD_TASKS, 0.0) | {"mask": 1.0}
    settings = dataclasses.replace(SETTINGS, batch=50, shares=only)
    batch = sampler.draw(settings, 0.0, torch.Generator().manual_seed(0))
    assert set(batch.task.tolist()) == {TASK_IDS.index("mask")}


def test_changed_places_count_more_and_every_sample_as_much():
    source = torch.zeros(2, 4, 4, 4)
    target = source.clone()
    target[0, :, 1, 2] = 3.0  # one place of sixteen, by far more than the scale
    weights = change_weights(source, target, 8.0)
    assert weights.mean((1, 2, 3)).tolist() == pytest.approx([1.0, 1.0])
    assert float(weights[0, 0, 1, 2] / weights[0, 0, 0, 0]) == pytest.approx(9.0, rel=1e-3)
    assert torch.equal(weights[1], torch.ones(1, 4, 4))


def test_focus_ends_with_its_share_of_the_run(sampler, monkeypatch):
    seen = []

    def watch(trainee, batch, settings, generator, focus):
        seen.append(focus)
        return flow_loss(trainee, batch, settings, generator, focus)

    monkeypatch.setattr(loop, "flow_loss", watch)
    settings = dataclasses.replace(SETTINGS, focus=4.0, focus_until=0.5, steps=2)
    steps(Run(new_trainee(), settings), sampler, 2)
    assert seen == [4.0, 0.0]


def test_stages_favour_slow_tasks_first_and_then_text_to_image():
    names = list(WORLD_TASKS)
    settings = dataclasses.replace(SETTINGS, boost_until=0.4, text2image_share=0.5)
    first, second = (task_weights(settings, progress) for progress in (0.39, 0.4))
    plain = torch.tensor([weight for weight, _ in WORLD_TASKS.values()])
    boosts = torch.tensor([boost for _, boost in WORLD_TASKS.values()])
    assert torch.allclose(first, plain * boosts)
    place = names.index("text2image")
    assert float(second[place]) == pytest.approx(float(second.sum()) / 2)
    others = [i for i in range(len(names)) if i != place]
    assert torch.equal(second[others], plain[others])


def test_training_goes_on_from_given_weights():
    trainee = small_model.new_trainee(3, "cpu")
    small_model.start_from(trainee, BUNDLE)
    bundle = load_tiny()
    for ours, theirs in ((trainee.model, bundle.model), (trainee.text, bundle.text)):
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value.float()), name


def test_words_are_garbled_only_when_asked(sampler):
    garbling = dataclasses.replace(SETTINGS, garble_words=0.8)
    plain, noisy = (
        sampler.draw(settings, 0.0, torch.Generator().manual_seed(2))
        for settings in (SETTINGS, garbling)
    )
    assert not torch.equal(plain.ids, noisy.ids)
    assert torch.equal(plain.target, noisy.target)


def test_times_lean_to_noise():
    t = draw_times(20_000, SETTINGS, torch.Generator().manual_seed(0), "cpu")
    assert float(t.min()) > 0
    assert float(t.max()) < 1
    assert float(t.median()) == pytest.approx(0.401, abs=0.02)  # sigmoid(-0.4)


def test_learning_rate_warms_up_and_ends_at_a_hundredth():
    settings = dataclasses.replace(SETTINGS, warmup_steps=10, learning_rate=1.0)
    assert learning_rate(settings, 4, 0.0) == pytest.approx(0.5)
    assert learning_rate(settings, 100, settings.flat_until) == 1.0
    assert learning_rate(settings, 100, 1.0) == pytest.approx(0.01)


def test_released_configuration_is_accepted():
    with torch.device("meta"):
        model = PixWizard(PRESETS["PixWizard_2B_GQA_patch2"])
    initialise(model, None)
