"""Where things are, for tests."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "pixwizard_core"
GOLDEN = ROOT / "tests" / "golden"
