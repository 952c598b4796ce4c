"""What stands below the tables."""

from __future__ import annotations

from evomerge.study.remarks import (
    FitnessBySplit,
    TriedStrength,
    TunedBaseline,
    Tuning,
    comment_on_test_sets,
    named_in_comments,
)


def test_a_holdout_that_is_clearly_lower_is_said_in_words() -> None:
    fitness = FitnessBySplit(search=0.8, validation=0.7, holdout=0.6)
    numbers = "fitness of evolved: search 0.800, validation 0.700, holdout 0.600"
    assert fitness.to_text("evolved", 0.25) == numbers
    assert fitness.to_text("evolved", None) == numbers
    clearly = fitness.to_text("evolved", 0.15)
    assert clearly.startswith(f"{numbers}; the holdout is clearly below the search split")


def test_a_finalist_that_the_search_did_not_score_has_no_number_there() -> None:
    fitness = FitnessBySplit(search=None, validation=0.7, holdout=0.6)
    text = fitness.to_text("evolved", 0.01)
    assert text == "fitness of evolved: search not scored, validation 0.700, holdout 0.600"


def test_tuning_says_what_it_took() -> None:
    tried = tuple(TriedStrength(strength=at, fitness=0.5) for at in (0.3, 1.0))
    tuning = Tuning(
        baselines=(TunedBaseline(label="a", tried=tried), TunedBaseline(label="b", tried=tried)),
        evaluations=4,
        examples=1200,
        tokens_read=123456,
        tokens_generated=7890,
    )
    assert str(tuning) == (
        "task arithmetic tuned on the validation split over 0.3, 1: 4 models scored, 1,200"
        " examples, 123,456 tokens read, 7,890 generated"
    )
    unknown = tuning.model_copy(update={"tokens_read": None})
    assert str(unknown).endswith("1,200 examples, tokens were not counted")


def test_the_comment_of_a_recipe_is_read_back_from_the_head_of_its_file() -> None:
    said = ("gsm8k: search on all of 'test'", "one/arc: validation on 'test'[0:9]")
    comment = comment_on_test_sets(said)
    assert comment.count("\n") == 1
    assert named_in_comments(f"# by hand\n{comment}kind: merge\n") == ("; ".join(said),)
    again = comment_on_test_sets(named_in_comments(comment))
    assert again == comment
    assert named_in_comments(f"kind: merge\n{comment}") == ()
    assert named_in_comments("# found on public test data\n# another\n") == ()
    assert comment_on_test_sets(()) == ""
