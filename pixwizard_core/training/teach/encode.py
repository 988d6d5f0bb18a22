"""Encode every example once into a store, so that training needs no encoder in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ...canvas import Size
from ...canvas.images import to_pixels
from ...encoders.text import TextEncoder
from ...encoders.vae import LatentCoder
from ...encoders.vision import VisionEncoder
from .examples import Example
from .fitting import blank, fitted_picture, loss_weights
from .store import Store, key_of

LATENT, TOKENS, WORDS, WEIGHTS = "latent", "tokens", "words", "weights"
KINDS = (WORDS, TOKENS, LATENT, WEIGHTS)
EMPTY = ""  # the caption that replaces dropped words
OnDone = Callable[[int, int], None]


def nothing(done: int, total: int) -> None:
    """Tell nobody how far the work is."""


@dataclass(frozen=True, slots=True)
class KnownExample:
    """An example by the keys of its results. size: of its bucket in px. texts: a key for each
    sentence. weights: of the loss, "" where all places count the same. blank: whether it has no
    input, so that source and tokens are of a black picture."""

    size: Size
    source: str
    tokens: str
    target: str
    texts: tuple[str, ...]
    weights: str = ""
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """A result that is not in the store. size: of the picture in px, None for words."""

    kind: str
    size: Size | None


@dataclass(frozen=True, slots=True)
class Digested:
    """An example with the digests of its pictures, in the order of Example.pictures, and the size
    it is trained at."""

    example: Example
    digests: tuple[str, ...]
    size: Size

    @property
    def source(self) -> str:
        """Digest of the input, "" without one."""
        return self.digests[0] if self.example.input is not None else ""

    @property
    def target(self) -> str:
        return self.digests[0 if self.example.input is None else 1]


class Encoding:
    """Fills a store with the results of examples. fit, outside: see TeachSettings."""

    def __init__(self, store: Store, names: dict[str, str], fit: str, outside: float) -> None:
        self.store, self.names, self.fit, self.outside = store, names, fit, outside

    def known(self, one: Digested) -> KnownExample:
        """The keys of an example's results, whether they are there or not."""
        source = one.source or "black"
        weights = ""
        if one.example.mask is not None or self.fit == "pad":
            facts = {"outside": self.outside, "mask": one.digests[-1] if one.example.mask else ""}
            weights = self._key(WEIGHTS, one.target, one.size, **facts)
        return KnownExample(
            one.size,
            self._key(LATENT, source, one.size),
            self._key(TOKENS, source, one.size),
            self._key(LATENT, one.target, one.size),
            tuple(map(self.words_key, one.example.instructions)),
            weights,
            one.example.input is None,
        )

    def missing(self, examples: Sequence[Digested], *kinds: str) -> dict[str, Missing]:
        """Every result that examples need and the store does not have, by key. kinds: of WORDS,
        TOKENS, LATENT and WEIGHTS, none for all; those whose encoder is not named yet are left out,
        as nothing is known of their keys."""
        wanted = [kind for kind in kinds or KINDS if kind == WEIGHTS or kind in self.names]
        found: dict[str, Missing] = {}

        def look(kind: str, key: str, size: Size | None) -> None:
            if kind in wanted and key and key not in found and not self.store.has(key):
                found[key] = Missing(kind, size)

        look(WORDS, self.words_key(EMPTY) if WORDS in wanted else "", None)
        for one in examples:
            known = self.known(one)
            for key in known.texts:
                look(WORDS, key, None)
            for kind, key in ((LATENT, known.source), (LATENT, known.target),
                              (TOKENS, known.tokens), (WEIGHTS, known.weights)):  # fmt: skip
                look(kind, key, one.size)
        return found

    def words_key(self, sentence: str) -> str:
        return key_of(WORDS, by=self.names.get(WORDS, ""), sentence=sentence)

    def fill_words(
        self, examples: Sequence[Digested], text: TextEncoder, on_done: OnDone = nothing
    ) -> None:
        """Encode the sentences that are not in the store, and the empty caption. Raises
        EncoderError when the encoder overflows."""
        self._words(EMPTY, text)
        for done, one in enumerate(examples, 1):
            for sentence in one.example.instructions:
                self._words(sentence, text)
            on_done(done, len(examples))

    def _words(self, sentence: str, text: TextEncoder) -> None:
        key = self.words_key(sentence)
        if self.store.has(key):
            return
        made = text.encode([sentence])
        count = int(made.mask[0].sum())  # words are on the left
        self.store.put(key, {"text": made.text[0, :count], "pooled": made.pooled[0]})

    def fill_pictures(
        self,
        examples: Sequence[Digested],
        vision: VisionEncoder,
        vae: LatentCoder,
        device: torch.device,
        on_done: OnDone = nothing,
    ) -> None:
        """Encode the pictures that are not in the store, on device. Raises PixWizardError for a
        picture that cannot be read and an encoder that overflows."""
        for done, one in enumerate(examples, 1):
            known, example = self.known(one), one.example
            for picture, latent, tokens in (
                (example.input, known.source, known.tokens),
                (example.target, known.target, ""),
            ):
                wanted = [key for key in (latent, tokens) if key and not self.store.has(key)]
                if not wanted:
                    continue
                size = one.size
                image = fitted_picture(picture, size, self.fit) if picture else blank(size)
                pixels = to_pixels(image).to(device)
                if latent in wanted:
                    self.store.put(latent, {LATENT: vae.encode(pixels)[0].float()})
                if tokens in wanted:
                    self.store.put(tokens, {TOKENS: vision.encode(pixels)[0]})
            if known.weights and not self.store.has(known.weights):
                cells = loss_weights(example, one.size, self.fit, self.outside)
                assert cells is not None  # the key says that there are some
                self.store.put(known.weights, {WEIGHTS: cells[0]})
            on_done(done, len(examples))

    def _key(self, kind: str, picture: str, size: Size, **more: object) -> str:
        facts = {"picture": picture, "width": size.width, "height": size.height, "fit": self.fit}
        return key_of(kind, by=self.names.get(kind, ""), **facts, **more)
