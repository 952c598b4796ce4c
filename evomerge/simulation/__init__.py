"""Simulated searches: the real loop, study, optimizers and schedules in a world made of a seed.

Clock, cluster and disk are simulated, so that years of faults fit into minutes, and a failure is
played again by its seed:

    python -m evomerge.simulation --seed 17 --trace

Authors of optimizers and schedules put their own into a `Scenario`.
"""

from evomerge.simulation.plan import KINDS, FaultKind, SimulatedFault, draw_faults
from evomerge.simulation.play import Doubles, Played, play, play_seed
from evomerge.simulation.scenario import Scenario, draw_scenario
from evomerge.simulation.world import Broken

__all__ = [
    "KINDS",
    "Broken",
    "Doubles",
    "FaultKind",
    "Played",
    "Scenario",
    "SimulatedFault",
    "draw_faults",
    "draw_scenario",
    "play",
    "play_seed",
]
