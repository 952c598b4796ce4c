"""What learned coefficients minimise, for one window of text."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

__all__ = ["deviation", "entropy", "imitation"]


def entropy(logits: Tensor) -> Tensor:
    """Mean Shannon entropy of the predictions, in nats (AdaMerging, equation 6)."""
    likely = logits.log_softmax(-1)
    return -(likely.exp() * likely).sum(-1).mean()


def imitation(
    logits: Tensor,
    hidden: Sequence[Tensor],
    teacher: tuple[Tensor, Sequence[Tensor]],
    *,
    temperature: float,
) -> Tensor:
    """T^2 times the cross-entropy with the expert's predictions, plus the mean squared differences
    of hidden states, averaged over layers (Expert Merging, as released).

    The paper has the KL divergence, which is less by the expert's own entropy and has the same
    gradient.
    """
    theirs, states = teacher
    shares = (theirs / temperature).softmax(-1)
    loss = -(shares * (logits / temperature).log_softmax(-1)).sum(-1).mean() * temperature**2
    if hidden:
        pairs = zip(hidden, states, strict=True)
        loss = loss + sum(functional.mse_loss(own, other) for own, other in pairs) / len(hidden)
    return loss


def deviation(coefficients: Sequence[Tensor], start: float, experts: int) -> Tensor:
    """The number of experts times the mean distance of the coefficients from their start.

    As released: the paper is said to take the mean alone, and its gamma is to be read so.
    """
    distance = sum((values - start).abs().sum() for values in coefficients)
    count = sum(values.numel() for values in coefficients)
    assert isinstance(distance, Tensor), "there are coefficients"
    return distance * (experts / count)
