"""Which examples a step shows: all of them, as often as asked, and the same for a seed."""

from collections import Counter
from itertools import islice

import pytest

from pixwizard_core.canvas import Size
from pixwizard_core.errors import PixWizardError
from pixwizard_core.training.teach.examples import Example, ExampleSet, MadePicture
from pixwizard_core.training.teach.order import batches, mixed, shown_per_epoch, steps_of
from pixwizard_core.training.teach.settings import TeachSettings

PICTURE = MadePicture("p", b"")
PAIR = Example(PICTURE, PICTURE, ("x",))
BLANK = Example(None, PICTURE, ("x",))
SQUARE, WIDE = Size(64, 64), Size(96, 48)


def sets(*parts: tuple) -> list[ExampleSet]:
    return [ExampleSet(f"set {n}", (one,) * count, *rest) for n, (one, count, *rest) in
            enumerate(parts)]  # fmt: skip


def test_repeats_count_for_each_example():
    assert shown_per_epoch(sets((PAIR, 2, 3.0), (PAIR, 1)), TeachSettings()) == [3, 3, 1]


def test_weights_share_the_epoch_whatever_the_numbers_of_pairs():
    shown = shown_per_epoch(sets((PAIR, 8, 1.0, 1.0), (PAIR, 2, 1.0, 3.0)), TeachSettings())
    assert sum(shown[:8]) == pytest.approx(2.5)
    assert sum(shown[8:]) == pytest.approx(7.5)


def test_weight_of_one_source_alone_is_refused():
    with pytest.raises(PixWizardError, match="set 1 has no weight and other sources have one"):
        shown_per_epoch(sets((PAIR, 1, 1.0, 1.0), (PAIR, 1)), TeachSettings())


def test_small_sets_are_balanced_and_large_ones_stay():
    shown = shown_per_epoch(sets((PAIR, 2), (PAIR, 30)), TeachSettings(balance_to=20))
    assert (shown[0], shown[2]) == (10, 1)


def test_text_to_image_takes_its_share():
    shown = shown_per_epoch(sets((PAIR, 6), (BLANK, 2)), TeachSettings(text2image=0.5))
    assert sum(shown[:6]) == sum(shown[6:]) == 6


@pytest.mark.parametrize(
    ("one", "message"), [(PAIR, "no pair without an input"), (BLANK, "only pairs without")]
)
def test_text_to_image_needs_both_kinds(one, message):
    with pytest.raises(PixWizardError, match=message):
        shown_per_epoch(sets((one, 2)), TeachSettings(text2image=0.5))


def test_epochs_decide_the_steps():
    settings = TeachSettings(steps=9, batch=4)
    assert steps_of([1.0] * 10, settings) == 9
    assert steps_of([2.0] * 10, TeachSettings(epochs=3, batch=4)) == 15
    assert steps_of([1.0], TeachSettings(epochs=0.1, batch=4)) == 1


def test_every_example_comes_equally_often_and_none_is_dropped():
    """Seven of one size and one alone of another, in steps of three."""
    sizes = [SQUARE] * 7 + [WIDE]
    seen = Counter(n for batch in islice(batches([1.0] * 8, sizes, 3, 0), 8) for n in batch)
    assert set(seen) == set(range(8))
    assert set(seen.values()) == {3}  # 24 places


def test_step_has_one_size_as_far_as_that_goes():
    sizes = [SQUARE, WIDE] * 8
    first = list(islice(batches([1.0] * 16, sizes, 4, 1), 4))
    assert all(len({sizes[n] for n in batch}) == 1 for batch in first)


def test_broken_counts_are_met_over_the_epochs():
    seen = Counter(n for batch in islice(batches([1.0, 0.25], [SQUARE] * 2, 1, 3), 1000)
                   for n in batch)  # fmt: skip
    assert seen[1] / seen[0] == pytest.approx(0.25, abs=0.05)


def test_order_depends_on_the_seed_alone():
    sizes = [SQUARE] * 5

    def of(seed):
        return list(islice(batches([1.0] * 5, sizes, 2, seed), 20))

    assert of(1) == of(1)
    assert of(1) != of(2)


def test_mixed_seeds_differ_by_any_fact():
    assert len({mixed(0, "a", 1), mixed(1, "a", 1), mixed(0, "b", 1), mixed(0, "a", 2)}) == 4
    assert 0 <= mixed(7) < 2**63
