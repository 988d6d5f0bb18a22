"""pixwizard evaluate: each kind of evaluation is a sub-command with its own options."""

from __future__ import annotations

from .evaluate_beyond import add_beyond
from .evaluate_data import add_data
from .evaluate_embedding import add_embedding
from .evaluate_films import add_films
from .evaluate_paper import add_paper
from .evaluate_sampler import add_sampler
from .evaluate_weights import add_weights
from .evaluate_world import add_world

TEXT = "score a model on the demo world, a dataset or the paper's tables, or study its settings"

ABOUT = """\
Score a model. `world` scores the bundled model and needs no data; `data` scores one dataset, and
`paper` all datasets of the paper's tables. Each KIND has its own --help."""


def add_evaluate(commands) -> None:
    """Add `pixwizard evaluate` to the subparsers."""
    parser = commands.add_parser("evaluate", help=TEXT, description=ABOUT)
    kinds = parser.add_subparsers(metavar="KIND", required=True)
    for add in (
        add_world, add_data, add_paper, add_weights, add_embedding, add_films, add_sampler,
        add_beyond,
    ):  # fmt: skip
        add(kinds)
