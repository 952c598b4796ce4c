"""lm-eval's groups and tags as the tasks that they stand for.

The score of a group is the mean of its tasks' scores, by their sizes or evenly, as the group's
`aggregate_metric_list` says (lm-eval 0.4, `api/group.py`). A group without one makes no score of
its own: like a tag, it only stands for its tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.lm_eval.task_files import load_keys
from evomerge.evaluators.lm_eval.task_index import TaskIndex

__all__ = ["Aggregate", "aggregates", "children", "leaves"]

_KEYS = {"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag", "include"}
"""What a group's file may say; anything else would change its tasks."""
_ITEM_KEYS = {"task", "group", "task_alias", "group_alias"}
"""What it may say of a task that it lists."""


@dataclass(frozen=True)
class Aggregate:
    """How a group makes one score of its tasks'."""

    metric: str
    filter: str | None
    """None: whichever the tasks have."""
    by_size: bool
    """Whether a task counts by the number of its examples, or as much as any other."""


def aggregates(name: str, index: TaskIndex) -> list[Aggregate]:
    """The scores that a group makes, its first one first; none of a tag."""
    if name not in index.groups:
        return []
    listed = load_keys(index.groups[name], index.root).get("aggregate_metric_list") or []
    made = []
    for said in [listed] if isinstance(listed, Mapping) else listed:
        filters = said.get("filter_list")
        names = [filters] if isinstance(filters, str) else list(filters or [None])
        by_size = bool(said.get("weight_by_size", True))
        made += [Aggregate(str(said["metric"]), filter_, by_size) for filter_ in names]
    return made


def children(name: str, index: TaskIndex) -> list[str]:
    """What a group or a tag lists: tasks, groups and tags.

    Raises:
        ConfigError: the group changes its tasks, which evomerge does not take over.
    """
    if name in index.tags and name not in index.groups:
        return list(index.tags[name])
    keys = load_keys(index.groups[name], index.root)
    if changed := sorted(keys.keys() - _KEYS):
        raise ConfigError(
            f"group {name!r} changes {changed[0]!r} of its tasks, which evomerge does not take"
            " over; name the tasks one by one"
        )
    return list(_listed(name, keys.get("task") or [], index))


def leaves(name: str, index: TaskIndex) -> tuple[str, ...]:
    """The tasks that a name stands for, each once, in lm-eval's order.

    Raises:
        ConfigError: as `children` does, or a group lists what does not exist.
    """
    return tuple(dict.fromkeys(_leaves(name, index, ())))


def _leaves(name: str, index: TaskIndex, above: tuple[str, ...]) -> Iterator[str]:
    # As in lm-eval a group goes before a tag of that name.
    if name in index.tasks:
        yield name
        return
    if name in above:
        raise ConfigError(f"group {name!r} is part of itself")
    for child in children(name, index):
        yield from _leaves(child, index, (*above, name))


def _listed(name: str, listed: Any, index: TaskIndex) -> Iterator[str]:
    for item in [listed] if isinstance(listed, str) else listed:
        if isinstance(item, Mapping) and isinstance(item.get("task"), list):
            yield from _listed(name, item["task"], index)  # a group written inside this one
            continue
        member = item if isinstance(item, str) else item.get("task") or item.get("group")
        changed = None if isinstance(item, str) else next(iter(item.keys() - _ITEM_KEYS), None)
        if changed:
            raise ConfigError(
                f"group {name!r} changes {changed!r} of {member!r}, which evomerge does not take"
                " over; name the tasks one by one"
            )
        if member not in index:
            raise ConfigError(
                f"group {name!r} lists {member!r}, which does not exist;"
                f" {did_you_mean(str(member), index.names)}"
            )
        yield str(member)
