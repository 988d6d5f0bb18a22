"""What the C library does with freed tensors."""

import platform
import subprocess
import sys

import pytest

from pixwizard_core.training.teach import heap
from tests.support.paths import ROOT

# The first tensor raises glibc's own threshold to 20 MB when it is freed; the next then lies on the
# heap, below one that stays.
SCRIPT = """
import sys, torch
from pixwizard_core.training.teach.heap import return_large_tensors
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
if sys.argv[1] == "returned":
    assert return_large_tensors()
torch.ones(5_000_000)
freed, kept = torch.ones(2_000_000), [torch.ones(50) for _ in range(100)]
before = resident()
del freed
print(before - resident())
"""


def given_back(how: str) -> int:
    """Bytes that go back to the system when a tensor of 8 MB is freed."""
    command = [sys.executable, "-c", SCRIPT, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_tensors_go_back_to_the_system_when_they_are_freed():
    assert given_back("returned") > 7e6
    assert given_back("as it is") < 1e6


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    assert heap.return_large_tensors() is False
