import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pixwizard_core.encoders import load as load_module
from pixwizard_core.encoders.architectures import (
    Weights,
    build,
    filled,
    weights_of,
)
from pixwizard_core.encoders.load import (
    describe,
    load_text_encoder,
    mismatch,
    read_source,
    require_widths,
)
from pixwizard_core.encoders.tiny import (
    BUNDLE,
    TINY_CLIP_TEXT,
    build_tiny_encoders,
    load_encoders,
    load_tokenizer_only,
    save_encoders,
    tiny_config,
)
from pixwizard_core.errors import EncoderError
from pixwizard_core.model import sdpa

SENTENCES = ["mark the red ball", "estimate the depth map of this picture, please", ""]


@pytest.fixture(scope="module")
def pair():
    text, vision = build_tiny_encoders(seed=5)
    return text.eval().requires_grad_(False), vision.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def text(pair):
    return pair[0]


@pytest.fixture
def saved(pair, tmp_path):
    save_encoders(*pair, tmp_path)
    shutil.copy(BUNDLE / "tokenizer.json", tmp_path)
    return tmp_path


def test_shapes_of_the_tiny_encoder(text):
    features = text.encode(SENTENCES)
    assert features.text.shape == (3, 16, 128)
    assert features.mask.shape == (3, 16)
    assert features.mask.dtype == torch.bool
    assert features.pooled.shape == (3, 128)
    assert (text.width, text.pooled_width) == (128, 128)


def test_text_is_the_next_to_last_hidden_state(text):
    batch = text.tokenize(SENTENCES[:1])
    states = []
    handle = text.gemma.layers[-2].register_forward_hook(
        lambda module, given, made: states.append(made)
    )
    made = text.features(batch.ids, batch.mask, batch.clip_ids).text
    handle.remove()
    assert torch.equal(made, states[0])


def test_the_last_layer_and_the_closing_norm_never_run(text):
    batch = text.tokenize(SENTENCES[:1])
    ran = []
    idle = [text.gemma.layers[-1], text.gemma.norm]
    handles = [m.register_forward_hook(lambda module, *_: ran.append(module)) for m in idle]
    text.encode(SENTENCES)
    for handle in handles:
        handle.remove()
    assert ran == []
    assert text.features(batch.ids, batch.mask, batch.clip_ids).text.shape[-1] == 128


def test_pooled_is_clip_read_at_its_first_end_token(text):
    batch = text.tokenize(["red ball"])
    end = batch.clip_ids[0].tolist().index(1)
    states = text.clip.text_model(batch.clip_ids, sdpa)
    wanted = text.clip.text_projection(states[0, end])
    torch.testing.assert_close(text.encode(["red ball"]).pooled[0], wanted)


def test_padding_and_company_do_not_change_a_row(text):
    together = text.encode([*SENTENCES, "ball " * 40])
    for row, sentence in enumerate(SENTENCES):
        alone = text.encode([sentence])
        length = int(alone.mask.sum())
        assert int(together.mask[row].sum()) == length
        torch.testing.assert_close(
            together.text[row, :length], alone.text[0, :length], atol=2e-5, rtol=1e-4
        )
        torch.testing.assert_close(together.pooled[row], alone.pooled[0], atol=2e-5, rtol=1e-4)


def test_garbage_in_padding_does_not_reach_the_words(text):
    batch = text.tokenize(["red ball"])
    length = int(batch.mask.sum())
    other = batch.ids.clone()
    other[:, length:] = 77
    one, two = (text.features(ids, batch.mask, batch.clip_ids) for ids in (batch.ids, other))
    assert torch.equal(one.text[:, :length], two.text[:, :length])


def test_features_train_all_that_is_read():
    text, _ = build_tiny_encoders()
    batch = text.tokenize(["red ball"])
    features = text.features(batch.ids, batch.mask, batch.clip_ids)
    (features.text.square().mean() + features.pooled.square().mean()).backward()
    idle = {name for name, p in text.named_parameters() if p.grad is None}
    assert all(name.startswith(("gemma.layers.3.", "gemma.norm.")) for name in idle)
    assert "clip.text_projection.weight" not in idle


def test_fresh_encoders_follow_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, two, three = (build_tiny_encoders(seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weight = "gemma.layers.0.mlp.up_proj.weight"
    assert torch.equal(one.state_dict()[weight], two.state_dict()[weight])
    assert not torch.equal(one.state_dict()[weight], three.state_dict()[weight])


def test_saved_encoders_come_back(pair, saved):
    text, vision = load_encoders(saved)
    old, new = pair[0].encode(SENTENCES), text.encode(SENTENCES)
    assert torch.equal(old.mask, new.mask)
    torch.testing.assert_close(old.text, new.text, atol=0.01, rtol=0.01)
    torch.testing.assert_close(old.pooled, new.pooled, atol=0.01, rtol=0.01)
    pixels = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(pair[1].encode(pixels), vision.encode(pixels), atol=0.02, rtol=0.02)


def test_saved_files_name_tensors_as_published_and_carry_settings(saved):
    with safe_open(str(saved / "text.safetensors"), "pt") as file:
        assert "layers.3.self_attn.k_proj.weight" in file.keys()  # noqa: SIM118
        assert json.loads(file.metadata()["pixwizard.gemma"])["num_key_value_heads"] == 1
        assert file.get_tensor("embed_tokens.weight").dtype == torch.float16
    with safe_open(str(saved / "clip.safetensors"), "pt") as file:
        names = set(file.keys())
        clip = json.loads(file.metadata()["pixwizard.clip_text"])
        assert json.loads(file.metadata()["pixwizard.clip_vision"])["image_size"] == 336
    assert {"text_projection.weight", "text_model.final_layer_norm.bias"} <= names
    assert "vision_model.post_layernorm.weight" in names
    assert clip["eos_token_id"] == 1
    assert clip["vocab_size"] == 1024


def test_tokenizer_alone_gives_what_the_encoder_gives(text):
    alone = load_tokenizer_only().tokenize(SENTENCES)
    assert all(torch.equal(a, b) for a, b in zip(alone, text.tokenize(SENTENCES), strict=True))


def test_a_language_model_may_be_sharded_and_carry_its_head(saved, tmp_path):
    folder = tmp_path / "gemma"
    folder.mkdir()
    shutil.copy(saved / "tokenizer.json", folder)
    source = read_source("gemma", saved / "text.safetensors")
    tensors = {f"model.{name}": source.weights.fetch(name) for name in source.weights.shapes}
    tensors["lm_head.weight"] = torch.zeros(2, 2)
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    header = {"pixwizard.gemma": json.dumps(source.config)}
    for shard, part in shards.items():
        save_file({n: tensors[n] for n in part}, str(folder / shard), metadata=header)
    index = {"weight_map": {n: shard for shard, part in shards.items() for n in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    loaded = load_text_encoder(folder, saved / "clip.safetensors")
    whole, _ = load_encoders(saved)
    assert torch.equal(loaded.encode(SENTENCES).text, whole.encode(SENTENCES).text)
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"1 of 2 shards are missing, first model-2"):
        read_source("gemma", folder)


def test_clip_may_be_a_pickle_of_tensors(saved, tmp_path, monkeypatch):
    source = read_source("clip_text", saved / "clip.safetensors")
    tensors = {name: source.weights.fetch(name) for name in source.weights.shapes}
    tensors["text_model.embeddings.position_ids"] = torch.arange(64)[None]
    tensors["logit_scale"] = torch.tensor(1.0)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    monkeypatch.setitem(load_module.OFFICIAL, "clip_text", source.config)
    monkeypatch.setattr(load_module, "CLIP_L_TEXT", {"hidden_size": 96})
    found = read_source("clip_text", tmp_path / "pytorch_model.bin")
    assert found.config == source.config
    assert set(found.weights.shapes) == set(source.weights.shapes)


def gemma_shapes(layers=18, width=2048, words=256000, extra=()):
    shapes = {"embed_tokens.weight": (words, width)}
    shapes |= {f"layers.{i}.mlp.up_proj.weight": (8, width) for i in range(layers)}
    return shapes | {f"layers.0.{name}.weight": (width,) for name in extra}


CLIP_L = {
    "text_model.embeddings.token_embedding.weight": (49408, 768),
    "text_projection.weight": (768, 768),
}
VISION_L = {
    "vision_model.embeddings.patch_embedding.weight": (1024, 3, 14, 14),
    "vision_model.embeddings.position_embedding.weight": (577, 1024),
}


def test_the_released_models_are_accepted():
    assert mismatch("gemma", gemma_shapes()) is None
    assert mismatch("clip_text", CLIP_L | VISION_L) is None
    assert mismatch("clip_vision", CLIP_L | VISION_L) is None


@pytest.mark.parametrize(
    ("kind", "shapes", "words"),
    [
        (
            "gemma",
            gemma_shapes(26, 2304, extra=["pre_feedforward_layernorm"]),
            "Gemma 2 (26 layers, width 2304, 256000 words)",
        ),
        (
            "gemma",
            gemma_shapes(26, 1152, 262144, ["pre_feedforward_layernorm", "self_attn.q_norm"]),
            "Gemma 3 (26 layers, width 1152, 262144 words)",
        ),
        (
            "gemma",
            gemma_shapes(28, 3072),
            "a language model (28 layers, width 3072, 256000 words)",
        ),
        ("gemma", CLIP_L, "CLIP text alone (text width 768)"),
        ("gemma", {"encoder.block.0.layer.0.x": (1,)}, "a T5 text encoder"),
        ("gemma", {"input_blocks.0.0.weight": (1,), "label_emb.0.0.weight": (1,)}, "SDXL"),
        ("clip_vision", {"double_blocks.0.img_mod.lin.weight": (1,)}, "Flux"),
        ("gemma", {"blk.0.attn": (1,)}, "something else (its first of 1 tensors is blk.0.attn)"),
        ("clip_text", VISION_L, "CLIP vision alone, without text (width 1024, 336 px pictures)"),
        (
            "clip_text",
            {"text_model.embeddings.token_embedding.weight": (49408, 1280)},
            "CLIP text alone (text width 1280)",
        ),
        (
            "clip_text",
            {"text_model.embeddings.token_embedding.weight": (49408, 768)},
            "a CLIP-L text model without text_projection (such as Stable Diffusion's clip_l)",
        ),
        ("clip_vision", CLIP_L, "CLIP text alone (text width 768)"),
    ],
)
def test_other_models_are_told_apart(kind, shapes, words):
    assert mismatch(kind, shapes) == words


def test_a_wrong_model_is_refused_with_what_to_get(tmp_path):
    small = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "head_dim": 8}
    small |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    tensors = {f"model.{k}": v for k, v in weights_of(build("gemma", small)).items()}
    tensors["model.layers.0.pre_feedforward_layernorm.weight"] = torch.zeros(16)
    save_file(tensors, str(tmp_path / "gemma.safetensors"))
    with pytest.raises(
        EncoderError,
        match=r"gemma\.safetensors is Gemma 2 \(1 layers.*: google/gemma-2b.*5\.0 GB.*LLM",
    ):
        read_source("gemma", tmp_path / "gemma.safetensors")
    save_file({k: torch.zeros(1) for k in VISION_L}, str(tmp_path / "v.safetensors"))
    with pytest.raises(EncoderError, match=r"vision alone.*text half.*clip-vit-large-patch14-336"):
        read_source("clip_text", tmp_path / "v.safetensors")


def test_an_unsafe_pickle_is_refused(tmp_path):
    torch.save({"x": Path("y")}, tmp_path / "clip.bin")
    with pytest.raises(EncoderError, match="refused"):
        read_source("clip_text", tmp_path / "clip.bin")


def test_a_tokenizer_of_another_model_is_refused(saved, text):
    config = {**TINY_CLIP_TEXT, "vocab_size": 1000}
    tensors = {
        k: v[:1000] if "token_embedding" in k else v for k, v in weights_of(text.clip).items()
    }
    save_file(tensors, str(saved / "c.safetensors"), {"pixwizard.clip_text": json.dumps(config)})
    with pytest.raises(EncoderError, match=r"c\.safetensors has 1024 words, the model 1000"):
        load_text_encoder(saved / "text.safetensors", saved / "c.safetensors")


def test_widths_must_fit_the_transformer(pair):
    require_widths(*pair, words=128, pooled=128, image=96)
    with pytest.raises(EncoderError, match="Gemma gives 128, wanted 2048; CLIP vision gives 96"):
        require_widths(*pair, words=2048, pooled=128, image=1024)


def test_describe_survives_an_empty_file():
    assert describe({}) == "something else (its first of 0 tensors is none)"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
def test_filling_without_memory_gives_the_same_numbers(text, dtype):
    batch = text.tokenize(SENTENCES)
    tensors = weights_of(text.gemma)
    shapes = {k: tuple(v.shape) for k, v in tensors.items()}
    weights = Weights("x", shapes, {}, tensors.__getitem__)
    config = tiny_config("gemma", text.gemma)
    made = filled("gemma", config, weights, device="cpu", dtype=dtype)
    plain = build("gemma", config, dtype=dtype).eval()
    plain.load_state_dict({k: v.to(dtype) for k, v in tensors.items()})
    assert torch.equal(made(batch.ids, batch.mask), plain(batch.ids, batch.mask))
    assert made(batch.ids, batch.mask).dtype == dtype
    assert not any(value.is_meta for value in [*made.buffers(), *made.parameters()])


def test_filling_counts_all_that_does_not_fit(text):
    tensors = weights_of(text.gemma)
    shapes = {k: tuple(v.shape) for k, v in tensors.items()}
    shapes |= {"norm.weight": (64,), "extra": (1,)}
    del shapes["layers.0.mlp.up_proj.weight"]
    config, weights = tiny_config("gemma", text.gemma), Weights("x", shapes, {}, tensors.get)
    with pytest.raises(
        EncoderError,
        match=r"x: 3 weights do not fit: missing layers\.0\.mlp\.up_proj\.weight; unknown extra; "
        r"norm\.weight is \(64,\), wanted \(128,\)",
    ):
        filled("gemma", config, weights, device="cpu", dtype=torch.float32)


def test_settings_that_make_no_model_are_refused(text):
    config = {**tiny_config("gemma", text.gemma), "head_dim": 3}
    with pytest.raises(EncoderError, match=r"no gemma model.*head_dim 3 is not a multiple of 2"):
        filled("gemma", config, Weights("x", {}, {}, {}.get), device="cpu", dtype=torch.float32)
