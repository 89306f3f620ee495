"""What errors advise can be done with the job as it is."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lasso_jobs import TrainJob
from lasso_jobs.training.read import splits


def job(**search: object) -> TrainJob:
    least = {"name": "m", "target": "y", "data": {"path": "d"}}
    return TrainJob.from_values({**least, "search": search})


@pytest.mark.parametrize(
    ("search", "advice"),
    [
        ({"split": {"time": "t", "gap": "7d"}}, "Shorten search.split.gap, or use fewer folds."),
        ({"split": {"time": "t"}}, "Use fewer folds, or a column of finer times."),
        ({"split": {"group": "g"}}, "Split by another column, or check the weights."),
        ({"split": {"fold": "f"}}, "Split by another column, or check the weights."),
        ({}, "Split by another column, or check the weights."),
    ],
)
def test_a_gap_is_to_be_shortened_only_where_there_is_one(
    search: dict[str, object], advice: str
) -> None:
    planned = cast(Any, SimpleNamespace(dataset=SimpleNamespace(path="d"), job=job(**search)))
    line = str(splits._nothing_to_train_on(planned, "fold 1 of 5 has no rows to train on"))
    assert "fold 1 of 5 has no rows to train on" in line
    assert line.endswith(advice)
