"""The help of commands as docs/evaluation.md shows it. Run it after a change of their options:

python -m tests.support.help_docs
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

from pixwizard_core.cli.entry import _parser
from tests.support.parsers import commands

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
BLOCK = re.compile(r"(```\n\$ (pixwizard [\w ]+) --help\n)(.*?)(?=```)", re.DOTALL)
UNTIL = "\nsampling:"  # what follows is as for other commands
COLUMNS = "100"


def printed(name: str) -> str:
    """What `NAME --help` prints, up to the options of sampling."""
    parser = next(one for one in commands(_parser()) if one.prog == name)
    with patch.dict(os.environ, COLUMNS=COLUMNS):
        return parser.format_help().partition(UNTIL)[0].rstrip() + "\n"


def main() -> None:
    """Print the help of each block into the page again."""
    text = PAGE.read_text(encoding="utf-8")
    text = BLOCK.sub(lambda found: found[1] + printed(found[2]), text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
