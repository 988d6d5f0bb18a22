"""Which hosts and pages a test run met, as lines at its end: counts for each suite, and what was
left out."""

from __future__ import annotations

from collections import Counter

from tests.support.hosts import Host, find_hosts
from tests.support.pages import Page, every_page

HOSTS = ("0.3.64", "0.8.0", "0.33.0")  # what every release is tested on
PAGES = ("1.27.10", "1.35.9", "1.49.6", "1.58.1")
PLACE, INSIDE = "place", "inside"  # properties of a test: where it ran, and what it counted there
OUTCOMES = {"passed": "passed", "failed": "failed", "error": "failed", "skipped": "skipped"}


def in_words(place: Host | Page) -> str:
    if isinstance(place, Page):
        return f"ComfyUI {place.host.version} with page {place.version}"
    return f"ComfyUI {place.version}"


def place_of(parameters: dict) -> str | None:
    """The host or page among the parameters of a test, in words."""
    places = (value for value in parameters.values() if isinstance(value, (Host, Page)))
    return next(map(in_words, places), None)


def counts(stats: dict) -> dict[tuple[str, str], Counter]:
    """Outcomes by suite and place. stats: pytest's reports by category."""
    found: dict[tuple[str, str], Counter] = {}
    for category, outcome in OUTCOMES.items():
        for report in stats.get(category, []):
            known = dict(getattr(report, "user_properties", ()))
            if PLACE in known:
                key = report.nodeid.split("/")[0], known[PLACE]
                found.setdefault(key, Counter())[outcome] += 1
    return found


def inside(stats: dict) -> dict[str, str]:
    """What tests counted themselves, by place: the tests of a page are one test to pytest."""
    known = [dict(report.user_properties) for kind in OUTCOMES for report in stats.get(kind, [])
             if hasattr(report, "user_properties")]  # fmt: skip
    return {one[PLACE]: one[INSIDE] for one in known if PLACE in one and INSIDE in one}


def missing() -> list[str]:
    """What of HOSTS and PAGES is not on this machine."""
    hosts = {host.version for host in find_hosts()}
    pages = {page.version for page in every_page()}
    lacking = {
        "hosts": [one for one in HOSTS if one not in hosts],
        "pages": [one for one in PAGES if one not in pages],
    }
    return [f"not on this machine: {kind} {', '.join(of)}" for kind, of in lacking.items() if of]


def left_out(met: set[str]) -> list[str]:
    """Hosts and pages of this machine that no test of this run used."""
    here = {"hosts": find_hosts(), "pages": every_page()}
    rest = {
        kind: [words.removeprefix("ComfyUI ") for words in map(in_words, of) if words not in met]
        for kind, of in here.items()
    }
    return [f"not used in this run: {kind} {', '.join(of)}" for kind, of in rest.items() if of]


def lines(stats: dict) -> list[str]:
    """The report of a run. stats: pytest's reports by category."""
    found, told = counts(stats), inside(stats)
    rows = []
    for (suite, place), of in found.items():
        words = ", ".join(f"{of[name]} {name}" for name in ("passed", "failed", "skipped"))
        more = f"; inside: {told[place]}" if suite == "browser" and place in told else ""
        rows.append(f"{suite:8} {place:36} {words}{more}")
    return [*rows, *left_out({place for _, place in found}), *missing()]
