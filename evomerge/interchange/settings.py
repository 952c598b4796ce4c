"""mergekit's parameter values: scalars, gradients over depth, filters by tensor name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evomerge.errors import ConfigError
from evomerge.faults import describe

__all__ = ["setting_at"]

_SWITCHES: Mapping[Any, bool] = {
    **dict.fromkeys((1, "true", "yes", "on", "1", "1.0"), True),
    **dict.fromkeys((0, "false", "no", "off", "0", "0.0"), False),
}
"""How files write true and false (1 is also 1.0 and True)."""


def setting_at(setting: Any, tensor: str, t: float, *, origin: str, is_switch: bool = False) -> Any:
    """The value of a setting for a tensor at depth `t` of its slice (0 first, 1 last layer).

    None where no filter matches: the next setting in precedence decides.

    Args:
        is_switch: true or false, also written as 1.0 and 0.0; a list has one for each part of the
            depth.

    Raises:
        ConfigError: the setting is none of mergekit's forms.
    """
    if isinstance(setting, Mapping):
        return _filtered([setting], tensor, t, origin, is_switch)
    if isinstance(setting, Sequence) and not isinstance(setting, str):
        if not setting:
            raise ConfigError(f"{origin}: an empty list has no value")
        if all(isinstance(value, Mapping) for value in setting):
            return _filtered(setting, tensor, t, origin, is_switch)
        if is_switch:
            return _switch(setting[int(t * (len(setting) - 1))], origin)
        return _gradient([_number(value, origin) for value in setting], t)
    if is_switch and setting is not None:
        return _switch(setting, origin)
    return _number(setting, origin) if isinstance(setting, str) else setting


def _filtered(
    settings: Sequence[Mapping[str, Any]], tensor: str, t: float, origin: str, is_switch: bool
) -> Any:
    for filtered in settings:
        if "value" not in filtered or set(filtered) - {"value", "filter"}:
            raise ConfigError(f"{origin}: a filtered value has the keys value and filter")
        chosen = filtered.get("filter")
        if chosen in (None, "*") or str(chosen) in tensor:
            return setting_at(filtered["value"], tensor, t, origin=origin, is_switch=is_switch)
    return None


def _gradient(knots: Sequence[float], t: float) -> float:
    """Linear between equally spaced knots."""
    if len(knots) == 1:
        return knots[0]
    place = t * (len(knots) - 1)
    left = min(int(place), len(knots) - 2)
    share = place - left
    return (1 - share) * knots[left] + share * knots[left + 1]


def _switch(value: Any, origin: str) -> bool:
    key = value.lower() if isinstance(value, str) else value
    if not isinstance(key, str | int | float) or key not in _SWITCHES:
        raise ConfigError(f"{origin}: true or false is wanted, got {value!r}")
    return _SWITCHES[key]


def _number(value: Any, origin: str) -> float:
    """YAML reads 1e-5 as a string."""
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{origin}: a number is wanted, got {describe(value)}")
    return number
