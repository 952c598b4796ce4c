"""The scripts of examples/ import their siblings, as `python FILE` lets them."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("specialists", "digits"):
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / folder))
