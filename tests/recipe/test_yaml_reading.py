"""What cannot be read, told with file, line and column, and never in the library's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import ConfigError, RecipeError
from evomerge.recipe.yaml_reading import read_documents, read_mapping

LIBRARYS = ("while", "token", "stream", "mapping values", "block end", "scalar", "flow", "node")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "job.yaml"


def refused(file: Path, text: str | bytes) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read_mapping(file)
    said = str(caught.value)
    assert said.startswith(str(file))
    assert "\n" not in said
    assert not [word for word in LIBRARYS if word in said.replace(str(file), "")], said
    return said.removeprefix(str(file))


def test_a_mapping_and_what_yaml_allows(file: Path) -> None:
    file.write_text(
        "\ufeff# a comment\nshared: &shared {a: 1, b: 2}\nown:\n  <<: *shared\n  b: 3\n"
        "again: *shared\nlist: [x, *shared]\ndate: 2024-01-02\n"
    )
    data = read_mapping(file)
    assert data["own"] == {"a": 1, "b": 3}
    assert data["again"] == data["list"][1] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\nname: a\nseed: 2\n", "the key 'seed' stands in line 1 and again in line 3"),
        (
            "sources:\n  math: {model: a}\n  math: {model: b}\n",
            "the key 'sources.math' stands in line 2 and again in line 3; keep one",
        ),
        ("a: {b: 1, b: 2}", "the key 'a.b' stands twice in line 1; keep one"),
        ("a:\n- b: 1\n  b: 2\n", "the key 'a.0.b' stands in line 2 and again in line 3"),
        ('a: 1\n"a": 2\n', "the key 'a' stands in line 1 and again in line 2"),
        ("a: 1\nb:\n<<: {c: 1}\n<<: {d: 1}", "the key '<<' stands in line 3 and again in line 4"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(
    file: Path, text: str, said: str
) -> None:
    assert refused(file, text).startswith(f": {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sources:\n  no: x\n",
            ":2:3: the key no is read as false and not as text; put it in quot",
        ),
        ("1: x\n", ":1:1: the key 1 is read as the number 1 and not as text; put it in quotes"),
        ("a: {2024-01-02: x}", ":1:5: the key 2024-01-02 is read as a date and not as text"),
        ("null: x\n", ":1:1: the key null is read as nothing and not as text"),
        (": x\n", ":1:1: a key is missing before the ':'"),
        ("{a: 1}: x\n", ":1:1: a key is text, and this is a list or a mapping"),
        ("name: {{ x }}\n", ":1:8: a key is text, and this is a list or a mapping"),
    ],
)
def test_a_key_is_text(file: Path, text: str, said: str) -> None:
    assert refused(file, text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: .nan", ":1:7: seed: .nan is no number to reckon with"),
        ("a:\n  - {b: -.inf}", ":2:9: a.0.b: -.inf is no number to reckon with"),
        ("a: 2024-13-45", ":1:4: a: '2024-13-45' cannot be read; if it is text, put it in quotes"),
        ("a: !!int x", ":1:4: a: 'x' cannot be read"),
        ("a: !f x", ":1:4: !f means nothing here; leave it out"),
        ("a: !!python/object:os.system x", ":1:4: !!python/object:os.system means nothing here"),
    ],
)
def test_a_value_is_one_that_can_be_used(file: Path, text: str, said: str) -> None:
    assert refused(file, text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c\n", ":1:5: a ':' stands where no key can be"),
        ("a: x\n\tb: y\n", ":2:1: a tab stands where only spaces may indent"),
        ("a: [1, 2\nb: 3\n", ":1:4: the '[' that is opened here is not closed"),
        ("a: {b: 1\nc: [\n", ":1:4: the '{' that is opened here is not closed"),
        ("a: [", ":1:5: the list or mapping that is opened is not closed"),
        ("a: 'x\nb: y\n", ":1:4: the quotes that are opened here are not closed"),
        ("a:\n  b: 1\n c: 2\n", ":3:2: this line is indented unlike the lines that it belongs to"),
        ("a: 1\n  b: 2\n", ":2:4: a ':' stands where no key can be"),
        ("a: 1\nb\nc: 2\n", ":2:1: a line of key: value lacks its ':', or is too far left"),
        ("a: %x\n", ":1:4: no value begins with this character; put text in quotes"),
        ("a: @x\n", ":1:4: no value begins with this character"),
        ('a: "\\d"\n', ":1:6: no such escape in double quotes"),
        ('a: "\\xZZ"\n', ":1:7: no such escape in double quotes"),
        ("a: *b\n", ":1:4: an alias (*NAME) of which no anchor (&NAME) stands before it"),
        ("a: &x 1\nb: &x 2\n", ":2:4: two parts have the same anchor"),
        ("a: - 1\n", ":1:4: a '- ' stands where no list can be"),
        ("a: | x\n", ":1:6: text stands behind a '|' or '>'"),
        ("a: &b [*b]\n", ":1:4: an alias (*NAME) holds itself"),
        ("%FOO 1\n%YAML 3\na: 1", ":2:8: this is no YAML"),
        ("? a\n: - ? b\n  ]", ":3:3: this line is indented unlike"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(file: Path, text: str, said: str) -> None:
    assert refused(file, text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": there is nothing in it"),
        ("# only this\n", ": there is nothing in it"),
        ("- a\n", ": expected a mapping of keys (key: value), got a list"),
        ("words\n", ": expected a mapping of keys (key: value), got a single value"),
        ("a: 1\n---\nb: 2\n", ": one document is wanted, and '---' parts it into 2"),
        (b"\x80\x04\x95model", ": is no text in UTF-8"),
        (b"\x00\x00\x00\x00", ":1: a control character, which no YAML file may have"),
        ("a: \x07\n", ":1: a control character"),
        ("[" * 3000, ":1:102: lists and mappings are nested more than 100 deep"),
    ],
)
def test_what_holds_no_mapping(file: Path, text: str | bytes, said: str) -> None:
    assert refused(file, text).startswith(said)


def test_what_is_no_file(tmp_path: Path) -> None:
    for name, inside, said in (
        ("study", "study.json", "the folder of a study; `evomerge show "),
        ("model", "config.json", "the folder of a model"),
        ("lora", "adapter_config.json", "the folder of an adapter"),
        ("folder", "x", "a folder"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).touch()
        with pytest.raises(RecipeError, match=f"{name}: a YAML file is wanted, and this is {said}"):
            read_mapping(tmp_path / name, error=RecipeError)
    with pytest.raises(ConfigError, match=r"none.yaml: no such file$"):
        read_mapping(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_mapping(tmp_path / ("x" * 300))


def test_every_document_of_a_file(file: Path) -> None:
    file.write_text("a: 1\n---\n# nothing\n---\nb: 2\n")
    assert read_documents(file) == [{"a": 1}, {"b": 2}]
    file.write_text("a: 1\n---\nb: 2\nb: 3\n")
    with pytest.raises(ConfigError, match="the key 'b' stands in line 3 and again in line 4"):
        read_documents(file)
