"""The copy of a model that a source asks for with `tie: keep` or `tie: untie`: its head is the
embedding, or has weights of its own.

Its shards are links to the model's; one is written anew, without the head or with the head alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from evomerge.errors import SourceError
from evomerge.models.architecture_facts import ArchitectureFacts, architecture_facts
from evomerge.models.companions import companions
from evomerge.models.dequantised import kept_copy
from evomerge.models.inventory import CONFIG, INDEX, Inventory, read_inventory
from evomerge.models.samples import sampled
from evomerge.models.shard_files import Piece, write_pieces
from evomerge.models.sizes import language_part
from evomerge.models.tied_head import KEY, follows_embedding, is_head, stored_heads

__all__ = ["left_out", "tied_as_asked"]

Tie = Literal["keep", "untie"]
_README = "README.md"


def tied_as_asked(folder: Path, tie: Tie) -> Path:
    """The folder of the copy whose head is the embedding (`keep`), or is not (`untie`); the folder
    itself where its head is as asked.

    Raises:
        SourceError: the model has no such head, or transformers cannot load it so.
        UserError: the copy cannot be written.
    """
    model = read_inventory(folder)
    heads = stored_heads(model.tensors)
    follows = follows_embedding(model.config, model.tensors)
    if (follows and not heads) if tie == "keep" else (not follows and heads):
        return folder
    if not follows and not heads:
        raise SourceError(f"{folder}: tie: {tie}: the model has no head that is its embedding")
    facts, config = _facts(model, tie)
    if tie == "untie" and not heads:
        heads = _heads_of(facts, model)
    name = hashlib.sha256(f"{folder} {tie} {json.dumps(config, sort_keys=True)}".encode())
    for file in sorted({info.file for info in model.tensors.values()}):
        for piece in sampled(folder / file):
            name.update(piece)
    return kept_copy(
        f"{folder.name}-{tie}-{name.hexdigest()[:16]}",
        lambda out: _write(model, tie, heads, config, out),
    )


def left_out(folder: Path) -> str | None:
    """What a model loses where its head becomes its embedding; None: it has no other one."""
    heads = sorted(stored_heads(read_inventory(folder).tensors))
    if not heads:
        return None
    return (
        f"{folder}: tie: keep leaves out {', '.join(heads)}, which differs from its embedding: what"
        " was trained in the head is lost, and the output follows the embedding"
    )


def _facts(model: Inventory, tie: Tie) -> tuple[ArchitectureFacts, dict[str, Any]]:
    """(what transformers knows of the tied one, the configuration as asked)."""
    lead = f"{model.folder}: tie: {tie}"
    tied, untied = (_configured(model.config, value) for value in (True, False))
    known = [architecture_facts(config) for config in (tied, untied)]
    if known[0] is None or known[1] is None:
        raise SourceError(f"{lead}: transformers does not know the architecture")
    other = sorted(
        key
        for key in known[0].settings.keys() | known[1].settings.keys()
        if known[0].settings.get(key) != known[1].settings.get(key)
        and key not in (KEY, "text_config")
    )
    heads = [name for name in known[0].tied if is_head(name)]
    if other:
        raise SourceError(f"{lead}: in this architecture {KEY} changes {', '.join(other)} too")
    if not heads or any(name in known[1].tied for name in heads):
        always = "has no head that is its embedding" if not heads else "ties its head always"
        raise SourceError(f"{lead}: {(model.config.get('architectures') or ['it'])[0]} {always}")
    return known[0], tied if tie == "keep" else untied


def _heads_of(facts: ArchitectureFacts, model: Inventory) -> dict[str, str]:
    """Head that is to be stored -> the embedding which it has been, both by checkpoint names."""
    written = {head: facts.saved[embedding][0] for head, embedding in facts.tied.items()}
    heads = {
        facts.saved[head][0]: embedding
        for head, embedding in written.items()
        if is_head(head) and embedding in model.tensors
    }
    if not heads:
        raise SourceError(f"{model.folder}: tie: untie: the embedding is not among its tensors")
    return heads


def _configured(config: Mapping[str, Any], tied: bool) -> dict[str, Any]:
    part = language_part(config)
    made = {**config, KEY: tied}
    if part is not config and KEY in part:
        made |= {
            key: {**value, KEY: tied} if value is part else value for key, value in made.items()
        }
    return made


def _write(
    model: Inventory, tie: Tie, heads: Mapping[str, str], config: Mapping[str, Any], out: Path
) -> None:
    files = sorted({info.file for info in model.tensors.values()})
    stored = {name: info.stored or name for name, info in model.tensors.items()}
    dropped = {stored[name] for name in heads if name in stored} if tie == "keep" else set()
    extra = tie == "untie" and not heads.keys() <= stored.keys()
    count = len(files) + extra
    weight_map: dict[str, str] = {}
    for number, file in enumerate(files, start=1):
        shard = f"model-{number:05}-of-{count:05}.safetensors"
        names = [stored[name] for name, info in model.tensors.items() if info.file == file]
        kept = sorted(set(names) - dropped)
        weight_map |= dict.fromkeys(kept, shard)
        if len(kept) == len(names):
            (out / shard).symlink_to(model.folder.absolute() / file)
        elif kept:
            write_pieces(out / shard, {name: Piece(model.folder / file, name) for name in kept})
    if extra:
        shard = f"model-{count:05}-of-{count:05}.safetensors"
        pieces = {
            head: Piece(model.folder / model.tensors[embedding].file, stored[embedding])
            for head, embedding in heads.items()
        }
        write_pieces(out / shard, pieces)
        weight_map |= dict.fromkeys(pieces, shard)
    index = {"metadata": {}, "weight_map": dict(sorted(weight_map.items()))}
    _write_json(out / INDEX, index)
    _write_json(out / CONFIG, config)
    _copy(model.folder, out, [*companions(model.folder), _README])


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _copy(folder: Path, out: Path, names: Iterable[str]) -> None:
    for name in names:
        if (folder / name).is_file() and not (out / name).exists():
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, out / name)
