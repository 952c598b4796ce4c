"""Commands in one process of their own: `python -m tests.service.commands FOLDER`.

Ray reads its token once a process, and takes seconds to import. Each line of standard input is
JSON, a list of command lines; a line of standard output is JSON, what each left behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.place import Ended, run

__all__ = ["Commands", "apart", "run_apart"]

Commands = Callable[..., list[Ended]]
"""What each command left behind, one after the other; a command is a sequence of arguments."""

SAID = "@"
"""What a line of answers begins with: others may write there, too."""


@contextmanager
def apart(folder: Path, environment: Mapping[str, str]) -> Iterator[Commands]:
    """A process that runs commands in a folder as long as it is open."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        asking, answering = process.stdin, process.stdout
        assert asking is not None
        assert answering is not None

        def commands(*lines: Sequence[str]) -> list[Ended]:
            print(json.dumps(lines), file=asking, flush=True)
            for said in answering:
                if said.startswith(SAID):
                    return [Ended(*one) for one in json.loads(said.removeprefix(SAID))]
            errors.seek(0)
            raise AssertionError(errors.read())

        yield commands


def run_apart(
    folder: Path, environment: Mapping[str, str], *commands: Sequence[str]
) -> list[Ended]:
    """The same of a process that ends with them."""
    with apart(folder, environment) as run_there:
        return run_there(*commands)


if __name__ == "__main__":
    for line in sys.stdin:
        ended = [run(Path(sys.argv[1]), *command) for command in json.loads(line)]
        print(f"{SAID}{json.dumps(ended)}", flush=True)
