"""The job that benchmarks/flagship.py runs, with another optimizer, too."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from flagship import SEEDS, job_of, of_seed, over_seeds, print_over_seeds

from evomerge.errors import ConfigError


def test_another_optimizer_is_all_that_differs() -> None:
    job, other = job_of("strong", None), job_of("strong", "random")
    assert job.optimizer.kind == "bayes"
    assert (other.name, other.optimizer.kind) == ("strong-random", "random")
    same = {"name": job.name, "optimizer": job.optimizer}
    assert other.model_copy(update=same) == job


def test_other_searches_follow_on_what_the_search_has_scored(tmp_path: Path) -> None:
    job, other = job_of("demo", None), job_of("demo", None, ["random", "soup"])
    assert (other.name, other.compare) == ("demo-compared", ("random", "soup"))
    assert other.model_copy(update={"name": job.name, "compare": ()}) == job
    assert of_seed(other, 8, tmp_path).reuse == (str(tmp_path),)
    assert of_seed(other, 8, tmp_path / "gone").reuse == of_seed(job, 8, tmp_path).reuse == ()
    assert of_seed(job, 8, tmp_path).seed == 8


def test_every_job_has_its_own_name() -> None:
    assert [job_of(name, None).name for name in SEEDS] == [*SEEDS]


def test_an_optimizer_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"^--optimizer: .*randon.*random"):
        job_of("strong", "randon")


def test_over_seeds_problems_of_one_form_count_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The winners solve one more problem of each of six forms than the rival in the one seed, and
    two in the other."""
    scores = {
        "weak": ([0.0] * 12, [0.0] * 12),
        "evolved": ([1.0, 0.0] * 6, [1.0] * 12),
        "strong": ([0.0] * 12, [1.0, 0.0] * 6),
    }
    seeds = [
        pandas.DataFrame(
            {
                "model": [model for model in scores for _ in range(12)],
                "place": [*range(12)] * len(scores),
                "score": [score for own in scores.values() for score in own[seed]],
            }
        )
        for seed in (0, 1)
    ]
    rows = over_seeds(seeds, [form for form in "abcdef" for _ in range(2)])
    assert [(row["model"], row["mean"]) for row in rows] == [
        ("evolved", 0.75),
        ("strong", 0.25),
        ("weak", 0.0),
    ]
    assert "ahead" not in rows[0]
    assert [row["ahead"]["mean"] for row in rows[1:]] == [0.5, 0.75]
    # Six signs, all alike: two of 64 ways; and two comparisons.
    assert [row["ahead"]["p"] for row in rows[1:]] == [2 / 64, 2 / 64]
    assert [row["p"] for row in rows[1:]] == [4 / 64, 4 / 64]
    assert rows[1]["ahead"]["sources"] == 6
    print_over_seeds(rows)
    evolved, strong, _ = capsys.readouterr().out.splitlines()[-3:]
    assert evolved.split()[:2] == ["evolved", "0.750"]
    assert strong.split()[0] == "strong"
    assert strong.split()[-1] == "0.062"
