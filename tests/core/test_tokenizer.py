import json
from pathlib import Path

import pytest
import torch

from pixwizard_core.encoders.tokenizer import (
    CLIP_TOKENS,
    clip_batch,
    gemma_batch,
    load_tokenizer,
    padded,
)
from pixwizard_core.errors import EncoderError
from pixwizard_core.training import tokenizer as tokenizer_training
from pixwizard_core.world.examples import WORLD_TASKS

TINY = Path(__file__).resolve().parents[2] / "pixwizard_core" / "tiny"

SENTENCES = ["Mark the red ball with a blue box.", "Depth."]


@pytest.fixture(scope="module")
def tiny():
    return load_tokenizer(TINY)


def test_bundled_vocabulary_has_gemma_special_ids(tiny):
    assert (tiny.pad, tiny.eos, tiny.bos) == (0, 1, 2)
    assert tiny.tokenizer.token_to_id("<unk>") == 3
    assert tiny.size <= 1024


@pytest.mark.parametrize(
    "text", ["12.5 px, (50%)!", "żółw 图像", "<eos> <bos>", "a\tb\nc", "zebra"]
)
def test_bundled_tokenizer_keeps_every_character(tiny, text):
    assert tiny.text(tiny.ids([text])[0]).strip() == text


def test_bundled_tokenizer_ignores_case_and_knows_the_world(tiny):
    assert tiny.ids(["The RED Cube"]) == tiny.ids(["the red cube"])
    assert len(tiny.ids(["the red cube left of the purple cylinder"])[0]) == 8


def test_special_names_in_a_text_are_plain_characters(tiny):
    ids = tiny.ids(["stop <eos> here <bos>"])[0]
    assert not {tiny.pad, tiny.eos, tiny.bos} & set(ids)


def test_gemma_batch_begins_with_bos_and_pads_right_to_eight(tiny):
    ids, mask = gemma_batch(tiny, SENTENCES)
    words = tiny.ids(SENTENCES)
    assert ids.shape == mask.shape == (2, 16)
    assert mask.dtype == torch.bool
    assert ids[1, :3].tolist() == [2, *words[1]]
    assert ids[1, 3:].tolist() == [0] * 13
    assert mask.sum(1).tolist() == [1 + len(words[0]), 3]
    assert mask[1].tolist() == [True] * 3 + [False] * 13


def test_gemma_batch_of_the_empty_caption_is_bos_alone(tiny):
    ids, mask = gemma_batch(tiny, [""])
    assert ids.tolist() == [[2, 0, 0, 0, 0, 0, 0, 0]]
    assert mask.sum() == 1


def test_gemma_batch_cuts_at_256(tiny):
    ids, mask = gemma_batch(tiny, ["ball " * 400])
    assert ids.shape == (1, 256)
    assert mask.all()
    assert ids[0, 0] == 2


def test_clip_batch_ends_in_eos_even_when_cut(tiny):
    ids, mask = clip_batch(tiny, ["ball " * 100, "Depth."], 64)
    assert ids.shape == (2, 64)
    assert ids[0, -1] == 1
    assert ids[1, :5].tolist() == [2, *tiny.ids(["depth."])[0], 1, 0]
    assert mask.sum(1).tolist() == [64, 4]


def test_padded_by_hand():
    ids, mask = padded([[5, 6], [7]], 3, 9)
    assert ids.tolist() == [[5, 6, 9], [7, 9, 9]]
    assert mask.tolist() == [[True, True, False], [True, False, False]]


def clip_files(folder, merges="#version: 0.2\nr e\nre d</w>\n"):
    tokens = ["r", "e", "d</w>", "d", "e</w>", "r</w>", "re", "red</w>"]
    tokens += [CLIP_TOKENS.bos, CLIP_TOKENS.eos]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")


def test_clip_vocabulary_files_work_without_tokenizer_json(tmp_path):
    clip_files(tmp_path)
    tokenizer = load_tokenizer(tmp_path, CLIP_TOKENS)
    ids, _ = clip_batch(tokenizer, ["RED   red re"], 8)
    assert ids.tolist() == [[8, 7, 7, 0, 4, 9, 9, 9]]


def test_refusals_name_the_file_and_the_trouble(tmp_path):
    with pytest.raises(EncoderError, match=r"no tokenizer at .*tokenizer\.json; put the"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"x")
    with pytest.raises(EncoderError, match=r"tokenizer\.model alone is not enough"):
        load_tokenizer(tmp_path)
    clip_files(tmp_path, merges="x y\n")
    with pytest.raises(EncoderError, match=r"vocab\.json and merges\.txt do not fit"):
        load_tokenizer(tmp_path, CLIP_TOKENS)
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(EncoderError, match="not a readable tokenizer file"):
        load_tokenizer(tmp_path)
    with pytest.raises(EncoderError, match=r"has no <\|endoftext\|> or <\|startoftext\|>"):
        load_tokenizer(TINY, CLIP_TOKENS)


def test_training_is_reproducible_and_learns_words():
    text = ["the red ball", "the red cube"] * 3
    one = tokenizer_training.train_tokenizer(text, 300)
    two = tokenizer_training.train_tokenizer(reversed(text), 300)
    assert one.to_str() == two.to_str()
    assert len(one.encode("the red ball").ids) == 3


def test_table_sentences_leave_held_out_phrasings_out():
    made = tokenizer_training.table_sentences()
    assert "Draw the depth of the scene." in made
    assert "Make a map of the distances in this scene, a depth map." not in made


def test_world_sentences_repeat_and_speak_of_the_world():
    made = tokenizer_training.world_sentences(8, 1)
    assert made == tokenizer_training.world_sentences(8, 1)
    assert len(made) == 8 * len(WORLD_TASKS)
    assert sum("floor" in sentence for sentence in made) > 20
    assert sum("ball" in sentence for sentence in made) > 20
