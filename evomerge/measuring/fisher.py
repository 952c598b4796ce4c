"""The diagonal of the Fisher information matrix, from gradients of one example at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from evomerge.measuring.hooks import GradientHooks
from evomerge.measuring.live import Live
from evomerge.merging.draws import keys

__all__ = ["Fisher"]


class Fisher(GradientHooks):
    """F = sum over examples of (d log p(y | x) / d th)^2, over the number of tokens predicted.

    An example is a window of text, and log p the sum over its tokens. `sampled`: the labels y are
    drawn from the model at each position of the text, so that the products of two positions'
    gradients vanish in expectation, and F estimates the mean Fisher information of a token.
    `observed`: the text's own tokens, the empirical Fisher; the products stay.
    Squaring the gradient of a batch would add the products of examples to either.
    """

    def __init__(self, live: Live, labels: Literal["sampled", "observed"], seed: int) -> None:
        super().__init__(live, live.distinct)
        self._labels, self._seed = labels, seed
        self._sums = {n: torch.zeros_like(p) for n, p in live.distinct.items()}
        self._examples = self._tokens = 0

    def add(self, tokens: Sequence[int], logits: Tensor) -> None:
        """An example, and what the model said of it: (tokens, vocabulary), with its graph."""
        likely = logits[:-1].log_softmax(-1)
        if self._labels == "sampled":
            labels = self._drawn(likely.detach())
        else:
            labels = torch.tensor(tokens[1:], device=likely.device)
        likely.gather(1, labels[:, None]).sum().backward()
        self._examples += 1
        self._tokens += len(tokens) - 1

    def tensors(self) -> dict[str, Tensor]:
        """Checkpoint name -> Fisher information, in the weight's shape; for every tied name."""
        names = {id(parameter): name for name, parameter in self._live.distinct.items()}
        return {
            name: (self._sums[names[id(parameter)]] / max(self._tokens, 1)).cpu()
            for name, parameter in self._live.parameters.items()
        }

    def _use(self, name: str, gradient: Tensor) -> None:
        self._sums[name].addcmul_(gradient, gradient)

    def _drawn(self, likely: Tensor) -> Tensor:
        """One label for each position, drawn on the CPU: the same on every device."""
        # A generator of its own for each example, on the CPU whatever the device.
        seed, _ = keys(self._seed, "fisher", str(self._examples))
        draws = torch.Generator("cpu").manual_seed(seed % (1 << 32))
        uniform = torch.rand(len(likely), 1, generator=draws).to(likely.device)
        shares = likely.exp().cumsum(-1)
        labels = torch.searchsorted(shares, uniform * shares[:, -1:])
        return labels.squeeze(1).clamp_(max=likely.shape[1] - 1)
