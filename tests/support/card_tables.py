"""Write the score tables of the bundled model's card.

    python -m tests.support.card_tables DIR [--before OLD_SCORES]

DIR holds what `pixwizard evaluate world --out` wrote, one folder a run: rooms, rooms_77 (another
seed), words (sentences of training and new ones), photographs, and photographs_before (the model
before); referring holds the scores.md of a run with --referring. Folders that are missing leave
their columns or tables out. OLD_SCORES is an older scores.json, for a column with the model before.
The sampler's table comes from the sampler.json beside the card. The tables replace what stands
between the markers of the card.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixwizard_core.evaluation.score_report import UNITS, from_json, goal_table, shown
from pixwizard_core.evaluation.scoring import TaskScore

CARD = Path(__file__).parents[2] / "pixwizard_core" / "tiny" / "README.md"
Column = tuple[str, Mapping[str, TaskScore], str]  # heading, results by task, source of the answer


def read(path: Path) -> dict[str, TaskScore]:
    """Results by task, of a scores.json or of the folder with one; empty if there is none."""
    path = path / "scores.json" if path.is_dir() else path
    if not path.is_file():
        return {}
    return {result.task: result for result in from_json(path.read_text(encoding="utf-8"))}


def value_of(column: Column, task: str, score: str) -> float:
    """The score of a task in a column, NaN where it was not measured."""
    _, results, source = column
    return (
        results[task].answers.get(source, {}).get(score, math.nan) if task in results else math.nan
    )


def merged(main: Mapping[str, TaskScore], columns: Sequence[Column]) -> str:
    """Markdown: a row for each task and score of main, with columns of several runs."""
    columns = [
        column
        for column in columns
        if any(column[2] in result.answers for result in column[1].values())
    ]
    heads = ["task", "steps", "scenes", "score", *(heading for heading, _, _ in columns)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for task, result in main.items():
        for score in result.names:
            label = f"{score}, {UNITS[score]}" if score in UNITS else score
            cells = [task, str(result.steps), str(result.count), label]
            cells += [shown(value_of(column, task, score)) for column in columns]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def tables(folder: Path, before: Path | None) -> dict[str, str]:
    """The tables by the names of their markers."""
    rooms, other = read(folder / "rooms"), read(folder / "rooms_77")
    words, old = read(folder / "words"), read(before) if before else {}
    photographs, earlier = read(folder / "photographs"), read(folder / "photographs_before")
    return {
        "rooms": merged(
            rooms,
            [
                ("as trained", rooms, "trained"),
                ("other seed", other, "trained"),
                ("seen words", words, "seen"),
                ("new words", words, "held_out"),
                ("other shapes", rooms, "wide"),
                ("before", old, "seen"),
                ("trivial", rooms, "trivial"),
                ("ceiling", rooms, "ceiling"),
            ],
        ),
        "photographs": merged(
            photographs,
            [
                ("as trained", photographs, "trained"),
                ("before", earlier, "trained"),
                ("input or trivial", photographs, "trivial"),
                ("ceiling", photographs, "ceiling"),
            ],
        ),
        "goals": goal_table(list(rooms.values())),
        "referring": referring(folder / "referring" / "scores.md"),
        "sampler": sampler(json.loads((CARD.parent / "sampler.json").read_text())["rows"]),
    }


def referring(path: Path) -> str:
    """Markdown: the table of masks by referring phrase, out of a run's scores.md; empty without."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    starts = [number for number, line in enumerate(lines) if line.startswith("| masks |")]
    return "\n".join(line for line in lines[starts[0] :] if line.startswith("|")) if starts else ""


def sampler(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: what each change of settings gives, with evaluations of the network a picture."""
    tasks = list(dict.fromkeys((row["task"], row["score"]) for row in rows))
    heads = ["change", *(f"{task} {score}" for task, score in tasks), "evaluations"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for change in dict.fromkeys(row["change"] for row in rows):
        found = {row["task"]: row for row in rows if row["change"] == change}
        values = [f"{found[task]['value']:.3f}" if task in found else "–" for task, _ in tasks]
        counts = sorted({row["evaluations"] for row in found.values()} - {None})
        ends = dict.fromkeys(f"{count:g}" for count in (*counts[:1], *counts[-1:]))
        values.append("–".join(ends) or "as needed")  # dopri5 chooses its own steps
        lines.append(f"| {' | '.join([change, *values])} |")
    return "\n".join(lines)


def placed(card: str, name: str, text: str) -> str:
    """The card with a table between the markers of that name."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)"
    if not re.search(pattern, card, re.DOTALL):
        raise SystemExit(f"{CARD} has no markers <!-- {name} --> and <!-- end of {name} -->")
    return re.sub(pattern, lambda found: f"{found[1]}\n{text}\n{found[2]}", card, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--before", type=Path)
    arguments = parser.parse_args()
    card = CARD.read_text(encoding="utf-8")
    for name, text in tables(arguments.folder, arguments.before).items():
        if text.count("\n") > 1:
            card = placed(card, name, text)
    CARD.write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
