"""One range of seeds, 0 to 2^64 - 1."""

import pytest

from pixwizard_core.cli import main
from pixwizard_core.errors import PixWizardError
from pixwizard_core.seeds import LARGEST_SEED, as_seed, later_seed


@pytest.mark.parametrize(
    ("value", "seed"), [(0, 0), ("7", 7), (" 5 ", 5), (2**64 - 1, 2**64 - 1), ("0" * 20, 0)]
)
def test_seed_takes_whole_numbers_of_64_bits(value, seed):
    assert as_seed(value) == seed


@pytest.mark.parametrize(
    "value", [-1, 2**64, 10**23, "1e3", "", "٣", "5.0", 5.0, True, None, "9" * 5000]
)
def test_seed_refuses_others_and_says_the_range(value):
    with pytest.raises(PixWizardError, match=r"from 0 to 18446744073709551615 \(2\^64 - 1\)"):
        as_seed(value)


def test_later_seeds_go_round():
    assert later_seed(LARGEST_SEED, 2) == 1
    assert later_seed(5, 3) == 8


@pytest.mark.parametrize(
    "command", ["run", "batch", "evaluate world", "evaluate data world", "train"]
)
@pytest.mark.parametrize("seed", ["-1", "1" + "0" * 23, "x"])
def test_commands_refuse_a_seed_out_of_range_in_a_line(command, seed, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--seed", seed])
    assert ended.value.code == 2
    assert "a whole number from 0 to 18446744073709551615" in capsys.readouterr().err
