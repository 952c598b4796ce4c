"""A call in a process of its own, for a caller that should not load what the callee needs.

The driver has no torch. What it needs of weights now and then (Gram matrices of seeds, once a
search) a fresh interpreter computes: not a fork, which would take the driver's threads and locks
along, nor `multiprocessing`'s spawn, which runs the caller's main module again. Argument and answer
are JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from typing import Any

from evomerge import errors
from evomerge.errors import InfrastructureError, UserError
from evomerge.plugins import load

__all__ = ["call_in_subprocess"]

_REFUSED = 2


def call_in_subprocess(target: str, argument: Any) -> Any:
    """What the function `package.module:function` gives for the argument, both plain data.

    Raises:
        UserError: as the function does.
        InfrastructureError: the process ended without an answer.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, target],
        input=json.dumps(argument).encode(),
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode == _REFUSED:
        refusal = json.loads(done.stdout)
        raise getattr(errors, refusal["kind"])(refusal["message"])
    if done.returncode:
        raise InfrastructureError(
            f"{target} ended with code {done.returncode} in a process of its own; what it said is"
            " above"
        )
    return json.loads(done.stdout)


def _answer(target: str) -> int:
    try:
        with redirect_stdout(sys.stderr):
            found: Any = load(target)(json.load(sys.stdin))
        code = 0
    except UserError as problem:
        found, code = {"kind": type(problem).__name__, "message": str(problem)}, _REFUSED
    json.dump(found, sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(_answer(sys.argv[1]))
