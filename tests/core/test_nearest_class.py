"""The nearest class of a colour: ties, large palettes, and memory."""

import pytest
import torch

from pixwizard_core.bench.memory import peak_bytes
from pixwizard_core.decode.palette import Palette, ade20k
from pixwizard_core.decode.segments import decode_segments, nearest, paint


def test_of_equally_near_classes_the_first_is_taken():
    palette = Palette.from_mapping("ties", {"a": (4, 0, 0), "b": (0, 4, 0), "same": (4, 0, 0)})
    image = torch.tensor([[[[2 / 255, 4 / 255]], [[2 / 255, 0.0]], [[0.0, 0.0]]]])
    found = decode_segments(image, palette)
    assert found.labels.tolist() == [[[0, 1]]]  # 8 away from all three: the background
    assert found.distance[0, 0].tolist() == pytest.approx([8**0.5, 0.0])


def test_a_palette_of_thousands_of_classes_is_told_apart():
    names = {f"class {i}": (i % 256, i // 256, 7) for i in range(5000)}
    palette = Palette.from_mapping("large", names)
    index = torch.arange(1, 5001).view(1, 50, 100)
    assert torch.equal(decode_segments(paint(index, palette), palette).labels, index)


def test_nearest_packs_distance_and_class():
    palette = Palette.from_mapping("two", {"grey": (10, 10, 10)})
    packed = torch.tensor([0, (10 << 16) | (10 << 8) | 12])
    # Two classes: the distance counts twice. Black is itself; the other is 2 away from grey.
    assert nearest(packed, palette).tolist() == [0, 2 * 2**2 + 1]


def test_memory_does_not_grow_with_the_palette():
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    table = 256**3 * 4  # the classes of all colours
    assert peak_bytes(lambda: decode_segments(image, ade20k())) < table + 20e6
