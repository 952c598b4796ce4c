"""Windows of tokens, by a tokenizer of single bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from evomerge.errors import UserError
from evomerge.measuring.text import windows


@dataclass(frozen=True)
class Encoded:
    input_ids: list[int]


@dataclass(frozen=True)
class Bytes:
    """A token a byte, and a first token where there is one."""

    bos_token_id: int | None = None

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Encoded:
        start = [self.bos_token_id] if self.bos_token_id is not None and add_special_tokens else []
        return Encoded([*start, *text.encode()])


def read(path: Path, text: str, tokenizer: Bytes = Bytes(), length: int = 4) -> list[str]:
    path.write_text(text)
    found = windows(path, tokenizer, length=length, limit=3)
    return ["".join(map(chr, window)) for window in found]


def test_plain_text_is_one_document(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", "abc\ndefgh") == ["abc\n", "defg"]
    assert read(tmp_path / "a.txt", "abc\ndefghi") == ["abc\n", "defg", "hi"]


def test_no_more_windows_than_asked_for(tmp_path: Path) -> None:
    assert len(read(tmp_path / "a.txt", "abcd" * 10)) == 3


def test_a_line_of_json_is_a_document(tmp_path: Path) -> None:
    rows = '{"text": "abcde!"}\n\n{"text": "f"}\n{"text": "ghi", "more": 1}\n'
    assert read(tmp_path / "a.jsonl", rows) == ["abcd", "e!", "ghi"]


def test_every_window_starts_as_the_tokenizer_starts(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", "abcdef", Bytes(ord("^"))) == ["^abc", "^def"]


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt: no such file"):
        list(windows(tmp_path / "none.txt", Bytes(), length=4, limit=1))
    for text, words in (
        ('{"text": "ab"}\nx', "line 2: not valid JSON"),
        ('{"txt": "ab"}', "line 1: needs a mapping with a string under 'text'"),
        ('{"text": "a"}', "no text of at least two tokens"),
    ):
        with pytest.raises(UserError, match=words):
            read(tmp_path / "a.jsonl", text)
