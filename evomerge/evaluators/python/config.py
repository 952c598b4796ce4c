"""The python evaluator's configuration: which function scores, and how its scores count.

Reading it does not run the function's module; `require_trust` has to be asked before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from evomerge.errors import ConfigError
from evomerge.evaluators.base import EvaluatorConfig, Split, digest_of
from evomerge.reading.files import is_file, read_text, resolved

__all__ = ["PythonConfig"]


class PythonConfig(EvaluatorConfig):
    """A function of yours: it asks the model what it likes and returns a score for each example."""

    kind: Literal["python"] = "python"
    """A function that scores examples; runs only with --trust-job."""
    callable: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
            examples=["my_scores:score"],
        ),
    ]
    """`module:function`; a file `module.py` beside the file that names it, or an installed
    module."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Passed on to the function as keyword arguments."""
    examples: Mapping[Split, Annotated[int, Field(ge=1)]]
    """Split -> how many examples it has; `search` and `holdout` at least."""
    clusters: str | None = Field(
        default=None, pattern=r"^[A-Za-z_]\w*$", exclude_if=lambda name: name is None
    )
    """Another function of the module, `(split, places, **options)`, that says for each place which
    source its example comes from; null: each has its own. Intervals and tests count by source."""
    task: str | None = None
    """What tables call the scores; null: the function's name."""
    metric: str = "score"
    """What a score is: `accuracy`, say."""
    higher_is_better: bool = True
    """Whether a higher score is a better one."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How much the scores count, beside those of a mixture's other evaluators."""
    path: str | None = None
    """The module's file; null: found by the module's name when the job is read."""

    @model_validator(mode="after")
    def _laws(self) -> PythonConfig:
        for split in ("search", "holdout"):
            if split not in self.examples:
                raise ValueError(f"examples: say how many the {split} has")
        if {"model", "split", "places"} & self.options.keys():
            raise ValueError("options: model, split and places are evomerge's own arguments")
        return self

    @property
    def name(self) -> str:
        """Of the one task."""
        return self.task or self.callable.partition(":")[2]

    @property
    def module(self) -> str:
        """The module's full name."""
        return self.callable.partition(":")[0]

    @property
    def metrics(self) -> dict[str, str]:
        """Task -> its metric."""
        return {self.name: self.metric}

    @property
    def weights(self) -> dict[str, float]:
        """The one task and its weight."""
        return {self.name: self.weight}

    @property
    def code(self) -> tuple[str, ...]:
        """The callable that is run."""
        return (self.callable,)

    @property
    def read_files(self) -> tuple[str, ...]:
        """The module's file; the whole folder where that is an evaluator's own, as a catalog has
        it: what the module imports or reads may stand beside it."""
        if self.path is None:
            return ()
        folder = Path(self.path).parent
        return (str(folder) if is_file(folder / "evaluator.yaml") else self.path,)

    def lacking(self, split: Split) -> list[str]:
        """The task, unless `examples` says how many the split has."""
        return [] if split in self.examples else [self.name]

    def sizes(self, split: Split) -> dict[str, int]:
        """The task and its number of examples of the split."""
        return {self.name: self.examples[split]} if split in self.examples else {}

    def located(self, folder: Path) -> PythonConfig:
        """With the absolute path of the module's file, if it stands beside the configuration.

        Raises:
            ConfigError: there is no such module.
        """
        relative = Path(*self.module.split(".")).with_suffix(".py")
        path = folder / (self.path or relative)
        if is_file(path):
            return self.model_copy(update={"path": str(resolved(path))})
        if self.path is not None:
            raise ConfigError(f"path: {path} does not exist")
        self.source()
        return self

    def source(self) -> Path:
        """The module's file. The module is looked for, and does not run.

        Raises:
            ConfigError: there is no such module.
        """
        if self.path is not None:
            return Path(self.path)
        top, *rest = self.module.split(".")
        spec = find_spec(top)  # of a name without dots, which imports nothing
        if spec is not None and spec.origin is not None:
            base = Path(spec.origin).parent.joinpath(*rest) if rest else Path(spec.origin)
            for path in (base, base.with_suffix(".py"), base / "__init__.py"):
                if is_file(path):
                    return path
        raise ConfigError(
            f"callable: no module {self.module!r}, neither a file beside the job nor installed"
        )

    def digest(self) -> str:
        """64 hexadecimal digits of the settings and of the module's text; what the module imports
        or reads is not in it."""
        return digest_of(
            {
                "settings": self.model_dump(
                    mode="json", exclude={"path", "description", "keep_answers"}
                ),
                "source": read_text(self.source(), error=ConfigError),
            }
        )
