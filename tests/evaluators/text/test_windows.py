from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import ConfigError
from evomerge.evaluators.text.windows import Document, cut, read_documents, sources_of


def parts(text: str, most_bytes: int) -> list[str]:
    return [text[window.start : window.end] for window in cut(text, most_bytes)]


def test_windows_end_before_white_space() -> None:
    assert parts("one two  three", 9) == ["one two", "  three"]
    assert parts("one two", 7) == ["one two"]
    assert parts("abcdefgh", 4) == ["abcd", "efgh"]
    assert parts("aß😀b", 4) == ["aß", "😀", "b"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(4, 20))
def test_windows_cover_the_text_and_are_small_enough(text: str, most_bytes: int) -> None:
    assert "".join(parts(text, most_bytes)) == text
    assert all(0 < len(part.encode()) <= most_bytes for part in parts(text, most_bytes))


def test_documents_of_text_files(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"one\r\ntwo\n \n\nthree\n")

    def texts(unit: str) -> list[tuple[str, str]]:
        documents = read_documents([file], unit=unit, field="text")  # type: ignore[arg-type]
        return [(document.where, document.text) for document in documents]

    assert texts("file") == [("a.txt", "one\r\ntwo\n \n\nthree\n")]
    assert texts("paragraphs") == [("a.txt:1", "one\r\ntwo"), ("a.txt:5", "three\n")]
    assert texts("lines") == [("a.txt:1", "one\r"), ("a.txt:2", "two"), ("a.txt:5", "three")]


def test_a_row_is_a_document(tmp_path: Path) -> None:
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"page": "one"}\n\n{"page": "", "n": 2}\n')
    documents = read_documents([rows, rows], unit="lines", field="page")
    assert [document.text for document in documents] == ["one", "", "one", ""]
    assert documents[1].where == "a.jsonl:3"
    assert documents[1].windows(16) == []


@pytest.mark.parametrize(
    ("content", "law"),
    [
        (b'{"text": 1}', "a.jsonl:1: has no text under 'text'"),
        (b'{"text": "a"}\n{"tex', "a.jsonl:2: not valid JSON"),
        (b"\xff", "cannot be read as UTF-8"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, law: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(ConfigError, match=law):
        read_documents([tmp_path / "a.jsonl"], unit="file", field="text")
    with pytest.raises(ConfigError, match="no such file"):
        read_documents([tmp_path / "b.jsonl"], unit="file", field="text")


def test_windows_of_one_document_share_a_source() -> None:
    a, b, other = Document("a:1", "one"), Document("b:1", "two"), Document("a:1", "another file's")
    assert sources_of([a, a, b, other, other]) == ["a:1", "a:1", "b:1", "a:1 (2)", "a:1 (2)"]
    assert sources_of([a, b, other]) is None, "each has its own"
    assert sources_of([a, a]) is None, "all have one"
    assert sources_of([a]) is None
