"""What a training says of stability and diagnostics, as JSON and in words."""

import dataclasses
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs import TrainJob, train
from lasso_jobs.models import findings, summary
from lasso_jobs.training.plan import plan
from lasso_jobs.training.result import TrainResult

N = 400


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    folder = tmp_path_factory.mktemp("findings")
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=N), rng.normal(size=N)
    columns = {"x": x, "z": z, "fixed": np.ones(N), "y": 3 * x + rng.normal(size=N)}
    # Never selected beside its copy, which it follows.
    columns["z2"] = 1 - 2 * z
    pq.write_table(pa.table(columns), folder / "a.parquet")
    return TrainJob.from_values(
        {
            "name": "found",
            "data": {"path": str(folder / "a.parquet")},
            "target": "y",
            "search": {"rule": "1se", "alphas": 20},
            "stability": {"pairs": 5, "threshold": 0.8, "resamples": 50},
            "registry": str(folder / "models"),
        }
    )


@pytest.fixture(scope="module")
def result(job: TrainJob) -> TrainResult:
    return train(job, workers=1)


def test_the_json_names_what_was_found(result: TrainResult) -> None:
    values = json.loads(json.dumps(result.as_values(), allow_nan=False))
    stability, known = values["stability"], values["diagnostics"]
    assert (stability["pairs"], stability["threshold"], stability["groups"]) == (5, 0.8, 60)
    assert (stability["expected_false"], stability["q"]) == (1.0, 1)
    assert stability["bound"] == min(stability["mb_bound"], stability["r_concave_bound"]) <= 1
    spread = stability["bootstrap"]
    assert (spread["resamples"], spread["coverage"], spread["converged"]) == (50, 0.9, True)
    assert spread["low"]["x"] < values["coef"]["x"] < 3 < spread["high"]["x"]
    assert spread["frequency"] == {"x": 1.0, "z": 0.0, "fixed": 0.0, "z2": 0.0}
    assert spread["low"]["z"] is stability["standard_error"]["z"] is None
    assert stability["frequency"]["x"] == 1.0
    assert stability["stable"] == ["x"]
    assert 0 < stability["standard_error"]["x"] < 0.2
    assert stability["n_candidates"] == 3
    assert known["constant"] == ["fixed"]
    assert known["duplicates"] == {"z2": "z"}
    assert known["condition_number"] is values["certificate"]["condition_number"] is None
    assert known["vif"]["x"] == pytest.approx(1, abs=0.05)
    assert known["vif"]["z"] is known["vif"]["z2"] is known["vif"]["fixed"] is None
    assert len(known["information"]["aic"]) == len(known["information"]["bic"]) == 20
    aic = dict(zip(values["cv"]["alphas"], known["information"]["aic"], strict=True))
    assert known["information"]["alpha_aic"] == min(aic, key=aic.__getitem__)
    least = known["least_squares_ignoring_selection"]
    assert least["low"]["x"] < least["coef"]["x"] < least["high"]["x"]
    assert least["coef"]["x"] > values["coef"]["x"]
    assert least["coef"]["fixed"] is None
    assert known["learning"]["test"] == "hold-out"
    assert known["learning"]["n_rows"][-1] == values["n_rows"] - values["holdout"]["n_rows"]
    # The last fit of the curve is the one that the hold-out was measured with.
    assert known["learning"]["test_mse"][-1] == pytest.approx(values["holdout"]["mse"], rel=1e-9)


def test_frequency_and_spread_are_beside_each_coefficient(result: TrainResult) -> None:
    rows = summary.coefficients(result.model)
    assert [row["feature"] for row in rows] == ["x"]
    found = result.model.stability
    assert found is not None
    assert found.bootstrap is not None
    assert (rows[0]["frequency"], rows[0]["std_error"]) == (1.0, found.standard_error[0])
    assert (rows[0]["low"], rows[0]["high"]) == (found.bootstrap.low[0], found.bootstrap.high[0])


def test_words_say_what_matters(result: TrainResult) -> None:
    words = result.in_words()
    assert words["stability"] == (
        "1 of 4 coefficients are among the first to enter in at least 80% of 10 half-samples; at "
        "most 0.22 of them are expected to be false"
    )
    assert words["spread"] == (
        "standard errors and 90% intervals are of 50 resamples of 60 groups of rows, at this alpha"
    )
    assert words["columns"] == ("condition number infinite; constant: fixed; duplicate: z2 = z")


@pytest.mark.parametrize(
    ("changes", "topic", "said"),
    [
        ({"q": 0, "n_candidates": 3}, "stability", "not judged: with 3 coefficients to choose"),
        (
            {"q": 0, "n_candidates": 0},
            "stability",
            "not judged: no column that varies has an l1 penalty",
        ),
        ({"bootstrap": None, "groups": 5}, "spread", "5 groups of rows are too few"),
        # A model of before: its halves were fitted at the chosen alpha.
        (
            {"q": None, "r_concave_bound": None, "mb_bound": 1.5, "bootstrap": None},
            "stability",
            "selected in at least 80% of 10 half-samples; their expected number of false ones has",
        ),
        (
            {"q": None, "r_concave_bound": None, "mb_bound": 0.5, "bootstrap": None},
            "stability",
            "1 of 4 coefficients are selected in at least 80% of 10 half-samples",
        ),
    ],
)
def test_words_say_what_is_not_known(
    changes: dict[str, object], topic: str, said: str, result: TrainResult
) -> None:
    found = result.model.stability
    assert found is not None
    other = dataclasses.replace(found, **changes)
    words = findings.in_words(dataclasses.replace(result.model, stability=other))
    assert said in words[topic]
    assert ("spread" in words) == (changes["q"] is not None if "q" in changes else True)


def test_long_lists_are_cut_short(result: TrainResult) -> None:
    collinear = dataclasses.replace(
        result.model.diagnostics.collinearity, constant=(0, 1, 2, 3), condition_number=12.5
    )
    diagnostics = dataclasses.replace(result.model.diagnostics, collinearity=collinear)
    words = findings.in_words(dataclasses.replace(result.model, diagnostics=diagnostics))
    assert words["columns"].startswith("condition number 12.5; constant: x, z, fixed, and 1 more;")


def test_without_stability_the_model_has_none(job: TrainJob) -> None:
    plain = train(job.model_copy(update={"stability": None, "holdout": None}), workers=1)
    values = plain.as_values()
    assert values["stability"] is None
    assert values["diagnostics"]["learning"]["test"] == "last buckets"
    assert "stability" not in plain.in_words()
    row = summary.coefficients(plain.model)[0]
    assert {row[name] for name in ("frequency", "std_error", "low", "high")} == {None}


def test_few_buckets_are_enough(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.buckets.MAX_STATE_BYTES", 0)
    found = train(job, workers=1).model.stability
    assert found is not None
    assert (found.groups, found.pairs) == (5, 5)
    assert found.frequency[0] == 1.0
    assert found.bootstrap is None
    assert np.isnan(found.standard_error).all()


def test_the_seed_draws_the_halves(job: TrainJob, result: TrainResult) -> None:
    weak = job.model_copy(update={"search": job.search.model_copy(update={"alphas": (0.03,)})})
    first, again = (train(weak, workers=1).model.stability for _ in range(2))
    other = train(weak.model_copy(update={"seed": 1}), workers=1).model.stability
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.frequency, again.frequency)
    assert not np.array_equal(first.standard_error, other.standard_error)


def test_what_varies_is_in_the_provenance_and_not_in_the_digest(
    job: TrainJob, result: TrainResult
) -> None:
    provenance = result.registered.provenance
    assert provenance["data_plan"] == plan(job).data_digest
    assert provenance["bytes_read"] == result.counts.bytes_read > 0
    assert provenance["rows"] == N
    assert provenance["versions"] == {
        name: version(name) for name in ("numpy", "scipy", "numba", "pyarrow")
    }
    assert result.as_values()["provenance"] == dict(provenance)
    Path(job.data.path).touch()
    assert plan(job).data_digest != provenance["data_plan"]
    assert train(job, workers=1).registered.digest == result.registered.digest
