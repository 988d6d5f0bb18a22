"""Fill the store with all that examples need, loading only encoders whose results are missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ...encoders.vae import LatentCoder
from .before import Survey, bytes_to_encode, check_disk
from .encode import LATENT, TOKENS, WORDS, Encoding
from .known_encoders import KnownEncoder, KnownEncoders
from .ordered import TeachOrder
from .store import Store, weights_digest


def fill(order: TeachOrder, everything: Survey, cache: Path, to_save: int) -> Encoding:
    """The store with the results of all examples. Encoders run one after another and leave the
    memory; one is loaded only when something of it is missing, or when its weights are not known.

    to_save: bytes that the run itself will write. Raises PixWizardError for a disk that is too
    small, and EncoderError for encoders of other widths than the model's.
    """
    settings, parts = order.lesson.settings, order.parts
    encoding = Encoding(Store(cache), {}, settings.fit, settings.mask_outside)
    known = KnownEncoders(cache)
    for kind in (WORDS, TOKENS, LATENT):
        if found := known.get(_kept_as(order, kind), parts.files.get(kind, ())):
            encoding.names[kind] = found.digest
            parts.check_widths(kind, found.widths)
    check = partial(_check_room, order, everything, encoding, cache, to_save)
    check()
    _words(order, everything, encoding, known, check)
    _pictures(order, everything, encoding, known, check)
    order.group.wait()
    return encoding


def _check_room(
    order: TeachOrder, everything: Survey, encoding: Encoding, cache: Path, to_save: int
) -> None:
    """Look at the disk, by what is surely missing: results of encoders whose weights are known."""
    item = 4 if order.parts.small else 2
    missing = encoding.missing(everything.examples)
    check_disk({cache: bytes_to_encode(missing, order.parts.config, item), order.out: to_save})


def _words(
    order: TeachOrder,
    everything: Survey,
    encoding: Encoding,
    known: KnownEncoders,
    check: Callable[[], None],
) -> None:
    examples, parts = everything.examples, order.parts
    named = WORDS in encoding.names
    if named and not encoding.missing(examples, WORDS):
        return
    text = parts.check_text(parts.text())
    if not named:
        widths = (text.width, text.pooled_width)
        _name(order, encoding, known, WORDS, KnownEncoder(weights_digest([text]), widths))
        check()
    mine = examples[order.group.rank :: order.group.count]
    with torch.no_grad():
        encoding.fill_words(mine, text, order.part("encoding words"))


def _pictures(
    order: TeachOrder,
    everything: Survey,
    encoding: Encoding,
    known: KnownEncoders,
    check: Callable[[], None],
) -> None:
    examples, parts = everything.examples, order.parts
    named = TOKENS in encoding.names and LATENT in encoding.names
    if named and not encoding.missing(examples, TOKENS, LATENT):
        return
    vision = parts.check_vision(parts.vision())
    vae = parts.vae()
    if not named:
        seen = KnownEncoder(weights_digest([vision]), (vision.width,))
        _name(order, encoding, known, TOKENS, seen)
        _name(order, encoding, known, LATENT, KnownEncoder(weights_digest([_network(vae)])))
        check()
    mine = examples[order.group.rank :: order.group.count]
    with torch.no_grad():
        encoding.fill_pictures(
            mine, vision, vae, torch.device(order.device), order.part("encoding pictures")
        )


def _name(
    order: TeachOrder, encoding: Encoding, known: KnownEncoders, kind: str, encoder: KnownEncoder
) -> None:
    encoding.names[kind] = encoder.digest
    if order.group.first:
        known.put(_kept_as(order, kind), order.parts.files.get(kind, ()), encoder)


def _kept_as(order: TeachOrder, kind: str) -> str:
    """A kind of result with the type of the weights that it is computed with."""
    return f"{kind} by {'float32' if order.parts.small else 'bfloat16'}"


def _network(vae: LatentCoder) -> torch.nn.Module:
    network = getattr(vae, "model", None) or getattr(vae, "vae", None)
    if not isinstance(network, torch.nn.Module):
        raise ValueError("the autoencoder has no network whose weights could name its results")
    return network
