"""Files that a template leaves to its user, put into a server's folders: a film, and a LoRA."""

from __future__ import annotations

import copy
from pathlib import Path

from pixwizard_core.encoders.tiny import BUNDLE
from tests.support.films import HEIGHT, WIDTH, write_film
from tests.support.loras import write_lora

FILM, FRAMES, FILM_SIZE = "own.mp4", 3, (WIDTH, HEIGHT)
LORA, WORDS = "own.safetensors", ("Denoise it.",)


def with_own_files(prompt: dict, base: Path) -> dict:
    """The prompt with such files chosen. base: of the server; what is needed is written there."""
    changed = copy.deepcopy(prompt)
    for node in changed.values():
        if node["class_type"] == "LoadVideo":
            film = base / "input" / FILM
            if not film.exists():
                write_film(film, count=FRAMES)
            node["inputs"]["file"] = FILM
        if node["class_type"] == "PixWizard_LoadLora":
            folder = base / "models" / "loras"
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / LORA).exists():
                write_lora(folder / LORA, BUNDLE, words=WORDS)
            node["inputs"]["lora_name"] = f"loras/{LORA}"
    return changed
