"""Several commands in one process of their own: `python -m tests.service.commands FOLDER`.

Ray reads its token once a process, and takes seconds to import. Standard input is JSON, a list of
command lines; standard output is JSON, what each left behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.place import Ended, run

__all__ = ["run_apart"]


def run_apart(
    folder: Path, environment: Mapping[str, str], *commands: Sequence[str]
) -> list[Ended]:
    """What each command left behind, one after the other."""
    ended = subprocess.run(
        [sys.executable, "-m", __name__, str(folder)],
        input=json.dumps(commands),
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [Ended(*one) for one in json.loads(ended.stdout.splitlines()[-1])]


if __name__ == "__main__":
    print(json.dumps([run(Path(sys.argv[1]), *command) for command in json.load(sys.stdin)]))
