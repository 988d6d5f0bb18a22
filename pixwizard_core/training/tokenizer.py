"""Train the bundled tokenizer on the instructions and captions of the demo world.

    python -m pixwizard_core.training.tokenizer --out tokenizer.json

The same code and seed give the same file. Held-out phrasings are excluded, as in all training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..encoders.tokenizer import GEMMA_TOKENS
from ..files.picture_files import replace_file
from ..seeds import seed_argument
from ..tasks import TASKS, Fields, instruction

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 1024
SPECIALS = (GEMMA_TOKENS.pad, GEMMA_TOKENS.eos, GEMMA_TOKENS.bos, "<unk>")  # ids 0 to 3, as Gemma's
PER_TASK, ROUND = 160, 8  # sentences for each task, and how many to make at a time
SIDE_PX = 64  # of the pictures that decide which objects are seen and named


def train_tokenizer(sentences: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
    """Train a lower-case byte-level BPE; it can encode any text, since the 256 bytes are tokens
    too."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(sentences), trainer)
    return tokenizer


def world_sentences(per_task: int, seed: int) -> list[str]:
    """Instructions as in training, `per_task` for each task of the demo world."""
    from ..world.examples import WORLD_TASKS, make_examples
    from ..world.scenes import sample_scenes

    generator = torch.Generator().manual_seed(seed)
    result = []
    for _ in range(per_task // ROUND):
        tasks = [task for task in WORLD_TASKS for _ in range(ROUND)]
        scenes = sample_scenes(len(tasks), generator)
        examples = make_examples(tasks, scenes, SIDE_PX, SIDE_PX, generator, torch.device("cpu"))
        result += examples.instructions
    return result


def table_sentences() -> list[str]:
    """Every phrasing of the table that training uses, once, for the tasks that the demo world
    cannot show."""
    words: Fields = {
        "caption": "a room", "colour": "red", "target": "the ball", "question": "What rolls?",
    }  # fmt: skip
    return [
        instruction(task.id, **words, phrasing=phrasing)
        for task in TASKS.values()
        for phrasing in task.seen
    ]


def build_tokenizer(seed: int = 0) -> Tokenizer:
    """The bundled tokenizer."""
    return train_tokenizer([*world_sentences(PER_TASK, seed), *table_sentences() * 4])


def command_line() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(
        prog="python -m pixwizard_core.training.tokenizer",
        description=str(__doc__).split("\n")[0],
    )
    parser.add_argument("--out", type=Path, required=True, help="tokenizer.json file to write")
    parser.add_argument(
        "--seed", type=seed_argument, default=0,
        help="seed of the sentences to train on (default: %(default)s)",
    )  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, train, write the file."""
    chosen = command_line().parse_args(arguments)
    tokenizer = build_tokenizer(chosen.seed)
    replace_file(chosen.out, (tokenizer.to_str() + "\n").encode())
    print(f"{chosen.out}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
