"""Factors of an adapter, and what belongs to them, read into changes of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.adapter_changes import ChangeInfo, FactorInfo, Held, RowsInfo, SumInfo
from evomerge.models.adapter_settings import token_rows_of
from evomerge.models.architecture import parts_of
from evomerge.models.module_patterns import ModulePatterns

__all__ = ["WRAPPED", "FactorReader", "Stored", "scale_of"]

_USUAL_RANK = 8
"""peft's own, where a configuration does not say `r`."""
WRAPPED = ".base_layer"
"""What peft writes into the names of a module's own weights where the module has factors."""
Stored = tuple[str, list[int]]
"""Key and shape."""


class FactorReader:
    """Makes changes of the tensors of one module, by the adapter's configuration."""

    def __init__(self, weights: Path, config_file: Path, config: Mapping[str, Any]) -> None:
        """`weights`, `config_file`: what messages name."""
        self._weights, self._file, self._config = weights, config_file, config
        self._patterns = ModulePatterns(config_file, config)
        self._targets = tuple(config.get("target_parameters") or ())

    def is_held(self, module: str) -> bool:
        """Whether the module's factors are of one of its parameters (`target_parameters`)."""
        if not self._targets:
            return False
        owners = [target.rpartition(".")[0] for target in self._targets]
        return (
            module.endswith(WRAPPED)
            or any(owner and f".{module}".endswith(f".{owner}") for owner in owners)
            or not self._patterns.is_selected(module)
        )

    def held(self, module: str, of_module: Mapping[str, Stored]) -> Held:
        """The factors of a parameter, which the model's class has to name."""
        if set(of_module) != {"A", "B"} or [len(shape) for _, shape in of_module.values()] != [
            2,
            2,
        ]:
            raise self._unfit(module)
        name = module.replace(WRAPPED, "")
        depth = (len(module) - len(name)) // len(WRAPPED)
        (a, a_shape), (b, b_shape) = of_module["A"], of_module["B"]
        if a_shape[0] != b_shape[1]:
            raise self._unfit(module)
        return Held(name, depth, a, b, (a_shape[0], a_shape[1]), (b_shape[0], b_shape[1]))

    def changes(self, module: str, of_module: dict[str, Stored]) -> dict[str, ChangeInfo]:
        """What one module's tensors make of its weights."""
        changes: dict[str, ChangeInfo] = {}
        if rows := of_module.pop("rows", None):
            changes[f"{module}.weight"] = self._rows(module, *rows)
            if not of_module:
                return changes
        bias = of_module.pop("bias", None)
        factors = self._factors(module, of_module)
        changes[f"{module}.weight"] = factors
        if rows:
            raise self._unfit(module)
        if (bias is not None) != bool(self._config.get("lora_bias")) and not factors.embedding:
            raise SourceError(
                f"{self._file}: lora_bias is {self._config.get('lora_bias')}, and the adapter's"
                f" file has {'a' if bias else 'no'} bias of lora_B for {module!r}"
            )
        if bias:
            if factors.embedding or bias[1] != [factors.shape[0]]:
                raise self._unfit(module)
            changes[f"{module}.bias"] = SumInfo(bias[0], factors.scale, tuple(bias[1]))
        return changes

    def _factors(self, module: str, of_module: Mapping[str, Stored]) -> FactorInfo:
        if not self._is_tied_to_another(module):
            self._patterns.check_selected(module)
        norms = of_module.get("norms")
        pair = {role: stored for role, stored in of_module.items() if role != "norms"}
        embedding = set(pair) == {"embedding A", "embedding B"}
        pair = {role.removeprefix("embedding "): stored for role, stored in pair.items()}
        if set(pair) != {"A", "B"} or len(pair) < len(of_module) - (norms is not None):
            raise self._unfit(module)
        (a, (rank, *width)), (b, (height, *last)) = pair["A"], pair["B"]
        if not width or last != [rank, *(1 for _ in width[1:])]:
            raise self._unfit(module)
        self._check_norms(module, norms, height)
        scale = scale_of(self._file, self._config, self._patterns, module, rank)
        shape = (width[0], height) if embedding else (height, *width)
        return FactorInfo(
            a,
            b,
            rank,
            scale,
            shape,
            transposed=embedding,
            magnitude=norms[0] if norms else None,
            embedding=embedding,
        )

    def _is_tied_to_another(self, module: str) -> bool:
        """Whether peft chose the module for its embedding (`ensure_weight_tying`)."""
        is_head = parts_of(f"{module}.weight").component == "head"
        return is_head and bool(self._config.get("ensure_weight_tying"))

    def _check_norms(self, module: str, norms: Stored | None, height: int) -> None:
        use_dora = self._config.get("use_dora")
        if (norms is not None) != bool(use_dora) or (norms and norms[1] != [height]):
            raise SourceError(
                f"{self._weights}: {module!r} has"
                f" {f'norms of shape {norms[1]}' if norms else 'no norms'}, and use_dora is"
                f" {use_dora} in {self._file.name}; a DoRA adapter has one for each of the"
                f" {height} rows"
            )

    def _rows(self, module: str, key: str, shape: list[int]) -> RowsInfo:
        rows = token_rows_of(self._file, self._config, module)
        if len(shape) != 2 or shape[0] != len(rows):
            raise SourceError(
                f"{self._weights}: {key!r} has the shape {shape}, and"
                f" trainable_token_indices in {self._file.name} names {len(rows)} rows"
            )
        return RowsInfo(key, rows, shape[1])

    def _unfit(self, module: str) -> SourceError:
        return SourceError(f"{self._weights}: the factors of {module!r} do not fit each other")


def scale_of(
    path: Path, config: Mapping[str, Any], patterns: ModulePatterns, name: str, rank: int
) -> float:
    """alpha / r, or alpha / sqrt(r), of the module or parameter `name` whose factors have a rank.

    Raises:
        SourceError: the configuration gives it another rank.
    """
    known = patterns.value_for("rank_pattern", name, config.get("r", _USUAL_RANK))
    if rank != known:
        raise SourceError(
            f"{path}: r and rank_pattern give {name!r} the rank {known}, its factors have {rank}"
        )
    alpha = float(patterns.value_for("alpha_pattern", name, config["lora_alpha"]))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
