"""The configuration of a stack, found by building it (`learned.py` says where).

Which keys count layers is tried (one more, and the list of layers is longer). Keys that list layers
follow the hops. Whether that is all is seen by comparing: the layer built at each hop must be of
the kind that its donor has there, with the same tensors and the same settings in every module.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from evomerge.errors import SourceError
from evomerge.models.layer_numbers import NUMBERS, computes_with_number
from evomerge.models.meta_model import build, loaded_names

__all__ = ["stacked"]

Path = tuple[str, ...]
"""Where a part of a configuration stands: `("text_config",)`, or nothing for the top."""

_BY_NUMBER = ("scale_attn_by_inverse_layer_idx",)
"""Settings under which a layer computes with its own number when it is made."""
_NOT_OF_LAYERS = ("_id", "_ids", "_tokens", "architectures", "_token")
"""Endings of keys that list something else, however long the list is."""


def stacked(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a stack's configuration says otherwise than its donor's.

    `configs`: name -> config.json; `donor`: the name of the one that the stack takes; `hops`: the
    names and layers; `layers`: checkpoint name of a tensor in the donor's first layer.

    Returns:
        `changes`: a list of (path, keys and their values); or `refused`: one sentence.
    """
    try:
        return {"changes": list(_Stacking(request).changes())}
    except SourceError as problem:
        return {"refused": str(problem)}


class _Stacking:
    def __init__(self, request: Mapping[str, Any]) -> None:
        self._hops: list[tuple[str, int]] = [(name, layer) for name, layer in request["hops"]]
        configs = {name: _alone(config) for name, config in request["configs"].items()}
        models = {name: build(config) for name, config in configs.items()}
        donor = models[request["donor"]]
        (inside,) = loaded_names(donor, [request["layers"]]).values()
        if inside is None:
            raise SourceError(f"transformers does not read {request['layers']}")
        self._list = next(own for own in _lists(donor) if inside.startswith(f"{own}."))
        self._settings = {name: model.config.to_dict() for name, model in models.items()}
        self._config = self._settings[request["donor"]] | {
            key: configs[request["donor"]][key]
            for key in ("architectures", "model_type")
            if key in configs[request["donor"]]
        }
        self._kinds = {name: _kinds(model, self._list) for name, model in models.items()}
        self._depth = len(self._kinds[request["donor"]])
        self._beside = _depths(donor, self._list)
        for tensor in sorted(donor.all_tied_weights_keys):
            if tensor.startswith(f"{self._list}."):
                raise SourceError(f"layers have tensors in common: {tensor} is another layer's too")
        for layer in donor.get_submodule(self._list).children():
            if kind := computes_with_number(layer):
                raise SourceError(f"a layer computes with its own number ({kind})")
        for key in _BY_NUMBER:
            if self._config.get(key):
                raise SourceError(f"{key} is set: a layer computes with its own number")

    def changes(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """By part of the configuration."""
        wanted = [self._kinds[name][layer] for name, layer in self._hops]
        counts = list(self._counts())
        if not counts:
            raise SourceError(f"no key of the configuration counts the layers of {self._list}")
        best = None
        for changes in self._attempts(counts):
            built = self._built(changes)
            if built is None:
                continue
            if built == wanted:
                yield from changes.items()
                return
            best = best or built
        raise SourceError(_refusal(self._hops, wanted, best))

    def _attempts(self, counts: Sequence[tuple[Path, str]]) -> Iterator[dict[Path, dict[str, Any]]]:
        """Changes to try, the fewest first."""
        plain: dict[Path, dict[str, Any]] = {}
        for path, key in counts:
            plain.setdefault(path, {})[key] = len(self._hops)
        for path in list(plain):
            plain[path] |= self._lists_of(path)
        yield plain
        numbered = copy.deepcopy(plain)
        for path in numbered:
            numbered[path] |= self._numbered(path)
        if numbered != plain:
            yield numbered
        # A number may say where layers of another kind begin: after the first run, or the last.
        for path, keys in plain.items():
            for key, value in _part(self._config, path).items():
                if key not in keys and type(value) is int and 0 <= value <= self._depth:
                    for run in self._runs():
                        if run != value:
                            yield {**plain, path: {**keys, key: run}}

    def _counts(self) -> Iterator[tuple[Path, str]]:
        """The keys that count the layers of the list."""
        for path, part in _parts(self._config):
            for key, value in part.items():
                if type(value) is int and value == self._depth:
                    longer = {k: [*v, v[-1]] for k, v in part.items() if self._may_list(k, v)}
                    kinds = self._built({path: {**longer, key: value + 1}})
                    if kinds is not None and len(kinds) == self._depth + 1:
                        yield path, key

    def _lists_of(self, path: Path) -> dict[str, Any]:
        """Keys beside the count that have a value for each layer, as the hops have them."""
        follow = {}
        for key, value in _part(self._config, path).items():
            if not self._may_list(key, value):
                continue
            if all(own == value[0] for own in value) or "layer" in key or "block" in key:
                theirs = [_part(self._settings[name], path).get(key) for name, _ in self._hops]
                follow[key] = [
                    own[layer] for own, (_, layer) in zip(theirs, self._hops, strict=True) if own
                ]
                if len(follow[key]) != len(self._hops):
                    raise SourceError(f"not all configurations have {key}")
            else:
                raise SourceError(
                    f"{'.'.join([*path, key])} has as many values as there are layers, and whether"
                    " they are the layers' is not known"
                )
        return follow

    def _numbered(self, path: Path) -> dict[str, Any]:
        """Keys that list layers by their numbers."""
        follow = {}
        for key, value in _part(self._config, path).items():
            rising = isinstance(value, list) and all(type(own) is int for own in value)
            if not (rising and value and value == sorted(set(value)) and value[-1] < self._depth):
                continue
            if not key.endswith(_NOT_OF_LAYERS):
                follow[key] = [
                    i
                    for i, (name, layer) in enumerate(self._hops)
                    if layer in _part(self._settings[name], path).get(key, ())
                ]
        return follow

    def _runs(self) -> set[int]:
        """How many hops are of the kind of the first, without a break; and of the last."""
        kinds = [self._kinds[name][layer] for name, layer in self._hops]
        first = next((i for i, kind in enumerate(kinds) if kind != kinds[0]), len(kinds))
        last = next((i for i, kind in enumerate(kinds[::-1]) if kind != kinds[-1]), len(kinds))
        return {first, len(kinds) - last}

    def _may_list(self, key: str, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) == self._depth
            and not key.endswith(_NOT_OF_LAYERS)
        )

    def _built(self, changes: Mapping[Path, Mapping[str, Any]]) -> list[str] | None:
        """The kinds of the layers that transformers makes of the changed configuration; None where
        it makes none, or changes another list of layers."""
        try:
            model = build(_changed(self._config, changes))
            own = _kinds(model, self._list)
        except (SourceError, AttributeError):
            return None
        return own if _depths(model, self._list) == self._beside else None


def _alone(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "quantization_config"}


def _lists(model: nn.Module) -> list[str]:
    """The lists of modules that are in no other list."""
    lists: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{other}.") for other in lists)
        if isinstance(module, nn.ModuleList) and not inside:
            lists.append(name)
    return lists


def _depths(model: nn.Module, but: str) -> dict[str, int]:
    """Every other list's length."""
    return {
        name: len(list(model.get_submodule(name).children()))
        for name in _lists(model)
        if name != but
    }


def _kinds(model: nn.Module, container: str) -> list[str]:
    """A text for each layer, equal where tensors and settings are."""
    return [_kind(layer) for layer in model.get_submodule(container).children()]


def _kind(layer: nn.Module) -> str:
    said: list[Any] = [(name, tuple(value.shape)) for name, value in layer.state_dict().items()]
    for name, module in layer.named_modules():
        settings = {
            key: value
            for key, value in vars(module).items()
            if isinstance(value, bool | int | float | str | None)
            and not key.startswith("_")
            and not any(part in key for part in NUMBERS)
        }
        said.append((name, type(module).__name__, sorted(settings.items())))
    return repr(said)


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The configuration, and the configurations in it."""
    yield (), config
    for key, value in config.items():
        if isinstance(value, dict) and key.endswith("config"):
            yield (key,), value


def _part(config: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    for key in path:
        config = config[key]
    return config


def _changed(
    config: Mapping[str, Any], changes: Mapping[Path, Mapping[str, Any]]
) -> dict[str, Any]:
    made = copy.deepcopy(dict(config))
    for path, keys in changes.items():
        part = made
        for key in path:
            part = part[key]
        part |= keys
    return made


def _refusal(
    hops: Sequence[tuple[str, int]], wanted: Sequence[str], built: Sequence[str] | None
) -> str:
    if built is None:
        return "transformers refuses a configuration with as many layers as the stack has"
    for number, (name, layer) in enumerate(hops):
        if number >= len(built) or built[number] != wanted[number]:
            return (
                f"hop {number} is layer {layer} of {name!r}, and the configuration can only make a"
                " layer of another kind there"
            )
    return "the configuration cannot say which layers run"
