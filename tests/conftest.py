"""The extension over a fake host, loaded once for all tests that call nodes without a real one."""

from __future__ import annotations

import pytest

from tests.fakes import host
from tests.support import hosts_met


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    config.meets_hosts = any(map(meets_host, items))
    for item in items:
        place = hosts_met.place_of(item.callspec.params) if hasattr(item, "callspec") else None
        if place:
            item.user_properties.append((hosts_met.PLACE, place))


def pytest_terminal_summary(terminalreporter, config):
    if getattr(config, "meets_hosts", False):
        terminalreporter.section("hosts and pages")
        for line in hosts_met.lines(terminalreporter.stats):
            terminalreporter.line(line)


def meets_host(item) -> bool:
    return any(item.get_closest_marker(name) for name in ("host", "browser"))


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
