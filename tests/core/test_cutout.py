"""Named things as layers: edges, colours at the rim, and the picture that they stack to."""

from __future__ import annotations

import argparse
import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.cli import layers, main, run
from pixwizard_core.cutout import (
    CutOut,
    Layer,
    cut_out,
    make_layers,
    names_in,
    soft_edge,
    stack,
    take_apart,
)
from pixwizard_core.errors import DecodeError, InstructionError
from tests.support.bundles import write_bundle
from tests.support.tiny import tiny_bundle


def ramp(left: float, side: int = 24) -> torch.Tensor:
    """A soft mask (H, W) that rises from 0 to 1 over 4 px around column `left`."""
    columns = torch.arange(side) + 0.5
    return ((columns - left) / 4 + 0.5).clamp(0, 1).expand(side, side)


def flat(*rgb: float, side: int = 24) -> torch.Tensor:
    return torch.tensor(rgb).view(3, 1, 1).expand(3, side, side)


def test_soft_edge_is_soft_only_near_the_outline():
    haze = ramp(12.0).clone()
    haze[:, :4] = 0.4  # far from the outline: not selected, so transparent
    alpha = soft_edge(haze)
    assert float(alpha[:, :8].max()) == 0
    assert float(alpha[:, 16:].min()) == 1
    assert 0 < float(alpha[0, 12]) < 1
    assert torch.equal((alpha * 255).round() / 255, alpha)  # what an 8-bit file holds
    assert not bool(soft_edge(torch.full((5, 5), 0.4)).any())


def test_colour_of_the_thing_is_free_of_what_is_behind():
    red, blue = flat(0.9, 0.1, 0.1), flat(0.1, 0.2, 0.8)
    alpha = soft_edge(ramp(12.0))
    picture = torch.lerp(blue, red, alpha)
    _, (layer,) = make_layers(picture, blue, [alpha], ["it"])
    shown = layer.colour[:, alpha > 0]
    torch.testing.assert_close(shown, red[:, alpha > 0], atol=1e-5, rtol=0)
    assert float(layer.rgba[:3, alpha == 0].max()) == 0


def test_layers_give_the_picture_back():
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(3, 24, 24, generator=generator)
    behind = torch.rand(3, 24, 24, generator=generator)
    alphas = [soft_edge(ramp(12.0)), soft_edge(ramp(8.0).T)]
    background, layers = make_layers(picture, behind, alphas, ["a", "b"])
    whole = stack(background, layers)
    rim = torch.stack([(a > 0) & (a < 1) for a in alphas]).any(0)
    assert 0 < int(rim.sum()) < rim.numel() / 2
    assert torch.equal(whole[:, ~rim], picture[:, ~rim])
    nothing = torch.stack([a == 0 for a in alphas]).all(0)
    assert torch.equal(background[:, nothing], picture[:, nothing])
    assert torch.equal(background[:, ~nothing], behind[:, ~nothing])


def test_first_layer_is_on_top():
    red, blue = (Layer(n, c, torch.ones(24, 24)) for n, c in
                 (("red", flat(1.0, 0, 0)), ("blue", flat(0, 0, 1.0))))  # fmt: skip
    assert torch.equal(stack(flat(0.0, 0, 0), [red, blue]), flat(1.0, 0, 0))


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(DecodeError, match="the background is 8 x 8 px and the picture 24 x 24 px"):
        make_layers(flat(0, 0, 0), flat(0, 0, 0, side=8), [], [])
    with pytest.raises(DecodeError, match="mask 2 is 4 x 3 px and the picture 24 x 24 px"):
        make_layers(flat(0, 0, 0), flat(0, 0, 0), [torch.ones(24, 24), torch.ones(3, 4)], ["a"] * 2)
    with pytest.raises(DecodeError, match="1 masks for 2 names"):
        make_layers(flat(0, 0, 0), flat(0, 0, 0), [torch.ones(24, 24)], ["a", "b"])


@pytest.fixture(scope="module")
def bundle():
    return dataclasses.replace(tiny_bundle(), centres=(64,))


def test_untrained_model_gives_whole_pictures_back(bundle):
    image = torch.rand(1, 3, 90, 120, generator=torch.Generator().manual_seed(1))
    told = []
    found = cut_out(
        bundle, image, ["the ball", " ", "the cube"],
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert len(found.layers) + len(found.missing) == 2
    assert told[:2] == [(1, 3), (2, 3)]
    whole = stack(found.background, found.layers)
    rim = torch.zeros(90, 120, dtype=torch.bool)
    for layer in found.layers:
        rim |= (layer.alpha > 0) & (layer.alpha < 1)
    assert torch.equal(whole[:, ~rim], image[0][:, ~rim])


def test_names_have_commas_semicolons_or_lines_between_them():
    assert names_in(" the red ball, a cube;\n\na cone ,") == ["the red ball", "a cube", "a cone"]
    assert names_in(" ,\n") == []


class Painter:
    """Paints a white square where "the ball" is, nothing for other names, and green for holes."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, task, target, fitted_01, canvas, seed):
        self.asked.append((task, target, seed))
        painted = torch.zeros_like(fitted_01)
        if task == "inpaint":
            painted[:, 1] = 1
        if target == "the ball":
            painted[..., 16:48, 16:48] = 1
        return painted


def test_take_apart_asks_for_each_name_and_what_is_behind_those_found():
    image, paint = torch.full((1, 3, 64, 64), 0.5), Painter()
    found = take_apart(paint, image, ["the cone", "the ball"], (64,), seed=7)
    assert paint.asked == [("mask", "the cone", 7), ("mask", "the ball", 8), ("inpaint", "", 9)]
    assert ([one.name for one in found.layers], found.missing) == (["the ball"], ["the cone"])
    alpha = found.layers[0].alpha
    assert float(alpha[20:44, 20:44].min()) == 1
    assert float(alpha[:12].max()) == 0
    torch.testing.assert_close(found.background[:, 32, 32], torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(found.background[:, :12], image[0, :, :12])


def test_take_apart_asks_for_no_background_where_one_is_given_or_nothing_was_found():
    image, paint = torch.full((1, 3, 64, 64), 0.5), Painter()
    found = take_apart(paint, image, ["the ball"], (64,), behind_01=flat(0, 0, 0.9, side=64))
    assert float(found.background[2, 32, 32]) == pytest.approx(0.9)
    nothing = take_apart(paint, image, ["the cone"], (64,))
    assert torch.equal(nothing.background, image[0])
    assert (nothing.layers, nothing.missing) == ([], ["the cone"])
    assert [task for task, _, _ in paint.asked] == ["mask", "mask"]


def test_a_background_of_another_size_is_refused_before_anything_is_asked():
    paint = Painter()
    with pytest.raises(DecodeError, match="the background is 24 x 24 px and the picture 64 x 64"):
        take_apart(paint, torch.zeros(1, 3, 64, 64), ["a"], (64,), behind_01=flat(0, 0, 0))
    assert paint.asked == []


def test_no_name_and_doubled_names_are_refused(bundle):
    with pytest.raises(InstructionError, match="name 1 to 32 things to cut out"):
        cut_out(bundle, torch.zeros(1, 3, 64, 64), [" "])
    with pytest.raises(InstructionError, match="name each thing once; the second layer of 'the"):
        cut_out(bundle, torch.zeros(1, 3, 64, 64), ["the ball", " the ball"])


def test_run_writes_layers_that_stack_to_the_picture(tmp_path, capsys):
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:120, :96]).save(tmp_path / "photo.png")
    folder = write_bundle(tmp_path / "bundle")
    command = ["run", str(tmp_path / "photo.png"), "--layers", "the red ball, a/b"]
    assert main([*command, "--bundle", str(folder), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "photo_layers.json").read_text())
    names = [layer["name"] for layer in report["layers"]]
    assert sorted([*names, *report["not_found"]]) == ["a/b", "the red ball"]
    files = [Image.open(tmp_path / "out" / name) for name in report["files"]]
    assert [file.mode for file in files] == ["RGB", *["RGBA"] * len(names)]
    below, rim = np.asarray(files[0]).astype(float), np.zeros((120, 96), bool)
    for file in files[:0:-1]:
        layer = np.asarray(file).astype(float)
        alpha = layer[..., 3:] / 255
        rim |= (alpha[..., 0] > 0) & (alpha[..., 0] < 1)
        below = layer[..., :3] * alpha + below * (1 - alpha)
    assert np.abs(below - astronaut()[:120, :96])[~rim].max() <= 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.rsplit("/", 1)[-1] for line in printed] == [*report["files"], "photo_layers.json"]


def test_every_option_of_run_is_taken_or_refused_beside_layers():
    """A new option has to be thought about."""
    parser = argparse.ArgumentParser()
    run.add_run_options(parser)
    taken = {
        "help", "tasks", "pictures", "layers", "out", "seed", "centre", "max_pixels", "bundle",
        "device", "model", "gemma", "clip", "vae", "dtype", "lora", "strength",
    }  # fmt: skip
    defaults = {one.dest: one.default for one in parser._actions if one.dest not in taken}
    assert defaults == layers.OTHER


def test_layers_of_one_picture_never_replace_those_of_another(tmp_path, monkeypatch):
    """a_1_background.png could be a layer of a.png and the background of the second a.png."""
    white = flat(1, 1, 1, side=8)
    found = CutOut(white, [Layer("background", white, torch.ones(8, 8))], [])
    monkeypatch.setattr("pixwizard_core.cutout.cut_out", lambda *_, **__: found)
    given, written = argparse.Namespace(out=tmp_path, centre=None), set()
    files = [
        path
        for stem in ("a", "a_1")
        for path in layers.write_layers(given, None, stem, white[None], ["x"], 0, written)
    ]
    assert len({path.name for path in files}) == 6
    assert all(path.is_file() for path in files)
    assert [path.name for path in files if "background_" in path.name] == ["a_1_background_.png"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--layers", " , "], "--layers needs names with commas between them"),
        (["--layers", "a", "--task", "depth"], "leave out --task"),
        (["--layers", "a", "--best", "2"], "leave out --best"),
        (["--layers", "a", "--steps", "0"], "leave out --steps"),
        (["--layers", "a", "--w-text", "9"], "leave out --w-text"),
        (["--layers", "a", "--fit", "crop"], "leave out --fit"),
        (["--layers", "a", "--target", "x"], "leave out --target"),
        (["--layers", "a", "--regions-together"], "leave out --regions-together"),
    ],
)
def test_run_refuses_layers_beside_other_questions(words, told, capsys):
    assert main(["run", "x.png", *words]) == 2
    assert told in capsys.readouterr().err
    assert main(["run", "--layers", "a"]) == 2
    assert "cuts things out of a picture" in capsys.readouterr().err
