from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Report
from evomerge.optimizers.base import Parentage
from evomerge.recipe.genome import ChoiceGene, CoefficientsGene, FloatGene
from evomerge.study.trial import asked_trial, outcome_attributes
from evomerge.study.trial_reading import to_candidate

GENES = (
    FloatGene(name="rate", low=0.1, high=0.7, log=True),
    ChoiceGene(name="method", choices=("linear", "ties")),
)


def asked(unit: float, parentage: Parentage | None = None) -> FrozenTrial:
    return asked_trial(
        GENES,
        (unit, "ties"),
        proposed_by="landmark",
        label="uniform",
        proposal=None,
        recipe={"kind": "source"},
        digest="d",
        asked=0,
        asked_s=1.23456,
        parentage=parentage,
    )


def test_parameters_read_in_the_genes_own_units() -> None:
    trial = asked(0.5)
    assert trial.params == {"rate": pytest.approx((0.1 * 0.7) ** 0.5), "method": "ties"}
    assert trial.distributions == {
        "rate": FloatDistribution(0.1, 0.7, log=True),
        "method": CategoricalDistribution(("linear", "ties")),
    }


def test_a_candidate_comes_back_exactly() -> None:
    candidate = to_candidate(GENES, 1, asked(1 / 3))
    assert candidate.genome == (1 / 3, "ties")
    assert list(candidate.values) == ["rate", "method"]
    assert (candidate.proposed_by, candidate.label, candidate.proposal) == (
        "landmark",
        "uniform",
        None,
    )
    assert (candidate.asked, candidate.asked_s, candidate.state) == (0, 1.235, "running")


def test_whence_a_question_comes_is_on_record_where_it_was_said() -> None:
    assert to_candidate(GENES, 1, asked(0.5)).parentage is None
    assert "descent" not in asked(0.5).user_attrs
    parentage = Parentage(version=12, parents=(-1, 7))
    assert to_candidate(GENES, 1, asked(0.5, parentage)).parentage == parentage


def test_a_table_stands_in_the_genome_and_is_no_parameter() -> None:
    genes = (CoefficientsGene(name="table", seeds=("a", "b")), GENES[0])
    trial = asked_trial(
        genes, ("{...}", 0.0), proposed_by="landmark", label=None, proposal=None, recipe={},
        digest="", asked=0, asked_s=0.0,
    )  # fmt: skip
    assert trial.params == {"rate": pytest.approx(0.1)}
    candidate = to_candidate(genes, 1, trial)
    assert candidate.genome == ("{...}", 0.0)
    assert dict(candidate.values) == {"table": "{...}", "rate": pytest.approx(0.1)}


@pytest.mark.parametrize("low", [0.1, 1e-3, 0.3])
def test_the_ends_of_a_logarithmic_gene_stay_inside(low: float) -> None:
    # Somewhere among these, exp(log(low) + log(high / low)) exceeds high by a rounding.
    for high in (0.7, 1.1, 1.3, 2.3, 10.0, 30.0):
        gene = FloatGene(name="g", low=low, high=high, log=True)
        for unit in (0.0, 1.0):
            trial = asked_trial(
                [gene], (unit,), proposed_by="landmark", label=None, proposal=None, recipe={},
                digest="", asked=0, asked_s=0.0,
            )  # fmt: skip
            assert low <= trial.params["g"] <= high


def test_what_a_cut_off_tell_left_does_not_count(report: Report) -> None:
    trial = asked(0.5)
    trial.user_attrs |= outcome_attributes(report, told=1, told_s=2.0, worker="w", attempts=1)
    candidate = to_candidate(GENES, 1, trial)
    assert candidate.state == "running"
    assert candidate.told is None
    assert candidate.tasks == {}


def test_scores_of_a_tell_that_was_cut_off_do_not_join_a_failure(report: Report) -> None:
    trial = asked(0.5)
    failure = Failure(cause="candidate", message="x" * 9000)
    trial.user_attrs |= outcome_attributes(report, told=1, told_s=2.0, worker="w", attempts=1)
    trial.user_attrs |= outcome_attributes(failure, told=1, told_s=2.0, worker="w", attempts=1)
    trial.state = TrialState.FAIL
    candidate = to_candidate(GENES, 1, trial)
    assert candidate.tasks == {}
    assert candidate.failure == Failure(cause="candidate", message="x" * 2000)


@pytest.mark.parametrize("state", [TrialState.WAITING, TrialState.PRUNED, TrialState.RUNNING])
def test_a_trial_of_someone_else_is_refused(state: TrialState) -> None:
    with pytest.raises(RecordError, match="is not a candidate that evomerge recorded"):
        to_candidate(GENES, 1, create_trial(state=state))


def test_a_candidate_closed_by_someone_else_is_refused() -> None:
    trial = asked(0.5)
    trial.state = TrialState.FAIL
    with pytest.raises(RecordError, match="closed by something other"):
        to_candidate(GENES, 1, trial)
