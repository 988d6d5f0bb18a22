"""Prompts for a live server, and what its process holds."""

from __future__ import annotations

import copy
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.support import hosts, workflow

START_S = 500  # a busy machine takes its time
TASKS = tuple(f"{what} step by step" for what in ("Depth", "Mask", "Classes", "Normals"))
LORA = "fire.safetensors"


@contextmanager
def serve_patiently(host, base: Path):
    """A server that may take its time to start, with the nodes of this folder beside ours."""
    install = hosts.install

    def with_nodes(place: Path) -> Path:
        target = install(place)
        for name in ("faulty_node.py", "memory_node.py"):
            shutil.copy(Path(__file__).with_name(name), target.parent)
        return target

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "install", with_nodes)
        patch.setattr(hosts, "START_TIMEOUT_S", START_S)
        with hosts.serve(host, base) as running:
            yield running


def prompts_of(server, names=TASKS) -> dict[str, dict]:
    """Shipped workflows of the bundled model as API prompts, by title."""
    info = server.json("/object_info")
    return {
        name: workflow.to_prompt(workflow.load(workflow.titled(name)), info) for name in names
    }


def numbers_of(prompt: dict, kind: str) -> list[str]:
    return [key for key, node in prompt.items() if node["class_type"] == kind]


def with_seed(prompt: dict, seed: int) -> dict:
    """Another scene, sampled from another noise."""
    changed = copy.deepcopy(prompt)
    for node in changed.values():
        for name in ("seed", "noise_seed"):
            if isinstance(node["inputs"].get(name), int):
                node["inputs"][name] = seed
    return changed


def with_lora(prompt: dict, strength: float) -> dict:
    """The bundled model with a LoRA on it."""
    changed = copy.deepcopy(prompt)
    (tiny,) = numbers_of(changed, "PixWizard_LoadTiny")
    for node in changed.values():
        for name, value in node["inputs"].items():
            if value == [tiny, 0]:
                node["inputs"][name] = ["lora", 0]
    settings = {"lora_name": f"loras/{LORA}", "strength": strength, "allow_unmatched": False}
    changed["lora"] = {
        "class_type": "PixWizard_LoadLora",
        "inputs": {"model": [tiny, 0], **settings},
    }
    return changed


def write_lora(folder: Path) -> Path:
    """A LoRA of small random numbers for the bundled model."""
    from pixwizard_core.config import TINY

    generator, weights = torch.Generator().manual_seed(5), {}
    for layer in range(TINY.n_layers):
        stem = f"diffusion_model.layers.{layer}.attention.wq"
        weights[f"{stem}.lora_A.weight"] = torch.randn(4, TINY.dim, generator=generator) * 0.2
        weights[f"{stem}.lora_B.weight"] = torch.randn(TINY.dim, 4, generator=generator) * 0.2
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / LORA)
    return folder / LORA


def pictures(server, result: dict) -> list[np.ndarray]:
    """Everything that preview nodes showed, as 8-bit arrays, in the order of the nodes."""
    assert result["error"] is None, result["error"]
    entries = [
        entry
        for number in sorted(result["outputs"])
        for entry in result["outputs"][number].get("images", [])
    ]
    assert entries, "nothing was shown"
    return [np.asarray(Image.open(io.BytesIO(server.image(entry)))) for entry in entries]


def fill_threads(server, result: dict, at_once: int = 64) -> None:
    """Ask for many files at once, so that the host's pool for reading them (processors + 4
    threads, begun one by one when none is idle) is complete before threads are counted."""
    (entry, *_) = (e for node in result["outputs"].values() for e in node.get("images", []))
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: server.image(entry), range(4 * at_once)))


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def process_of(server) -> Path:
    """/proc entry of the server's process."""
    wanted = ["--port", str(server.port)]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[2:] and wanted[0] in words and words[words.index(wanted[0]) + 1] == wanted[1]:
            return entry
    raise RuntimeError(f"no process serves port {server.port}")


def held(process: Path) -> dict[str, int]:
    """Threads and open files of a process, without connections, which come and go."""
    status = (process / "status").read_text(encoding="utf-8").splitlines()
    values = {line.split(":")[0]: line.split()[1] for line in status if line.split()[1:]}
    files = [name for name in map(target, (process / "fd").iterdir()) if "socket:" not in name]
    return {"threads": int(values["Threads"]), "files": len(files)}


def target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # closed since it was listed
        return "socket:"


def in_use(server) -> dict[str, float]:
    """What memory_node.py answers."""
    return server.json("/fire/memory")
