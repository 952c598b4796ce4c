from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
import yaml

from evomerge.errors import ConfigError, RecordError, SourceError
from evomerge.reading.bounded_yaml import BoundedLoader
from evomerge.reading.files import (
    expanded,
    is_file,
    is_folder,
    is_there,
    open_file,
    read_bytes,
    read_text,
)
from evomerge.reading.gzip_files import read_gzip
from evomerge.reading.json_text import parse_json, read_json, read_object


def test_what_is_no_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, said in {
        "pipe": "a file is wanted, and this is a pipe",
        "folder": "a file is wanted, and this is a folder",
        "absent": "no such file",
        "x" * 5000: "cannot be read (File name too long)",
        "\0": "cannot be read (embedded null byte)",
    }.items():
        with pytest.raises(SourceError) as refused:
            read_bytes(tmp_path / name)
        assert said in str(refused.value)
    with pytest.raises(SourceError, match="/dev/zero: a file is wanted, and this is a device"):
        read_bytes(Path("/dev/zero"))


def test_no_name_raises_where_only_a_question_is_asked() -> None:
    for name in ("x" * 5000, "\0", "~nobody-of-this-name/x"):
        assert not is_there(Path(name))
        assert not is_file(Path(name))
        assert not is_folder(Path(name))
        assert expanded(name) == Path(name)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    assert read_text(path) == "one\ntwo"
    assert read_bytes(path, most=11) == path.read_bytes()
    with pytest.raises(ConfigError, match="more than 0 MiB"):
        read_bytes(path, most=10, error=ConfigError)
    path.write_bytes(b"ok\xff")
    with pytest.raises(SourceError, match=r"no text in UTF-8 \(at byte 2\)"):
        read_text(path)
    with open_file(path) as file:
        assert file.read() == b"ok\xff"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "'1e999' is beyond all numbers"),
        (f'{{"a": {"9" * 5000}}}', "a number of 5,000 digits"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep"),
        ("[" * 100_000, "nested too deeply"),
        (r'{"a": "\ud800"}', "half of a character"),
        ('{"a": 1} x', "not valid JSON (Extra data, line 1, column 10)"),
        ("", "not valid JSON"),
        ("[" + "0," * 1_000_001 + "0]", "more than 1,000,000 values"),
    ],
)
def test_json_is_read_strictly(text: str, said: str) -> None:
    with pytest.raises(SourceError) as refused:
        parse_json(text.encode(), origin="file.json")
    assert str(refused.value).startswith("file.json: ")
    assert said in str(refused.value)


def test_json_that_is_right_is_read(tmp_path: Path) -> None:
    data = {"a": [1, -0.5, 10**30, None, True, "\x00é\U0001f600"], "b": {}}
    path = tmp_path / "file.json"
    path.write_text("\ufeff" + json.dumps(data))
    assert read_object(path) == read_json(path) == data
    assert parse_json(b"[Infinity]", origin="", constants=True) == [float("inf")]
    path.write_text("[]")
    with pytest.raises(RecordError, match="expected a mapping of keys, got a list"):
        read_object(path, error=RecordError)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "examples.gz"
    path.write_bytes(gzip.compress(bytes(3 << 20)))
    assert len(read_gzip(path)) == 3 << 20
    with pytest.raises(RecordError, match="holds more than 1 MiB"):
        read_gzip(path, most=1 << 20)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordError, match="is damaged"):
        read_gzip(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 120 + "]" * 120, "a hundred levels"),
        ("- " * 2000, "a hundred levels"),
        ("a: " + "9" * 500, "a number without end"),
        ("a: 1" + ":1" * 300, "a number without end"),
        ("a: !!bool maybe", "a value that cannot be read"),
        ("a: !!int x", "a value that cannot be read"),
        ("a: !!timestamp x", "a value that cannot be read"),
        ("a: 2026-99-99", "a value that cannot be read"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
            "more values than a file may have",
        ),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 130)),
            "a hundred levels",
        ),
    ],
)
def test_yaml_has_bounds(text: str, said: str) -> None:
    with pytest.raises(yaml.YAMLError, match=said):
        yaml.load(text, BoundedLoader)


def test_yaml_within_them_is_what_the_safe_loader_reads() -> None:
    text = "a: &one {x: 1, y: [1.5, true, null, 2026-01-01]}\nb: *one\nc: {<<: *one, x: 2}\n"
    assert yaml.load(text, BoundedLoader) == yaml.safe_load(text)
