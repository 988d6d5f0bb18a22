"""What anybody may post to a live server's HTTP API: a result, the host's refusal, or one of our
errors.

nice -n 10 pytest -c tests/pytest.ini tests/fire/test_live_api.py -m long -s
"""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from tests.fire import limits, live, live_graphs
from tests.fire.strategies import TEXTS
from tests.fire.test_hostile_models import put_models
from tests.support.hosts import find_hosts, missing_reason

HOSTS = find_hosts()
POSTED = 400  # prompts with random junk
JUNK = (
    None, True, "", "x", "ultraviolet", 0, -1, 1, 3, 2**31, 2**64, -(2**63), 10**30, 0.5, 1e308,
    float("nan"), float("inf"), float("-inf"), [], {}, [1, 2], {"a": 1}, {"__value__": [1, 2]},
    {"__value__": "x"}, [["scene", 0]], ["scene", 0], ["scene", 1], ["tiny", 0], ["tiny", 3],
    ["encode", 0], ["encode", 3], ["fit", 2], ["scene", 99], ["scene", -1], ["scene", "0"],
    ["nowhere", 0], ["node", 0], "x" * 20_000, *TEXTS[:12],
)  # fmt: skip

pytestmark = [
    pytest.mark.host,
    pytest.mark.long,
    pytest.mark.skipif(not HOSTS, reason=missing_reason()),
]


@pytest.fixture(scope="module", params=HOSTS, ids=lambda h: h.version)
def server(request, tmp_path_factory):
    base = tmp_path_factory.mktemp("api")
    put_models(base / "models")
    with live.serve_patiently(request.param, base) as running:
        yield running


@pytest.fixture(scope="module")
def info(server):
    return server.json("/object_info")


def told(error: dict) -> str:
    """How a prompt was refused: by the host when it was posted, by us, or otherwise. Checks our
    message."""
    kind = error.get("exception_type") if isinstance(error, dict) else None
    if kind is None:
        return "host"
    if "pixwizard_core.errors." not in kind:
        return kind
    limits.check_message(error["exception_message"].strip())
    return "ours"


def test_every_node_runs_with_sound_inputs(server, info):
    """So that what the other tests change is what they are refused for."""
    kinds = sorted(kind for kind in info if kind.startswith(live_graphs.PREFIX))
    failed = {}
    for kind in kinds:
        error = server.run(live_graphs.around(info, kind))["error"]
        if error:
            failed[kind] = error.get("exception_message") or json.dumps(error)[:600]
    assert not failed, failed
    assert len(kinds) > 25


def test_a_bad_choice_of_any_node_is_caught(server, info):
    """The host of 0.3.64 does not look at choices; we do."""
    caught = Counter()
    for kind, name in live_graphs.combos(info):
        for bad in ("ultraviolet", "../../etc/passwd", "红"):
            error = server.run(live_graphs.around(info, kind, **{name: bad}))["error"]
            assert error is not None, f"{kind}.{name} took {bad}"
            by = told(error)
            assert by in ("host", "ours"), f"{kind}.{name} = {bad}: {error}"
            caught[by] += 1
    print(f"\n{dict(caught)}")
    assert sum(caught.values()) >= 90


def test_anything_may_be_posted(server, info):
    rng, ends = random.Random(7), Counter()
    kinds = sorted(kind for kind in info if kind.startswith(live_graphs.PREFIX))
    for number in range(POSTED):
        kind = kinds[number % len(kinds)]
        prompt = live_graphs.around(info, kind)
        inputs = prompt[live_graphs.NODE]["inputs"]
        groups = (info[kind]["input"].get(group, {}) for group in ("required", "optional"))
        known = [name for group in groups for name in group]
        chosen = rng.sample(known, min(len(known), rng.randint(1, 3)))
        for name in chosen:
            inputs[name] = rng.choice(JUNK)
        if known and rng.random() < 0.1:
            inputs.pop(rng.choice(known), None)
        if inputs.get("steps") in (3, 2**31):
            inputs["steps"] = 2
        error = server.run(prompt)["error"]
        by = "valid" if error is None else told(error)
        given = {name: repr(inputs.get(name))[:80] for name in chosen}
        assert by in ("valid", "host", "ours"), f"{kind} {given}: {json.dumps(error)[:1500]}"
        ends[by] += 1
    print(f"\n{POSTED} posted: {dict(ends)}")
    assert min(ends["valid"], ends["host"], ends["ours"]) > 0
    assert server.run(live_graphs.around(info, "PixWizard_DecodeDepth"))["error"] is None
