"""The files that belong to a model beside its weights and its configuration: what makes texts,
pictures and sound into its inputs, and what a library needs to load it.

Known names only: what a folder holds besides (optimizer states, logs, code, other weights) says
nothing of a merged model.
"""

from __future__ import annotations

import re
from pathlib import Path

from evomerge.reading.files import LARGE, is_file, is_folder

__all__ = ["companions", "holds_old_tokens", "is_of_tokens", "modules_left_out"]

_OF_TOKENS = re.compile(
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|vocab(?:-\w+)?\.(?:json|txt)|merges\.txt|bpe\.codes|normalizer\.json|tekken\.json"
    r"|[\w.-]{1,60}\.(?:model|spm|tiktoken)"
    r"|chat_template\.(?:jinja|json)|additional_chat_templates/[\w.-]{1,60}\.jinja"
    r"|generation_config\.json"
)
"""Tokenizers in all their forms, chat templates, and how texts are generated, which names tokens.
Sentencepiece's files are `*.model` (`tokenizer.model`, `spiece.model`) and `source.spm`."""
_OF_INPUTS = re.compile(
    r"(?:processor|preprocessor|image_processor|video_preprocessor|video_processor"
    r"|feature_extractor|audio_processor)(?:_config)?\.json"
)
"""Processors of pictures, video and sound."""
_OF_SENTENCES = re.compile(
    r"modules\.json|sentence_\w{1,40}_config\.json|config_sentence_transformers\.json"
    r"|\d{1,2}_[A-Za-z]{1,40}/config\.json"
)
"""What sentence-transformers loads a model by: its modules, pooling among them."""
_OLD_TOKENS = re.compile(
    r"added_tokens\.json|vocab(?:-\w+)?\.(?:json|txt)|merges\.txt|bpe\.codes|tekken\.json"
    r"|[\w.-]+\.(?:model|spm|tiktoken)"
)
_MODULE = re.compile(r"\d{1,2}_[A-Za-z]{1,40}")
_FOLDERS = ("additional_chat_templates",)


def companions(folder: Path) -> list[str]:
    """The companions in a model's folder by their paths in it, sorted.

    Files of known names only, none larger than 256 MiB; in folders of known names, which are no
    links.
    """
    names = [entry.name for entry in folder.iterdir() if is_file(entry)]
    for inner in folder.iterdir():
        known = inner.name in _FOLDERS or _MODULE.fullmatch(inner.name)
        if known and is_folder(inner) and not inner.is_symlink():
            names += [f"{inner.name}/{entry.name}" for entry in inner.iterdir() if is_file(entry)]
    return sorted(
        name
        for name in names
        if any(kind.fullmatch(name) for kind in (_OF_TOKENS, _OF_INPUTS, _OF_SENTENCES))
        and (folder / name).stat().st_size <= LARGE
    )


def is_of_tokens(name: str) -> bool:
    """Whether a companion goes with the tokenizer, and not with the rest of the model."""
    return _OF_TOKENS.fullmatch(name) is not None


def holds_old_tokens(name: str) -> bool:
    """Whether a companion is an older form of a tokenizer, which lists its tokens once more."""
    return _OLD_TOKENS.fullmatch(name) is not None


def modules_left_out(folder: Path) -> list[str]:
    """What is worth saying of a donor's modules that have weights of their own, as `2_Dense` of
    sentence-transformers: those weights are in no merge, and are left out."""
    return [
        f"{inner} holds weights of its own, which are not merged and left out of the result; copy"
        " them from a parent, or train them again"
        for inner in sorted(folder.iterdir())
        if _MODULE.fullmatch(inner.name) and is_folder(inner) and any(inner.glob("*.safetensors"))
    ]
