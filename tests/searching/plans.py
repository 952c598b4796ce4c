"""Plans of the job in a place, and what is said of those that cannot be run."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.config import read_job
from evomerge.errors import UserError
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from tests.place import Place

__all__ = ["known_recipe", "planned", "refusal", "sound"]


def planned(place: Place) -> Plan:
    """The plan of the job as it now stands."""
    place.write()
    return Plan(read_job(place.folder / "job.yaml"), "job.yaml")


def sound(place: Place) -> Plan:
    """The same, of which there is nothing to be said."""
    plan = planned(place)
    assert check_job(plan) == []
    return plan


def refusal(place: Place) -> str:
    """Why the job cannot be run."""
    with pytest.raises(UserError) as caught:
        check_job(planned(place))
    assert str(caught.value).startswith("job.yaml: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def known_recipe(place: Place, **weights: float) -> dict[str, Any]:
    """A recipe over the place's models, as it stands in a file."""
    models = place.folder / "models"
    return {
        "kind": "merge",
        "method": "ties",
        "base": "base",
        "inputs": {name: {"model": str(models / name)} for name in ("base", "json", "math")},
        "rules": [{"where": {}} | {n: {"weight": w, "density": 0.5} for n, w in weights.items()}],
    }
