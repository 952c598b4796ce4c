"""What a model folder says of its tokens: tokenizer.json and tokenizer_config.json, typed.

Read without the tokenizers library: only the table of tokens is wanted, and the chat template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError, about
from evomerge.reading.files import LARGE, is_there, read_bytes, read_text
from evomerge.reading.json_text import parse_json, read_object

__all__ = [
    "TOKENIZER",
    "chat_template",
    "declared_tokens",
    "has_tokenizer",
    "ordinary_tokens",
    "read_tokenizer",
    "vocabulary_digest",
    "vocabulary_of_file",
]

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
_VALUES = 10_000_000
"""Most values of a tokenizer.json: Gemma's has 2.5 million."""


_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
"""A model folder with a tokenizer has one of these."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a model's folder has a tokenizer of any kind."""
    return any((folder / name).exists() for name in _FILES)


def read_tokenizer(path: Path) -> dict[str, Any]:
    """A tokenizer.json; its tokens are texts with ids, as everything here relies on.

    Raises:
        SourceError: it cannot be read, or is no such file.
    """
    with about(str(path)):
        return _parsed(read_bytes(path, most=LARGE))


def vocabulary_of_file(path: Path) -> str:
    """The digest of a tokenizer.json's token -> id table; raises as `read_tokenizer`."""
    with about(str(path)):
        return _digest(read_bytes(path, most=LARGE))


def vocabulary_digest(tokenizer: Mapping[str, Any]) -> str:
    """What names the token -> id table of a tokenizer.json."""
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    items = vocabulary.items() if isinstance(vocabulary, dict) else map(tuple, vocabulary)
    added = [(token["content"], token["id"]) for token in tokenizer.get("added_tokens", ())]
    return hashlib.sha256(repr((sorted(items), sorted(added))).encode()).hexdigest()


def ordinary_tokens(tokenizer: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The (token, id) pairs of the tokenizer's model; a Unigram model's ids are places."""
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, Mapping):
        yield from vocabulary.items()
    else:
        yield from ((entry[0], id) for id, entry in enumerate(vocabulary))


def declared_tokens(folder: Path) -> list[str]:
    """Tokens that tokenizer_config.json adds; raises as `read_tokenizer`."""
    tokens = _settings(folder).get("added_tokens_decoder", {})
    if not isinstance(tokens, dict) or not all(map(_has_content, tokens.values())):
        raise SourceError(
            f"{folder / SETTINGS}: added_tokens_decoder is no mapping from ids to tokens (content)"
        )
    return [token["content"] for token in tokens.values()]


def chat_template(folder: Path) -> str | None:
    """The chat template, from its own file or from tokenizer_config.json."""
    own = folder / "chat_template.jinja"
    if is_there(own):
        return read_text(own)
    template = _settings(folder).get("chat_template")
    return template if isinstance(template, str) else None


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    return read_object(path, constants=True) if is_there(path) else {}


@lru_cache(maxsize=1)
def _digest(content: bytes) -> str:
    """Siblings mostly have the same file, which is read once then."""
    return vocabulary_digest(_parsed(content))


def _parsed(content: bytes) -> dict[str, Any]:
    tokenizer = parse_json(content, origin="", values=_VALUES, constants=True)
    if not isinstance(tokenizer, dict):
        raise SourceError("a mapping of keys is wanted")
    model, added = tokenizer.get("model", {}), tokenizer.get("added_tokens", [])
    if not isinstance(model, dict) or not _is_vocabulary(model.get("vocab", {})):
        raise SourceError("model.vocab has no tokens with whole numbers as ids")
    if not isinstance(added, list) or not all(
        _has_content(token) and _is_id(token.get("id")) for token in added
    ):
        raise SourceError("added_tokens is no list of tokens with content and id")
    return tokenizer


def _is_vocabulary(vocabulary: Any) -> bool:
    if isinstance(vocabulary, dict):
        return all(map(_is_id, vocabulary.values()))
    return isinstance(vocabulary, list) and all(
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], int | float)
        for entry in vocabulary
    )


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**32


def _has_content(token: Any) -> bool:
    return isinstance(token, dict) and isinstance(token.get("content"), str)
