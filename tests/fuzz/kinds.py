"""What is read of strangers, and what must become of it: it works, or one sentence says why not."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from evomerge.commands.main import app
from evomerge.errors import RecordError, UserError
from evomerge.models.adapter_headers import read_adapter_inventory
from evomerge.models.fingerprint import fingerprint
from evomerge.models.safetensors_header import read_header
from evomerge.recipe.source import Source
from tests.fuzz.mutate import mutated

__all__ = ["KINDS", "Kind", "fault_of", "refusal", "said_of"]

_ONE = "models/one"
_STATES = ("study.json", "job.json", "journal.log")


@dataclass(frozen=True)
class Kind:
    """Files of which one is mutated, and what is done with the folder then."""

    files: tuple[str, ...]
    """Relative to the good folder; a pattern where a name is not known before."""
    read: Callable[[str], object]
    """Called in the folder, with the name of the file that has changed."""


def _command(*arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def _recipe(file: str) -> None:
    _command("check", file)


def _model(file: str) -> None:
    for recipe in ("mapped.yaml", "recipe.yaml", "stack.yaml"):
        _command("check", recipe)


def _header(file: str) -> None:
    read_header(Path(file))
    fingerprint(Source(model=str(Path("models/one").resolve())))


def _adapter(file: str) -> None:
    _command("check", "adapted.yaml")
    read_adapter_inventory(Path("adapter"))


def _evaluator(file: str) -> None:
    _command("check", "job.yaml")


def _study(file: str) -> None:
    _command("show", "study")
    _command("show", "study", "--json")
    from evomerge.api import job_of, load
    from evomerge.study.record import Study

    with Study.open("study", write=False) as study:
        job_of(study)
    results = load("study")
    _ = results.examples, results.candidates, results.to_text(), results.recipe()


KINDS: Mapping[str, Kind] = {
    "recipe": Kind(
        ("recipe.yaml", "stack.yaml", "mapped.yaml", "adapted.yaml", "segments.yaml"), _recipe
    ),
    "job": Kind(("job.yaml",), _recipe),
    "convert": Kind(
        ("mergekit.yaml", "slices.yaml", "evolve.yaml"), lambda file: _command("convert", file)
    ),
    "model": Kind(
        tuple(
            f"{_ONE}/{name}"
            for name in (
                "config.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "model.safetensors.index.json",
                "model-0.safetensors",
            )
        ),
        _model,
    ),
    "header": Kind((f"{_ONE}/model-0.safetensors",), _header),
    "adapter": Kind(("adapter/adapter_config.json", "adapter/adapter_model.safetensors"), _adapter),
    "evaluator": Kind(("evaluator.yaml", "rows.jsonl"), _evaluator),
    "study": Kind(tuple(f"study/{name}" for name in (*_STATES, "examples/*.gz")), _study),
}


def refusal(good: Path, kind: Kind, draw: random.Random) -> tuple[str, bytes, str | None]:
    """(file, its content, what was said) of one mutated file; None: it was taken.

    The folder is as it was afterwards. Whatever is raised that is no sentence goes through.
    """
    pattern = draw.choice(kind.files)
    path = draw.choice(sorted(good.glob(pattern)))
    name = str(path.relative_to(good))
    before = path.read_bytes()
    content = mutated(name, before, draw)
    return name, content, said_of(good, kind, name, content)


def said_of(good: Path, kind: Kind, name: str, content: bytes) -> str | None:
    """What is said where the file has this content; None where it is taken."""
    path = good / name
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        with chdir(good), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            kind.read(name)
    except (UserError, RecordError) as problem:
        return str(problem)
    finally:
        path.write_bytes(before)
    return None


def fault_of(said: str) -> str | None:
    """What is wrong with a sentence; None: it is one line, not too long, and there is something."""
    if not said.strip() or len(said.splitlines()) > 1:
        return "a sentence is one line"
    return "a sentence is short" if len(said) > 1500 else None
