"""Two changes in one picture: one sentence, two runs, mixed predictions, and regions.

Each room has two things and a new colour for each, and the masks are the true ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..canvas import plan
from ..canvas.images import to_image_01
from ..generate import initial_noise
from ..model.regions import visible
from ..pipeline import (
    Bundle,
    EncodedPictures,
    Request,
    encode_conditions,
    encode_pictures,
    run,
    settings_for,
)
from ..regions import RegionRequest, cells_of
from ..sampling import SOLVERS, combine, needed_branches, times
from .scorers import Scores, mean, psnr
from .scoring import round_trip
from .shown_colours import nearest_paint
from .two_changes import TwoChanges, two_changes

BATCH = 8
ONE, RUNS, MIXED, TOGETHER, APART, CEILING = (
    "one sentence", "two runs", "predictions mixed by mask", "regions that see each other",
    "regions", "autoencoder alone",
)  # fmt: skip
OnBatch = Callable[[int], None]


@dataclass(frozen=True)
class RegionalRow:
    """Both changes made in one way. seconds: for one picture."""

    way: str
    seconds: float
    scores: Scores


def study_regions(
    bundle: Bundle, count: int, seed: int, on_batch: OnBatch = lambda count: None
) -> list[RegionalRow]:
    """A row for each way, over count rooms."""
    rooms = two_changes(count, seed, min(bundle.centres), bundle.taught)
    rows: list[RegionalRow] = []
    for way, paint in WAYS.items():
        begun, parts = time.perf_counter(), list[Tensor]()
        for start in range(0, count, BATCH):
            parts.append(paint(bundle, _part(rooms, slice(start, start + BATCH)), start))
            on_batch(len(parts[-1]))
        seconds = (time.perf_counter() - begun) / count
        rows.append(RegionalRow(way, seconds, score(torch.cat(parts), rooms)))
    return rows


def _part(rooms: TwoChanges, rows: slice) -> TwoChanges:
    return TwoChanges(
        rooms.inputs[rows], rooms.targets[rows], rooms.masks[rows], rooms.colours[rows],
        rooms.sentences[rows],
    )  # fmt: skip


def score(painted: Tensor, rooms: TwoChanges) -> Scores:
    """Scores of pictures (n, 3, H, W).

    right: share of things with the new colour; both: share of rooms with two such; swapped: share
    of things with the colour that the other was to have. on_things: share of all change that lies
    on the two things. inside_db: PSNR on them against the true answer; outside_db: PSNR elsewhere
    against the input.
    """
    right, both, swapped, share, inside, outside = ([] for _ in range(6))
    for row, picture in enumerate(painted):
        masks, wanted = rooms.masks[row], rooms.colours[row].tolist()
        shown = [nearest_paint(picture[:, mask].mean(1)) for mask in masks]
        hits = [float(a == b) for a, b in zip(shown, wanted, strict=True)]
        right += hits
        both.append(min(hits))
        swapped += [float(a == b) for a, b in zip(shown, reversed(wanted), strict=True)]
        change, where = (picture - rooms.inputs[row]).abs().mean(0), masks.any(0)
        share.append(float(change[where].sum() / change.sum()))
        inside.append(psnr(picture, rooms.targets[row], where))
        outside.append(psnr(picture, rooms.inputs[row], ~where))
    return {
        "right": mean(right), "both": mean(both), "swapped": mean(swapped),
        "on things": mean(share), "inside, dB": mean(inside), "outside, dB": mean(outside),
    }  # fmt: skip


def joined(sentences: tuple[str, str]) -> str:
    """Both sentences as one: "Make the red ball blue and make the green cube white." """
    first, second = sentences
    return f"{first.rstrip('.')} and {second[:1].lower()}{second[1:]}"


def _ask(bundle: Bundle, rooms: TwoChanges, sentences: list[str], start: int, **given) -> Tensor:
    settings = bundle.settings_of("recolour")
    return run(bundle, Request(rooms.inputs, sentences, start, settings, **given)).image_01


def _joined(rooms: TwoChanges) -> list[str]:
    return [joined(pair) for pair in rooms.sentences]


def _of(rooms: TwoChanges, which: int) -> list[str]:
    return [pair[which] for pair in rooms.sentences]


def by_one_sentence(bundle: Bundle, rooms: TwoChanges, start: int) -> Tensor:
    return _ask(bundle, rooms, _joined(rooms), start)


def by_two_runs(bundle: Bundle, rooms: TwoChanges, start: int) -> Tensor:
    """The second sentence on the answer to the first."""
    halfway = _ask(bundle, rooms, _of(rooms, 0), start)
    return _ask(bundle, replace(rooms, inputs=halfway), _of(rooms, 1), start)


def by_regions(bundle: Bundle, rooms: TwoChanges, start: int, apart: bool = True) -> Tensor:
    regions = [RegionRequest(rooms.masks[:, which], _of(rooms, which)) for which in range(2)]
    return _ask(bundle, rooms, _joined(rooms), start, regions=regions, regions_apart=apart)


def by_regions_together(bundle: Bundle, rooms: TwoChanges, start: int) -> Tensor:
    return by_regions(bundle, rooms, start, apart=False)


def by_autoencoder(bundle: Bundle, rooms: TwoChanges, start: int) -> Tensor:
    """The true answer, encoded and decoded: what the model could reach."""
    return round_trip(bundle, rooms.targets)


@torch.no_grad()
def by_mixing(bundle: Bundle, rooms: TwoChanges, start: int) -> Tensor:
    """One prediction for each sentence and one for the rest, at each step, laid over one another by
    the masks, as a host does with conditions that have masks."""
    height, width = rooms.inputs.shape[-2:]
    canvas = plan(width, height, bundle.centres)
    settings = settings_for(canvas, bundle.centres, bundle.settings_of("recolour"))
    encoded = encode_pictures(bundle, canvas.fit_image(rooms.inputs))
    noise = initial_noise(encoded.latent.shape[1:], list(range(start, start + len(rooms))))
    rows, columns = encoded.latent.shape[-2:]
    masks = torch.stack([cells_of(mask, rows, columns) for mask in rooms.masks.unbind(1)], 1)
    shares = torch.cat([(1 - masks).prod(1, keepdim=True), visible(masks)], 1)[:, :, None]
    texts = [_joined(rooms), _of(rooms, 0), _of(rooms, 1)]
    voices = [_prepared(bundle, encoded, text, settings.base_seqlen) for text in texts]
    empty = _prepared(bundle, encoded, [""] * len(rooms), settings.base_seqlen)

    def velocity(x: Tensor, t: float) -> Tensor:
        at = torch.full((len(x),), t)
        each = [bundle.model.velocity(x, at, voice) for voice in voices]
        full = sum((share * one for share, one in zip(shares.unbind(1), each, strict=True)), 0 * x)
        by_name = {"full": full, "image_only": full}
        needed = needed_branches(settings.w_text, settings.w_image, settings.all_channels)
        if "image_only" in needed:
            by_name["image_only"] = bundle.model.velocity(x, at, empty)
        return combine(
            {name: by_name[name] for name in needed}, settings.w_text, settings.w_image,
            settings.all_channels,
        )  # fmt: skip

    latent = SOLVERS[settings.solver](velocity, noise, times(settings.steps, settings.shift), None)
    return canvas.restore_image(to_image_01(bundle.vae.decode(latent)).clamp(0, 1), rooms.inputs)


def _prepared(bundle: Bundle, encoded: EncodedPictures, texts: list[str], base: int | None):
    full, _ = encode_conditions(bundle, encoded, texts)
    return bundle.model.prepare(full, base_seqlen=base)


WAYS: dict[str, Callable[[Bundle, TwoChanges, int], Tensor]] = {
    ONE: by_one_sentence,
    RUNS: by_two_runs,
    MIXED: by_mixing,
    TOGETHER: by_regions_together,
    APART: by_regions,
    CEILING: by_autoencoder,
}


def regional_table(rows: list[RegionalRow]) -> str:
    """Markdown: a row for each way."""
    names = list(rows[0].scores)
    lines = [f"| way | {' | '.join(names)} | s |", f"|{'---|' * (len(names) + 2)}"]
    for row in rows:
        values = " | ".join(
            f"{value:.1f}" if name.endswith("dB") else f"{value:.3f}"
            for name, value in row.scores.items()
        )
        lines.append(f"| {row.way} | {values} | {row.seconds:.2f} |")
    return "\n".join(lines)
