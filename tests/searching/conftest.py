"""Studies in memory."""

from __future__ import annotations

from tests.folders import tmp_path

__all__ = ["tmp_path"]
