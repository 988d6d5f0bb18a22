"""What each kind of adapter changes, by hand and by its definition."""

import pytest
import torch

from pixwizard_core.errors import CheckpointError
from pixwizard_core.weights.adapters import (
    Adapter,
    change,
    largest_change,
    require_finite_change,
)

ONE = torch.tensor([[3.0, 4.0], [0.0, 2.0]])


def changed(kind, weight=ONE, scale=1.0, **parts):
    made = {name: torch.as_tensor(part, dtype=torch.float32) for name, part in parts.items()}
    return change(Adapter("w", kind, made, scale, ()), weight)


def test_lora_is_up_times_down_times_its_scale():
    found = changed("lora", scale=0.5, lora_up=[[1.0], [2.0]], lora_down=[[3.0, 4.0]])
    assert found.tolist() == [[1.5, 2.0], [3.0, 4.0]]


def test_loha_is_the_product_of_two_products():
    parts = {"hada_w1_a": [[1.0], [2.0]], "hada_w1_b": [[1.0, 3.0]]}  # [[1, 3], [2, 6]]
    parts |= {"hada_w2_a": [[2.0], [1.0]], "hada_w2_b": [[1.0, 1.0]]}  # [[2, 2], [1, 1]]
    assert changed("loha", scale=2.0, **parts).tolist() == [[4.0, 12.0], [4.0, 12.0]]


def test_lokr_is_a_kronecker_product_of_whole_or_factored_matrices():
    weight = torch.zeros(4, 4)
    whole = changed("lokr", weight, lokr_w1=[[1.0, 2.0], [0.0, 3.0]], lokr_w2=[[1.0, 0], [5, 1]])
    assert whole[:2].tolist() == [[1, 0, 2, 0], [5, 1, 10, 2]]
    parts = {"lokr_w1": [[1.0, 2.0], [0.0, 3.0]], "lokr_w2_a": [[1.0], [2.0]]}
    factored = changed("lokr", weight, lokr_w2_b=[[1.0, 3.0]], **parts)
    assert factored[:2].tolist() == [[1, 3, 2, 6], [2, 6, 4, 12]]


def test_glora_changes_by_the_weight_and_by_itself():
    parts = {"a1": [[1.0], [0.0]], "a2": [[0.0, 1.0]], "b1": [[1.0], [1.0]], "b2": [[1.0, 0.0]]}
    # W a1 a2 = first column moved to the second; b1 b2 = ones in the first column
    assert changed("glora", **parts).tolist() == [[1.0, 3.0], [1.0, 0.0]]


def test_oft_turns_rows_and_keeps_their_lengths_together():
    found = changed("oft", oft_blocks=[[[0.0, 0.5], [-0.5, 0.0]]])
    turned = ONE + found
    # q = [[0, 1], [-1, 0]]: (I + q)(I - q)^-1 = q, so row i of the result is column i of q times W
    assert torch.allclose(turned, torch.tensor([[0.0, -2.0], [3.0, 4.0]]), atol=1e-6)


def test_oft_with_a_limit_turns_less():
    free = changed("oft", oft_blocks=[[[0.0, 0.5], [-0.5, 0.0]]])
    bound = changed("oft", oft_blocks=[[[0.0, 0.5], [-0.5, 0.0]]], alpha=0.1)
    assert 0 < bound.norm() < free.norm() / 4


def test_oft_rescales_rows():
    blocks = [[[0.0, 0.0], [0.0, 0.0]]]
    found = changed("oft", oft_blocks=blocks, rescale=[[2.0], [0.5]])
    assert found.tolist() == [[3.0, 4.0], [0.0, -1.0]]


def test_boft_is_orthogonal():
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randn(2, 2, 4, 4, generator=generator)
    weight = torch.eye(8)
    turned = weight + changed("boft", weight, oft_blocks=blocks)
    assert torch.allclose(turned @ turned.T, torch.eye(8), atol=1e-5)
    assert (turned - weight).abs().max() > 0.1


def test_plain_changes_and_new_values():
    assert changed("diff", diff=[[1.0, 0.0], [0.0, 0.0]]).tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert (ONE + changed("set", set_weight=[[1.0, 1.0], [1.0, 1.0]])).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("name", ["magnitude", "dora_scale"])
def test_dora_gives_each_row_its_trained_length(name):
    parts = {"lora_up": [[0.0], [1.0]], "lora_down": [[0.0, 3.0]]}  # W' = [[3, 4], [0, 5]]
    lengths = [10.0, 1.0] if name == "magnitude" else [[10.0], [1.0]]
    new = ONE + changed("lora", **parts, **{name: lengths})
    assert torch.allclose(new, torch.tensor([[6.0, 8.0], [0.0, 1.0]]), atol=1e-6)


def test_dora_of_columns_gives_each_column_its_length():
    parts = {"lora_up": [[0.0], [0.0]], "lora_down": [[0.0, 0.0]]}
    new = ONE + changed("lora", **parts, dora_scale=[[6.0, 20.0**0.5]])
    assert torch.allclose(new, torch.tensor([[6.0, 4.0], [0.0, 2.0]]), atol=1e-6)


def test_parts_of_another_size_are_an_error():
    with pytest.raises(ValueError, match=r"changes \(2, 3\), the weight is \(2, 2\)"):
        changed("lora", lora_up=[[1.0], [1.0]], lora_down=[[1.0, 1.0, 1.0]])


def drawn(kind, scale=-0.5, **shapes):
    generator = torch.Generator().manual_seed(5)
    parts = {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
    return Adapter("w", kind, parts, scale, tuple(parts))


FACTORED = {
    "lora": {"lora_up": (6, 3), "lora_down": (3, 4)},
    "loha": {"hada_w1_a": (6, 3), "hada_w1_b": (3, 4), "hada_w2_a": (6, 2), "hada_w2_b": (2, 4)},
    "lokr": {"lokr_w1_a": (3, 2), "lokr_w1_b": (2, 2), "lokr_w2": (2, 2)},
    "diff": {"diff": (6, 4)},
}


@pytest.mark.parametrize("kind", FACTORED)
def test_bound_of_a_change_is_never_below_the_change(kind):
    adapter = drawn(kind, **FACTORED[kind])
    met = change(adapter, torch.zeros(6, 4)).abs().max()
    assert met <= largest_change(adapter) < 100 * met


def test_bound_is_unknown_where_the_weight_decides():
    assert largest_change(drawn("set", set_weight=(6, 4))) is None
    assert largest_change(drawn("lora", **FACTORED["lora"], magnitude=(6,))) is None


@pytest.mark.parametrize(
    ("dtype", "size", "said"),
    [
        (torch.float8_e4m3fn, 30.0, "at strength 2 lora_up takes w beyond .* of float8_e4m3fn"),
        (torch.float16, 400.0, "at strength 2 lora_up takes w beyond the numbers of float16"),
        (torch.float32, 1e20, "at strength 2 lora_up takes w beyond the numbers of float32"),
    ],
)
def test_change_that_overflows_the_weights_type_is_refused(dtype, size, said):
    parts = {"lora_up": torch.full((2, 1), size), "lora_down": torch.full((1, 2), size)}
    adapter = Adapter("w", "lora", parts, 1.0, ("lora_up", "lora_down"))
    weight = torch.zeros(2, 2, dtype=dtype)
    with pytest.raises(CheckpointError, match=said):
        require_finite_change(adapter, weight, 2.0)
    require_finite_change(adapter, weight, 0.0)


def test_change_that_the_bound_leaves_open_is_computed():
    parts = {"lora_up": torch.tensor([[300.0, 300.0]]), "lora_down": torch.tensor([[1.0], [-1.0]])}
    adapter = Adapter("w", "lora", parts, 1.0, ("lora_up",))
    assert largest_change(adapter) == 600.0
    require_finite_change(adapter, torch.zeros(1, 1, dtype=torch.float8_e4m3fn), 1.0)
