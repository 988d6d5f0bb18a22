"""Training at the released model's real size: what one step of a LoRA takes."""

import json
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

GB = 1e9
LONGEST_S = 3600


@pytest.mark.parametrize(("side", "most"), [(512, 7 * GB), (1024, 9 * GB)])
def test_step_of_a_lora_stays_within_its_memory(side, most):
    """bfloat16 base, pairs in the store, blocks computed twice; the peak of a process of its
    own."""
    words = [sys.executable, "-m", "tests.support.teach_step", str(side)]
    result = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_S, check=True
    )
    found = json.loads(result.stdout)
    assert found["weights"] == pytest.approx(4.02e9, rel=0.01)
    assert found["peak"] < most, found
