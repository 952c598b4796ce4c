"""Consent to run code that a job names."""

from __future__ import annotations

import os
from collections.abc import Sequence

from evomerge.errors import ConfigError

__all__ = ["VARIABLE", "require_trust", "trust_job"]

VARIABLE = "EVOMERGE_TRUST_JOB"
"""Set to 1, it gives consent for this process and the workers that it starts."""


def trust_job() -> None:
    """Give consent: code that jobs name from now on may run."""
    os.environ[VARIABLE] = "1"


def require_trust(code: Sequence[str]) -> None:
    """Nothing happens if there is no code, or consent to run it.

    `code`: what would run, as a person finds it (`module:function`).

    Raises:
        ConfigError: there is code, and no consent.
    """
    if code and os.environ.get(VARIABLE) != "1":
        raise ConfigError(
            f"this would run code that the job names ({', '.join(code)}), with your rights; if you"
            f" trust it, say so with --trust-job (or {VARIABLE}=1)"
        )
