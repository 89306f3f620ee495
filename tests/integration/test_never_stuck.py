"""The gate is never stuck: what follows a champion that cannot be compared, or is not beaten."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lasso_jobs import ScoreJob, TrainJob, acknowledge_drift, load_model, score, train
from lasso_jobs.drift.page import drift_page
from lasso_jobs.drift.show import drift_of
from lasso_jobs.models import findings
from lasso_jobs.models.registry import Registry
from lasso_jobs.training.promotion import Promotion
from lasso_jobs.training.report import store

pytestmark = pytest.mark.integration

Values = dict[str, Any]


def write_days(
    folder: Path, days: range, *, slope: float = 2.0, leak: bool = False, bad_x: float = 0.0
) -> None:
    """A folder a day, of 60 rows; the leak is the target itself, nearly."""
    for day in days:
        rng = np.random.default_rng(day)
        x, z = rng.normal(size=(2, 60))
        y = slope * x + z + rng.normal(size=60)
        frame = pd.DataFrame({"x": x + bad_x, "z": z, "y": y})
        if leak:
            frame["leak"] = y + rng.normal(0, 0.1, 60)
        path = folder / f"day=2024-01-{day:02d}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        frame.to_parquet(path)


def promotion(data: Path, registry: Path, **keys: object) -> Promotion:
    values: Values = {
        "name": "m",
        "data": {"path": str(data)},
        "target": "y",
        "search": {"alphas": 10, "split": {"group": "day"}},
        "stability": None,
        "registry": str(registry),
        **keys,
    }
    return train(TrainJob.from_values(values), workers=1).promotion


def why(registry: Path) -> str:
    return Registry(registry).moves("m")[-1].why


def test_a_champion_whose_column_is_gone_is_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_days(tmp_path / "old", range(1, 9), leak=True)
    write_days(tmp_path / "new", range(1, 9))
    promotion(tmp_path / "old", tmp_path / "models")
    first = load_model(tmp_path / "models", "m@v1")
    assert first.holdout is not None
    assert first.holdout.warning is not None
    assert ": 'leak' explains 0.99" in first.holdout.warning
    assert findings.in_words(first)["warning"] == first.holdout.warning
    assert first.holdout.warning[1:] in store.stored_card(tmp_path / "models", "m@v1").decode()
    found = promotion(tmp_path / "new", tmp_path / "models", holdout=None)
    assert (found.promoted, found.champion) == (True, 2)
    assert (
        found.reason
        == why(tmp_path / "models")
        == (
            "v1 can stay champion no longer: it needs 'leak', which the data do not have. "
            "They were not compared"
        )
    )
    assert "m@v2 is the champion now: v1 can stay champion no longer" in caplog.text


@pytest.mark.slow
def test_a_champion_that_uses_what_the_job_excludes_is_followed_but_not_for_what_it_leaves_out(
    tmp_path: Path,
) -> None:
    write_days(tmp_path / "data", range(1, 9), leak=True)
    data, registry = tmp_path / "data", tmp_path / "models"
    promotion(data, registry)
    found = promotion(data, registry, features={"include": ["x", "z"]})
    assert not found.promoted
    assert "it uses 'leak', which is no feature of this job" in found.reason
    found = promotion(data, registry, features={"exclude": ["le*"]}, promote="if_better")
    assert (found.promoted, found.champion) == (True, 3)
    assert "it uses 'leak', which the job excludes" in found.reason


@pytest.mark.slow
def test_the_comparison_is_of_rows_after_the_training_of_the_champion(tmp_path: Path) -> None:
    """The slope has changed: on the days that it was trained on, the champion is the better one."""
    data, registry = tmp_path / "data", tmp_path / "models"
    write_days(data, range(1, 16))
    promotion(data, registry)
    write_days(data, range(16, 29), slope=-2.0)
    held = {"where": "day >= '2024-01-05' and day <= '2024-01-20'"}
    found = promotion(data, registry, holdout=held)
    assert found.promoted
    comparison = found.comparison
    assert comparison is not None
    assert comparison.later
    assert comparison.n_rows == 5 * 60
    assert comparison.mse < comparison.champion_mse
    assert ", all after the training of v1" in why(registry)
    # Nothing is later than the newest champion's training; the same model is no challenger.
    again = promotion(data, registry, holdout=held, seed=1, search={"alphas": 5})
    assert again.comparison is not None
    assert not again.comparison.later


@pytest.mark.slow
def test_a_version_that_is_not_worse_follows_once_it_has_seen_later_rows(tmp_path: Path) -> None:
    data, registry = tmp_path / "data", tmp_path / "models"
    write_days(data, range(1, 16))
    promotion(data, registry)
    found = promotion(data, registry, search={"alphas": 12}, margin=0.5)
    assert not found.promoted
    assert found.reason.startswith("not worse, but it has seen no later rows: ")
    write_days(data, range(16, 26))
    found = promotion(data, registry, promote="if_better", margin=0.5)
    assert not found.promoted
    found = promotion(data, registry, margin=0.5, seed=2)
    assert found.promoted, found.reason
    assert why(registry).startswith(
        "not worse by more than 50%, and it has seen later values of day: hold-out MSE"
    )
    # What a person took back is not undone by the same training, until they say so.
    Registry(str(registry)).rollback("m", "too dear")
    again = promotion(data, registry, margin=0.5, seed=2)
    assert not again.promoted
    assert again.reason.startswith("v4 was rolled back by ")
    assert ": too dear. 'lasso-jobs models promote' makes it" in again.reason
    Registry(str(registry)).promote("m@v4", "it was not")
    assert promotion(data, registry, margin=0.5, seed=2).champion == 4


@pytest.mark.slow
def test_a_champion_without_a_hold_out_is_compared(tmp_path: Path) -> None:
    data, registry = tmp_path / "data", tmp_path / "models"
    write_days(data, range(1, 11))
    promotion(data, registry, holdout=None, features={"include": ["z"]})
    found = promotion(data, registry, holdout=0.5)
    assert found.promoted
    assert ", which v1, having no hold-out, was trained on" in found.reason


@pytest.mark.slow
def test_an_acknowledged_drift_is_no_alarm_until_it_moves_on(tmp_path: Path) -> None:
    data, drift = tmp_path / "data", str(tmp_path / "drift")
    write_days(data, range(1, 21))
    promotion(data, tmp_path / "models")
    job = ScoreJob.from_values(
        {
            "model": "m",
            "data": {"path": str(data)},
            "output": {"path": str(tmp_path / "scores"), "partition_by": "day"},
            "drift": {"path": drift, "min_rows": 50},
            "registry": str(tmp_path / "models"),
        }
    )

    def night(day: int, by: float) -> Any:
        write_days(data, range(day, day + 1), bad_x=by)
        return score(job.on(f"2024-01-{day:02d}"), workers=1)

    assert night(21, 6.0).verdict == "alarm"
    acknowledge_drift(drift, "x", "a new sensor", by="anna", until="2024-01-23")
    known = night(22, 6.0)
    assert known.verdict == "ok"
    assert known.because == "no feature has drifted, but as was acknowledged"
    facts = drift_of(drift)
    (x,) = (each for each in facts.features if each.feature == "x")
    assert (x.verdict, x.raised) == ("ok", "alarm")
    assert x.reason.startswith("acknowledged by anna on ")
    assert "until 2024-01-23: a new sensor; moves the mean prediction by +" in x.reason
    assert x.score_shift > x.shift_limit
    assert facts.prediction is not None
    assert "with x, by anna" in facts.prediction.acknowledged
    page = drift_page(facts)
    assert page.count("Acknowledged") > 2
    assert "of which 2 as acknowledged" in page
    assert night(23, 14.0).verdict == "alarm"
    assert night(24, 6.0).verdict == "alarm"


def test_a_window_of_the_newest_days_reads_no_other(tmp_path: Path) -> None:
    """As a filter by hand would keep them, whatever else is in the folder."""
    data = tmp_path / "data"
    write_days(data, range(1, 11))
    values: Values = {
        "name": "m",
        "data": {"path": str(data), "window": "5d"},
        "target": "y",
        "search": {"alphas": 5},
        "stability": None,
        "registry": str(tmp_path / "models"),
    }
    job = TrainJob.from_values(values)
    first = train(job, workers=1)
    assert first.model.n_rows == 5 * 60
    assert first.registered.provenance["files"] == 5
    assert first.registered.provenance["window"] == {
        "column": "day",
        "newest": "2024-01-10",
        "where": "day >= '2024-01-06'",
    }
    write_days(data, range(11, 12))
    second = train(job, workers=1)
    periods = second.registered.provenance["periods"]
    assert (periods["column"], periods["n"], periods["last"] - periods["first"]) == ("day", 5, 4)
    assert second.counts.filtered == 0
    values["data"] = {"path": str(data), "where": "day >= '2024-01-07'"}
    by_hand = train(TrainJob.from_values(values), workers=1).model
    assert (by_hand.coef == second.model.coef).all()


@pytest.mark.slow
def test_a_champion_that_knows_a_level_which_is_gone_is_compared_on_the_other_rows(
    tmp_path: Path,
) -> None:
    """Rows among (other) may be of any level that is not listed, so that they are left out."""
    data, registry, rng = tmp_path / "data", tmp_path / "models", np.random.default_rng(0)
    for folder, first in (("old", "gone"), ("new", "here")):
        levels = [first] * 400 + ["usual"] * 1500 + [f"rare{k}" for k in range(100)]
        frame = pd.DataFrame({"c": rng.permutation(levels), "x": rng.normal(size=2000)})
        frame["y"] = 3 * (frame["c"] == first) + frame["x"] + rng.normal(size=2000)
        (data / folder).mkdir(parents=True)
        frame.to_parquet(data / folder / "rows.parquet")
    keys: Values = {"preprocess": {"max_levels": 2}, "search": {"alphas": 10}}
    promotion(data / "old", registry, **keys)
    found = promotion(data / "new", registry, **keys)
    assert found.promoted
    assert found.comparison is not None
    held = load_model(registry, "m@v2").holdout
    assert held is not None
    assert 0 < held.n_rows - found.comparison.n_rows < 60  # those of rare levels
    assert found.comparison.champion_mse > found.comparison.mse + 0.5
