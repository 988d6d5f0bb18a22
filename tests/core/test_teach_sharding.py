"""Weights split over processes: the same gradients, steps and files as in one process."""

import pytest
import torch

from pixwizard_core.errors import PixWizardError
from pixwizard_core.training.teach.objective import gather, losses, passes, with_picture
from pixwizard_core.training.teach.processes import ProcessGroup
from pixwizard_core.training.teach.settings import TeachSettings
from pixwizard_core.training.teach.sharding import PARTS_OF_BLOCK, check_sharding, units
from tests.core.test_teach_course import assert_close
from tests.support.teach_course import (
    DROPPED,
    EMPTY,
    FACTS,
    UNEVEN,
    course,
    in_two_sharded,
    spawn_two,
)
from tests.support.tiny import tiny_condition, tiny_model


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    spawn_two(in_two_sharded, folder)
    return folder


def assert_alike(found, wanted, begun) -> None:
    """All weights together moved to the same place. One alone may not: AdamW takes a full step for
    a gradient of 1e-9 too, whose sign is a matter of rounding."""
    flat = [torch.cat([one.detach().flatten() for one in some]) for some in (found, wanted, begun)]
    moved = float((flat[1] - flat[2]).norm())
    assert moved > 0.01
    assert float((flat[0] - flat[1]).norm()) < 1e-3 * moved


@pytest.mark.slow
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "model"])
def test_split_weights_give_the_gradients_weights_and_state_of_one_process(results, tmp_path, lora):
    place = results / ("lora" if lora else "model")
    alone = course(tmp_path, lora=lora, **DROPPED)
    alone.backward(UNEVEN)
    whole = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in alone.trained]
    alone.optimiser.zero_grad(set_to_none=True)
    for _ in range(3):
        alone.advance()
    numbers = sum(part.numel() for part in alone.trained)
    held = 0
    for rank in range(2):
        found, trained, pieces, through, again = torch.load(place / f"{rank}.pt", weights_only=True)
        assert_close(found, whole, 1e-6)
        assert_alike(trained, alone.trained, course(tmp_path / "new", lora=lora).trained)
        assert all(map(torch.equal, through, again))  # the state went on bit for bit
        assert pieces < 0.7 * numbers
        held += pieces
    assert held == numbers
    # The state of split weights goes on in one process.
    one = course(tmp_path / "one", lora=lora, **DROPPED)
    one.go_on(place / "training.pt", FACTS)
    assert one.step == 3
    one.advance()
    assert_alike(through, one.trained, course(tmp_path / "new", lora=lora).trained)


def test_example_of_two_processes_has_uneven_passes_and_a_picture_in_one_alone(tmp_path):
    """What the test above is for: other calls in each process would never end."""
    one = course(tmp_path, **DROPPED)
    counts, pictures = [], []
    for rank in range(2):
        slots = [(p, one.examples[UNEVEN[p]]) for p in ProcessGroup(rank, 2).places(len(UNEVEN))]
        parts = list(passes(slots, 0))
        counts.append(len(parts))
        rows = [gather(some, one._draw, one.store, EMPTY, one.settings) for some in parts]
        pictures.append([bool(row.condition.has_image.any()) for row in rows])
    assert counts == [2, 1]
    assert len({answer for some in pictures for answer in some}) == 2


def test_empty_picture_passes_through_all_parts_and_changes_nothing(tmp_path):
    found = []
    for wrap in (lambda rows: rows, with_picture):
        one = course(tmp_path, lora=False, drop_text=0.0, drop_both=0.0, drop_image=0.999)
        rows = wrap(gather([(0, one.examples[0])], one._draw, one.store, EMPTY, one.settings))
        loss = losses(one.model, rows)
        loss.sum().backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in one.trained]
        found.append((bool(rows.condition.has_image.any()), [loss.detach(), *grads]))
    assert [shown for shown, _ in found] == [False, True]
    assert_close(found[1][1], found[0][1], 1e-6)


def test_units_of_a_block_are_what_prepare_calls_of_it():
    """Split weights are gathered unit by unit, so a call outside of these would meet a piece."""
    model, called = tiny_model(), []
    block = model.layers[0]
    parts = {name: part for name, part in block.named_modules() if not any(part.children())}
    for name, part in parts.items():
        part.register_forward_pre_hook(lambda _, __, name=name: called.append(name))
    condition = tiny_condition()
    prepared = model.prepare(condition)
    before = {name for name in called if list(parts[name].parameters())}
    called.clear()
    model.velocity(torch.zeros(2, 4, 6, 8), torch.zeros(2), prepared)
    inside = {
        name
        for unit in PARTS_OF_BLOCK
        for part in unit
        for name in parts
        if (name == part or name.startswith(f"{part}.")) and list(parts[name].parameters())
    }
    assert before == inside
    assert not inside & set(called)
    assert [len(unit) for unit in units(block)] == [4, 8, 1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((1, {}), "over several processes, and there is one; start it by torchrun"),
        ((2, {"optimiser": "adamw8bit"}), "adamw8bit does not work with --shard; take adamw"),
        ((2, {"base_precision": "fp8"}), "8-bit frozen weights are not split"),
        ((2, {"sample_every": 5}), "need all weights in one process; leave --sample-every out"),
    ],
)
def test_settings_that_do_not_go_with_split_weights_are_refused(values, said):
    with pytest.raises(PixWizardError, match=said):
        check_sharding(values[0], TeachSettings(**values[1]))
