"""Text to token ids for both text encoders, from a tokenizer.json or CLIP's vocabulary files.

Special tokens are added here and never taken from the text: a user may write "<eos>" in a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ..errors import EncoderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 256  # of an instruction, begin token included; the rest is cut off
PAD_MULTIPLE = 8

# CLIP's splitting rule, used when there are only vocab.json and merges.txt.
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Names of the tokens put around a sentence."""

    pad: str
    bos: str
    eos: str


GEMMA_TOKENS = SpecialTokens("<pad>", "<bos>", "<eos>")
CLIP_TOKENS = SpecialTokens("<|endoftext|>", "<|startoftext|>", "<|endoftext|>")


class TextTokenizer:
    """Convert sentences to ids; also holds the ids of the special tokens."""

    def __init__(self, tokenizer: Tokenizer, tokens: SpecialTokens, name: str = "tokenizer"):
        """Raises EncoderError when the vocabulary lacks one of the special tokens."""
        wanted = (tokens.pad, tokens.bos, tokens.eos)
        found = {token: tokenizer.token_to_id(token) for token in wanted}
        ids = {token: number for token, number in found.items() if number is not None}
        missing = [token for token in found if token not in ids]
        if missing:
            raise EncoderError(
                f"{name}: the vocabulary has no {' or '.join(missing)}; it belongs to another model"
            )
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # in the text they are plain characters
        self.tokenizer = tokenizer
        self.pad, self.bos, self.eos = ids[tokens.pad], ids[tokens.bos], ids[tokens.eos]

    @property
    def size(self) -> int:
        """Number of ids a model must have embeddings for."""
        return self.tokenizer.get_vocab_size(with_added_tokens=True)

    def ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """Ids without special tokens."""
        found = self.tokenizer.encode_batch(list(sentences), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def text(self, ids: Sequence[int]) -> str:
        """The words of ids, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)


def gemma_batch(tokenizer: TextTokenizer, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
    """bos + words, at most MAX_TOKENS; right-padded to the longest and to a multiple of 8.

    Returns ids (B,T) int64 and mask (B,T) bool, True on tokens.
    """
    rows = [[tokenizer.bos, *ids][:MAX_TOKENS] for ids in tokenizer.ids(sentences)]
    longest = max((len(row) for row in rows), default=1)
    return padded(rows, -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, tokenizer.pad)


def clip_batch(
    tokenizer: TextTokenizer, sentences: Sequence[str], length: int
) -> tuple[Tensor, Tensor]:
    """bos + words + eos, padded or cut to exactly `length`; a cut sentence still ends in eos.

    Returns ids (B,length) int64 and mask (B,length) bool, True on tokens.
    """
    rows = [[tokenizer.bos, *ids[: length - 2], tokenizer.eos] for ids in tokenizer.ids(sentences)]
    return padded(rows, length, tokenizer.pad)


def padded(rows: list[list[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor (len(rows),length), and a bool mask of it, False on padding."""
    ids = torch.full((len(rows), length), pad, dtype=torch.long, device="cpu")
    mask = torch.zeros(len(rows), length, dtype=torch.bool, device="cpu")
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row, dtype=torch.long, device="cpu")
        mask[index, : len(row)] = True
    return ids, mask


def load_tokenizer(path: str | Path, tokens: SpecialTokens = GEMMA_TOKENS) -> TextTokenizer:
    """Read tokenizer.json from its path or folder; for CLIP, vocab.json + merges.txt also work.

    Raises EncoderError for a missing or damaged file, or one of another model.
    """
    from tokenizers import Tokenizer

    path = Path(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        if path.is_dir() and (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
            return TextTokenizer(clip_tokenizer(path), tokens, path.name)
        raise EncoderError(
            f"no tokenizer at {file}; put the tokenizer.json that comes with the weights there"
            + (
                " (tokenizer.model alone is not enough)"
                if (file.parent / "tokenizer.model").is_file()
                else ""
            )
        )
    try:
        text = file.read_text(encoding="utf-8")
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception:  # before 0.20 the library read only the older form of merges
            tokenizer = Tokenizer.from_str(with_joined_merges(text))
    except Exception as problem:  # the library raises bare Exception for whatever it cannot read
        raise EncoderError(f"{file.name}: not a readable tokenizer file ({problem})") from problem
    return TextTokenizer(tokenizer, tokens, file.name)


def with_joined_merges(text: str) -> str:
    """Rewrite the merges of a tokenizer.json from ["a", "b"] to "a b", which all versions of the
    library read."""
    content = json.loads(text)
    merges = cast("list[str | list[str]]", content["model"]["merges"])
    if any(" " in part for pair in merges if isinstance(pair, list) for part in pair):
        raise ValueError("its merges hold spaces, which needs tokenizers 0.20 or newer")
    joined = [" ".join(pair) if isinstance(pair, list) else pair for pair in merges]
    content["model"]["merges"] = joined
    return json.dumps(content)


def clip_tokenizer(folder: Path) -> Tokenizer:
    """OpenAI CLIP's byte-level BPE from vocab.json and merges.txt."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

    try:
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        pairs = [line.split() for line in lines if line and not line.startswith("#version")]
        merges = [(first, second) for first, second in pairs]
        bpe = models.BPE(
            vocabulary, merges, unk_token=CLIP_TOKENS.eos, end_of_word_suffix="</w>", fuse_unk=False
        )
    except Exception as problem:  # bad JSON, or a merge that the vocabulary does not know
        raise EncoderError(
            f"{folder.name}: vocab.json and merges.txt do not fit ({problem})"
        ) from problem
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    specials = [AddedToken(token, special=True) for token in (CLIP_TOKENS.bos, CLIP_TOKENS.eos)]
    cast(Any, tokenizer).add_special_tokens(specials)
    return tokenizer
