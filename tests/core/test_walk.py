"""Which files a folder or glob stands for: hidden ones never, links once, own results not."""

import json

import pytest

from pixwizard_core.files import walk as walks
from pixwizard_core.files.kinds import is_film, is_list, is_picture
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.walk import expand, walk
from pixwizard_core.fleet.sources import find
from tests.core.test_fleet_sources import names, picture


def write(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    return folder


def inside(folder, files) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files]


@pytest.mark.parametrize(
    "name",
    [
        "a.JPG",
        "a.jfif",
        "a.jpe",
        "a.HEIC",
        "a.tiff",
        "a.webp",
        "a.apng",
        "a.avif",
        "a.Bmp",
        "a.gif",
    ],
)
def test_pictures_are_known_by_their_endings(name):
    assert is_picture(name)
    assert not is_film(name)


@pytest.mark.parametrize("name", ["a.MP4", "a.flv", "a.mov", "a.wmv", "a.m2ts", "a.mpg", "a.vob"])
def test_films_are_known_by_their_endings(name):
    assert is_film(name)
    assert not is_picture(name)


def test_lists_are_known_by_their_endings():
    assert [is_list(name) for name in ("a.CSV", "a.jsonl", "a.json")] == [True, True, False]


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"export const a = 1;", False),
        ((b"G" + bytes(187)) * 3, True),
        ((bytes(4) + b"G" + bytes(187)) * 3, True),
        (b"Go away" + bytes(400), False),
        (b"", False),
    ],
)
def test_transport_streams_are_told_from_typescript(head, is_one, tmp_path):
    (tmp_path / "a.ts").write_bytes(head)
    assert is_film(tmp_path / "a.ts") is is_one


def test_walk_skips_what_is_hidden(tmp_path):
    write(
        tmp_path, "a.png", "._a.png", ".git/b.png", "__MACOSX/a.png", "c/.d/e.png", "c/f2", "c/f10"
    )
    assert inside(tmp_path, walk(tmp_path)) == ["a.png", "c/f2", "c/f10"]


def test_walk_follows_each_link_once(tmp_path):
    write(tmp_path / "other", "x.png", "deep/y.png")
    write(tmp_path / "in", "z/a.png")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "c").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "z" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "a_link").symlink_to(tmp_path / "in" / "z")
    (tmp_path / "in" / "gone").symlink_to(tmp_path / "nowhere")
    told = []
    files = walk(tmp_path / "in", lambda path, reason: told.append((path.name, reason)))
    assert inside(tmp_path / "in", files) == ["b/deep/y.png", "b/x.png", "z/a.png"]
    assert sorted(told) == [
        ("a_link", walks.AGAIN), ("c", walks.AGAIN), ("gone", walks.BROKEN), ("loop", walks.AGAIN),
    ]  # fmt: skip


def test_glob_of_any_depth_ends_in_a_loop(tmp_path):
    write(tmp_path, "a.png", "s/b.png", "s/t/c.png", ".h/d.png")
    (tmp_path / "s" / "loop").symlink_to(tmp_path)
    root, found = expand(f"{tmp_path}/**/*.png")
    assert root == tmp_path
    assert inside(tmp_path, found) == ["a.png", "s/b.png", "s/t/c.png"]
    assert inside(tmp_path, expand(f"{tmp_path}/**")[1]) == ["a.png", "s/b.png", "s/t/c.png"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a.png", "s"]),
        ("s/*.png", ["s/b.png"]),
        ("*/t/c.png", ["s/t/c.png"]),
        ("[ab].png", ["a.png"]),
        (".h/*.png", [".h/d.png"]),
        (".?/*.png", [".h/d.png"]),
        ("s/**/c*", ["s/t/c.png"]),
        ("x/*", []),
    ],
)
def test_globs_match_as_in_a_shell(pattern, found, tmp_path):
    write(tmp_path, "a.png", "s/b.png", "s/t/c.png", ".h/d.png")
    assert inside(tmp_path, expand(f"{tmp_path}/{pattern}")[1]) == found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.jsonl", {"name": "a", "key": "k", "files": {"answer": "sub/r.png"}}),
        ("index-1-of-2.jsonl", {"name": "a", "key": "k", "files": {"answer": "sub/r.png"}}),
        ("submitted.jsonl", {"key": "k", "files": ["sub/r.png"]}),
        ("a_report.json", {"files": {"answer": "sub/r.png"}}),
    ],
)
def test_what_an_earlier_run_wrote_is_no_input_of_a_folder_above(name, content, tmp_path):
    write(tmp_path, "own.png", "out/mine.png", "out/sub/r.png")
    (tmp_path / "out" / name).write_text(json.dumps(content) + "\n", encoding="utf-8")
    told = []
    files = walk(tmp_path, lambda path, reason: told.append((path.name, reason)))
    assert "out/sub/r.png" not in inside(tmp_path, files)
    assert {"own.png", "out/mine.png"} <= set(inside(tmp_path, files))
    assert set(told) == {(name, walks.RESULT), ("r.png", walks.RESULT)}
    assert "sub/r.png" in inside(tmp_path / "out", walk(tmp_path / "out"))  # asked for itself
    assert inside(tmp_path, expand(f"{tmp_path}/**/*.png")[1]) == ["out/mine.png", "own.png"]


def test_find_tells_what_it_leaves_out(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.jfif")
    write(tmp_path, "notes.txt", "list.csv", "code.ts")
    left = LeftOut()
    found = find([str(tmp_path), str(tmp_path / "a.png")], tell=left.tell)
    assert names(found) == ["a", "b"]
    assert left.lines() == [
        "left out (a list; give it by name): 1: list.csv",
        "left out (named twice): 1: a.png",
        "left out (not a picture or film): 2: code.ts, notes.txt",
    ]


def test_find_takes_a_linked_folder_of_results_for_results(tmp_path):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "out" / "r.png")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    assert names(find([str(tmp_path / "in")], out=tmp_path / "out")) == ["a"]


def test_equal_pictures_in_two_places_stay_two(tmp_path):
    for place in ("x/a.png", "y/a.png"):
        picture(tmp_path / place)
    found = find([str(tmp_path / "x"), str(tmp_path / "y")])
    assert [one.path.parent.name for one in found] == ["x", "y"]


def test_notes_on_films_are_told_by_name():
    left = LeftOut()
    for number in range(12):
        left.note(walks.Path(f"n{number}.mkv"), "it breaks off")
    assert left.lines()[0] == "n0.mkv: it breaks off"
    assert left.lines()[-1] == "and 2 more films with a note"
    assert left.rows[3] == {"path": "n3.mkv", "note": "it breaks off"}


def test_many_names_are_told_in_one_line_each_reason():
    left = LeftOut()
    for number in range(12):
        left.tell(walks.Path(f"n{number}.txt"), "not a picture or film")
    assert left.lines() == [
        "left out (not a picture or film): 12: "
        + ", ".join(f"n{number}.txt" for number in range(10)) + " …"
    ]  # fmt: skip
