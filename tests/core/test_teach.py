"""Teaching pairs of one's own from sources to a file, and what is refused before it starts."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from pixwizard_core.bundle import load_tiny
from pixwizard_core.errors import CanvasError, EncoderError, PixWizardError
from pixwizard_core.files.picture_files import open_picture, save_picture
from pixwizard_core.training.teach import before, filling
from pixwizard_core.training.teach.parts import small_parts as parts_in
from pixwizard_core.training.teach.processes import ProcessGroup
from pixwizard_core.training.teach.settings import Source
from pixwizard_core.training.teach.teach import teach
from pixwizard_core.weights.lora import shapes_of
from pixwizard_core.weights.lora_header import header_of
from pixwizard_core.weights.lora_read import read_adapters
from pixwizard_core.weights.weightfile import open_weights
from tests.support.bundles import write_bundle
from tests.support.teach import listed, order, pair_folder, picture, small_parts


@pytest.fixture
def pairs(tmp_path):
    return pair_folder(tmp_path / "pairs")


def test_lora_learns_and_its_file_says_of_what(pairs, tmp_path):
    told: list[str] = []
    made = order(
        tmp_path / "out", pairs, steps=40, batch=4, rank=4, drop_text=0.0, drop_both=0.0,
        validation=0.25, tell=told.append,
    )  # fmt: skip
    result = teach(made)
    assert (result.steps, result.stopped) == (40, False)
    assert result.held_out is not None
    assert result.held_out[1] < 0.9 * result.held_out[0]
    found = read_adapters(result.path, shapes_of(small_parts().model())).adapters
    assert all(len(adapter.parts["lora_down"]) == 4 for adapter in found)
    said = header_of(result.path)
    assert (said.words, said.base) == (("Swap it.",), "a small model")
    entries = open_weights(result.path).metadata
    wanted = {"rank": "4", "alpha": "4", "steps": "40", "seed": "0", "pixwizard.steps_done": "40"}
    assert {name: entries[name] for name in wanted} == wanted
    assert len(entries["pixwizard.data_sha256"]) == len(entries["pixwizard.base_sha256"]) == 64
    rows = [
        json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    ]
    assert {20, 40} <= {row["step"] for row in rows if "loss" in row}
    assert [row["step"] for row in rows if "held_out_loss" in row] == [0, 40]
    assert "3 pairs (3 of 32 x 32 px), 1 held out; LoRA of rank 4 of a small model" in told[0]
    assert any("step 40 of 40  loss " in line and "0:00:00 left" in line for line in told)


def test_second_run_reads_the_store_and_encodes_nothing(pairs, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    teach(order(tmp_path / "one", pairs, cache=cache))
    files = sorted(path.name for path in cache.rglob("*") if path.is_file())
    # Latents of five different pictures, tokens of four inputs, sentence and empty caption.
    assert len(files) == 5 + 4 + 2
    parts = small_parts()

    def refuse(*_):
        raise AssertionError("encoded again")

    vision, vae = parts.vision(), parts.vae()
    monkeypatch.setattr(type(vision), "encode", refuse)
    monkeypatch.setattr(type(vae), "encode", refuse)
    teach(order(tmp_path / "two", pairs, cache=cache))
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == files
    first, second = (open_weights(tmp_path / n / "lora.safetensors") for n in ("one", "two"))
    assert all(torch.equal(first.fetch(name), second.fetch(name)) for name in first.shapes)


def test_first_line_says_how_many_processes_share_a_run(pairs, tmp_path):
    """A starter that was told wrongly starts a single one."""
    from pixwizard_core.training.teach.teach import _about

    made = order(tmp_path / "out", pairs)
    alone, shared, split = (
        _about(dataclasses.replace(made, group=group), [], [], before.Survey((), ""), 7)
        for group in (ProcessGroup(), ProcessGroup(0, 4), ProcessGroup(0, 4, sharded=True))
    )
    assert alone.endswith("7 steps of 2")
    assert shared.endswith("7 steps of 2, shared by 4 processes")
    assert split.endswith("7 steps of 2, shared by 4 processes with split weights")


def test_run_loads_no_encoder_when_all_is_stored(pairs, tmp_path):
    folder = write_bundle(tmp_path / "base")
    parts = dataclasses.replace(parts_in(folder), centres=(32,))
    loaded: list[str] = []

    def counting(name):
        def load():
            loaded.append(name)
            return getattr(parts, name)()

        return load

    watched = dataclasses.replace(
        parts, **{name: counting(name) for name in ("text", "vision", "vae")}
    )
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        teach(order(tmp_path / name, pairs, cache=cache, parts=watched))
    assert loaded == ["text", "vision", "vae"]
    first, second = (open_weights(tmp_path / n / "lora.safetensors") for n in ("one", "two"))
    assert all(torch.equal(first.fetch(name), second.fetch(name)) for name in first.shapes)
    # A picture more needs the encoders of pictures alone, and other words those of words alone.
    picture(pairs / "input" / "more.png", 0.3)
    picture(pairs / "target" / "more.png", 0.6)
    teach(order(tmp_path / "three", pairs, cache=cache, parts=watched))
    assert loaded[3:] == ["vision", "vae"]
    teach(order(tmp_path / "four", Source(str(pairs), instruction="Other."), cache=cache,
                parts=watched))  # fmt: skip
    assert loaded[5:] == ["text"]
    (folder / "text.safetensors").touch()  # it might be another one
    teach(order(tmp_path / "five", pairs, cache=cache, parts=watched))
    assert loaded[6:] == ["text"]
    (cache / "encoders.json").write_text("no list")
    teach(order(tmp_path / "six", pairs, cache=cache, parts=watched))
    assert loaded[7:] == ["text", "vision", "vae"]
    wider = dataclasses.replace(watched, config=dataclasses.replace(parts.config, cap_feat_dim=99))
    with pytest.raises(EncoderError, match="was trained with text features of widths"):
        teach(order(tmp_path / "seven", pairs, cache=cache, parts=wider))
    assert loaded[10:] == []


def test_disk_needs_room_for_what_is_missing_alone(pairs, tmp_path, monkeypatch):
    folder = write_bundle(tmp_path / "base")
    parts = dataclasses.replace(parts_in(folder), centres=(32,))
    asked: list[int] = []
    real = filling.bytes_to_encode

    def counting(*given):
        asked.append(real(*given))
        return asked[-1]

    monkeypatch.setattr(filling, "bytes_to_encode", counting)
    for name in ("one", "two"):
        teach(order(tmp_path / name, pairs, cache=tmp_path / "cache", parts=parts))
    config = parts.config
    words = 2 * 4 * (32 * config.cap_feat_dim + config.cap_clip_feat_dim)
    tokens = 4 * 4 * config.image_tokens * config.image_feat_dim
    latents = 5 * 4 * config.in_channels * 16  # of five different pictures
    # Of no named encoder; of words; of pictures, when words are there; of nothing.
    assert asked == [0, words, tokens + latents, 0]


def test_stopped_run_saves_and_goes_on_as_if_it_had_not(pairs, tmp_path):
    def save(name, **changes):
        return teach(order(tmp_path / name, pairs, steps=5, cache=tmp_path / "cache", **changes))

    save("through")
    asked = iter([False, True])
    stopped = save("broken", stop=lambda: next(asked))
    assert (stopped.steps, stopped.stopped) == (2, True)
    assert stopped.path.is_file()
    resumed = save("broken", resume=True)
    assert (resumed.steps, resumed.stopped) == (5, False)
    first, second = (open_weights(tmp_path / n / "lora.safetensors") for n in ("through", "broken"))
    assert all(torch.equal(first.fetch(name), second.fetch(name)) for name in first.shapes)


def test_strips_and_saved_results_come_every_few_steps(pairs, tmp_path):
    made = order(tmp_path / "out", pairs, steps=4, sample_every=2, save_every=2, look_at=2)
    teach(made)
    names = sorted(path.name for path in (tmp_path / "out" / "samples").iterdir())
    assert names == ["step_000000.png", "step_000002.png", "step_000004.png"]
    shown = open_picture(tmp_path / "out" / "samples" / names[0])
    assert tuple(shown.shape) == (1, 3, 2 * 32 + 4, 3 * 32 + 2 * 4)
    assert (tmp_path / "out" / "saved" / "step_000002" / "lora.safetensors").is_file()


def test_whole_model_becomes_a_bundle_that_loads(pairs, tmp_path):
    folder = write_bundle(tmp_path / "base")
    parts = dataclasses.replace(parts_in(folder), centres=(32,))
    result = teach(order(tmp_path / "out", pairs, lora=False, parts=parts))
    before_it, after = load_tiny(folder), load_tiny(tmp_path / "out")
    assert result.path == tmp_path / "out" / "dit.safetensors"
    moved = [
        name
        for name, value in after.model.state_dict().items()
        if not torch.equal(value, before_it.model.state_dict()[name])
    ]
    assert len(moved) > 20
    assert open_weights(result.path).metadata["pixwizard.base"] == parts.name


def test_several_sizes_and_masks_are_trained_together(tmp_path):
    pair_folder(tmp_path / "pairs", 3, (64, 16))
    for name, value in (("a", 0.2), ("b", 0.9)):
        picture(tmp_path / f"{name}.png", value)
    save_picture(tmp_path / "m.png", torch.eye(32).expand(3, -1, -1))
    rows = [{"input": "a.png", "target": "b.png", "instruction": ["x", "y"], "mask": "m.png"},
            {"target": "b.png", "instruction": "z"}]  # fmt: skip
    told: list[str] = []
    result = teach(
        order(
            tmp_path / "out", tmp_path / "pairs", listed(tmp_path / "l.jsonl", rows), batch=5,
            at_once=2, tell=told.append,
        )
    )  # fmt: skip
    assert "5 pairs (2 of 32 x 32 px, 3 of 64 x 16 px)" in told[0]
    assert sorted(header_of(result.path).words) == ["Swap it.", "x", "y", "z"]


def test_padding_does_not_count(tmp_path):
    from pixwizard_core.training.teach.examples import MadePicture
    from pixwizard_core.training.teach.fitting import Size, loss_weights
    from pixwizard_core.training.teach.sources import read_source

    folder = pair_folder(tmp_path / "pairs", 1, (64, 32))
    (one,), _ = read_source(Source(str(folder), instruction="x"))
    cells = loss_weights(one.examples[0], Size(32, 32), "pad", 0.0)
    assert cells is not None
    assert cells[0, 0, :, 0].tolist() == [0, 1, 1, 0]
    assert loss_weights(one.examples[0], Size(32, 32), "stretch", 0.0) is None
    black = tmp_path / "black.png"
    save_picture(black, torch.zeros(3, 32, 64))
    masked = dataclasses.replace(one.examples[0], mask=MadePicture("m.png", black.read_bytes()))
    with pytest.raises(CanvasError, match="no pixel of the mask is white"):
        loss_weights(masked, Size(32, 32), "stretch", 0.0)
    tall = tmp_path / "tall.png"
    save_picture(tall, torch.ones(3, 64, 32))
    masked = dataclasses.replace(one.examples[0], mask=MadePicture("m.png", tall.read_bytes()))
    with pytest.raises(CanvasError, match="the mask is 32 x 64 px and the target 64 x 32 px"):
        loss_weights(masked, Size(32, 32), "stretch", 0.0)


def broken(tmp_path):
    (tmp_path / "pairs" / "target" / "1.png").write_bytes(b"x")
    (tmp_path / "pairs" / "input" / "2.png").write_bytes(b"")


def has_result(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lora.safetensors").write_bytes(b"x")


def is_file(tmp_path):
    (tmp_path / "out").write_bytes(b"x")


@pytest.mark.parametrize(
    ("prepare", "changes", "message"),
    [
        (None, {"rank": 33}, "rank is at most 16 for this model"),
        (None, {"optimiser": "adamw8bit"}, "needs bitsandbytes"),
        (None, {"validate_every": 1}, "validate_every needs pairs that are not trained on"),
        (None, {"validation": 0.05}, "holds out no pair of so few"),
        (None, {"text2image": 0.5}, "no pair without an input"),
        (None, {"resume": True}, r"there is no run in .* to resume: training\.pt is missing"),
        (broken, {}, r"2 of 4 pairs cannot be used: .*1\.png cannot be read"),
        (has_result, {}, r"already holds lora\.safetensors of a run; give --resume"),
        (is_file, {}, "is a file; --out is a folder"),
    ],
    ids=["rank", "optimiser", "validate", "share", "blank", "resume", "files", "result", "out"],
)
def test_run_that_cannot_end_well_is_refused_before_it_starts(
    pairs, tmp_path, monkeypatch, prepare, changes, message
):
    if changes.get("optimiser"):
        monkeypatch.setitem(__import__("sys").modules, "bitsandbytes.optim", None)
    if prepare:
        prepare(tmp_path)
    parts = small_parts()

    def encoders():
        raise AssertionError("an encoder was loaded")

    parts = dataclasses.replace(parts, text=encoders, vision=encoders, model=encoders)
    with pytest.raises(PixWizardError, match=message):
        teach(order(tmp_path / "out", pairs, parts=parts, **changes))


def test_full_disk_is_refused_before_it_starts(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(before.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(PixWizardError, match=r"will write about .* free; free some space"):
        teach(order(tmp_path / "out", pairs))


def test_folder_that_cannot_be_written_is_refused(pairs, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PixWizardError, match=r"cannot write into .*file.cache: Not a directory"):
        teach(order(tmp_path / "out", pairs, cache=tmp_path / "file" / "cache"))


def test_encoders_of_another_model_are_refused(pairs, tmp_path):
    parts = small_parts()
    wider = dataclasses.replace(parts.config, cap_feat_dim=256)
    with pytest.raises(EncoderError, match=r"widths \(256, 128\), and these encoders give \(128"):
        teach(order(tmp_path / "out", pairs, parts=dataclasses.replace(parts, config=wider)))
    wider = dataclasses.replace(parts.config, image_feat_dim=100)
    with pytest.raises(EncoderError, match="image tokens of width 100, and this encoder gives 96"):
        teach(order(tmp_path / "out", pairs, parts=dataclasses.replace(parts, config=wider)))


def test_nothing_to_train_on_is_refused(tmp_path):
    with pytest.raises(PixWizardError, match="there is nothing to train on"):
        teach(order(tmp_path / "out"))


def test_share_beside_named_held_out_pairs_is_refused(pairs, tmp_path):
    with pytest.raises(PixWizardError, match="leave it out beside held_out"):
        teach(order(tmp_path / "out", pairs, held_out=[pairs], validation=0.5))


def test_held_out_pairs_that_are_also_trained_on_are_told(pairs, tmp_path):
    told: list[str] = []
    teach(order(tmp_path / "out", pairs, held_out=[pairs], tell=told.append))
    assert "4 of the held-out pairs show a target that is also trained on" in told


def test_curves_are_written_where_tensorboard_is_installed(tmp_path):
    pytest.importorskip("tensorboard")
    from pixwizard_core.training.teach.log import BOARD, Log

    with Log(tmp_path, 2, lambda line: None) as log:
        log.step(2, 0.5, 1e-3)
    (events,) = (tmp_path / BOARD).iterdir()
    assert b"loss" in events.read_bytes()
