"""The registry of engines, and the start of the one that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, overload

from evomerge.engines.base import DataFlowEngine, Engine
from evomerge.engines.config import EngineConfig, EngineSettings
from evomerge.errors import ConfigError, SourceError, about
from evomerge.models.answering import answers_text, architecture_of, continues_text
from evomerge.models.inventory import CONFIG
from evomerge.plugins import Registry, first_line, load
from evomerge.reading.json_text import read_object
from evomerge.recipe.layer_path import Capacity
from evomerge.trust import require_trust

__all__ = [
    "AUTO",
    "ENGINES",
    "TRANSFORMERS",
    "VLLM",
    "EngineFactory",
    "check_engine",
    "data_flow_of",
    "start_engine",
]


class EngineFactory(Protocol):
    """What the target of an entry is. A class with `config` as a class variable is one.

    One that also has `data_flow(config, folder, capacity)` can hold a pool of layers; without it
    only merged weights are evaluated by the engine. One that has `check(config)` is asked before a
    search begins; it raises a ConfigError where the engine cannot start on this machine. One that
    has `check_model(config, model)` is asked too, with what `config.json` says; it raises a
    ConfigError where the engine cannot run such a model.
    """

    @property
    def config(self) -> type[EngineSettings]:
        """The class of its settings."""

    def __call__(self, config: Any, folder: Path, /) -> Engine:
        """A live engine with the model of `folder`: its configuration, tokenizer and weights."""


def _written(folder: Path) -> dict[str, Any]:
    """What the folder's `config.json` says."""
    return read_object(folder / CONFIG, constants=True)


@dataclass(frozen=True)
class BuiltIn:
    """One of ours: its libraries, which take seconds to import, are only loaded when it starts."""

    line: str
    """About it, for lists."""
    engine: str
    """`package.module:name` of the class, or of the function that makes one."""
    twin: str
    """The class that holds a pool of layers."""
    package: str
    config: type[EngineSettings] = EngineConfig
    encoder_decoder: str | None = None
    """The class for models that read one text and write another; None: the engine runs none."""
    other: str | None = None
    """The class for models that answer no text; None: the engine runs none."""

    def __call__(self, config: EngineConfig, folder: Path, /) -> Engine:
        self.check()
        model = _written(folder)
        with about(str(folder)):
            self.check_model(config, model)
        engine: Engine = load(self._target(model) or self.engine)(config, folder)
        return engine

    def check_model(self, config: EngineSettings, model: Mapping[str, Any]) -> None:
        """Whether the engine runs a model whose `config.json` says so.

        Raises:
            ConfigError: it does not, and which one does.
        """
        if self._target(model) is None:
            raise ConfigError(
                f"engine.kind: {self.package} runs language models that continue a text, and"
                f" {architecture_of(model)} does not; take transformers"
            )

    def _target(self, model: Mapping[str, Any]) -> str | None:
        if continues_text(model):
            return self.engine
        return self.encoder_decoder if answers_text(model) else self.other

    def data_flow(self, config: EngineConfig, folder: Path, capacity: Capacity) -> DataFlowEngine:
        """The engine with a pool of layers; `folder` gives configuration and tokenizer.

        Raises:
            SourceError: it is no language model's.
        """
        self.check()
        if not continues_text(_written(folder)):
            raise SourceError(f"{folder}: no language model; paths through layers are for these")
        engine: DataFlowEngine = load(self.twin)(config, folder, capacity)
        return engine

    def check(self, config: EngineSettings | None = None) -> None:
        """Raises: ConfigError: the package is not installed, with the command that does it."""
        if find_spec(self.package) is None:
            kind = self.package
            raise ConfigError(
                f"engine.kind: {kind} is not installed; `pip install 'evomerge[{kind}]'`, or leave"
                " the kind out to take what is there"
            )


@dataclass(frozen=True)
class Auto:
    """The engine that suits the machine."""

    line: str = "vllm where it can be imported and no device is named, else transformers"
    config: type[EngineSettings] = EngineConfig

    def __call__(self, config: EngineConfig, folder: Path, /) -> Engine:
        return self._chosen(config, _written(folder))(config, folder)

    def check_model(self, config: EngineConfig, model: Mapping[str, Any]) -> None:
        """Raises: ConfigError: the engine that is there does not run such a model."""
        self._chosen(config, model).check_model(config, model)

    def data_flow(self, config: EngineConfig, folder: Path, capacity: Capacity) -> DataFlowEngine:
        """As the chosen one's."""
        return self._chosen(config).data_flow(config, folder, capacity)

    def check(self, config: EngineConfig) -> None:
        """Raises: ConfigError: not even transformers is installed."""
        self._chosen(config).check()

    def _chosen(self, config: EngineConfig, model: Mapping[str, Any] | None = None) -> BuiltIn:
        """`model`: what `config.json` says; None: a language model's."""
        wanted = config.device == "auto" and (model is None or continues_text(model))
        return VLLM if wanted and find_spec("vllm") is not None else TRANSFORMERS


TRANSFORMERS = BuiltIn(
    "Hugging Face transformers: runs anywhere, on one CPU or GPU",
    "evomerge.engines.recurrent:language_engine",
    "evomerge.engines.transformers_dataflow:TransformersDataFlow",
    package="transformers",
    encoder_decoder="evomerge.engines.encoder_decoder:EncoderDecoderEngine",
    other="evomerge.engines.module:ModuleEngine",
)
VLLM = BuiltIn(
    "vLLM: for GPUs and clusters; several GPUs can share one model",
    "evomerge.engines.vllm:VllmEngine",
    "evomerge.engines.vllm_dataflow:VllmDataFlow",
    package="vllm",
)
AUTO = Auto()

ENGINES: Registry[EngineFactory] = Registry(
    role="engine",
    group="evomerge.engines",
    built_in={name: f"{__name__}:{name.upper()}" for name in ("auto", "transformers", "vllm")},
    default="auto",
    describe=lambda factory: getattr(factory, "line", first_line(factory)),
)
"""Called with settings and a model's folder, its entries start engines."""


@overload
def start_engine(config: EngineSettings, folder: Path) -> Engine: ...
@overload
def start_engine(config: EngineSettings, folder: Path, capacity: Capacity) -> DataFlowEngine: ...
def start_engine(config: EngineSettings, folder: Path, capacity: Capacity | None = None) -> Engine:
    """A live engine with the model of `folder`: its configuration, tokenizer and weights.

    `capacity`: for data flow. The folder then only gives configuration and tokenizer, and a model
    of `capacity.layers` layers has to be loaded.

    Raises:
        ConfigError: the engine is unknown or not installed, or cannot hold a pool of layers; or its
            settings name code, and nobody has consented to it.
        SourceError: the folder holds no model that the engine can run.
    """
    require_trust(config.code)
    if capacity is None:
        engine: Engine = ENGINES.make(config, folder)
        return engine
    return data_flow_of(ENGINES.get(config.kind), config.kind)(config, folder, capacity)


def check_engine(
    config: EngineSettings,
    capacity: Capacity | None = None,
    model: Mapping[str, Any] | None = None,
) -> None:
    """Whether the engine could start here, as far as can be told without starting it.

    Args:
        capacity: where a pool of layers is wanted.
        model: what `config.json` says of the model that it is to run, where that is known.

    Raises:
        ConfigError: it is unknown or not installed, cannot hold a pool of layers where a
            `capacity` is wanted, or cannot run the model.
    """
    factory = ENGINES.get(config.kind)
    check: Callable[[EngineSettings], None] | None = getattr(factory, "check", None)
    if check is not None:
        check(config)
    if capacity is not None:
        data_flow_of(factory, config.kind)
    check_model: Callable[..., None] | None = getattr(factory, "check_model", None)
    if check_model is not None and model is not None:
        check_model(config, model)


def data_flow_of(factory: EngineFactory, kind: str) -> Callable[..., DataFlowEngine]:
    """What makes the factory's engine with a pool of layers; `kind` is what the user calls it.

    Raises:
        ConfigError: it has none.
    """
    data_flow: Callable[..., DataFlowEngine] | None = getattr(factory, "data_flow", None)
    if data_flow is None:
        raise ConfigError(
            f"engine.kind: {kind} holds no pool of layers, which data flow needs; take"
            " transformers or vllm"
        )
    return data_flow
