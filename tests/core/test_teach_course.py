"""Steps of training on one's own pairs: the same in parts, in two processes, and after a stop."""

import dataclasses
import sys
from types import SimpleNamespace

import pytest
import torch

from pixwizard_core.errors import CheckpointError, PixWizardError
from pixwizard_core.training.teach.course import STATE_FILE
from pixwizard_core.training.teach.objective import draw, fate_of, gather, losses
from pixwizard_core.training.teach.optimise import Average, rate_at
from pixwizard_core.training.teach.processes import ALONE, joined
from pixwizard_core.training.teach.settings import TeachSettings
from tests.support.teach_course import EMPTY, FACTS, course, gradients, in_two, spawn_two


def assert_close(first, second, tolerance: float) -> None:
    """Differences in proportion to the largest number of second."""
    apart = max(float((a - b).detach().abs().max()) for a, b in zip(first, second, strict=True))
    largest = max(float(one.detach().abs().max()) for one in second)
    assert apart <= tolerance * largest, (apart, largest)


def test_batch_in_parts_gives_the_same_gradients(tmp_path):
    numbers = [0, 1, 3, 4]
    whole = gradients(course(tmp_path / "a"), numbers)
    assert any(float(part.abs().max()) > 1e-4 for part in whole)
    assert_close(gradients(course(tmp_path / "b", at_once=1), numbers), whole, 1e-6)


def test_checkpointed_blocks_give_the_same_gradients(tmp_path):
    numbers = [0, 1, 3, 4]
    whole = gradients(course(tmp_path / "a"), numbers)
    assert_close(gradients(course(tmp_path / "b", checkpointing=True), numbers), whole, 1e-6)


def test_two_processes_give_the_gradients_and_weights_of_one(tmp_path):
    spawn_two(in_two, tmp_path)
    alone = course(tmp_path / "alone")
    whole = gradients(alone, [0, 1, 3, 4])
    alone.optimiser.zero_grad(set_to_none=True)
    for _ in range(3):
        alone.advance()
    for rank in range(2):
        found, trained = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert_close(found, whole, 1e-6)
        assert_close(trained, alone.trained, 1e-5)


def test_more_processes_than_examples_of_a_step_are_refused(tmp_path):
    group = dataclasses.replace(ALONE, count=5)
    with pytest.raises(PixWizardError, match="a batch of 4 cannot be shared by 5 processes"):
        course(tmp_path, group)


def test_half_set_processes_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(PixWizardError, match="WORLD_SIZE is set and RANK"), joined():
        pass


def test_resumed_run_is_the_same_bit_for_bit(tmp_path):
    through = course(tmp_path / "a")
    each = [through.advance() for _ in range(6)]
    first = course(tmp_path / "b")
    begun = [first.advance() for _ in range(3)]
    first.save(tmp_path / STATE_FILE, FACTS)
    second = course(tmp_path / "c")
    second.go_on(tmp_path / STATE_FILE, FACTS)
    assert second.step == 3
    assert [*begun, *(second.advance() for _ in range(3))] == each  # examples, and losses
    for a, b in zip(through.trained, second.trained, strict=True):
        assert torch.equal(a, b)
    assert through.average is not None
    assert second.average is not None
    assert all(map(torch.equal, through.average.values, second.average.values))


def test_disk_that_refuses_a_state_leaves_the_old_one(tmp_path, monkeypatch):
    one = course(tmp_path)
    one.save(tmp_path / STATE_FILE, FACTS)
    before = (tmp_path / STATE_FILE).read_bytes()

    def refuse(state, file):
        file.write(b"half of it")
        raise RuntimeError("no room")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(PixWizardError, match=r"cannot write .*training\.pt: no room"):
        one.save(tmp_path / STATE_FILE, FACTS)
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_state_of_another_run_is_refused(tmp_path):
    one = course(tmp_path)
    one.save(tmp_path / STATE_FILE, FACTS)
    with pytest.raises(PixWizardError, match="holds another run: data was 'd' and is 'e'"):
        one.go_on(tmp_path / STATE_FILE, {**FACTS, "data": "e"})
    torch.save({"a": torch.zeros(1)}, tmp_path / STATE_FILE)
    with pytest.raises(PixWizardError, match="is not the state of a run"):
        one.go_on(tmp_path / STATE_FILE, FACTS)
    (tmp_path / STATE_FILE).write_bytes(b"no")
    with pytest.raises(CheckpointError):
        one.go_on(tmp_path / STATE_FILE, FACTS)


def test_loss_that_is_not_finite_ends_the_run_before_a_weight_moves(tmp_path):
    one = course(tmp_path)
    before = [part.detach().clone() for part in one.trained]
    for known in one.examples:
        one.store.get(known.target)["latent"].fill_(float("inf"))
    with pytest.raises(PixWizardError, match="the loss is not finite at step 1; lower the rate"):
        one.advance()
    assert all(map(torch.equal, one.trained, before))


def test_masked_places_alone_count_and_every_example_as_much(tmp_path):
    one = course(tmp_path)
    rows = gather([(0, one.examples[4])], one._draw, one.store, EMPTY, one.settings)
    assert rows.weights is not None
    assert rows.weights[0, 0, :, 0].tolist() == [2, 2, 2, 2, 0, 0, 0, 0]
    plain = losses(one.model, rows).detach()
    rows.target[:, :, 4:] += 100.0  # where the mask is black
    moved = dataclasses.replace(rows, target=rows.target)
    assert float(losses(one.model, moved).detach() - plain) < 1e3  # 10000 without the mask
    mixed = gather(
        [(0, one.examples[3]), (1, one.examples[4])], one._draw, one.store, EMPTY, one.settings
    )
    assert mixed.weights is not None
    assert torch.equal(mixed.weights[0], torch.ones(1, 8, 6))


def test_fate_takes_words_pictures_or_both():
    settings = TeachSettings(drop_text=0.1, drop_both=0.1, drop_image=0.1)
    found = [fate_of(fate, settings) for fate in (0.05, 0.15, 0.25, 0.35)]
    assert found == [(True, False), (True, True), (False, True), (False, False)]


def test_dropped_picture_is_noise_and_no_tokens(tmp_path):
    one = course(tmp_path, drop_text=0.0, drop_both=0.0, drop_image=0.999)
    rows = gather([(0, one.examples[0])], one._draw, one.store, EMPTY, one.settings)
    assert not rows.condition.has_image.any()
    assert not rows.condition.image_tokens.any()
    assert torch.equal(rows.condition.image_latent, rows.noise)
    assert len(rows.condition.text[0]) == 4  # its words stay


def test_times_are_even_or_lean():
    even = TeachSettings(seed=1)
    leaning = dataclasses.replace(even, time_mean=-0.4, time_spread=1.2)
    times = [
        torch.tensor([draw(one, step, 0, (1, 1, 1), (1, 1)).time for step in range(2000)])
        for one in (even, leaning)
    ]
    assert float(times[0].mean()) == pytest.approx(0.5, abs=0.02)
    assert float((times[0] < 0.1).float().mean()) == pytest.approx(0.1, abs=0.02)
    assert float(times[1].median()) == pytest.approx(0.401, abs=0.03)  # sigmoid(-0.4)


def test_chance_of_an_example_depends_on_seed_step_and_place():
    def noise(step, place, seed=0):
        return draw(TeachSettings(seed=seed), step, place, (4, 2, 2), (2, 3)).noise

    first = noise(3, 1)
    assert torch.equal(first, noise(3, 1))
    for other in (noise(4, 1), noise(3, 2), noise(3, 1, seed=1)):
        assert not torch.equal(first, other)


def test_rate_rises_and_falls_as_the_schedule_says():
    settings = TeachSettings(rate=1.0, warmup=10)
    assert rate_at(settings, 4, 100) == pytest.approx(0.5, abs=0.01)
    assert rate_at(settings, 50, 100) == pytest.approx(0.5)
    assert rate_at(dataclasses.replace(settings, schedule="linear"), 75, 100) == pytest.approx(0.25)
    assert rate_at(dataclasses.replace(settings, schedule="constant"), 99, 100) == 1.0


def test_average_stands_in_the_model_for_a_block():
    weight = torch.zeros(2, requires_grad=True)
    average = Average([weight], 0.5)
    with torch.no_grad():
        weight.fill_(1.0)
    average.update(1000)
    with average.in_place():
        assert weight.tolist() == [0.5, 0.5]
    assert weight.tolist() == [1.0, 1.0]


def test_eight_bit_optimiser_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(PixWizardError, match="needs bitsandbytes: pip install bitsandbytes"):
        course(tmp_path, optimiser="adamw8bit")


class UnableAdam(torch.optim.SGD):
    """An optimiser that does not know this device."""

    def step(self, closure=None):
        raise NotImplementedError("not on a CPU")


class IdleAdam(torch.optim.SGD):
    """An optimiser that does nothing here."""

    def step(self, closure=None):
        return None


@pytest.mark.parametrize(
    ("adam", "said"),
    [
        (UnableAdam, "bitsandbytes cannot run adamw8bit on cpu: .*not on a CPU; take adamw"),
        (IdleAdam, "bitsandbytes moves no weight on cpu; take adamw"),
    ],
)
def test_bitsandbytes_that_cannot_work_on_the_device_is_refused(tmp_path, monkeypatch, adam, said):
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace(AdamW8bit=adam))
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace())
    with pytest.raises(PixWizardError, match=said):
        course(tmp_path, optimiser="adamw8bit")


def test_eight_bit_optimiser_trains_and_goes_on_bit_for_bit(tmp_path):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    through, first = (course(tmp_path / n, lora=False, optimiser="adamw8bit") for n in "ab")
    begun = [one.detach().clone() for one in through.trained]
    for _ in range(4):
        through.advance()
    for _ in range(2):
        first.advance()
    first.save(tmp_path / STATE_FILE, FACTS)
    second = course(tmp_path / "c", lora=False, optimiser="adamw8bit")
    second.go_on(tmp_path / STATE_FILE, FACTS)
    for _ in range(2):
        second.advance()
    assert all(map(torch.equal, through.trained, second.trained))
    assert not all(map(torch.equal, through.trained, begun))
    moments = [one["state1"].dtype for one in through.optimiser.state.values()]
    assert torch.uint8 in moments  # of the large ones
