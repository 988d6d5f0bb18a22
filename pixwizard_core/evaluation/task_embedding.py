"""Instructions before and after the task embedder, as in figure 11 of the paper: how well sentences
of one task cluster, and how far tasks are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import reason_of
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


def why_no_tsne() -> str:
    """Why t-SNE cannot be computed; "" if it can."""
    try:
        import sklearn.manifold  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return f"{reason_of(error, 120)}: pip install scikit-learn"
    return ""


def planes(one: Separation) -> dict[str, Tensor]:
    """Points in a plane (N, 2) by method: PCA, and t-SNE where why_no_tsne() is empty."""
    found = {"PCA": principal_plane(one.points)}
    if why_no_tsne():
        return found
    from sklearn.manifold import TSNE  # pyright: ignore[reportMissingImports]

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
    """Plot one panel for each kind of vector and each plane: colours are families of tasks, and a
    task's name stands where its sentences are. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    rows = content["sentences"]
    kinds, ways = list(rows[0]["places"]), list(next(iter(rows[0]["places"].values())))
    tasks = sorted({row["task"] for row in rows})
    families = sorted({TASKS[task].family for task in tasks})
    figure = Figure(figsize=(7 * len(kinds), 6 * len(ways)), layout="constrained")
    panels = figure.subplots(len(ways), len(kinds), squeeze=False)
    for line, way in zip(panels, ways, strict=True):
        for panel, kind, scores in zip(line, kinds, content["scores"], strict=True):
            for task in tasks:
                places = [row["places"][kind][way] for row in rows if row["task"] == task]
                colour = f"C{families.index(TASKS[task].family)}"
                panel.scatter(*zip(*places, strict=True), s=12, color=colour, alpha=0.6)
                panel.annotate(task, _middle(places), fontsize=7, ha="center", va="bottom")
            panel.set_title(f"{kind}, {way} (silhouette {scores['silhouette']:.2f}, nearest of its "
                            f"task {scores['neighbours']:.0%})", fontsize=10)  # fmt: skip
            panel.set_xticks([])
            panel.set_yticks([])
    marks = [panels[0][0].scatter([], [], color=f"C{n}", label=name)
             for n, name in enumerate(families)]  # fmt: skip
    figure.legend(handles=marks, loc="outside lower center", ncols=len(families), fontsize=9)
    figure.savefig(path, dpi=80)


def _middle(places: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The place that is nearest to all of them, so that a name never stands between two groups."""
    points = torch.tensor(places, dtype=torch.float64, device="cpu")
    x, y = points[torch.cdist(points, points).sum(1).argmin()].tolist()
    return x, y
