"""What a graph may hand to a node: sound values, extreme ones, and some that are none."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

SIDES = (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 48, 64, 65)
LONG_SIDES = (1023, 4096, 8192)
SEEDS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS = (
    "",
    " ",
    "the red ball",
    "(the red ball:1.3)",
    "((((",
    "))))",
    "[a|b]",
    "a\\(b\\)",
    "embedding:evil",
    "(embedding:../../x:0.5)",
    "<lora:x:1>",
    "<eos><bos><pad>",
    "<|endoftext|>",
    "红色的球",
    "赤いボール",
    "🎾🔴👩‍👩‍👧‍👦",
    "\x00\x01\x07\x1b[31m",
    "\u202eabc",
    "a\u0301" * 40,
    "{caption}",
    "{target}[x]",
    "{0.__class__}",
    "%s%n%x",
    "${jndi:x}",
    "'; DROP TABLE x;--",
    "../../etc/passwd",
    "C:\\x",
    "a\nb\rc\td",
    "\ufeff",
    "AND",
    "BREAK",
    "wall,floor",
    "*",
    "?",
    "[!a",
    "16:9",
    "1.5",
    "0:0",
    "-1:2",
    "nan",
    "inf:1",
    "1e999",
    "9" * 400,
    "1:1e-300",
    "red",
    "#ff0000",
    "ultraviolet",
    "\ud800",
)


def texts():
    """Strings of 0 to 20,000 characters."""
    return st.one_of(
        st.sampled_from(TEXTS),
        st.text(max_size=60),
        st.builds(lambda part, n: (part * n)[:20_000], st.text(min_size=1, max_size=9), counts()),
        st.builds(lambda part, n: (part * n)[:20_000], st.sampled_from(TEXTS), counts()),
    )


def counts():
    return st.sampled_from((1, 77, 257, 5000, 20_000))


@st.composite
def sizes(draw, long: bool = True):
    """(height, width); one in sixteen is a strip up to 8192 px long."""
    height, width = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
    if long and draw(st.integers(0, 15)) == 0:
        long_side = draw(st.one_of(st.sampled_from(LONG_SIDES), st.integers(1, 8192)))
        strip = (long_side, draw(st.sampled_from((1, 2, 17, 64))))
        return strip if draw(st.booleans()) else strip[::-1]
    return height, width


@st.composite
def plain(draw, size: tuple[int, int], channels: int | None):
    """Sound pictures (B, H, W, channels), or masks (B, H, W), in 0..1."""
    height, width = size
    shape = (draw(st.sampled_from((1, 1, 2))), height, width, *([channels] if channels else []))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    return torch.rand(shape, generator=generator)


@st.composite
def pictures(
    draw, size: tuple[int, int] | None = None, channels: tuple[int, ...] = (3, 3, 3, 1, 2, 4)
):
    """Host IMAGE tensors: mostly (B, H, W, 3) in 0..1, and what else a node may hand out."""
    height, width = size or draw(sizes())
    batch = draw(st.sampled_from((1, 1, 1, 1, 2, 3, 0)))
    shape = (batch, height, width, draw(st.sampled_from(channels)))
    picture = filled(draw, shape)
    odd = draw(st.integers(0, 19))
    if odd == 0:
        return picture[0] if batch else picture
    if odd == 1:
        return picture[..., None]
    if odd == 2:
        return picture.movedim(-1, 1)
    if odd == 3:
        return picture[:, :0]
    return picture


@st.composite
def masks(draw, size: tuple[int, int] | None = None):
    """Host MASK tensors in the shapes that nodes hand out."""
    height, width = draw(st.sampled_from((size or (64, 64), draw(sizes()), (64, 64))))
    batch = draw(st.sampled_from((1, 1, 1, 2, 3, 0)))
    shape = draw(
        st.sampled_from(
            (
                (height, width),
                (batch, height, width),
                (batch, 1, height, width),
                (batch, height, width, 1),
                (batch, 3, height, width),
                (batch, height, 0),
                (width,),
                (),
            )
        )
    )
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return torch.zeros(shape)
    if kind == 1:
        return torch.ones(shape)
    mask = filled(draw, shape)
    return mask.round() if kind == 2 else mask


def filled(draw, shape) -> torch.Tensor:
    """A tensor of ordinary, extreme or broken values."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    values = torch.rand(shape, generator=generator)
    kind = draw(st.integers(0, 15))
    if kind == 0:
        values = values * 0 + draw(st.sampled_from((0.0, 1.0, 0.5)))
    elif kind == 1:
        values = values * 6 - 3
    elif kind == 2:
        values = values * 1e30 - 5e29
    elif kind == 3 and values.numel():
        bad = draw(st.sampled_from((float("nan"), float("inf"), float("-inf"))))
        values.view(-1)[draw(st.integers(0, values.numel() - 1))] = bad
    elif kind == 4:
        values = values.to(draw(st.sampled_from((torch.float16, torch.bfloat16, torch.float64))))
    elif kind == 5:
        values = (values * 255).to(torch.uint8)
    elif kind == 6:
        values = values * 1e-30
    return values


PALETTES = (
    "[",
    "[" * 100_000,
    "[7]",
    "[null]",
    "{}",
    '{"a": null}',
    '{"a": [1, 2]}',
    '{"a": [1e999, 1, 1]}',
    '{"a": [NaN, 1, 1]}',
    '{"a": ' + "9" * 5000 + "}",
    '{"a": [1, 2, 3], "b": "#010203"}',
    '[{"name": null, "rgb": [1, 2, 3]}]',
    '[{"name": ["a"], "colour": "#12"}]',
    "name,r,g,b",
    "name,r,g,b\nsky",
    "name,r,g,b\nsky,256,0,-1",
    "r,g,b,name\n1,2,3",
    "name,r,g,b\n" + "x" * 200_000,
    'name,r,g,b\n"sky,1,2,3',
    "name,colour\nsky,#0000ff\nsky,#0000fe",
    "name,colour\n" + "\n".join(f"c{n},#{n:06x}" for n in range(300)),
    "name,colour\n" + "\n".join(f"c{n},#{n:06x}" for n in range(5000)),
)


def palettes():
    """Palettes as text, most of them malformed."""
    return st.one_of(st.sampled_from(PALETTES), st.sampled_from(PALETTES), texts())


def boxes():
    """Boxes in the forms that Compare reads, and what only looks like boxes."""
    number = st.one_of(
        st.integers(-10, 90),
        st.floats(-1e9, 1e9),
        st.sampled_from((float("nan"), float("inf"), 10**400)),
    )
    box = st.lists(number, min_size=4, max_size=4)
    entry = st.one_of(number, number, number, st.none(), st.text(max_size=3))
    named = st.fixed_dictionaries(dict.fromkeys(("x", "y", "width", "height"), entry))
    json_values = st.recursive(
        st.one_of(st.none(), st.booleans(), number, st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(("bboxes", "labels", "x", "y")), inner, max_size=3),
        ),
        max_leaves=8,
    )
    written = st.sampled_from(
        (
            "",
            "[]",
            "[[1,2,3,4]]",
            "[",
            "null",
            "7",
            '{"bboxes": [[1,2,3,4]]}',
            "[" * 100_000,
            "[[1e999,0,1,1]]",
            "9" * 5000,
            "[[1" + "0" * 400 + ",0,1,1]]",
        )
    )
    return st.one_of(
        st.lists(box, max_size=5), st.lists(named, max_size=3), box, json_values, written
    )


def numbers(settings: dict, whole: bool):
    """The range of a widget with its ends, and what a link may bring from outside it."""
    low, high = settings.get("min", -(2**31)), settings.get("max", 2**31)
    inside = (low, high, settings.get("default", low))
    if whole:
        ends = [v for v in (*SEEDS, 0, 1) if low <= v <= high]
        beyond = (low - 1, high + 1, -1, 2**64, -(2**63))
        near = st.integers(low, min(high, low + 400))
        return st.one_of(st.sampled_from((*inside, *ends)), near, near, rarely(beyond))
    beyond = (low - 1.0, high * 2 + 1.0, float("nan"), float("inf"), float("-inf"), 1e-300)
    usual = st.floats(low, high, allow_nan=False)
    return st.one_of(st.sampled_from(inside), usual, usual, rarely(beyond))


def rarely(values):
    return st.sampled_from(values)


def choices(options):
    """Mostly one of the options."""
    options = list(options)
    return st.one_of(
        st.sampled_from(options),
        st.sampled_from(options),
        st.sampled_from(options),
        st.sampled_from(("", "ultraviolet", "红")),
    )


def some_odd(draw, schema, odd_of, sound_of, *given) -> dict:
    """Inputs of a node, optional ones not always: of sound_of(socket, *given), up to three of
    odd_of(socket, *given)."""
    ids = [socket.id for socket in schema.inputs]
    odd = draw(st.sets(st.sampled_from(ids), max_size=draw(st.integers(0, 3)))) if ids else ()
    chosen = {}
    for socket in schema.inputs:
        if socket.optional and draw(st.booleans()):
            continue
        among = odd_of if socket.id in odd else sound_of
        chosen[socket.id] = draw(among(socket, *given))
    return chosen
