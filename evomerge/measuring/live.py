"""A model of transformers that is measured: float32, its parameters by checkpoint name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from evomerge.errors import SourceError, UserError
from evomerge.merging.bank import Bank
from evomerge.merging.device import device_named
from evomerge.models.sources import model_folder
from evomerge.recipe.source import Source

__all__ = ["Live", "open_live"]


@dataclass(frozen=True)
class Live:
    """No parameter asks for its gradient until somebody wants it."""

    model: Any
    tokenizer: Any
    parameters: Mapping[str, Parameter]
    """Checkpoint name -> parameter; names of tied weights share one."""
    device: torch.device

    @property
    def distinct(self) -> dict[str, Parameter]:
        """The same, each parameter once, under the first of its names."""
        first_names: dict[int, str] = {}
        for name, parameter in self.parameters.items():
            first_names.setdefault(id(parameter), name)
        return {name: self.parameters[name] for name in first_names.values()}

    @torch.no_grad()
    def load(self, weights: Callable[[str], Tensor]) -> None:
        """Overwrite the parameters, one at a time, by their names."""
        for name, parameter in self.distinct.items():
            parameter.copy_(weights(name))

    def run(self, tokens: Sequence[int], layers: Sequence[int] = ()) -> tuple[Tensor, list[Tensor]]:
        """Logits (tokens, vocabulary) in float32, and what the given layers put out."""
        output = self.model(
            torch.tensor([tokens], device=self.device),
            use_cache=False,
            output_hidden_states=bool(layers),
        )
        hidden = [output.hidden_states[layer + 1][0].float() for layer in layers]
        return output.logits[0].float(), hidden


def open_live(source: Source, bank: Bank, *, device: str, length: int) -> Live:
    """Load a source, its adapter merged in.

    Raises:
        SourceError: transformers cannot load it, or knows its tensors by other names.
        UserError: windows of `length` tokens are longer than the model takes, or there is no such
            device.
    """
    folder = model_folder(source)
    logging.disable_progress_bar()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as problem:
        raise SourceError(
            f"{folder}: transformers cannot load it ({str(problem).strip().splitlines()[0]})"
        ) from None
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise UserError(f"{folder}: takes at most {longest} tokens, but windows have {length}")
    where = device_named(device)
    model.to(where).eval().requires_grad_(False)
    known = dict(model.named_parameters(remove_duplicate=False))
    names = sorted(bank.inventory(source).tensors)
    for name in names:
        if name not in known:
            raise SourceError(
                f"{folder}: transformers knows no parameter {name!r}, so it cannot be measured"
            )
    live = Live(model, tokenizer, {name: known[name] for name in names}, where)
    live.load(partial(bank.tensor, source))
    return live
