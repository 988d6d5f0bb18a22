"""Hypersim: rendered rooms, with distances along rays and normals in HDF5 files.

ai_VVV_NNN/images/scene_cam_XX_final_preview/frame.IIII.tonemap.jpg is a picture;
scene_cam_XX_geometry_hdf5/frame.IIII.depth_meters.hdf5 and .normal_cam.hdf5 belong to it. The files
metadata_camera_parameters.csv (cameras) and metadata_images_split_scene_v1.csv (splits) are used
where they are found.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from ...errors import PixWizardError
from ...files.left_out import LeftOut
from ...files.walk import walk
from ...fleet.items import safe_name
from ...json_text import read_text
from ..folders import captions_of
from ..photos import METRIC, SourcePhoto
from ..stored import HYPERSIM_NORMALS, HYPERSIM_RAYS, Stored
from .found import OTHER_SPLIT, FoundPhotos, not_there

PREVIEW, GEOMETRY = re.compile(r"scene_(cam_\d+)_final_preview"), "scene_{}_geometry_hdf5"
FRAME = re.compile(r"frame\.(\d+)\.tonemap\.(jpg|png)")
CAMERAS, SPLIT = "metadata_camera_parameters.csv", "metadata_images_split_scene_v1.csv"
MATRIX = tuple(f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3))
SCENE = "scene_name"
SPLIT_COLUMNS = (SCENE, "camera_name", "frame_id", "split_partition_name")
TRAIN = "train"
Frame = tuple[str, str, int]  # scene, camera, number


def find_hypersim(source: Path, left_out: LeftOut) -> FoundPhotos:
    """Return the tone-mapped pictures below a folder, with distances and normals where these are.

    Raises PixWizardError when there is no such picture, and for tables without their columns.
    """
    files = walk(source) if source.is_dir() else []
    cameras, split = _table(files, CAMERAS), _table(files, SPLIT)
    matrices = {row[SCENE]: _matrix(row) for row in cameras}
    parts = {_frame_of(row): row[SPLIT_COLUMNS[3]] for row in split}
    photos: list[SourcePhoto] = []
    met: set[str] = set()
    for path in files:
        place, frame = PREVIEW.fullmatch(path.parent.name), FRAME.fullmatch(path.name)
        if place is None or frame is None:
            continue
        scene = path.parents[2].name
        met.add(scene)
        if parts and parts.get((scene, place[1], int(frame[1]))) != TRAIN:
            left_out.tell(path, OTHER_SPLIT)
            continue
        name = safe_name(f"{scene}/{place[1]}/frame_{frame[1]}")
        maps = _maps(path, place[1], frame[1], matrices.get(scene, ()))
        photos.append(SourcePhoto(name, path, tuple(captions_of(path)), maps))
    if not met:
        raise not_there(
            source, "ai_VVV_NNN/images/scene_cam_XX_final_preview/frame.IIII.tonemap.jpg below it"
        )
    notes: list[str] = []
    if not parts:
        notes = [f"{SPLIT} is not there, so pictures of all splits are used"]
    if unknown := sorted(met - matrices.keys()):
        notes.append(f"{CAMERAS} is not there or lacks {len(unknown)} scenes: {unknown[0]} …")
    return FoundPhotos(photos, notes)


def _maps(path: Path, camera: str, frame: str, matrix: tuple[float, ...]) -> dict[str, Stored]:
    folder = path.parent.with_name(GEOMETRY.format(camera))
    rays = folder / f"frame.{frame}.depth_meters.hdf5"
    normals = folder / f"frame.{frame}.normal_cam.hdf5"
    found: dict[str, Stored] = {}
    if rays.is_file():
        found[METRIC] = Stored(rays, HYPERSIM_RAYS, camera=matrix)
    if normals.is_file():
        found["normal"] = Stored(normals, HYPERSIM_NORMALS)
    return found


def _table(files: list[Path], name: str) -> list[dict[str, str]]:
    """Return the rows of the first file of this name, none without one."""
    path = next((one for one in files if one.name == name), None)
    if path is None:
        return []
    rows = list(csv.DictReader(read_text(path, PixWizardError).splitlines()))
    wanted = (SCENE, *MATRIX) if name == CAMERAS else SPLIT_COLUMNS
    missing = [column for column in wanted if rows and rows[0].get(column) is None]
    if missing or not rows:
        raise PixWizardError(f"{path.name} has no {missing[0] if missing else 'rows'}")
    return rows


def _matrix(row: Mapping[str, str]) -> tuple[float, ...]:
    try:
        return tuple(float(row[name]) for name in MATRIX)
    except ValueError:
        raise PixWizardError(
            f"{CAMERAS}: the matrix {MATRIX[0]} … of {row[SCENE]} has a cell that is no number"
        ) from None


def _frame_of(row: Mapping[str, str]) -> Frame:
    scene, camera, number, _ = (row[name] for name in SPLIT_COLUMNS)
    if not number.strip().isdecimal():
        raise PixWizardError(f"{SPLIT}: frame_id of {scene} is no number. Got: {number!r:.40}")
    return scene, camera, int(number)
