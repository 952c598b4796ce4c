"""What listens to a live model: hooks that are there inside `with`, and not after it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from evomerge.measuring.live import Live

__all__ = ["GradientHooks", "Hooks"]


class Hooks(ABC):
    """Hears of nothing before `with` and after it."""

    @abstractmethod
    def _hang(self) -> Iterator[RemovableHandle]:
        """Hang up the hooks, one after another."""

    def __enter__(self) -> Self:
        self._hooks = list(self._hang())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()


class GradientHooks(Hooks):
    """Takes a gradient as soon as the backward pass has it whole, and frees it."""

    def __init__(self, live: Live, names: Iterable[str]) -> None:
        """`names`: of the parameters; the model asks for no other gradient, and later for none."""
        self._live, self._names = live, tuple(names)

    @abstractmethod
    def _use(self, name: str, gradient: Tensor) -> None:
        """Take what is wanted of a parameter's gradient."""

    def _hang(self) -> Iterator[RemovableHandle]:
        for name in self._names:
            parameter = self._live.parameters[name]
            parameter.requires_grad_(True)
            yield parameter.register_post_accumulate_grad_hook(self._take(name))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._live.model.requires_grad_(False)

    def _take(self, name: str) -> Callable[[Tensor], None]:
        def take(parameter: Tensor) -> None:
            assert parameter.grad is not None
            self._use(name, parameter.grad)
            parameter.grad = None

        return take
