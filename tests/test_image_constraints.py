"""An image's own packages win over the tested pins."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "image_constraints.py"


@pytest.mark.process
def test_installed_packages_keep_their_version_and_the_rest_is_pinned(tmp_path: Path) -> None:
    tested = tmp_path / "constraints.txt"
    tested.write_text("# the tested set\n\nPyYAML==1.0\nevomerge-has-no-such-package==2.0\n")

    lines = subprocess.run(
        [sys.executable, str(SCRIPT), str(tested)], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    # Names are compared as an index compares them: PyYAML is pyyaml.
    assert f"pyyaml=={version('PyYAML')}" in lines
    assert "PyYAML==1.0" not in lines
    assert lines[-1] == "evomerge-has-no-such-package==2.0"
