"""Tiny models of the table's architectures with weights: what they answer, and their folders."""

from __future__ import annotations

import copy
import inspect
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from tests.architectures import Architecture, config_of

__all__ = ["NAMES", "Siblings", "answers", "layers_by_hand", "main_list", "real", "siblings"]

NAMES = ("base", "one", "two")
"""Of the siblings: the last two are the first, each with a change of its own."""


def real(architecture: Architecture, seed: int = 0) -> Any:
    """The model with weights that make a difference."""
    torch.manual_seed(0)
    model = getattr(transformers, architecture.model)(config_of(architecture)).eval()
    _shake(model, 0.2)
    if seed:
        torch.manual_seed(seed)
        _shake(model, 0.05)
    return model


def _shake(model: nn.Module, by: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn_like(parameter))


def inputs_of(model: Any) -> dict[str, Any]:
    """An input of the model's kind, always the same."""
    draws = torch.Generator().manual_seed(1)
    inputs: dict[str, Any] = {"input_ids": torch.arange(3, 15)[None]}
    config = model.config
    if config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.arange(5, 14)[None]
    pixels = torch.randn(1, 3, 16, 16, generator=draws)
    if model.main_input_name == "pixel_values":
        inputs = {"pixel_values": pixels}
    if config.model_type == "clip":
        inputs["pixel_values"] = pixels
    if model.main_input_name == "input_features":
        inputs["input_features"] = torch.randn(1, 8, 40, generator=draws)
        del inputs["input_ids"]
    return inputs


@torch.no_grad()
def answers(model: Any) -> Tensor:
    """What a model says to an input of its kind; the towers that a text reaches have a part."""
    inputs = inputs_of(model)
    # Layers of two models have their numbers in common, by which a cache is kept.
    if "pixel_values" not in inputs:
        inputs["use_cache"] = False
    made = model(**inputs)
    found: Tensor = made["logits" if "logits" in made else "logits_per_image"]
    return found


def main_list(model: nn.Module, depth: int) -> str:
    """The decoder's layers, or the only ones."""
    lists: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth
    ]
    decoders = [name for name in lists if "encoder" not in name and "vision" not in name]
    return (decoders or lists)[0]


def layers_by_hand(
    parents: Mapping[str, Any], tower: str, path: Sequence[tuple[str, int]]
) -> Tensor:
    """What the first parent says with these layers of the parents run in its tower's place.

    Args:
        parents: name -> model.
        tower: the name of the list of layers.
        path: the parent and the layer of each hop.
    """
    model = copy.deepcopy(next(iter(parents.values())))
    depth = len(model.get_submodule(tower))
    hops = [parents[name].get_submodule(tower)[layer] for name, layer in path]
    above, _, own = tower.rpartition(".")
    setattr(model.get_submodule(above), own, nn.ModuleList(hops))
    # What asks the configuration while it runs finds there what it finds for its own layers.
    for config in {
        id(m.config): m.config for m in model.modules() if hasattr(m, "config")
    }.values():
        for key in ("num_hidden_layers", "decoder_layers", "num_decoder_layers"):
            if getattr(config, key, None) == depth:
                setattr(config, key, len(hops))
        kinds = getattr(config, "layer_types", None)
        if kinds and len(kinds) == depth:
            config.layer_types = [kinds[layer] for _, layer in path]
    return answers(model)


@dataclass(frozen=True)
class Siblings:
    """Three models in folders, with what belongs to them beside weights."""

    architecture: Architecture
    folder: Path

    def weights(self, name: str) -> Mapping[str, Tensor]:
        """As the file has them."""
        return load_file(self.folder / name / "model.safetensors")

    def model(self, name: str | Path) -> Any:
        """As transformers loads it; fails where a tensor is missing or of no use."""
        return load_whole(self.architecture, self.folder / name)

    @property
    def companions(self) -> list[str]:
        """Of the files beside the weights, what is not the configuration."""
        known = {"config.json", "model.safetensors"}
        return sorted(
            path.name for path in (self.folder / "base").iterdir() if path.name not in known
        )


def load_whole(architecture: Architecture, folder: Path) -> Any:
    """The model of a folder, once transformers has found each of its tensors there, and no other.

    Raises:
        AssertionError: it has not.
    """
    kind = getattr(transformers, architecture.model)
    model, told = kind.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    faults = {key: found for key, found in told.items() if found}
    assert not faults, faults
    return model.eval()


def siblings(architecture: Architecture, folder: Path) -> Siblings:
    """The models written to a folder."""
    for seed, name in enumerate(NAMES):
        model = real(architecture, seed)
        model.save_pretrained(folder / name)
        takes = inspect.signature(model.forward).parameters
        if "input_ids" in takes:
            _tokenizer().save_pretrained(folder / name)
        if "pixel_values" in takes:
            transformers.ViTImageProcessorPil().save_pretrained(folder / name)
        if "input_features" in takes:
            transformers.WhisperFeatureExtractor(feature_size=8).save_pretrained(folder / name)
    return Siblings(architecture, folder)


def _tokenizer() -> Any:
    letters = [*string.ascii_letters, *"01234"]
    words = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>", *letters])}
    own = Tokenizer(models.BPE(vocab=words, merges=[]))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
