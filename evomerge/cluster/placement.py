"""What a worker takes of a cluster, how many fit, and what is said where too few do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    @property
    def only_cpus(self) -> bool:
        """Whether workers take nothing but CPUs."""
        return self._amounts.keys() <= {"CPU"}

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
        workers, fits = self._config.workers, self._fits(total)
        if fits < 1 and self._config.address is None:
            raise ConfigError(self._machine_lacks(total))
        if isinstance(workers, WorkerRange):
            return workers
        count = workers or max(fits, 1)
        return WorkerRange(min=count, max=count)

    def remarks(self, nodes: Sequence[Mapping[str, float]]) -> list[str]:
        """What is worth telling before a search: that fewer workers than asked have a place now.

        `nodes`: resource -> amount, of each node; of one, this machine, where there is no address.

        Raises:
            ConfigError: this machine, which is all of the cluster, cannot hold even one.
        """
        fits = sum(map(self._fits, nodes))
        if self._config.address is None:
            (here,) = nodes
            wanted = self.sizes(here).min
            said = (
                f"cluster.workers: {wanted} are asked for, and this machine holds {fits} at a time"
                f" ({self._said()} each)"
            )
        else:
            wanted = self.sizes({}).min
            said = (
                f"cluster: {fits} of {wanted} workers would have a place at"
                f" {self._config.address} now ({self._said()} each, on one node); the search waits"
                " for nodes that join"
            )
        return [said] if fits < wanted else []

    def _fits(self, total: Mapping[str, float]) -> int:
        # A share is a decimal that binary floats miss by a little: 2 CPUs hold 20 of 0.1.
        amounts = self._amounts
        return min(int(total.get(name, 0.0) / amounts[name] + 1e-6) for name in amounts)

    def _said(self) -> str:
        return " and ".join(f"{amount:g} {name}" for name, amount in self._amounts.items())

    def _machine_lacks(self, total: Mapping[str, float]) -> str:
        amounts = self._amounts
        short = next(name for name in amounts if total.get(name, 0.0) < amounts[name])
        said = (
            f"cluster: a worker needs {amounts[short]:g} {short}, this machine has"
            f" {total.get(short, 0.0):g}"
        )
        if short not in self._config.resources:
            return said
        return (
            f"{said}; resources of your own are those of a Ray that you start, as in `ray start"
            f" --head --resources='{{\"{short}\": 4}}'`, with cluster.address: auto"
        )

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
