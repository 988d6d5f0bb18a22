"""Hundreds of prompts on one server: nothing grows, nothing stays behind, nothing changes.

PIXWIZARD_PROMPTS=500 nice -n 10 pytest -c tests/pytest.ini tests/fire/test_long_run.py -m long -s
"""

from __future__ import annotations

import json
import os
import time

import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from tests.fire import live
from tests.support.hosts import find_hosts, missing_reason

HOSTS = find_hosts()
PROMPTS = int(os.environ.get("PIXWIZARD_PROMPTS", "500"))
WARM_UP, WINDOW = 0.2, 0.1  # shares of the run
MOST_GROWTH = 0.02  # of the memory after warm-up
HEAP = 64  # MiB that glibc reserves at once; models that come and go may leave such heaps half full
UNLOAD_EVERY, FORGET_EVERY, SAID_EVERY = 60, 20, 25
SETTLE_S = 2

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
        process, rows, settled = live.process_of(server), [], []

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
            if number % UNLOAD_EVERY == UNLOAD_EVERY - 1:
                server.post("/free", {"unload_models": True, "free_memory": True})
            if number % FORGET_EVERY == FORGET_EVERY - 1:
                server.post("/history", {"clear": True})  # the host's own memory of past prompts
            rows.append(live.held(process))
            if number % SAID_EVERY == SAID_EVERY - 1:
                said = {**rows[-1], **live.in_use(server)}
                print(f"{number + 1}: {json.dumps(said)}", flush=True)
            if number + 1 in (int(PROMPTS * WARM_UP), PROMPTS):
                settled.append(at_rest(server))
        last = references()
    changed = [name for name in prompts if not live.same(first[name], last[name])]
    assert not changed, f"other pictures than at the start: {changed}"
    warm, size = rows[int(PROMPTS * WARM_UP) :], max(1, int(PROMPTS * WINDOW))
    early, late = warm[:size], warm[-size:]
    # The smallest: connections that are just being closed come and go.
    more = {key: min(r[key] for r in late) - min(r[key] for r in early) for key in early[0]}
    print(f"{PROMPTS} prompts; from {early[-1]} to {late[-1]}; at rest from {settled}")
    after_warm_up, at_the_end = settled
    for key in ("used", "blocks", "resident"):
        assert at_the_end[key] <= (1 + MOST_GROWTH) * after_warm_up[key], (key, settled)
    assert more["rss"] <= MOST_GROWTH * early[0]["rss"] + 2 * HEAP, more
    assert more["threads"] <= 0, more
    assert more["files"] <= 0, more


def at_rest(server) -> dict[str, float]:
    """What the host holds with nothing loaded and cached, and free memory given back."""
    server.post("/free", {"unload_models": True, "free_memory": True})
    server.post("/history", {"clear": True})
    time.sleep(SETTLE_S)
    return live.in_use(server, trim=True)


@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.version)
def test_a_lora_leaves_no_trace(host, tmp_path):
    """The same picture before a LoRA, after it, and after everything was unloaded."""
    live.write_lora(tmp_path / "models" / "loras")
    with live.serve_patiently(host, tmp_path) as server:
        (prompt,) = live.prompts_of(server, ["depth"]).values()

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
