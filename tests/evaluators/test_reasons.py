from __future__ import annotations

import pytest

from evomerge.evaluators.reasons import why_wrong


@pytest.mark.parametrize(
    ("answer", "read", "target", "cut_off", "wants_json", "reason"),
    [
        (" \n", "", "4", False, True, "empty"),
        ("", "", "4", True, False, "empty"),
        ("2 + 2 is", "2", "4", True, False, "cut off"),
        ("The answer is 4.", "", "4", False, True, "no JSON"),
        ("{4}", "", "4", False, True, "no JSON"),
        ('So {"result": 4}', "", "4", False, True, "no answer in the JSON"),
        ('{"answer": 5}', "5", "4", False, True, "wrong number"),
        ("I do not know", "", "4", False, False, "no match"),
        ("I do not know", "[invalid]", "6 * 7\n#### 42", False, False, "no match"),
        ("so 41", "41", "6 * 7\n#### 42", False, False, "wrong number"),
        ("$42.00", "$42.00", "42", False, False, "right number, other form"),
        ("many", "many", "42", False, False, "no number"),
        ("Tim", "Tim", "Tom", False, False, "wrong answer"),
    ],
)
def test_why_an_answer_is_wrong(
    answer: str, read: str, target: str, cut_off: bool, wants_json: bool, reason: str
) -> None:
    found = why_wrong(answer, read, [target], cut_off=cut_off, wants_json=wants_json)
    assert found == reason


def test_numbers_are_compared_only_where_all_targets_are_numbers() -> None:
    assert why_wrong("7", "7", ["6", "six"], cut_off=False, wants_json=False) == "wrong answer"
    assert why_wrong("7", "7", ["6", "8"], cut_off=False, wants_json=False) == "wrong number"
