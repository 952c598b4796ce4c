"""Files that are nearly right: values of the wrong kind where data stands, and bytes changed."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

import yaml

__all__ = ["HOSTILE", "mutated"]

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    -0.0,
    0.5,
    1e308,
    10**9,
    2**63,
    10**30,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "nan",
    "1e999",
    "\0",
    "\ud800",
    "\x1b[31m",
    "../..",
    "~nobody-here/model",
    "a\nb",
    "/dev/zero",
    "/dev/stdin",
    "x" * 5000,
    "[bold]",
    "(a+)+$",
    [],
    {},
    [[]],
    [None],
    [0, 0],
    {"kind": "merge"},
    {"": 0},
)
"""What is put where something else is wanted."""
_BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[" * 3000,
    b'"',
    b"9" * 5000,
    b"&a *a",
)
_TEXTS = (b"NaN", b"Infinity", b"1e999", b"\\ud800", b"null", b"true", b"- ", b"? ", b"!!python ")


def mutated(name: str, content: bytes, draw: random.Random) -> bytes:
    """The file's content with one to three faults."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        change = draw.choice((_values, _values, _values, _bytes))
        content = change(name, content, draw)
    return content


def _bytes(name: str, content: bytes, draw: random.Random) -> bytes:
    first = draw.randrange(len(content) + 1)
    end = min(len(content), first + draw.choice((0, 1, 2, 8, 64)))
    match draw.randrange(5):
        case 0:
            return content[:first]
        case 1:
            return content[:first] + content[end:]
        case 2:
            return content[:end] + content[first:]
        case 3 if content:
            place = draw.randrange(len(content))
            return content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
        case _:
            return content[:first] + draw.choice(_BYTES + _TEXTS) + content[end:]


def _values(name: str, content: bytes, draw: random.Random) -> bytes:
    """Another value, key or entry somewhere in the data; bytes where there is no data."""
    suffix = name.rpartition(".")[2]
    if suffix not in _FORMATS:
        return _bytes(name, content, draw)
    read, write = _FORMATS[suffix]
    try:
        data, rest = read(content)
        return write(_changed(data, draw), rest)
    except (ValueError, OverflowError, RecursionError, yaml.YAMLError, struct.error):
        return _bytes(name, content, draw)


def _changed(data: Any, draw: random.Random) -> Any:
    """The same data with a fault at one place; each level down is as likely as the next."""
    inside = isinstance(data, dict | list) and len(data) > 0
    if not inside or draw.random() < 0.15:
        return draw.choice(HOSTILE)
    if isinstance(data, list):
        place = draw.randrange(len(data))
        match draw.randrange(8):
            case 0:
                return data[:place] + data[place + 1 :]
            case 1:
                return data + data
            case _:
                return [*data[:place], _changed(data[place], draw), *data[place + 1 :]]
    key = draw.choice(list(data))
    match draw.randrange(12):
        case 0:
            return {name: value for name, value in data.items() if name != key}
        case 1:
            other = draw.choice([*data, "", "kind", "where", "\0", "__class__", "x" * 300])
            return {other if name == key else name: value for name, value in data.items()}
        case 2:
            return data | {key: data[draw.choice(list(data))]}
        case _:
            return data | {key: _changed(data[key], draw)}


def _read_json(content: bytes) -> tuple[Any, bytes]:
    return json.loads(content), b""


def _write_json(data: Any, rest: bytes) -> bytes:
    return json.dumps(data).encode()


def _read_rows(content: bytes) -> tuple[Any, bytes]:
    return [json.loads(line) for line in content.splitlines()], b""


def _write_rows(data: Any, rest: bytes) -> bytes:
    rows = data if isinstance(data, list) else [data]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _read_yaml(content: bytes) -> tuple[Any, bytes]:
    return yaml.safe_load(content), b""


def _write_yaml(data: Any, rest: bytes) -> bytes:
    return yaml.safe_dump(data, sort_keys=False).encode(errors="surrogatepass")


def _read_header(content: bytes) -> tuple[Any, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _write_header(data: Any, rest: bytes) -> bytes:
    text = json.dumps(data).encode()
    return struct.pack("<Q", len(text)) + text + rest


_FORMATS: dict[str, tuple[Callable[[bytes], tuple[Any, bytes]], Callable[[Any, bytes], bytes]]] = {
    "json": (_read_json, _write_json),
    "jsonl": (_read_rows, _write_rows),
    "log": (_read_rows, _write_rows),
    "safetensors": (_read_header, _write_header),
    "yaml": (_read_yaml, _write_yaml),
}
