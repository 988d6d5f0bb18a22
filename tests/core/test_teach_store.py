"""Results of encoders on disk: whole or absent, and named by what they are made from."""

import pytest
import torch

from pixwizard_core.errors import CheckpointError
from pixwizard_core.training.teach.store import Store, key_of, weights_digest

KEY = key_of("words", by="x", sentence="y")


def test_result_comes_back_from_disk_as_it_was(tmp_path):
    tensors = {"text": torch.randn(3, 4).to(torch.bfloat16), "pooled": torch.arange(2.0)}
    Store(tmp_path).put(KEY, tensors)
    other = Store(tmp_path)
    assert other.has(KEY)
    found = other.get(KEY)
    assert found["text"].dtype == torch.bfloat16
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_damaged_file_counts_as_absent_and_is_removed(tmp_path):
    Store(tmp_path).put(KEY, {"a": torch.ones(100)})
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    assert not Store(tmp_path).has(KEY)
    assert not file.exists()


def test_file_that_goes_during_a_run_is_named(tmp_path):
    store = Store(tmp_path, in_memory=0)
    store.put(KEY, {"a": torch.ones(1)})
    store.put(key_of("b"), {"a": torch.ones(1)})
    (tmp_path / KEY[:2] / f"{KEY}.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f"{KEY[:9]}.*missing"):
        store.get(KEY)


def test_memory_holds_the_results_used_last(tmp_path):
    store = Store(tmp_path, in_memory=800)
    keys = [key_of(str(number)) for number in range(3)]
    for key in keys:
        store.put(key, {"a": torch.ones(100)})  # 400 bytes each
    assert list(store.known) == keys[1:]
    store.get(keys[0])
    assert list(store.known) == [keys[2], keys[0]]
    assert store.used == 800


def test_key_depends_on_every_fact():
    assert key_of("a", x=1) == key_of("a", x=1)
    assert len({key_of("a", x=1), key_of("b", x=1), key_of("a", x=2), key_of("a", y=1)}) == 4


def test_digest_of_weights_sees_one_changed_number():
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    assert weights_digest([first]) == weights_digest([second])
    with torch.no_grad():
        second.weight[1, 2] += 1e-6
    assert weights_digest([first]) != weights_digest([second])
