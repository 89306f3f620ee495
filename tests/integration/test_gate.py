"""The gate: challenger and champion on the same held-out rows, paired, with a standard error."""

import getpass
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lasso_jobs import TrainJob, train
from lasso_jobs.engine.cluster import connect
from lasso_jobs.models.registry import Registry
from lasso_jobs.training import gather, plan
from lasso_jobs.training import run as stages
from lasso_jobs.training.holdout import Evaluation
from lasso_jobs.training.retrain import reason_not_to

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAYS = [f"2024-03-{day:02d}" for day in range(1, 31)]
HELD = DAYS[20:]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty days, each with a mood of its own; w tells nothing, and z a little."""
    folder, rng = tmp_path_factory.mktemp("gate") / "data", np.random.default_rng(0)
    for day in DAYS:
        n = int(rng.integers(200, 400))
        x, z, w = rng.normal(size=(3, n))
        store = rng.choice(["a", "b", "c"], n)
        y = 5 + 3 * x + 0.7 * z + (store == "a") + rng.normal(0, 1) * x + rng.normal(0, 2, n)
        missing = rng.random(n) < 0.1
        frame = pd.DataFrame({"x": np.where(missing, np.nan, x), "z": z, "w": w, "store": store})
        path = folder / f"day={day}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        frame.assign(y=y).to_parquet(path)
    return folder


def job(data: Path, registry: Path, *features: str, **keys: object) -> TrainJob:
    return TrainJob.from_values(
        {
            "name": "mood",
            "data": {"path": str(data)},
            "target": "y",
            "features": {"include": ["x", "store", *features]},
            "search": {"alphas": 10, "split": {"group": "day"}},
            "stability": None,
            "holdout": {"where": f"day >= '{HELD[0]}'"},
            "registry": str(registry),
            **keys,
        }
    )


def evaluated(training: TrainJob) -> tuple[Evaluation, Any]:
    """A comparison with the champion, and the challenger that was compared."""
    planned = plan.plan(training)
    with connect(workers=1) as workers:
        gathered = gather.gather(lambda: workers, planned)
    selected = stages.select(planned, gathered)
    evaluation = stages.evaluate(planned, gathered, selected)
    assert evaluation is not None
    return evaluation, stages.build(planned.job, gathered, selected, evaluation)


def squared_errors(data: Path, model: Any) -> tuple[Any, Any]:
    """Of the held-out rows, row by row, by the model that has not seen them; their days."""
    predictor = model.evaluated
    coef = dict(zip(predictor.columns.labels, predictor.coef, strict=True))
    rows = pd.concat(pd.read_parquet(data / f"day={day}").assign(day=day) for day in HELD)
    prediction = np.full(len(rows), predictor.intercept)
    for name, fill in zip(predictor.columns.numeric, predictor.fill, strict=True):
        prediction += coef[name] * rows[name].fillna(fill)
    for store in "abc":
        prediction += coef[f"store={store}"] * (rows["store"] == store)
    return ((rows["y"] - prediction) ** 2).to_numpy(), rows["day"].to_numpy()


@pytest.fixture
def champion(data: Path, tmp_path: Path) -> Any:
    return train(job(data, tmp_path / "models"), workers=1).model


@pytest.mark.parametrize("most", [100_000, 1_000], ids=["every row", "a sample"])
def test_the_difference_is_exact_and_its_standard_error_that_of_the_days(
    data: Path, tmp_path: Path, champion: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.sample.MAX_ROWS", most)
    evaluation, model = evaluated(job(data, tmp_path / "models", "z", cache=False))
    found, (mine, day) = evaluation.comparison, squared_errors(data, model)
    theirs, _ = squared_errors(data, champion)
    assert found is not None
    assert evaluation.holdout.n_sampled == min(most, len(mine))
    assert_allclose([found.mse, found.champion_mse], [mine.mean(), theirs.mean()], rtol=1e-11)
    assert_allclose(found.gain.mean, (theirs - mine).mean(), rtol=1e-9)
    away = theirs - mine - (theirs - mine).mean()
    sums = pd.Series(away).groupby(day).agg(["sum", "size"])
    cr2 = np.sqrt((sums["sum"] ** 2 / (1 - sums["size"] / len(mine))).sum()) / len(mine)
    # A third of the rows tells the days' variance less well.
    assert_allclose(found.gain.standard_error, cr2, rtol=1e-10 if most > len(mine) else 0.3)
    assert len(HELD) - 2 < found.gain.freedom < len(HELD) - 1
    assert found.gain.n_cohorts == len(HELD)


def test_a_clearly_better_challenger_is_promoted_and_the_log_says_by_whom_and_why(
    data: Path, tmp_path: Path, champion: Any
) -> None:
    result = train(job(data, tmp_path / "models", "z"), workers=1)
    assert (result.promotion.promoted, result.promotion.champion) == (True, 2)
    first, move = Registry(tmp_path / "models").moves("mood")
    assert (first.old, first.new, first.why) == (None, 1, "the first champion")
    assert (move.action, move.old, move.new) == ("promote", 1, 2)
    assert (move.by, move.why) == (getpass.getuser(), result.promotion.reason)
    held, other = result.model.holdout, champion.holdout
    assert move.why.startswith(
        f"better: hold-out MSE {held.mse:.6g} against {other.mse:.6g} of v1 on the same"
    )
    assert f"{other.mse - held.mse:.4g}" in move.why
    assert f"by {len(HELD)} values of day" in move.why


def test_a_challenger_that_differs_by_chance_is_not_promoted(
    data: Path, tmp_path: Path, champion: Any
) -> None:
    result = train(job(data, tmp_path / "models", "w", search={"alphas": [0.0]}), workers=1)
    assert (result.promotion.promoted, result.promotion.champion) == (False, 1)
    assert "not " in result.promotion.reason
    assert len(Registry(tmp_path / "models").moves("mood")) == 1


def test_one_day_says_nothing_of_chance(data: Path, tmp_path: Path, champion: Any) -> None:
    one = job(data, tmp_path / "models", "z", holdout={"where": f"day == '{DAYS[-1]}'"})
    result = train(one, workers=1)
    assert not result.promotion.promoted
    assert result.promotion.reason.endswith(
        ". All of them are of one day, so that chance may explain the difference"
    )
    assert result.model.holdout is not None
    assert result.model.holdout.expected is not None
    assert result.model.holdout.expected.error.standard_error is None


def test_rows_that_belong_to_nothing_count_by_themselves(
    data: Path, tmp_path: Path, champion: Any
) -> None:
    search = {"alphas": 10, "split": "random"}
    rows = job(data, tmp_path / "models", "z", search=search, cache=False)
    evaluation, model = evaluated(rows)
    difference = squared_errors(data, champion)[0] - squared_errors(data, model)[0]
    assert evaluation.comparison is not None
    gain = evaluation.comparison.gain
    assert gain.n_cohorts == len(difference)
    assert_allclose(gain.standard_error, difference.std(ddof=1) / np.sqrt(len(difference)))


def test_days_count_without_a_word_where_the_folders_have_a_date(
    data: Path, tmp_path: Path, champion: Any
) -> None:
    evaluation, _ = evaluated(job(data, tmp_path / "models", "z", search={"alphas": 10}))
    assert evaluation.comparison is not None
    assert evaluation.comparison.gain.n_cohorts == len(HELD)
    assert evaluation.holdout.cohort == "day"


def test_days_count_where_the_last_rows_are_held_out(data: Path, tmp_path: Path) -> None:
    last = job(data, tmp_path / "models", search={}, holdout={"last": 0.2, "time": "day"})
    evaluation, model = evaluated(last)
    expected = evaluation.holdout.expected
    assert expected is not None
    assert evaluation.holdout.cohort == "day"
    assert 2 < expected.error.n_cohorts < 10
    assert_allclose(expected.squared_error.mean, evaluation.holdout.mse)
    assert_allclose(expected.absolute_error.mean, evaluation.holdout.mae)
    assert model.holdout == evaluation.holdout


# When an alarm is answered by a retraining.


@pytest.mark.parametrize(
    ("day", "cool_down", "reason"),
    [
        ("2024-03-25", 3, None),  # the same night again
        ("2024-03-26", 3, "mood@v1 is as of 2024-03-25, less than 3 days before 2024-03-26"),
        ("2024-03-27", 3, "mood@v1 is as of 2024-03-25, less than 3 days before 2024-03-27"),
        ("2024-03-28", 3, None),
        ("2024-03-26", 1, None),
        ("2024-03-26", 0, None),
        ("2024-03-24", 0, "mood@v1 is as of 2024-03-25, which is later than 2024-03-24"),
    ],
)
def test_a_training_is_not_repeated_within_the_cool_down(
    as_of: TrainJob, day: str, cool_down: int, reason: str | None
) -> None:
    assert reason_not_to(as_of, date.fromisoformat(day), cool_down) == reason


@pytest.fixture(scope="module")
def as_of(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    """A job that has trained as of the 25th."""
    training = job(data, tmp_path_factory.mktemp("registry") / "models")
    train(training.on("2024-03-25"), workers=1)
    return training


def test_a_training_without_a_date_is_as_of_when_it_ran(data: Path, tmp_path: Path) -> None:
    training, today = job(data, tmp_path / "models"), datetime.now(UTC).date()
    assert reason_not_to(training, today) is None  # nothing was trained
    train(training, workers=1)
    assert "less than 3 days before" in str(reason_not_to(training, today + timedelta(days=2)))
    assert reason_not_to(training, today + timedelta(days=3)) is None


def test_a_champion_of_another_format_does_not_stop_its_retraining(
    data: Path, tmp_path: Path
) -> None:
    train(job(data, tmp_path))
    document = tmp_path / "mood" / "v1" / "model.json"
    content = json.loads(document.read_text())
    document.write_text(json.dumps({**content, "format": content["format"] - 2}))
    kept = train(job(data, tmp_path, "z")).promotion
    assert (kept.promoted, kept.champion) == (False, 1)
    assert kept.reason == (
        "cannot be compared with v1 on held-out rows: its file has another format. "
        "Promote by hand, or set promote: always"
    )
    assert train(job(data, tmp_path, "z", promote="always")).promotion.champion == 3
