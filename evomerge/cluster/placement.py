"""What a worker takes of a cluster, how many fit, and what is said where too few do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.cluster.config import ClusterConfig, WorkerRange
from evomerge.errors import ConfigError

__all__ = ["Needs"]


class Needs:
    """What each worker takes: resource -> amount, as Ray names resources (`CPU`, `GPU`, custom)."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        amounts = {"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker}
        amounts |= config.resources
        self._amounts = {name: amount for name, amount in amounts.items() if amount > 0}

    def options(self) -> dict[str, Any]:
        """The same as the options of a Ray actor."""
        return {
            "num_cpus": self._config.cpus_per_worker,
            "num_gpus": self._config.gpus_per_worker,
            "resources": dict(self._config.resources) or None,
        }

    def sizes(self, total: Mapping[str, float]) -> WorkerRange:
        """How many workers there are at least and at most: as asked, else as many as fit.

        `total`: resource -> what the cluster has now.

        Raises:
            ConfigError: this machine, which is all of the cluster, cannot hold even one.
        """
        workers, amounts = self._config.workers, self._amounts
        # A share is a decimal that binary floats miss by a little: 2 CPUs hold 20 of 0.1.
        fits = min(int(total.get(name, 0.0) / amounts[name] + 1e-6) for name in amounts)
        if fits < 1 and self._config.address is None:
            short = next(name for name in amounts if total.get(name, 0.0) < amounts[name])
            raise ConfigError(
                f"cluster: a worker needs {amounts[short]:g} {short}, this machine has"
                f" {total.get(short, 0.0):g}"
            )
        if isinstance(workers, WorkerRange):
            return workers
        count = workers or max(fits, 1)
        return WorkerRange(min=count, max=count)

    def shortage(
        self, waiting: int, of: int, total: Mapping[str, float], free: Mapping[str, float]
    ) -> str:
        """`2 of 4 workers wait for 1 GPU each; the cluster has 0 GPU`."""
        short = [name for name in self._amounts if free.get(name, 0.0) < self._amounts[name]]
        wanted = " and ".join(f"{self._amounts[n]:g} {n}" for n in short or self._amounts)
        has = [
            _stock(name, total.get(name, 0.0), free.get(name, 0.0))
            for name in short or self._amounts
        ]
        known = " and ".join(has) + ("" if short else ", perhaps not on one node")
        return (
            f"{waiting} of {of} worker{'s' * (of > 1)} wait{'s' * (waiting == 1)} for {wanted}"
            f"{' each' * (waiting > 1)}; the cluster has {known}"
        )


def _stock(name: str, total: float, free: float) -> str:
    return f"{total:g} {name}" + (f" ({free:g} free)" if total else "")
