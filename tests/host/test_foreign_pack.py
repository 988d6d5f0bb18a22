"""Beside a pack that changes torch's defaults for the whole server, every workflow still runs."""

from __future__ import annotations

import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from tests.support import workflow
from tests.support.hosts import serve
from tests.support.own_files import with_own_files

WORKFLOWS = workflow.shipped(with_files=False)
PACK = """import torch

torch.set_default_dtype(torch.bfloat16)
NODE_CLASS_MAPPINGS = {}
"""


@pytest.fixture(scope="module")
def polluted(host, tmp_path_factory):
    base = tmp_path_factory.mktemp("polluted")
    pack = base / "custom_nodes" / "AAA_other_pack"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text(PACK, encoding="utf-8")
    with serve(host, base) as running:
        yield running


@pytest.fixture(scope="module")
def info(polluted):
    return polluted.json("/object_info")


def test_the_other_pack_was_loaded(polluted):
    log = polluted.log.read_text(encoding="utf-8", errors="replace")
    assert "AAA_other_pack" in log
    assert "IMPORT FAILED" not in "".join(
        line for line in log.splitlines() if "AAA_other_pack" in line or "PixWizard" in line
    )


@pytest.mark.parametrize("name", [workflow.title(path) for path in WORKFLOWS])
def test_workflow_runs_beside_a_pack_that_changes_the_default_dtype(polluted, info, name):
    prompt = workflow.to_prompt(workflow.load(workflow.titled(name)), info)
    result = polluted.run(with_own_files(prompt, polluted.base))
    assert result["error"] is None, result["error"]
