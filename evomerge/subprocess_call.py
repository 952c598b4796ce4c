"""A call in a process of its own, for a caller that should not load what the function needs.

The driver has no torch. What it needs of weights now and then (Gram matrices of seeds, once a
search) is computed by a new interpreter: not by a fork, which would take the driver's threads and
locks along, nor by `multiprocessing`'s spawn, which runs the caller's main module again. Argument
and result are JSON. The working directory is not on the new interpreter's path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from typing import Any

from evomerge import errors
from evomerge.errors import InfrastructureError, UserError
from evomerge.plugins import load
from evomerge.trust import process_environment

__all__ = ["call_in_subprocess"]

_REFUSED = 2
"""Exit code of a process whose function raised a `UserError`."""


def call_in_subprocess(target: str, argument: Any) -> Any:
    """What the function `package.module:function` returns for the argument, both plain data.

    Raises:
        UserError: what the function raised, of the same class and with the same message.
        InfrastructureError: the process ended without a result.
    """
    ended = subprocess.run(
        [sys.executable, "-m", __name__, target],
        input=json.dumps(argument).encode(),
        stdout=subprocess.PIPE,
        env=os.environ | process_environment(),
        check=False,
    )
    if ended.returncode == _REFUSED:
        refusal = json.loads(ended.stdout)
        raise getattr(errors, refusal["kind"])(refusal["message"])
    if ended.returncode:
        raise InfrastructureError(
            f"{target} ended with code {ended.returncode} in a process of its own; what it said is"
            " above"
        )
    return json.loads(ended.stdout)


def _main(target: str) -> int:
    """Call the function with standard input; its result, or its refusal, goes to standard output.

    What libraries print goes to standard error instead.
    """
    try:
        with redirect_stdout(sys.stderr):
            result: Any = load(target)(json.load(sys.stdin))
        code = 0
    except UserError as problem:
        result, code = {"kind": type(problem).__name__, "message": str(problem)}, _REFUSED
    json.dump(result, sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
