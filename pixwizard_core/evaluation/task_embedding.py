"""Instructions before and after the task embedder, as in figure 11 of the paper: how well sentences
of one task cluster, and how far tasks are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..pipeline import Bundle
from ..tasks import TASKS, Fields, instruction
from .separation import neighbour_accuracy, principal_plane, silhouette

POOLED, EMBEDDED = "pooled text", "task embedding"
AT_ONCE = 16
PERPLEXITY = 30.0
# Words for the fields of sentences; each sentence takes the next of each list.
WORDS: Mapping[str, Sequence[str]] = {
    "caption": ("a red ball on a wooden floor", "two dogs in the snow", "a street at night",
                "a bowl of fruit in soft light", "an old boat by the sea"),
    "target": ("the red ball", "the dog on the left", "the small window", "the woman in blue"),
    "colour": ("red", "green", "blue", "yellow", "purple"),
    "question": ("what can be eaten?", "who is the tallest?", "where could a cat hide?"),
}  # fmt: skip


@dataclass(frozen=True)
class Sentences:
    """texts and the task that each asks for, in the same order."""

    texts: list[str]
    tasks: list[str]

    @property
    def labels(self) -> Tensor:
        names = sorted(set(self.tasks))
        numbers = [names.index(task) for task in self.tasks]
        return torch.tensor(numbers, dtype=torch.int64, device="cpu")


@dataclass(frozen=True)
class Separation:
    """One kind of vector (N, D) for all sentences, and how well it separates tasks."""

    kind: str
    points: Tensor
    silhouette: float
    neighbours: float


def sentences_of(tasks: Sequence[str], each: int) -> Sentences:
    """Different sentences for each task, at most `each`: its phrasings and trained forms with
    varying words."""
    texts, names = [], []
    for task_id in tasks:
        task, mine = TASKS[task_id], dict[str, None]()
        for number in range(10 * each):
            words: Fields = {
                name: WORDS[name][(number // len(task.phrasings) + number) % len(WORDS[name])]
                for name in task.fields
            }  # pyright: ignore[reportAssignmentType]
            mine[instruction(task_id, phrasing=number % len(task.phrasings), **words)] = None
            if len(mine) >= each:
                break
        texts += mine
        names += [task_id] * len(mine)
    return Sentences(texts, names)


@torch.no_grad()
def separations(bundle: Bundle, sentences: Sentences) -> list[Separation]:
    """Pooled texts and task embeddings with their scores."""
    pooled, embedded = [], []
    for at in range(0, len(sentences.texts), AT_ONCE):
        some = bundle.text.encode(sentences.texts[at : at + AT_ONCE]).pooled
        embedder = bundle.model.task_embedder
        weight = next(embedder.parameters())
        pooled.append(some.float().cpu())
        embedded.append(embedder(some.to(weight)).float().cpu())
    labels = sentences.labels
    return [
        Separation(kind, points, silhouette(points, labels), neighbour_accuracy(points, labels))
        for kind, points in ((POOLED, torch.cat(pooled)), (EMBEDDED, torch.cat(embedded)))
    ]


def planes(one: Separation) -> dict[str, Tensor]:
    """Points in a plane (N, 2) by method: PCA, and t-SNE if scikit-learn is installed."""
    found = {"PCA": principal_plane(one.points)}
    try:
        from sklearn.manifold import TSNE  # pyright: ignore[reportMissingImports]
    except ImportError:
        return found
    perplexity = min(PERPLEXITY, max(2.0, (len(one.points) - 1) / 3))
    made = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(one.points.numpy())
    return {**found, "t-SNE": torch.from_numpy(made)}


def separation_table(found: Sequence[Separation]) -> str:
    """Markdown: a row for each kind of vector."""
    heads = ("vectors", "numbers each", "silhouette", "nearest are of its task")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [
        f"| {one.kind} | {one.points.shape[1]} | {one.silhouette:.3f} | {one.neighbours:.3f} |"
        for one in found
    ]
    return "\n".join(lines)


def as_json(found: Sequence[Separation], sentences: Sentences) -> dict[str, Any]:
    """Scores, and each sentence with its coordinates in the planes."""
    drawn = {one.kind: planes(one) for one in found}
    return {
        "scores": [
            {"vectors": one.kind, "silhouette": one.silhouette, "neighbours": one.neighbours}
            for one in found
        ],
        "sentences": [
            {
                "task": task, "text": text,
                "places": {kind: {way: [round(v, 5) for v in points[i].tolist()]
                                  for way, points in ways.items()}
                           for kind, ways in drawn.items()},
            }
            for i, (text, task) in enumerate(zip(sentences.texts, sentences.tasks, strict=True))
        ],
    }  # fmt: skip


def plot(content: Mapping[str, Any], path: Path) -> None:
    """Plot one panel for each kind of vector and each plane. Raises ImportError without
    matplotlib."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    rows = content["sentences"]
    kinds, ways = list(rows[0]["places"]), list(next(iter(rows[0]["places"].values())))
    tasks = sorted({row["task"] for row in rows})
    figure = Figure(figsize=(4.5 * len(kinds), 4.2 * len(ways)), layout="constrained")
    panels = figure.subplots(len(ways), len(kinds), squeeze=False)
    for line, way in zip(panels, ways, strict=True):
        for panel, kind, scores in zip(line, kinds, content["scores"], strict=True):
            for number, task in enumerate(tasks):
                places = [row["places"][kind][way] for row in rows if row["task"] == task]
                marker = "os^vDPX*"[number // 20 % 8]
                panel.scatter(*zip(*places, strict=True), s=9, marker=marker,
                              color=f"C{number % 10}", alpha=0.5 + 0.5 * (number % 20 < 10),
                              label=task)  # fmt: skip
            panel.set_title(f"{kind}, {way} (silhouette {scores['silhouette']:.2f})", fontsize=9)
            panel.set_xticks([])
            panel.set_yticks([])
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=6)
    figure.savefig(path, dpi=130)
