"""Small jobs for tests of many pictures: an untrained model, pictures of noise."""

from __future__ import annotations

from pathlib import Path

import torch

from pixwizard_core.files.picture_files import save_picture
from pixwizard_core.fleet.index import Record
from pixwizard_core.fleet.items import Item
from pixwizard_core.fleet.job import Job, ModelFiles
from pixwizard_core.fleet.local import run_local
from pixwizard_core.fleet.plan import identify
from pixwizard_core.fleet.runner import run_fleet
from pixwizard_core.fleet.sources import find
from pixwizard_core.taught import Taught
from tests.support.bundles import write_bundle

SIZES = ((40, 56), (64, 64), (48, 40))  # height, width


def write_pictures(folder: Path, count: int, sizes=SIZES, seed: int = 0) -> Path:
    """PNG files a0.png, a1.png … of noise in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        picture = torch.rand(3, *sizes[number % len(sizes)], generator=generator)
        save_picture(folder / f"a{number}.png", picture)
    return folder


def small_job(base: Path, out: str = "out", **changes) -> Job:
    """A job of an untrained model at 64 px; its files are written below base once."""
    folder = base / "bundle"
    if not folder.is_dir():
        write_bundle(folder)
    model = ModelFiles(str(folder))
    values = {"model": model, "model_hash": model.fingerprint(), "centre": 64, **changes}
    return Job(out=str(base / out), **values)


def items_of(
    *inputs: Path, task: str = "depth", taught: Taught | None = None, **asked
) -> list[Item]:
    """Items of pictures that can all be read. taught: by the model that gets the sentences."""
    found = find([str(path) for path in inputs], **asked)
    items, failures = identify(found, {"task": task}, taught=taught)
    assert failures == []
    return items


def run_here(job: Job, items, workers: int = 1, engine=None, **options):
    """A run on the local engine, or another one."""
    engine = engine or (lambda job, chains: run_local(job, chains, workers, retries=0))
    return run_fleet(job, items, engine, workers=workers, **options)


def without_keys(records: list[Record]) -> list[Record]:
    return [{name: record[name] for name in record if name != "key"} for record in records]
