"""Which node was really executed by which kind of test, as a Markdown table.

`python -m tests.support.node_coverage` runs tests/nodes and tests/host and notes, in each test that
passes, the nodes whose execute ran: called by a unit test over a stand-in for the host, by a check
inside a host's own process, or by a live server. `python -m tests.support.node_coverage FILE...`
runs only these.
"""

from __future__ import annotations

import functools
import sys
from collections import defaultdict

import pytest

from tests.support import hosts
from tests.support.paths import ROOT

PREFIX = "PixWizard_"
UNIT = "unit tests"
# Tests that read a node's signature would read the wrapper's; they execute nothing anyway.
SIGNATURES = ("test_schemas.py", "test_data_nodes.py::test_saved_workflows")


class Recorder:
    """What ran: tests by column and node."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.known: set[str] = set()
        self.now: set[str] = set()
        self.failed = 0

    def note(self, column: str, names, test: str) -> None:
        for name in names:
            self.columns[column][name.removeprefix(PREFIX)].add(test)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        nodes = getattr(item, "funcargs", {}).get("nodes")
        if not isinstance(nodes, dict) or any(part in item.nodeid for part in SIGNATURES):
            yield
            return
        self.known |= set(nodes)
        self.now.clear()
        kept = {name: vars(node)["execute"] for name, node in nodes.items()}
        for name, node in nodes.items():
            node.execute = classmethod(self._noting(name, kept[name].__func__))
        outcome = yield
        for name, node in nodes.items():
            node.execute = kept[name]
        if outcome.excinfo is None:
            self.note(UNIT, self.now, item.nodeid)

    def _noting(self, name: str, execute):
        @functools.wraps(execute)
        def noting(cls, *args, **kwargs):
            self.now.add(name)
            return execute(cls, *args, **kwargs)

        return noting

    def pytest_runtest_logreport(self, report) -> None:
        self.failed += report.failed

    def watch_hosts(self) -> None:
        """Note what the two kinds of host tests execute."""
        run_checks, run = hosts.run_checks, hosts.Server.run

        def checked(host, *args, **kwargs):
            report = run_checks(host, *args, **kwargs)
            for name, entry in report.items():
                if entry["error"] is None:
                    self.note(f"in process {host.version}", entry.get("nodes", ()), name)
            return report

        def ran(server, prompt, *args, **kwargs):
            result = run(server, prompt, *args, **kwargs)
            if result["error"] is None:
                begun = [data["node"] for kind, data in result["messages"] if kind == "executing"]
                kinds = {prompt[key]["class_type"] for key in begun if key in prompt}
                ours = [kind for kind in kinds if kind.startswith(PREFIX)]
                self.note(f"live server {server.host.version}", ours, str(sorted(prompt)))
            return result

        hosts.run_checks, hosts.Server.run = checked, ran

    def table(self) -> str:
        names = sorted(self.known.union(*self.columns.values()))
        columns = sorted(self.columns, key=lambda column: (column != UNIT, column))
        lines = [f"| node | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for name in names:
            counts = [len(self.columns[column].get(name, ())) for column in columns]
            lines.append(f"| {name} | {' | '.join(str(count or '–') for count in counts)} |")
        return "\n".join(lines)


def main() -> int:
    recorder = Recorder()
    recorder.watch_hosts()  # before the tests' conftest takes these by name
    chosen = sys.argv[1:] or [str(ROOT / "tests" / part) for part in ("nodes", "host")]
    pytest.main(["-c", str(ROOT / "tests" / "pytest.ini"), "-q", *chosen], plugins=[recorder])
    print("\nPassing tests, checks and runs that executed each node:\n")
    print(recorder.table())
    if recorder.failed:
        print(f"\n{recorder.failed} tests failed; what they executed does not count.")
    return int(recorder.failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
