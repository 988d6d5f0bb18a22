"""Pairs built on Ray: the same bytes as without it, and resumable.

Run with `-m ray`; starting Ray takes a minute on a small machine.
"""

import pytest

from pixwizard_core.data.build import build
from pixwizard_core.data.build_photo import BuildOrder
from pixwizard_core.data.photos import find_photos
from pixwizard_core.errors import PixWizardError
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.picture_files import save_picture
from pixwizard_core.fleet.on_ray import RayOptions
from tests.core.test_data_build import digests
from tests.support.photo_sets import textured

ORDER = BuildOrder(("denoise", "canny", "edit"), least=16, side=0)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    (tmp_path / "photographs").mkdir()
    for number in range(11):  # more than one task's
        save_picture(tmp_path / "photographs" / f"{number}.png", textured(48, 64, number))
    (tmp_path / "photographs" / "bad.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)  # workers are told absolute paths
    return find_photos("photographs", LeftOut())


@pytest.mark.ray
def test_ray_builds_the_same_bytes_and_keeps_what_is_there(photos, tmp_path):
    pytest.importorskip("ray.data", reason='Ray is not installed (pip install "pixwizard[ray]")')
    here = build(photos, ORDER, "here")
    there = build(photos, ORDER, "there", ray=RayOptions(workers=2))
    assert (here.built, there.built, len(there.failed)) == (33, 33, 3)
    one, two = digests(tmp_path / "here"), digests(tmp_path / "there")
    assert one.keys() == two.keys()
    assert {n for n in one if one[n] != two[n]} <= {"failures.jsonl"}  # it holds absolute paths
    again = build(photos, ORDER, "there", ray=RayOptions(workers=1))
    assert (again.built, again.kept) == (0, 33)


def test_ray_that_is_missing_or_has_no_worker_is_refused(photos, monkeypatch):
    import sys

    with pytest.raises(PixWizardError, match="workers is a number of processes, at least 1"):
        build(photos, ORDER, "out", ray=RayOptions(workers=0))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PixWizardError, match='"ray" is not installed'):
        build(photos, ORDER, "out", ray=RayOptions())
