"""Calls in a process of their own."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from evomerge.errors import InfrastructureError, SourceError
from evomerge.subprocess_call import call_in_subprocess

pytestmark = pytest.mark.process

HERE = "tests.test_subprocess_call"


def about_me(argument: Any) -> dict[str, Any]:
    print("a library says something")
    return {"argument": argument, "pid": os.getpid(), "pytest": "pytest" in sys.argv[0]}


def refuse(argument: Any) -> Any:
    raise SourceError(f"{argument}: no such model folder")


def break_down(argument: Any) -> Any:
    os._exit(9)


def test_the_answer_comes_from_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    answer = call_in_subprocess(f"{HERE}:about_me", {"numbers": [0.1, 1e-300], "text": "é\n"})
    assert answer["argument"] == {"numbers": [0.1, 1e-300], "text": "é\n"}
    assert answer["pid"] != os.getpid()
    assert not answer["pytest"]
    said = capfd.readouterr()
    assert (said.out, "a library says something" in said.err) == ("", True)


def test_what_is_wrong_with_the_input_is_the_same_error_here() -> None:
    with pytest.raises(SourceError, match=r"^/models/x: no such model folder$"):
        call_in_subprocess(f"{HERE}:refuse", "/models/x")


def test_a_process_that_ends_without_an_answer_is_said_so() -> None:
    with pytest.raises(InfrastructureError, match=r"break_down ended with code 9"):
        call_in_subprocess(f"{HERE}:break_down", None)
