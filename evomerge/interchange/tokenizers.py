"""mergekit's `tokenizer_source` and `tokenizer` as a recipe's tokenizer, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evomerge.errors import did_you_mean
from evomerge.interchange.diagnosis import Diagnosis
from evomerge.recipe.tokenizer import BASE, UNION, ZERO, TokenizerChoice, TokenRow
from evomerge.value import parse

__all__ = ["read_tokenizer", "write_tokenizer"]

Named = Callable[[Any], str]
"""A model reference -> its name among the inputs."""


def read_tokenizer(
    data: Mapping[str, Any], name: Named, diagnosis: Diagnosis
) -> TokenizerChoice | None:
    """The tokenizer that a document asks for, if it does.

    Raises:
        ConfigError: what mergekit refuses itself or what has no equivalent.
    """
    whole, source = data.get("tokenizer"), data.get("tokenizer_source")
    if whole is not None and source is not None:
        raise diagnosis.fault("exactly one of tokenizer and tokenizer_source is wanted")
    if whole is None:
        whole = {} if source is None else {"source": source}
        if not whole:
            return None
    if not isinstance(whole, Mapping):
        raise diagnosis.fault(f"tokenizer: expected a mapping of keys, got {whole!r}")
    diagnosis.check_keys(whole, ("source", "tokens", "pad_to_multiple_of"), "tokenizer.")
    source = whole.get("source") or UNION
    choice = {
        "source": source if source in (BASE, UNION) else name(_reference(source)),
        "tokens": {
            str(token): _read_row(str(token), row, name, diagnosis)
            for token, row in diagnosis.mapping(whole, "tokens").items()
        }
        or None,
        "pad_to_multiple_of": whole.get("pad_to_multiple_of"),
    }
    return parse(TokenizerChoice, choice, origin=f"{diagnosis.origin}: tokenizer")


def write_tokenizer(choice: TokenizerChoice, names: Mapping[str, str]) -> dict[str, Any]:
    """The value of mergekit's key `tokenizer`; `names`: the inputs' references."""
    written: dict[str, Any] = {"source": names.get(choice.source, choice.source)}
    if choice.source in (BASE, UNION):
        written["source"] = choice.source
    if choice.tokens:
        written["tokens"] = {token: _row(row, names) for token, row in choice.tokens.items()}
    if choice.pad_to_multiple_of is not None:
        written["pad_to_multiple_of"] = choice.pad_to_multiple_of
    return written


def _read_row(token: str, data: Any, name: Named, diagnosis: Diagnosis) -> dict[str, Any]:
    where = f"tokenizer.tokens.{token}"
    if not isinstance(data, Mapping) or data.get("source") is None:
        raise diagnosis.fault(f"{where}: the key source is missing")
    diagnosis.check_keys(data, ("source", "force"), f"{where}.")
    source, row = data["source"], {"force": data.get("force", False)}
    if not isinstance(source, Mapping) or "kind" not in source:
        return row | {"source": name(_reference(source))}
    match source["kind"]:
        case "zero":
            return row | {"source": ZERO}
        case "model_token":
            if source.get("token") is None and source.get("token_id") is None:
                raise diagnosis.fault(f"{where}: model_token wants a token or a token_id")
            row |= {"token": source.get("token"), "id": source.get("token_id")}
            return row | {"source": name(_reference(source.get("model")))}
        case kind:
            hint = did_you_mean(str(kind), ("zero", "model_token"))
            raise diagnosis.fault(f"{where}: no kind of source {kind!r}; {hint}")


def _reference(source: Any) -> Any:
    """The model; older files write `model:PATH`."""
    if isinstance(source, str):
        return source.removeprefix("model:")
    return source


def _row(row: TokenRow, names: Mapping[str, str]) -> dict[str, Any]:
    source: Any
    if row.source == ZERO:
        source = {"kind": ZERO}
    elif (row.token, row.id) == (None, None):
        source = names[row.source]
    else:
        source = {"kind": "model_token", "model": names[row.source]}
        source |= {"token": row.token} if row.id is None else {"token_id": row.id}
    return {"source": source, **({"force": True} if row.force else {})}
