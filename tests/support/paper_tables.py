"""Sets of edits and of controlled pictures as they are published: Parquet with the pictures inside,
and MagicBrush's folders."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from pixwizard_core.files.picture_files import as_pil, save_picture
from pixwizard_core.world.examples import Examples


def stored(picture: torch.Tensor) -> dict[str, Any]:
    """A picture (3, H, W) in 0..1 as a table keeps it."""
    data = io.BytesIO()
    as_pil(picture).save(data, "PNG")
    return {"bytes": data.getvalue(), "path": None}


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    """A Parquet file of rows; tensors become stored pictures."""
    import pyarrow
    from pyarrow.parquet import write_table

    path.parent.mkdir(parents=True, exist_ok=True)
    plain = [{name: stored(value) if isinstance(value, torch.Tensor) else value
              for name, value in row.items()} for row in rows]  # fmt: skip
    write_table(pyarrow.Table.from_pylist(plain), path)


def magicbrush(folder: Path, some: Examples) -> None:
    """images/<id>/…, edit_turns.json and global_descriptions.json: one session for each example,
    of two turns, the second of which undoes the first."""
    turns: list[dict[str, str]] = []
    captions: dict[str, dict[str, str]] = {}
    for n, instruction in enumerate(some.instructions):
        session = str(100 + n)
        names = [f"{session}-{end}.png" for end in ("input", "output1", "output2")]
        before, after = some.inputs[n], some.targets[n]
        (folder / "images" / session).mkdir(parents=True, exist_ok=True)
        for name, picture in zip(names, (before, after, before), strict=True):
            save_picture(folder / "images" / session / name, picture)
        asked = (instruction, "Undo that.")
        for given, made, words in zip(names[:-1], names[1:], asked, strict=True):
            turns.append({"input": given, "output": made, "instruction": words})
        caption = some.truth["caption"][n]
        texts = (caption, f"{caption}, {instruction}", caption)
        captions[session] = dict(zip(names, texts, strict=True))
    (folder / "edit_turns.json").write_text(json.dumps(turns), encoding="utf-8")
    (folder / "global_descriptions.json").write_text(json.dumps(captions), encoding="utf-8")


def multigen(folder: Path, kind: str, some: Examples) -> None:
    """image and text, and for depth control_depth."""
    rows = [{"image": some.targets[n], "text": some.truth["caption"][n],
             **({"control_depth": some.inputs[n]} if kind == "depth" else {})}
            for n in range(len(some))]  # fmt: skip
    table(folder / "validation-00000-of-00001.parquet", rows)
