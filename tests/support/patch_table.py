"""Prints what patches of the host's nodes do behind KSampler, Sample and the guider, as a table.

`python -m tests.support.patch_table REPORT...` reads reports that tests/host/checks/run.py wrote,
one of each host. A cell: how far KSampler is from no patch / Sample from KSampler / the guider from
KSampler, relative to the largest value. Under it stand the nodes that act nowhere, and are named.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PREFIX = "check_patches.check_patches_"
ACTING = f"{PREFIX}act_alike_behind_every_sampler"
IDLE = f"{PREFIX}without_a_place_change_nothing_and_are_named"


def cell(row: dict | str) -> str:
    if isinstance(row, str):
        return row
    return f"{row['acts']:.2g} / {row['Sample']:.0e} / {row['guider']:.0e}"


def table(reports: list[dict]) -> str:
    """Markdown. Raises KeyError for a report without these checks, or in which they failed."""
    acting = [report[ACTING]["data"]["table"] for report in reports]
    idle = [report[IDLE]["data"] for report in reports]
    hosts = [report[ACTING]["data"]["host"] for report in reports]
    lines = [f"| patch | {' | '.join(hosts)} |", "|---" * (len(hosts) + 1) + "|"]
    for name in acting[0]:
        lines.append(f"| {name} | {' | '.join(cell(one[name]) for one in acting)} |")
    for name in idle[0]:
        told = ["named" if one[name].startswith("PixWizard") else one[name] for one in idle]
        lines.append(f"| {name} (no place for it) | {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]))
