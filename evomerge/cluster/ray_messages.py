"""What Ray would print by itself: its own messages about workers and nodes, on our stdout.

A search says what becomes of its workers; who reads its stdout, a person or (`--json`) a program,
expects nothing else there. No option of Ray 2.60 keeps it silent, so the thread that prints is
asked to end as `ray.shutdown` asks it.
"""

from __future__ import annotations

from typing import Any

import ray

__all__ = ["silence"]


def silence() -> None:
    """Let Ray print nothing more; where this version of it has other parts, it prints."""
    worker: Any = getattr(getattr(ray._private, "worker", None), "global_worker", None)
    stopped = getattr(worker, "threads_stopped", None)
    subscriber = getattr(worker, "gcs_error_subscriber", None)
    if stopped is None or subscriber is None:
        return
    stopped.set()
    subscriber.close()
