"""python -m pixwizard_core: the same as the pixwizard command."""

import sys

from .cli import main

sys.exit(main())
