"""What a worker takes of a cluster, how many fit, and what is said where too few do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evomerge.cluster.config import ClusterConfig, RayConfig, WorkerRange
from evomerge.errors import ConfigError

__all__ = ["Needs", "Nodes", "remarks"]

Nodes = Sequence[Mapping[str, float]]
"""Resource -> amount, of each node."""


class Needs:
    """What each worker takes: resource -> amount, as Ray names resources (`CPU`, `GPU`, custom)."""

    def __init__(self, config: ClusterConfig) -> None:
        """`config`: of one kind of workers (`RayConfig.kinds`)."""
        self._config = config
        amounts = {"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker or 0}
        amounts |= config.resources
        self._amounts = {name: amount for name, amount in amounts.items() if amount > 0}

    @property
    def only_cpus(self) -> bool:
        """Whether workers take nothing but CPUs."""
        return self._amounts.keys() <= {"CPU"}

    @property
    def bundles(self) -> list[dict[str, float]] | None:
        """Of a worker whose GPUs may be on several nodes, what its placement group reserves: a GPU
        a bundle, and all else in the first, where its actor is. None: it is on one node."""
        gpus = int(self._amounts.get("GPU", 0))
        if gpus < 2 or not (isinstance(self._config, RayConfig) and self._config.across_nodes):
            return None
        return [self._amounts | {"GPU": 1.0}, *({"GPU": 1.0} for _ in range(gpus - 1))]

    def options(self) -> dict[str, Any]:
        """What a worker's actor takes, as the options of a Ray actor; in a placement group the
        GPUs are those of the actors that its engine starts."""
        gpus = self._amounts.get("GPU", 0)
        return {
            "num_cpus": self._config.cpus_per_worker,
            "num_gpus": gpus if self.bundles is None else 0,
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

    def remarks(self, nodes: Nodes) -> list[str]:
        """What is worth telling before a search: that fewer workers than asked have a place now.

        `nodes`: of one, this machine, where there is no address.

        Raises:
            ConfigError: not even one worker has a place: on this machine, which is all of the
                cluster; or on any node of a cluster that is not said to grow, by a range of
                workers.
        """
        fits = self.held_by(nodes)
        if self._config.address is None:
            (here,) = nodes
            wanted = self.sizes(here).min
            said = (
                f"cluster.workers: {wanted} are asked for, and this machine holds {fits} at a time"
                f" ({self._said()} each)"
            )
            return [said] if fits < wanted else []
        if fits < 1 and not isinstance(self._config.workers, WorkerRange):
            raise ConfigError(self._cluster_lacks(nodes))
        wanted = self.sizes({}).min
        said = (
            f"cluster: {fits} of {wanted} workers would have a place at {self._config.address} now"
            f" ({self._said()} each, on one node); the search waits for nodes that join"
        )
        return [said] if fits < wanted else []

    def held_by(self, nodes: Nodes) -> int:
        """How many workers have a place on these nodes together, if nobody else does."""
        if self.bundles is None:
            return sum(map(self._fits, nodes))
        first, *others = self.bundles
        total: dict[str, float] = {}
        for node in nodes:
            total = {name: total.get(name, 0.0) + node.get(name, 0.0) for name in {*total, *node}}
        return min(
            sum(_times(first, node) for node in nodes),
            int(total.get("GPU", 0.0) / (1 + len(others)) + 1e-6),
        )

    def left_of(self, nodes: Nodes, workers: int) -> list[dict[str, float]]:
        """What nodes have left once so many workers have their places, one node after another."""
        left = []
        for node in nodes:
            taken = min(workers, self._fits(node))
            workers -= taken
            own = {
                name: node.get(name, 0.0) - taken * self._amounts[name] for name in self._amounts
            }
            left.append({**node, **own})
        return left

    def _fits(self, total: Mapping[str, float]) -> int:
        return _times(self._amounts, total)

    def _said(self) -> str:
        return " and ".join(f"{amount:g} {name}" for name, amount in self._amounts.items())

    def _machine_lacks(self, total: Mapping[str, float]) -> str:
        amounts = self._amounts
        short = next(name for name in amounts if total.get(name, 0.0) < amounts[name])
        said = (
            f"cluster: a worker needs {amounts[short]:g} {short}, this machine has"
            f" {total.get(short, 0.0):g}"
        )
        if short == "GPU":
            return f"{said}; cluster.gpus_per_worker: 0 is for engines on CPUs"
        if short not in self._config.resources:
            return said
        return (
            f"{said}; resources of your own are those of a Ray that you start, as in `ray start"
            f" --head --resources='{{\"{short}\": 4}}'`, with cluster.address: auto"
        )

    def _cluster_lacks(self, nodes: Nodes) -> str:
        """`cluster: too few GPUs for one worker: it takes 4 GPU on one node, and the node at
        host:6379 that has most has 2`."""
        most = {n: max((node.get(n, 0.0) for node in nodes), default=0.0) for n in self._amounts}
        short = [name for name in self._amounts if most[name] < self._amounts[name]]
        which = "GPUs" if short == ["GPU"] else "resources"
        wanted = " and ".join(f"{self._amounts[n]:g} {n}" for n in short) or self._said()
        has = " and ".join(f"{most[name]:g}" for name in short) or "too little of one of them"
        cure = "cluster.workers: {min, max} waits for nodes that join"
        if short == ["GPU"] and self._amounts["GPU"] > 1 and most["GPU"] >= 1:
            cure = f"cluster.across_nodes: true takes GPUs of several nodes, and {cure}"
        return (
            f"cluster: too few {which} for one worker: it takes {wanted} on one node, and the node"
            f" at {self._config.address} that has most has {has}; {cure}"
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


def remarks(cluster: RayConfig, nodes: Nodes) -> list[str]:
    """What is worth telling of all kinds of workers together, those with most GPUs first: see
    `Needs.remarks`.

    Raises:
        ConfigError: of one kind not even one worker has a place.
    """
    said: list[str] = []
    for kind in sorted(cluster.kinds, key=lambda kind: -(kind.gpus_per_worker or 0)):
        needs, workers = Needs(kind), kind.workers
        said += needs.remarks(nodes)
        least = workers.min if isinstance(workers, WorkerRange) else workers
        nodes = needs.left_of(nodes, least or 0)
    return said


def _times(amounts: Mapping[str, float], total: Mapping[str, float]) -> int:
    # A share is a decimal that binary floats miss by a little: 2 CPUs hold 20 of 0.1.
    return min(int(total.get(name, 0.0) / amounts[name] + 1e-6) for name in amounts)


def _stock(name: str, total: float, free: float) -> str:
    return f"{total:g} {name}" + (f" ({free:g} free)" if total else "")
