"""The job: one YAML file is one search.

Reading a job resolves every name in the catalogs and every path, so that a resolved job is plain
data that means the same anywhere; a study keeps it and resumes from it.
"""

from evomerge.config.budget import Budget
from evomerge.config.job import Job, Opponent
from evomerge.config.reading import read_job, resolve_job
from evomerge.config.schedule import SCHEDULES, ScheduleConfig, WholeConfig
from evomerge.config.select import Select
from evomerge.config.warm_start import Basis, Solution, WarmStart

__all__ = [
    "SCHEDULES",
    "Basis",
    "Budget",
    "Job",
    "Opponent",
    "ScheduleConfig",
    "Select",
    "Solution",
    "WarmStart",
    "WholeConfig",
    "read_job",
    "resolve_job",
]
