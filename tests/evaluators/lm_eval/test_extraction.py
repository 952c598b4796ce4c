from __future__ import annotations

import pytest

from evomerge.evaluators.lm_eval import extraction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("John has 7 + 8 + 9 = 24 eggs. The answer is 24.", "24"),
        ("The answer is 1,234.", "1234"),
        ("It costs $1,234,567.50 in all", "1234567.5"),
        ("1, 2, 3", "3"),
        ("12,34", "34"),
        ("x = -5", "-5"),
        ("it is −5 degrees", "-5"),
        ("12-5", "5"),
        ("(3)-5", "5"),
        ("-$20", "-20"),
        ("24.0", "24"),
        ("24.50", "24.5"),
        ("0.5", "0.5"),
        ("about .5", "0.5"),
        ("well...24", "24"),
        ("-0.0", "0"),
        ("007", "7"),
        ("is24eggs", "24"),
        ("100", "100"),
        ("no number", ""),
        ("", ""),
    ],
)
def test_number_reads_the_last_one(text: str, expected: str) -> None:
    assert extraction.number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 1,234.", "234"),
        ("x = -5", "5"),
        ("it is 24.0", "24.0"),
        ("about .5", ".5"),
        ("none", ""),
    ],
)
def test_parity_reproduces_the_published_extractor(text: str, expected: str) -> None:
    assert extraction.number(text, parity=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('7 + 8 = 15. {"answer": 15}', "15"),
        ('{"answer": "1,234"}', "1234"),
        ('{"answer": " -3.50 "}', "-3.5"),
        ('{"answer": 1} and then {"answer": 2.0}', "2"),
        ('{"answer": 1} and then {"answer": "two"}', "1"),
        ('{"answer": 1} and then {"result": 2}', "1"),
        ('{"broken": {"answer": 3}', "3"),
        ('{"outer": {"answer": 3}}', ""),
        ('```json\n{"note": "a } in a string", "answer": 4}\n```', "4"),
        ('{"answer": "15 eggs"}', ""),
        ('{"answer": true}', ""),
        ('{"answer": null}', ""),
        ('{"answer": [15]}', ""),
        ('{"answer": NaN}', ""),
        ('{"answer": 1e3}', "1000"),
        ("{'answer': 15}", ""),
        ("answer: 15", ""),
        ("{" * 5000, ""),
        ('{"answer": ' + "9" * 5000 + "}", ""),
    ],
)
def test_json_number_needs_json_that_parses(text: str, expected: str) -> None:
    assert extraction.json_number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Tom buys eggs. {"answer": "Tom"}', "Tom"),
        ('{"answer": "in  the\\npark "}', "in the park"),
        ('{"answer": 15.0}', "15"),
        ('{"answer": {"who": "Tom"}}', ""),
        ("Tom", ""),
    ],
)
def test_json_text_reads_words(text: str, expected: str) -> None:
    assert extraction.json_text(text) == expected


def test_text_has_single_spaces() -> None:
    assert extraction.text(" Hotel  Oscar\nMike ") == "Hotel Oscar Mike"
