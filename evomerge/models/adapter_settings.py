"""Settings of a LoRA adapter under which it is known what it makes of a model: an allow-list of the
fields that peft's `LoraConfig` has (up to peft 0.21).

The change of a weight is s B A, s being alpha / r or alpha / sqrt(r); with DoRA the changed rows
get the norms that the adapter has. Biases, rows and whole weights may be trained besides.

A setting that makes it another change, and a field that is not known here, is refused by its name:
a change that is nearly right would show nowhere.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError

__all__ = [
    "FREE",
    "INITIAL",
    "READ",
    "REFUSED",
    "check_settings",
    "is_number",
    "token_rows_of",
]

READ = frozenset(
    "peft_type r lora_alpha use_rslora rank_pattern alpha_pattern init_lora_weights use_dora"
    " target_modules exclude_modules layers_to_transform layers_pattern bias lora_bias"
    " modules_to_save target_parameters trainable_token_indices ensure_weight_tying".split()
)
"""Fields that have a say in what the change is, and are obeyed or checked one by one."""

FREE = frozenset(
    "task_type auto_mapping peft_version base_model_name_or_path revision inference_mode"
    " lora_dropout loftq_config eva_config corda_config lora_ga_config qalora_group_size"
    " megatron_core runtime_config fan_in_fan_out".split()
)
"""Fields that leave the change as it is, whatever they say: they are about training, or about
another field that is off.
"""

REFUSED: Mapping[str, str] = {
    "alora_invocation_tokens": "the adapter (aLoRA) is on for a part of the tokens only",
    "arrow_config": "its experts are chosen token by token",
    "kasa_config": "it (KaSA) changes the model's own weights too",
    "layer_replication": "it is for a model with more layers",
    "megatron_config": "its factors are laid out for Megatron",
    "monteclora_config": "its factors are drawn at random (MonteCLoRA)",
    "use_bdlora": "its factors are diagonals of blocks (BD-LoRA)",
    "use_qalora": "its inputs are pooled (QALoRA)",
    "velora_config": "it (VeLoRA) keeps more than two factors",
}
"""Fields that make another change, and what that is; they may be off."""

INITIAL: tuple[bool | str | None, ...] = (
    True,
    False,
    None,
    "gaussian",
    "orthogonal",
    "eva",
    "mica",
)
"""Initialisations that leave the model's own weights as they are."""

_MOVES_THE_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")
_INSTEAD = "merge it into its model first (peft's merge_and_unload)"


def check_settings(path: Path, config: Mapping[str, Any]) -> None:
    """It is known what every setting of an adapter's configuration makes of the change.

    Args:
        path: the configuration's file, for messages.

    Raises:
        SourceError: of one it is not; the message names the field.
    """
    if config.get("peft_type") != "LORA":
        raise SourceError(f"{path}: peft_type is {config.get('peft_type')!r}, only LORA is merged")
    for field, why in REFUSED.items():
        if not _is_off(field, config.get(field)):
            raise SourceError(
                f"{path}: {field}={_short(config[field])} is not supported: {why}; {_INSTEAD}"
            )
    _check_initial(path, config.get("init_lora_weights", True))
    for field in sorted(config.keys() - READ - FREE - REFUSED.keys()):
        if not _is_off(field, config[field]):
            raise SourceError(
                f"{path}: the field {field!r} ({_short(config[field])}) is not known, so what the"
                f" adapter changes is not either; {_INSTEAD}, or take the field out if peft's pages"
                " say that it has no part in the merged weights"
            )
    _check_numbers(path, config)
    _check_parameters(path, config)


def token_rows_of(path: Path, config: Mapping[str, Any], module: str) -> tuple[int, ...]:
    """The rows of a module's weight that `trainable_token_indices` names, in the file's order.

    Raises:
        SourceError: it names none for this module, or what is no row; the message names the field.
    """
    field = "trainable_token_indices"
    given = config.get(field)
    if isinstance(given, dict):
        chosen = [
            rows for name, rows in given.items() if f".{module}".endswith(f".{name}") and name
        ]
        given = chosen[0] if len(chosen) == 1 else None
    if not isinstance(given, list) or not all(
        isinstance(row, int) and not isinstance(row, bool) and row >= 0 for row in given
    ):
        raise SourceError(
            f"{path}: {field} is {_short(config.get(field))}, which names no rows of {module!r},"
            " and the adapter's file has some"
        )
    if len(set(given)) < len(given):
        raise SourceError(f"{path}: {field} names a row of {module!r} twice")
    return tuple(given)


def is_number(value: object) -> bool:
    """Whether it is a number that float64 holds, and no boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # not so for nan, and an integer may be larger


def _is_off(field: str, value: object) -> bool:
    """An empty object is not: peft makes its usual settings of it."""
    return value is None or value is False or value == [] or (field, value) == ("bias", "none")


def _check_parameters(path: Path, config: Mapping[str, Any]) -> None:
    field = "target_parameters"
    names = config.get(field) or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise SourceError(f"{path}: {field} is {_short(names)}, not a list of parameters' names")
    for other in ("use_dora", "lora_bias", "fan_in_fan_out"):
        if names and config.get(other):
            raise SourceError(f"{path}: {field} and {other} do not go together in peft")


def _check_initial(path: Path, initial: object) -> None:
    # 1 == True, and a list is in no set: both have to be told apart from what is known.
    if isinstance(initial, bool | str | None) and initial in INITIAL:
        return
    lead = f"{path}: init_lora_weights={_short(initial)}"
    if isinstance(initial, str) and initial.lower().startswith(_MOVES_THE_BASE):
        raise SourceError(
            f"{lead} is not supported: training began from other weights than the model's, so the"
            " change is not the product of the factors; where it was trained, save it with peft's"
            " path_initial_model_for_weight_conversion, which makes it a plain one, or merge it"
            " into its model (merge_and_unload)"
        )
    raise SourceError(f"{lead} is not known, so what the adapter changes is not either; {_INSTEAD}")


def _check_numbers(path: Path, config: Mapping[str, Any]) -> None:
    """Ranks are whole numbers above 0, alphas numbers, by module too."""
    if not is_number(config.get("lora_alpha")):
        raise SourceError(f"{path}: lora_alpha is {_short(config.get('lora_alpha'))}, not a number")
    ranks = {"r": config.get("r", 8)} | _by_module(path, config, "rank_pattern")
    for key, rank in ranks.items():
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise SourceError(f"{path}: {key} is {_short(rank)}, a rank is 1 or more")
    for key, alpha in _by_module(path, config, "alpha_pattern").items():
        if not is_number(alpha):
            raise SourceError(f"{path}: {key} is {_short(alpha)}, not a number")


def _by_module(path: Path, config: Mapping[str, Any], field: str) -> dict[str, object]:
    """field.pattern -> value."""
    patterns = config.get(field) or {}
    if not isinstance(patterns, dict):
        raise SourceError(f"{path}: {field} is {_short(patterns)}, not values by module")
    return {f"{field}.{pattern}": value for pattern, value in patterns.items()}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
