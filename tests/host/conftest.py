"""The hosts to test against. Without one every test here is skipped, with one line that says
why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hosts import find_hosts, missing_reason, run_checks, serve

HOSTS = find_hosts()
CHECKS = Path(__file__).parent / "checks"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.host)
            if not HOSTS:  # a mark, not a fixture: the report then folds them to a line for a file
                item.add_marker(pytest.mark.skip(reason=missing_reason()))


@pytest.fixture(scope="session", params=HOSTS or [None], ids=lambda h: h.version if h else "none")
def host(request):
    return request.param


@pytest.fixture(scope="session")
def report(host, tmp_path_factory):
    """Results of all in-process checks on this host, from one process."""
    return run_checks(host, CHECKS / "run.py", tmp_path_factory.mktemp("checks"))


@pytest.fixture(scope="session")
def server(host, tmp_path_factory):
    with serve(host, tmp_path_factory.mktemp("base")) as running:
        yield running
