"""Run the pixwizard command: python -m pixwizard_core."""

import sys

from .cli import main

sys.exit(main())
