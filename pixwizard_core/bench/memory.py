"""How many bytes of tensors are alive at once, counted as operations make and drop them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):
    """Bytes of the tensors that operations make, now and at most.

    own: tensors whose memory is not counted, such as weights and inputs. On the meta device tensors
    have a size and no data. What a kernel needs inside, an allocator rounds up or a library keeps
    is not seen.
    """

    def __init__(self, own: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known = {tensor.untyped_storage()._cdata: 0 for tensor in own}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.known:
            self.known[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._free, storage._cdata)

    def _free(self, key: int) -> None:
        self.now -= self.known.pop(key, 0)


def peak_bytes(run: Callable[[], object], own: Iterable[Tensor] = ()) -> int:
    """Most bytes of tensors alive at once while run() works, less those of own; what a GPU's
    allocator handed out at the most when own lies on one."""
    own = list(own)
    if own and own[0].is_cuda:
        device = own[0].device
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with Alive(own) as alive:
        run()
    return alive.most
