"""HPS by the package hpsv2: its own scoring function around its own network, from weight files laid
out as versions 2.0 and 2.1 are published.

The network is ViT-H/14 with fewer layers, so that two of them and a file fit into 2 GB.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from pixwizard_core.evaluation.networks.hps import ARCHITECTURE
from pixwizard_core.evaluation.networks.weight_files import weight_entries
from tests.support.metric_networks import hps_file

LAYERS = 2  # of each tower, instead of 32 and 24
SEEDS = {"hps_v2": 0, "hps_v2.1": 1}
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


def own_package() -> ModuleType:
    """hpsv2's module of scores. Its wheel lacks the tokenizer's vocabulary, which open_clip has."""
    import open_clip

    whole, real = Path(open_clip.__file__).with_name(VOCABULARY), gzip.open

    def opened(file: Any, *args: Any, **kwargs: Any) -> Any:
        lacking = Path(file).name == VOCABULARY and not Path(file).is_file()
        return real(whole if lacking else file, *args, **kwargs)

    with patch("gzip.open", opened):
        from hpsv2 import img_score
    return img_score


@contextmanager
def few_layers() -> Iterator[None]:
    """While inside, ViT-H/14 has LAYERS layers in open_clip and in hpsv2."""
    import open_clip.factory as theirs

    own_package()
    import hpsv2.src.open_clip.factory as authors

    with patch.dict(theirs._MODEL_CONFIGS), patch.dict(authors._MODEL_CONFIGS):
        for library in (theirs, authors):
            config = deepcopy(library._MODEL_CONFIGS[ARCHITECTURE])
            for tower in ("vision_cfg", "text_cfg"):
                config[tower]["layers"] = LAYERS
            library._MODEL_CONFIGS[ARCHITECTURE] = config
        yield


def published_file(folder: Path, version: str) -> Path:
    """The weights of a version, written once under their published name; the network must be that
    of few_layers()."""
    path = folder / weight_entries()[version].files[0]
    return path if path.is_file() else hps_file(path, seed=SEEDS[version])


def own_scores(weights: Path, pictures: Sequence[Path], prompts: Sequence[str]) -> list[float]:
    """The package's scores of picture files with their prompts: cosines, without a factor."""
    module = own_package()
    network, _, prepare = module.create_model_and_transforms(
        ARCHITECTURE, None, precision="amp", device="cpu", light_augmentation=True, aug_cfg={},
        output_dict=True,
    )  # fmt: skip
    loaded = {"model": network, "preprocess_val": prepare}  # else it downloads another network
    with (
        patch.dict(module.model_dict, loaded),
        patch.object(module, "device", "cpu"),
        patch.object(module, "root_path", str(weights.parent)),
    ):
        return [float(module.score(str(picture), prompt, cp=str(weights))[0])
                for picture, prompt in zip(pictures, prompts, strict=True)]  # fmt: skip


def hps_weights(version: str) -> Callable[[Path], AbstractContextManager[None]]:
    """Make a context in which networks are small and the version's file is in a folder."""

    @contextmanager
    def inside(folder: Path) -> Iterator[None]:
        with few_layers():
            published_file(folder, version)
            yield

    return inside
