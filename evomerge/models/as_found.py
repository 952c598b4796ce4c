"""A checkpoint's tensors as transformers would load them: under the names of today, without what is
no weight.

Checkpoints of one family were saved by years of libraries. What older ones wrote besides, or called
otherwise, makes no other model of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.safetensors_header import header_length, read_header
from evomerge.models.sizes import language_part
from evomerge.models.tensor_types import TensorInfo
from evomerge.models.tied_head import KEY, is_embedding, is_head
from evomerge.models.weight_files import is_of_diffusers
from evomerge.reading.files import open_file

__all__ = ["PREFIXES", "as_found"]

_PIECE = 1 << 20
"""Bytes that are compared at a time."""
_COMPUTED = re.compile(
    r"\.(?:maybe_)?(?:rotary(?:_pos)?(?:_emb)?|rope)\.inv_freq$"
    r"|(?:^|[._])(?:attn|attention)\.masked_bias$"
)
"""Buffers that a model computes itself (Llama 1 and 2, Falcon, Pythia; `masked_bias` of GPT-2 and
Pythia is -1e9, infinite in float16)."""
_POSITIONS = re.compile(r"(?:^|\.)embeddings\.(?:position_ids|token_type_ids)$")
"""0, 1, 2, ... in older BERTs, RoBERTas, CLIPs, or zeros; numbers of another type where the whole
model was cast."""
_MASK = re.compile(r"(?:^|\.)(?:attn|attention|crossattention)\.(?:bias|causal_mask)$")
"""A causal mask (1, 1, n, n) of GPT-2, GPT-Neo, CodeGen and Pythia; of another shape it is a
bias."""
_TENSORFLOW = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
"""What BERTs that were converted from TensorFlow call the norms' weights."""
_OLD_ATTENTION = re.compile(r"(\.attentions\.\d+)\.(query|key|value|proj_attn)\.")
_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What diffusers' attention in VAEs was called before 2023 (Stable Diffusion 1.5 has those)."""
PREFIXES = {
    "bert": "bert",
    "bloom": "transformer",
    "distilbert": "distilbert",
    "electra": "electra",
    "gpt2": "transformer",
    "gpt_neo": "transformer",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
}
"""`model_type` -> what a model with a head writes before the names of its body, for the families
that are also published without it (`base_model_prefix` of transformers' classes)."""
_HEADS = re.compile(
    r"(?:lm_head|cls|classifier|pre_classifier|score|qa_outputs|vocab_\w+|generator\w*"
    r"|discriminator\w*|summary)\."
)
_WITH_HEAD = re.compile(r"For[A-Z]|LMHead|WithLMHead|DoubleHeads")


def as_found(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> dict[str, TensorInfo]:
    """Name of today -> the tensor, which knows under which name its file has it.

    A tied head that is stored, and equal to the embedding, is left out.

    Raises:
        SourceError: two tensors have one name today; or the file cannot be read.
    """
    prefix, diffusers = _missing_prefix(config, tensors), is_of_diffusers(config)
    known: dict[str, TensorInfo] = {}
    for stored, info in tensors.items():
        if _is_buffer(stored, info):
            continue
        name = _renamed(stored, prefix)
        if diffusers:
            name = _OLD_ATTENTION.sub(lambda own: f"{own[1]}.{_ATTENTION[own[2]]}.", name)
        if name in known:
            library = "diffusers" if diffusers else "transformers"
            raise SourceError(
                f"{folder / info.file}: the tensors {known[name].stored or name!r} and {stored!r}"
                f" are both {name!r} to {library}; take one of them out"
            )
        known[name] = info if name == stored else replace(info, stored=stored)
    if config.get(KEY, language_part(config).get(KEY)):
        for head in [name for name in known if is_head(name)]:
            if _is_the_embedding(folder, head, known):
                del known[head]
    return known


def _is_buffer(name: str, info: TensorInfo) -> bool:
    if _COMPUTED.search(name):
        return True
    if _POSITIONS.search(name):
        return len(info.shape) < 2 or info.shape[0] == 1
    return bool(_MASK.search(name)) and len(info.shape) == 4 and info.shape[:2] == (1, 1)


def _renamed(stored: str, prefix: str | None) -> str:
    name = stored
    for old, new in _TENSORFLOW:
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name if prefix is None or _HEADS.match(name) else f"{prefix}.{name}"


def _missing_prefix(config: Mapping[str, Any], names: Mapping[str, object]) -> str | None:
    """What stands before the names of the class that the configuration names, and not here."""
    prefix = PREFIXES.get(str(config.get("model_type")))
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    if prefix is None or not isinstance(first, str) or not _WITH_HEAD.search(first):
        return None
    return None if any(name.startswith(f"{prefix}.") for name in names) else prefix


def _is_the_embedding(folder: Path, head: str, tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether the head is stored with the values of an embedding, byte by byte."""
    own = tensors[head]
    for name, info in tensors.items():
        alike = (info.dtype, info.shape) == (own.dtype, own.shape)
        if alike and is_embedding(name):
            return _same_bytes(folder, (head, own), (name, info))
    return False


def _same_bytes(folder: Path, head: tuple[str, TensorInfo], other: tuple[str, TensorInfo]) -> bool:
    (first, length), (second, _) = (_place(folder, *each) for each in (head, other))
    with open_file(folder / head[1].file) as left, open_file(folder / other[1].file) as right:
        for offset in range(0, length, _PIECE):
            size = min(_PIECE, length - offset)
            left.seek(first + offset)
            right.seek(second + offset)
            if left.read(size) != right.read(size):
                return False
    return True


def _place(folder: Path, name: str, info: TensorInfo) -> tuple[int, int]:
    """(where a tensor's bytes begin in its file, how many they are)."""
    path = folder / info.file
    begin, end = read_header(path)[info.stored or name]["data_offsets"]
    return 8 + header_length(path) + begin, end - begin
