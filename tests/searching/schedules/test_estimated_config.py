"""Jobs whose estimates could not be had."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.config import SCHEDULES
from evomerge.errors import ConfigError
from evomerge.searching.schedules.estimated_config import check_estimates
from tests.sphere import make_optimizer


@pytest.mark.parametrize(
    ("settings", "landmarks", "said"),
    [
        ({"estimator": "gmp_irt"}, 0, "this job has none; set warm_start.landmarks: true, or"),
        ({"estimator": "p_irt", "whole_first": 1}, 2, "2 warm starts and whole_first: 1; raise"),
    ],
)
def test_an_estimator_without_calibration_data_is_refused(
    settings: dict[str, Any], landmarks: int, said: str
) -> None:
    config = SCHEDULES.config({"kind": "estimated", **settings})
    with pytest.raises(ConfigError, match=said):
        check_estimates(config, make_optimizer("random"), landmarks)
    check_estimates(config, make_optimizer("random"), 5)


@pytest.mark.parametrize("estimator", ["anchors", "gmp_irt"])
def test_a_task_that_is_no_mean_is_refused(estimator: str) -> None:
    config = SCHEDULES.config({"kind": "estimated", "estimator": estimator})
    with pytest.raises(ConfigError, match=r"the metric of 'news' is none .* or a metric that"):
        check_estimates(config, make_optimizer("random"), 5, ["news"])
    whole = SCHEDULES.config("whole")
    check_estimates(whole, make_optimizer("random"), 5, ["news"])


def test_an_optimizer_that_goes_by_all_examples_takes_no_estimates() -> None:
    config = SCHEDULES.config("estimated")
    with pytest.raises(ConfigError, match="this optimizer goes by all of them"):
        check_estimates(config, make_optimizer("natural_niches", archive=8), 5)
