"""The extension over a fake host, loaded once for all tests that call nodes without a real one."""

from __future__ import annotations

import pytest

from tests.fakes import host


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder that stands for the host's models/."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def extension(models):
    """A function from module name to module of the extension, loaded over a fake host."""
    yield host.load_extension(models)
    host.unload()


@pytest.fixture(scope="session")
def nodes(extension):
    """All node classes by their id, without the prefix."""
    listed = extension("nodes").NODES
    return {node.define_schema().node_id.removeprefix("PixWizard_"): node for node in listed}
