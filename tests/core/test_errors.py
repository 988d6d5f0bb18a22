"""What errors of others are told as."""

import pytest

from pixwizard_core.errors import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such size"), "no such size"),
        (OSError("first line\nsecond line"), "first line second line"),
        (RuntimeError(""), "RuntimeError"),
        (ValueError("  \n"), "ValueError"),
        (ValueError("a\x1b[2Jb"), "a\\x1b[2Jb"),
    ],
)
def test_reason_is_one_printable_line_and_never_empty(error, reason):
    assert reason_of(error) == reason


def test_reason_of_a_long_message_leaves_out_its_middle():
    reason = reason_of(ValueError("x" * 500), 120)
    assert len(reason) <= 120
    assert " … " in reason
