"""Safetensors files that are damaged, lie about their size, or hold the wrong weights."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save

from pixwizard_core.config import ModelConfig
from pixwizard_core.weights.checkpoint import expected_shapes
from pixwizard_core.weights.examine import CONFIG_KEY
from pixwizard_core.weights.quantised_files import HEADER, MARKER

SMALL = ModelConfig.build(
    dim=32, n_layers=2, n_heads=4, n_kv_heads=2, multiple_of=16, cap_feat_dim=24,
    cap_clip_feat_dim=16, image_feat_dim=20, sample_tokens=5,
)  # fmt: skip
WQ = "layers.0.attention.wq.weight"
FLIPS = 60
Maker = Callable[[Path], Path]


def good(config: ModelConfig = SMALL) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(shape, generator=generator) * 0.1
        for name, shape in expected_shapes(config).items()
    }


def good_bytes(**config) -> bytes:
    return save(good(), {CONFIG_KEY: json.dumps({**SMALL.to_dict(), **config})})


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def framed(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    """A file of any header: text as it is, anything else as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(shape=(2, 2), begin=0, end=16, dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def headers() -> Iterator[tuple[str, Maker]]:
    """Damage that no reader may accept."""
    whole = good_bytes()
    head = 8 + struct.unpack("<Q", whole[:8])[0]
    for size in (0, 1, 7, 8, 9, 20, head // 2, head - 1, head, head + 1, len(whole) // 2):
        yield f"cut-to-{size}", lambda p, n=size: put(p, whole[:n])
    yield "cut-by-1", lambda p: put(p, whole[:-1])
    yield "one-byte-more", lambda p: put(p, whole + b"x")
    for length in (1, 7, head - 9, head - 7, len(whole), 100_000_001, 1 << 31, 1 << 63, 2**64 - 1):
        told = struct.pack("<Q", length) + whole[8:]
        yield f"says-header-of-{length}", lambda p, d=told: put(p, d)
    lies = {
        "shape-too-large": {"a": entry((1 << 40, 1 << 40))},
        "shape-overflows": {"a": entry((1 << 62, 1 << 62))},
        "shape-negative": {"a": entry((-2, -2))},
        "shape-of-floats": {"a": entry((2.5, 2))},
        "shape-of-text": {"a": entry(("2", "2"))},
        "shape-missing": {"a": {"dtype": "F32", "data_offsets": [0, 16]}},
        "offsets-reversed": {"a": entry(begin=16, end=0)},
        "offsets-beyond": {"a": entry(begin=16, end=32)},
        "offsets-negative": {"a": entry(begin=-16, end=0)},
        "offsets-huge": {"a": entry(begin=0, end=1 << 63)},
        "overlapping": {"a": entry(), "b": entry(begin=8, end=24)},
        "gap": {"a": entry(), "b": entry(begin=32, end=48)},
        "unknown-dtype": {"a": entry(dtype="F128")},
        "dtype-a-number": {"a": entry(dtype=32)},
        "metadata-not-text": {"__metadata__": {"a": {"b": 1}}, "a": entry()},
        "metadata-a-list": {"__metadata__": [1], "a": entry()},
        "a-list": [1, 2, 3],
        "empty": {},
        "entry-a-number": {"a": 3},
        "not-json": b"{not json at all",
        "not-utf-8": b'{"\xff\xfe": {}}',
        "nested-100000": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "nan": b'{"a": NaN}',
        "twice-the-same": b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2),
        "control-characters": {"a\n\r\x00\x1b[31m": entry()},
        "path-as-name": {"../../../etc/passwd": entry()},
        "name-of-1-MB": {"x" * (1 << 20): entry()},
        "emoji-as-name": {"\U0001f600": entry()},
    }
    for name, header in lies.items():
        yield f"header-{name}", lambda p, h=header: put(p, framed(h, bytes(16)))
    many = {f"junk.{n}": entry((0,), 0, 0) for n in range(100_000)}
    yield "header-100000-names", lambda p: put(p, framed(many))
    for name, content in {
        "html": b"<!DOCTYPE html><html><body>Access denied</body></html>",
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8051000000\n",
        "gguf": b"GGUF" + bytes(60),
        "zeros": bytes(4096),
        "onnx": b"\x08\x07\x12\x07pytorch" + bytes(64),
        "gzip": b"\x1f\x8b\x08" + bytes(64),
    }.items():
        yield f"is-{name}", lambda p, c=content: put(p, c)


def flips(seed: int = 0) -> Iterator[tuple[str, Maker]]:
    """One bit turned round in the header, or in one of the numbers; some of them stay readable."""
    whole = good_bytes()
    head = 8 + struct.unpack("<Q", whole[:8])[0]
    rng = random.Random(seed)
    for _ in range(FLIPS):
        place, bit = rng.randrange(8, head), rng.randrange(8)
        data = bytearray(whole)
        data[place] ^= 1 << bit
        yield f"flip-{place}-{bit}", lambda p, d=bytes(data): put(p, d)


def misfits() -> Iterator[tuple[str, Maker]]:
    """Sound files whose weights are not those of a PixWizard."""

    def changed(**changes) -> Maker:
        return lambda p: put(p, save({**good(), **changes}))

    def without(name: str) -> Maker:
        return lambda p: put(p, save({n: t for n, t in good().items() if n != name}))

    shapes = expected_shapes(SMALL)
    for name in sorted(shapes)[::5]:
        yield f"without-{name}", without(name)
        yield (
            f"longer-{name}",
            changed(**{name: torch.zeros(shapes[name][0] + 1, *shapes[name][1:])}),
        )
    for name in ("x_embedder.weight", WQ, "layers.0.attention.gate", "final_layer.linear.weight"):
        for kind, tensor in {
            "number": torch.zeros(()),
            "empty": torch.zeros(0),
            "empty-2d": torch.zeros(0, 4),
            "5d": torch.zeros(1, 1, 1, 1, 1),
            "transposed": torch.zeros(*reversed(shapes[name]), 1),
        }.items():
            yield f"{kind}-{name}", changed(**{name: tensor})
    for dtype in (torch.int64, torch.int8, torch.uint8, torch.bool):
        whole = torch.zeros(shapes[WQ], dtype=dtype)
        yield f"{str(dtype).removeprefix('torch.')}-weights", changed(**{WQ: whole})
    for number in ("99999999", "9" * 30, "9" * 5000, "-1", "x", "٣"):
        yield (
            f"layer-{number[:12]}",
            changed(**{f"layers.{number}.attention.wq.weight": torch.zeros(1)}),
        )
    fp8 = {WQ: torch.zeros(shapes[WQ]).to(torch.float8_e4m3fn)}
    scale = WQ.replace(".weight", ".scale_weight")
    for kind, tensor in {
        "blows-up": torch.zeros(4096, 1, 1, 1),
        "does-not-fit": torch.zeros(7),
        "is-empty": torch.zeros(0),
        "is-nan": torch.tensor(float("nan")),
        "is-text": torch.zeros(shapes[WQ], dtype=torch.int64)[:3],
    }.items():
        yield f"fp8-scale-{kind}", changed(**fp8, **{scale: tensor})


def configurations() -> Iterator[tuple[str, Maker]]:
    """Sound weights with a header that lies about the model."""
    for name, change in {
        "layers-1000000000": {"n_layers": 10**9},
        "layers-3": {"n_layers": 3},
        "layers-negative": {"n_layers": -1},
        "layers-true": {"n_layers": True},
        "dim-2-to-62": {"dim": 1 << 62},
        "dim-10-to-30": {"dim": 10**30},
        "dim-0": {"dim": 0},
        "dim-text": {"dim": "32"},
        "dim-float": {"dim": 32.0},
        "dim-list": {"dim": [32]},
        "dim-null": {"dim": None},
        "heads-5": {"n_heads": 5},
        "ffn-2-to-40": {"ffn_dim": 1 << 40},
        "channels-2-to-40": {"in_channels": 1 << 40},
        "patch-2-to-20": {"patch_size": 1 << 20},
        "eps-text": {"norm_eps": "small"},
        "eps-nan": {"norm_eps": float("nan")},
        "eps-negative": {"norm_eps": -1.0},
        "eps-list": {"norm_eps": []},
        "qk-norm-text": {"qk_norm": "yes"},
        "learn-sigma-3": {"learn_sigma": 3},
        "tokens-2-to-62": {"sample_tokens": 1 << 62},
        "tokens-more-than-there-are": {"sample_tokens": 577},
        "unknown-entry": {"__class__": "os.system"},
    }.items():
        yield f"config-{name}", lambda p, c=change: put(p, good_bytes(**c))
    for name, text in {
        "not-json": "{",
        "a-list": "[]",
        "a-number": "7",
        "null": "null",
        "empty": "",
        "empty-object": "{}",
        "nested-100000": "[" * 100_000,
        "number-of-5000-digits": '{"dim": ' + "9" * 5000 + "}",
    }.items():
        yield f"config-{name}", lambda p, t=text: put(p, save(good(), {CONFIG_KEY: t}))


def quantisations() -> Iterator[tuple[str, Maker]]:
    """Sound weights with settings of quantised layers that are not true or make no sense."""
    layer = WQ.removesuffix(".weight")
    for name, text in {
        "not-json": "{",
        "a-list": "[]",
        "null": "null",
        "layers-list": '{"layers": []}',
        "layer-text": '{"layers": {"x": "int8"}}',
        "nested-100000": "[" * 100_000,
        "of-no-weight": '{"layers": {"nowhere": {"format": "int8_tensorwise"}}}',
        "of-floats": f'{{"layers": {{"{layer}": {{"format": "int8_tensorwise"}}}}}}',
        "unknown": f'{{"layers": {{"{layer}": {{"format": "int3"}}}}}}',
        "format-object": f'{{"layers": {{"{layer}": {{"format": {{}}}}}}}}',
    }.items():
        yield f"quantised-{name}", lambda p, t=text: put(p, save(good(), {HEADER: t}))
    for name, tensor in {
        "floats": torch.zeros(4),
        "empty": torch.zeros(0, dtype=torch.uint8),
        "long": torch.full((100_000,), 0x5B, dtype=torch.uint8),
        "not-utf-8": torch.full((9,), 0xFF, dtype=torch.uint8),
        "2d": torch.zeros(3, 3, dtype=torch.uint8),
    }.items():
        weights = good() | {layer + MARKER: tensor}
        yield f"marker-{name}", lambda p, w=weights: put(p, save(w))


def not_finite() -> Iterator[tuple[str, Maker]]:
    """One number of a sound file that is none."""
    for dtype in (
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
    ):
        for value in ("nan", "inf", "-inf"):
            if dtype == torch.float8_e4m3fn and value != "nan":
                continue  # it has no infinity
            for name in ("pad_token", WQ):
                weights = good()
                flat = weights[name].flatten()
                flat[-1] = float(value)
                weights[name] = flat.reshape(weights[name].shape).to(dtype)
                label = f"{value}-{str(dtype).removeprefix('torch.')}-{name}"
                yield label, lambda p, w=weights: put(p, save(w))
