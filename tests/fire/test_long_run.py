"""Hundreds of prompts on one server: nothing grows, nothing stays behind, nothing changes.

PIXWIZARD_PROMPTS=500 nice -n 10 pytest -c tests/pytest.ini tests/fire/test_long_run.py -m long -s
"""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from tests.fire import live
from tests.support.hosts import find_hosts, missing_reason

HOSTS = find_hosts()
PROMPTS = int(os.environ.get("PIXWIZARD_PROMPTS", "500"))
WARM_UP, WINDOW = 0.2, 0.1  # shares of the run
MOST_GROWTH = 0.02  # of the memory after warm-up
MOST_KEPT = 2 * 64  # MiB by which the process may grow besides: two heaps of glibc, free again
UNLOAD_EVERY, FORGET_EVERY = 60, 20
PROBE_EVERY = max(1, PROMPTS // 20)

pytestmark = [
    pytest.mark.long,
    pytest.mark.host,
    pytest.mark.skipif(not HOSTS, reason=missing_reason()),
]


@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.version)
def test_hundreds_of_prompts_leave_nothing_behind(host, tmp_path):
    live.write_lora(tmp_path / "models" / "loras")
    with live.serve_patiently(host, tmp_path) as server:
        prompts = live.prompts_of(server)
        process, rows = live.process_of(server), []

        def references():
            found = {name: server.run(live.with_seed(p, 7)) for name, p in prompts.items()}
            return {name: live.pictures(server, result) for name, result in found.items()}

        first = references()
        live.fill_threads(server, server.run(live.with_seed(prompts["depth"], 6)))
        for number in range(PROMPTS):
            name = live.TASKS[number % len(live.TASKS)]
            prompt = live.with_seed(prompts[name], 1000 + number)
            if number % 3 == 1:
                prompt = live.with_lora(prompt, (1.0, -0.5)[number % 2])
            live.pictures(server, server.run(prompt))
            if number % PROBE_EVERY == PROBE_EVERY - 1:
                rows.append({**live.held(process), **live.in_use(server)})
                print(f"{number + 1}: {json.dumps(rows[-1])}", flush=True)
            if number % UNLOAD_EVERY == UNLOAD_EVERY - 1:
                server.post("/free", {"unload_models": True, "free_memory": True})
            if number % FORGET_EVERY == FORGET_EVERY - 1:
                server.post("/history", {"clear": True})  # the host's own memory of past prompts
        last = references()
    changed = [name for name in prompts if not live.same(first[name], last[name])]
    assert not changed, f"other pictures than at the start: {changed}"
    warm, size = rows[int(len(rows) * WARM_UP) :], max(1, int(len(rows) * WINDOW))
    # The smallest, because a LoRA takes its room while it is applied.
    early, late = (
        {key: min(row[key] for row in part) for key in rows[0]}
        for part in (warm[:size], warm[-size:])
    )
    print(f"{PROMPTS} prompts: from {early} to {late}")
    for key in ("held", "used", "blocks"):
        assert late[key] <= (1 + MOST_GROWTH) * early[key], key
    assert late["rss"] <= (1 + MOST_GROWTH) * early["rss"] + MOST_KEPT
    assert late["threads"] <= early["threads"]
    assert late["files"] <= early["files"]


@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.version)
def test_a_lora_leaves_no_trace(host, tmp_path):
    """The same picture before a LoRA, after it, and after everything was unloaded."""
    live.write_lora(tmp_path / "models" / "loras")
    with live.serve_patiently(host, tmp_path) as server:
        (prompt,) = live.prompts_of(server, live.TASKS[:1]).values()

        def shown(given, seed=7):
            server.run(live.with_seed(prompt, seed + 1))  # so that nothing is taken from the cache
            return live.pictures(server, server.run(live.with_seed(given, seed)))

        plain, changed = shown(prompt), shown(live.with_lora(prompt, 1.0))
        assert not live.same(plain, changed), "the LoRA does nothing; this test would prove nothing"
        assert live.same(plain, shown(prompt)), "something of the LoRA stayed"
        server.post("/free", {"unload_models": True, "free_memory": True})
        assert live.same(plain, shown(prompt)), "unloading changed the picture"
        assert live.same(changed, shown(live.with_lora(prompt, 1.0)))
        assert live.same(plain, shown(live.with_lora(prompt, 0.0)))
