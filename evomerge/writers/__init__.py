"""The verbs that make something: a model, an adapter, a recipe, statistics, a picture.

Each writes to a place that is not there yet, whole or not at all.
"""

from evomerge.writers.files import public_sets_named_in, write_new
from evomerge.writers.models import (
    export,
    export_adapter,
    export_mergekit,
    export_recipe,
    merge,
    merge_adapter,
)
from evomerge.writers.pictures import other_views, plot
from evomerge.writers.statistics import learn, measure, measure_importance

__all__ = [
    "export",
    "export_adapter",
    "export_mergekit",
    "export_recipe",
    "learn",
    "measure",
    "measure_importance",
    "merge",
    "merge_adapter",
    "other_views",
    "plot",
    "public_sets_named_in",
    "write_new",
]
