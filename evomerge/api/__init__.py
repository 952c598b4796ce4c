"""The verbs about scores: search, resume, load, evaluate; `evomerge.writers` has the others."""

from evomerge.api.evaluating import evaluate
from evomerge.api.same_study import job_of, moved
from evomerge.api.searching import load, resume, search
from evomerge.searching.listener import Listener

__all__ = [
    "Listener",
    "evaluate",
    "job_of",
    "load",
    "moved",
    "resume",
    "search",
]
