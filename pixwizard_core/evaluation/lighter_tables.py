"""The tables of the study of lighter weights, in Markdown."""

from __future__ import annotations

from ..weights.weightfile import size_in_words
from .lighter_study import AS_IT_IS, LayerErrors, TaskRow


def layer_table(
    layers: dict[str, LayerErrors], text: dict[str, tuple[float, float]]
) -> str:
    """A row for each way: errors of weights, of what layers give, and of text features, in %."""
    lines = [
        "| stored as | weights, mean | worst | layers, mean | worst | words | pooled text |",
        f"|{'---|' * 7}",
    ]
    for title, (words, pooled) in text.items():
        known = layers.get(title)
        own = (*known.weights, *known.given) if known else ()
        values = [f"{100 * value:.2f}" for value in own] or ["–"] * 4
        values += [f"{100 * value:.2f}" for value in (words, pooled)]
        lines.append(f"| {title} | {' | '.join(values)} |")
    worst = {known.worst for known in layers.values()}
    inputs = max(known.input for known in layers.values())
    told = f"Largest input of a layer: {inputs:.0f}. Worst layers: {', '.join(sorted(worst))}."
    lines += ["", told]
    return "\n".join(lines)


def task_table(rows: list[TaskRow]) -> str:
    """A row for each task and score, and one for nearness to the pictures of the weights as they
    are."""
    ways = list(rows[0].scores)
    lines = [f"| task | score | {' | '.join(ways)} |", f"|{'---|' * (2 + len(ways))}"]
    for row in rows:
        scores = " | ".join(f"{row.scores[way]:.3f}" for way in ways)
        near = " | ".join("–" if way == AS_IT_IS else f"{row.near[way]:.1f}" for way in ways)
        lines += [f"| {row.task} | {row.score} | {scores} |", f"| {row.task} | dB | {near} |"]
    return "\n".join(lines)


def size_table(sizes: dict[str, dict[str, int]]) -> str:
    """A row for each part of the released model."""
    formats = list(next(iter(sizes.values())))
    lines = [f"| part | {' | '.join(formats)} |", f"|{'---|' * (1 + len(formats))}"]
    lines += [
        f"| {part} | {' | '.join(size_in_words(own[format]) for format in formats)} |"
        for part, own in sizes.items()
    ]
    return "\n".join(lines)
