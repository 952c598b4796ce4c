"""Nothing reads a stranger's file but the readers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import evomerge

ROOT = Path(evomerge.__file__).parent

ITS_OWN = {
    "cluster/time_limit.py": "to write to nowhere",
    "streams.py": "to write to nowhere",
    "cluster/ray_sessions.py": "files of the kernel",
    "subprocess_call.py": "what its own process has written",
    "conformance": "models that it has written",
    "models/dequantised.py": "its own lock",
    "evaluators/lm_eval/code.py": "a file of lm-eval itself",
    "evaluators/lm_eval/config.py": "a file of this package",
    "evaluators/lm_eval/task_files.py": "its loader derives from the bounded one",
    "held_folders.py": "a folder, to lock it, and a file of the kernel",
    "merging/memory_limit.py": "files of the kernel",
    "merging/node_members.py": "lists of processes that it has written",
    "merging/tensor_files.py": "the reader of tensors, after their header",
    "models/stack_layout.py": "a file of this package",
    "models/parent_cards.py": "by the bounded loader",
    "models/stack_settings.py": "a file of this package",
    "publish.py": "a folder, to write it through",
    "reading": "the readers",
    "recipe/yaml_reading.py": "by the bounded loader",
    "simulation/disk.py": "files that it has written",
    "results.py": "a picture that it has written",
    "study/comparison.py": "its own text, not a file",
    "study/journal.py": "its own lines, each with its checksum",
    "trust.py": "the user's own file, which nobody else may write",
}
"""Where something is read in another way, and why that is right."""

ATTRIBUTES = {"read_text", "read_bytes", "safe_load", "safe_load_all", "full_load", "unsafe_load"}
FUNCTIONS = {("json", "load"), ("json", "loads"), ("yaml", "load"), ("gzip", "open")}
FUNCTIONS |= {("gzip", "decompress"), ("os", "open"), ("pyyaml", "load"), ("pickle", "load")}
NAMES = {"open", "safe_open", "load_file", "metadata_load"}


def _reads(code: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(code):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(name) if name in NAMES:
                yield node.lineno, name
            case ast.Attribute(ast.Name(owner), name) if (owner, name) in FUNCTIONS:
                yield node.lineno, f"{owner}.{name}"
            case ast.Attribute(_, name) if name in ATTRIBUTES:
                yield node.lineno, f".{name}"


def _excused(place: str) -> bool:
    return any(place == own or place.startswith(f"{own}/") for own in ITS_OWN)


def test_only_the_readers_read() -> None:
    others = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for path in sorted(ROOT.rglob("*.py"))
        if not _excused(str(path.relative_to(ROOT)))
        for line, call in _reads(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not others, "read it through evomerge.reading, models or recipe.yaml_reading"


def test_every_excuse_is_needed() -> None:
    for own in ITS_OWN:
        path = ROOT / own
        files = path.rglob("*.py") if path.is_dir() else [path]
        assert any(True for file in files for _ in _reads(ast.parse(file.read_text()))), own
