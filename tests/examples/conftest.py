"""The scripts of examples/specialists import their siblings, as `python FILE` lets them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "specialists"))
