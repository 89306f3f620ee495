"""Builds the estimators that the LASSO is compared with, and the settings to try of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import is_regressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import ElasticNet, Ridge
from sklearn.utils.validation import has_fit_parameter

from lasso_jobs.comparison.dask_ml_search import SearchSpace
from lasso_jobs.comparison.pipeline import MODEL
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.compare import Distribution, EstimatorOptions, FamilyName
from lasso_jobs.jobs.train import TrainJob

L1_RATIOS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Family:
    """An estimator and its settings.

    Parameters
    ----------
    name : str
    estimator : scikit-learn regressor
        Not fitted.
    space : SearchSpace
        Settings to try, of the estimator in its pipeline.
    """

    name: str
    estimator: Any
    space: SearchSpace


def families(job: TrainJob, alpha_max: float, n_rows: int) -> list[Family]:
    """The families that a job names, those built in first.

    Parameters
    ----------
    job : TrainJob
    alpha_max : float
        The smallest alpha at which a LASSO is zero.
    n_rows : int
        By which scikit-learn's alpha of a Ridge exceeds that of the other penalties.

    Raises
    ------
    JobError
        If an estimator cannot be imported, is no regressor, or has no such parameter.
    """
    options = job.compare
    built = [_built_in(name, job, alpha_max, n_rows) for name in options.families]
    built += [_named(name, how, job.seed) for name, how in options.estimators.items()]
    if job.weight is not None:
        for family in built:
            _require_weights(family, job.weight)
    return built


def _built_in(name: FamilyName, job: TrainJob, alpha_max: float, n_rows: int) -> Family:
    """As many settings for each; penalties are in units of alpha_max, or of the rows."""
    iterations, seed = job.compare.iterations, job.seed
    if name == "elastic_net":
        # One for each setting, by turns with each of the ratios.
        steps = np.geomspace(1, 1e-3, iterations + 2)[1:-1].tolist()
        grid: list[dict[str, Any]] = [
            {"l1_ratio": [ratio], "alpha": [alpha_max / ratio * step for step in own]}
            for k, ratio in enumerate(L1_RATIOS)
            if (own := steps[k :: len(L1_RATIOS)])
        ]
        # With the matrix of products, an iteration does not depend on the number of rows.
        net = ElasticNet(precompute=True, max_iter=10_000, fit_intercept=job.intercept)
        return _family(name, net, grid, seed=seed)
    if name == "ridge":
        alphas = (n_rows * np.geomspace(1e-6, 1, iterations)).tolist()
        return _family(name, Ridge(fit_intercept=job.intercept), [{"alpha": alphas}], seed=seed)
    if name == "random_forest":
        forest = RandomForestRegressor(n_estimators=50, max_samples=0.5)
        drawn: dict[str, Any] = {
            "max_features": [0.2, 0.4, 0.6],
            "min_samples_leaf": [2, 5, 10, 20, 50],
        }
        return _family(name, forest, [drawn], iterations=iterations, seed=seed)
    boosting = HistGradientBoostingRegressor(max_iter=150, early_stopping=False)
    drawn = {
        "learning_rate": stats.loguniform(0.03, 0.3),
        "max_leaf_nodes": [7, 15, 31],
        "min_samples_leaf": [10, 20, 50, 100],
        "l2_regularization": stats.loguniform(0.01, 10),
    }
    return _family(name, boosting, [drawn], iterations=iterations, seed=seed)


def _family(
    name: str,
    estimator: Any,
    grid: Sequence[Mapping[str, Any]],
    *,
    iterations: int | None = None,
    seed: int,
) -> Family:
    seed %= 2**32
    known = estimator.get_params()
    if "random_state" in known and known["random_state"] is None:
        estimator.set_params(random_state=seed)
    prefixed = [{MODEL + key: values for key, values in part.items()} for part in grid]
    return Family(name, estimator, SearchSpace(prefixed, iterations, seed))


def _named(name: str, how: EstimatorOptions, seed: int) -> Family:
    where = f"compare.estimators.{name}"
    estimator = _constructed(where, how)
    known = estimator.get_params()
    for key, values in how.search.items():
        if key not in known:
            raise _no_parameter(f"{where}.search", how.estimator, key, known)
        _check_distinct(f"{where}.search.{key}", values)
    drawn = {key: _drawn_from(values) for key, values in how.search.items()}
    return _family(name, estimator, [drawn], iterations=how.iterations, seed=seed)


def _constructed(where: str, how: EstimatorOptions) -> Any:
    module, _, name = how.estimator.rpartition(".")
    try:
        constructor = getattr(import_module(module), name)
    except Exception as error:  # A module may raise anything.
        raise JobError(
            f"{where}.estimator",
            f"{how.estimator} cannot be imported ({type(error).__name__}: {error})",
            "the path of an estimator, such as sklearn.neighbors.KNeighborsRegressor",
            "Correct it, or install its package here and on the workers",
        ) from error
    methods = ("fit", "predict", "get_params", "set_params", "__sklearn_tags__")
    if not isinstance(constructor, type) or not all(hasattr(constructor, m) for m in methods):
        raise JobError(
            f"{where}.estimator",
            f"{how.estimator} is no estimator",
            f"a class with {', '.join(methods)}",
            "Name another, or let it inherit from sklearn.base.BaseEstimator",
        )
    try:
        estimator = constructor()
    except Exception as error:
        raise JobError(
            f"{where}.estimator",
            f"{how.estimator} cannot be made without arguments ({type(error).__name__}: {error})",
            "an estimator whose parameters have defaults",
            "Name another",
        ) from error
    known = estimator.get_params()
    for key in how.params:
        if key not in known:
            raise _no_parameter(f"{where}.params", how.estimator, key, known)
    if not is_regressor(estimator.set_params(**how.params)):
        raise JobError(
            f"{where}.estimator", f"{how.estimator} is no regressor", "a regressor", "Name another"
        )
    return estimator


def _no_parameter(where: str, path: str, key: str, known: Mapping[str, Any]) -> JobError:
    expected = f"one of {', '.join(sorted(known))}"
    return JobError(where, f"{path} has no parameter {key!r}", expected, "Correct it")


def _check_distinct(where: str, values: Sequence[Any] | Distribution) -> None:
    """Refuse 1 beside 1.0 or true: dask-ml takes equal values for one, scikit-learn does not."""
    if isinstance(values, Distribution):
        return
    plain = [v for v in values if isinstance(v, bool | int | float | str)]
    if len(set(plain)) < len(plain):
        raise JobError(
            where, f"{list(values)!r} has equal values", "values that differ", "Remove one of them"
        )


def _drawn_from(values: Sequence[Any] | Distribution) -> Any:
    if not isinstance(values, Distribution):
        return list(values)
    if values.integers is not None:
        return stats.randint(values.integers[0], values.integers[1] + 1)
    if values.loguniform is not None:
        return stats.loguniform(*values.loguniform)
    low, high = values.uniform or (0.0, 1.0)
    return stats.uniform(low, high - low)


def _require_weights(family: Family, weight: str) -> None:
    if not has_fit_parameter(family.estimator, "sample_weight"):
        raise JobError(
            f"compare.estimators.{family.name}.estimator",
            f"{type(family.estimator).__name__} takes no weights, and rows have the weight "
            f"{weight!r}",
            "an estimator whose fit takes sample_weight",
            "Name another, or set weight to null",
        )
