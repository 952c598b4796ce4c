"""A Ray with a dashboard, in a process of its own, that ends with its standard input.

python -m tests.cluster.watched_ray FOLDER

It prints the dashboard's URL, the session's folder, and Ray's address.
"""

from __future__ import annotations

import sys
from typing import Any

import ray

__all__ = ["main"]


def main(folder: str) -> None:
    """Start Ray with its temporary files in `folder`, and keep it until nobody wants it."""
    context: Any = ray.init(
        "local",
        num_cpus=3,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        object_store_memory=100 << 20,
        _temp_dir=folder,
        log_to_driver=False,
    )
    about = context.address_info
    print(f"http://{context.dashboard_url}", about["session_dir"], about["address"], flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
